//! Rigs, driven by the real drivers.

mod clock;
mod i2c;
mod serial;

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_agent::clock::{Clock, ClockTrust, Now, Stop, Waited};
use lamplighter_protocol::UtcMillis;

use super::Scene;
use crate::world::faults::{Fault, FaultKinds, FaultWindow, Faults};
use crate::world::{Recordings, Site, Variation, World};

/// 2026-03-05T07:00:00Z, the begin of the recorded day.
const MORNING: UtcMillis = UtcMillis(1_772_694_000_000);

/// A clock that a test sets.
#[derive(Debug)]
struct Hands(Mutex<UtcMillis>);

impl Hands {
    fn at(time: UtcMillis) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }

    fn set(&self, time: UtcMillis) {
        *self.0.lock().unwrap() = time;
    }
}

impl Clock for Hands {
    fn now(&self) -> Now {
        let wall = *self.0.lock().unwrap();
        let monotonic = Duration::from_millis(u64::try_from(wall.0).unwrap());
        Now { monotonic, wall, trust: ClockTrust::Sure }
    }

    fn wait(&self, _: Duration, stop: &Stop) -> Waited {
        if stop.is_raised() { Waited::Stopped } else { Waited::Reached }
    }

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}
}

const BROKEN: Faults = Faults::NowAndThen { seed: 1, kinds: FaultKinds::All };

fn scene(clock: &Arc<Hands>, faults: Faults, lamppost: u32) -> Scene {
    let world = World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None);
    Scene::new(world, faults, lamppost, Arc::clone(clock) as Arc<dyn Clock>)
}

/// Some lamppost and window in which it has this fault.
fn some_window(fault: Fault) -> (u32, FaultWindow) {
    let looks = (0..48 * 60_u32).flat_map(|minute| (0..50).map(move |lamppost| (lamppost, minute)));
    looks
        .filter_map(|(lamppost, minute)| {
            Some((lamppost, BROKEN.at(lamppost, MORNING.plus_ms(i64::from(minute) * 60_000))?))
        })
        .find(|(_, window)| window.fault == fault)
        .expect("in two days each fault befalls one of fifty lampposts")
}
