//! D3: agents on machines that do not know the time, in stepped time: what they read is dated as it was read.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_agent::agent::Agent;
use edge_agent::clock::{Boot, Clock, ClockTrust, Learnt, LearntFrom, Now, Stop, Waited};
use edge_agent::config::OutboxConfig;
use edge_agent::status::Status;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::running::with_certificates;
use crate::fleet::observed::{Observed, on_disk};
use crate::rig::Scene;
use crate::rig::clock::SteppedClock;
use crate::rig::lamppost::{LamppostPlan, RigLamppost, WEATHER};
use crate::rig::serial::SerialInstruments;
use crate::world::faults::Faults;
use crate::world::{Recordings, Site, Variation, World};

/// 2026-03-05T08:00:00Z, of the recorded day.
const START: UtcMillis = UtcMillis(1_772_697_600_000);
const MINUTE_MS: i64 = 60_000;
/// An hour of stepped time takes six seconds on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// What the machine's clock shows is so far off: seventeen seconds and a little beside its grid.
const OFF_MS: i64 = -10 * 365 * 24 * 60 * MINUTE_MS - 17_345;

/// A clock that does not know the time, on top of one that does.
#[derive(Debug)]
struct Unknowing {
    knowing: Arc<SteppedClock>,
    /// Monotonic time of the boot is that of the other clock; an agent that starts later counts from there.
    began: Duration,
    stage: AtomicU8,
    boot: u8,
}

const UNKNOWN: u8 = 0;
const LEARNT: u8 = 1;
const DATED: u8 = 2;

impl Unknowing {
    fn on(knowing: &Arc<SteppedClock>, boot: u8) -> Arc<Self> {
        let (knowing, began) = (Arc::clone(knowing), knowing.now().monotonic);
        Arc::new(Self { knowing, began, stage: AtomicU8::new(UNKNOWN), boot })
    }

    fn tell(&self) {
        self.stage.store(LEARNT, Ordering::SeqCst);
    }
}

impl Clock for Unknowing {
    fn now(&self) -> Now {
        let now = self.knowing.now();
        let monotonic = now.monotonic.saturating_sub(self.began);
        if self.stage.load(Ordering::SeqCst) == DATED {
            return Now { monotonic, ..now };
        }
        Now { monotonic, wall: now.wall.plus_ms(OFF_MS), trust: ClockTrust::Unknown }
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        self.knowing.wait(until + self.began, stop)
    }

    fn pause(&self, time: Duration) {
        self.knowing.pause(time);
    }

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}

    fn learnt(&self) -> Option<Learnt> {
        let learnt = self.stage.load(Ordering::SeqCst) == LEARNT;
        learnt.then_some(Learnt { shift_ms: -OFF_MS, from: LearntFrom::OwnClock })
    }

    fn dated(&self) {
        self.stage.store(DATED, Ordering::SeqCst);
    }

    fn boot(&self) -> Option<Boot> {
        Some(Boot { id: [self.boot; 16], at_zero: self.began })
    }

    fn enter(&self) {
        self.knowing.enter();
    }

    fn leave(&self) {
        self.knowing.leave();
    }
}

/// A lamppost without a server, whose sensors are read each minute.
struct Lamppost {
    directory: tempfile::TempDir,
    number: LamppostNumber,
    world: World,
    time: Arc<SteppedClock>,
    instruments: Mutex<SerialInstruments>,
}

impl Lamppost {
    fn new() -> Self {
        let directory = with_certificates(1);
        std::fs::create_dir(directory.path().join("lampposts")).unwrap();
        Self {
            directory,
            number: "KB0001".parse().unwrap(),
            world: World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None),
            // Ten minutes a second: an outbox looks once a second whether the time is known.
            time: Arc::new(SteppedClock::new(START, 600.0)),
            instruments: Mutex::new(SerialInstruments::start().unwrap()),
        }
    }

    /// Lets an agent run by this clock for so many minutes of true time, or for longer until `done`.
    fn runs(&self, clock: &Arc<impl Clock + 'static>, minutes: i64, mut done: impl FnMut(&Status) -> bool) {
        let scene = Scene::new(self.world.clone(), Faults::None, 0, Arc::clone(&self.time) as Arc<dyn Clock>);
        let state = self.directory.path().join("lampposts");
        let plan = LamppostPlan {
            number: self.number.clone(),
            state_dir: state.join(self.number.as_str()),
            // The discard port: nobody has it in a test.
            server: "127.0.0.1:9".parse().unwrap(),
            certificates: self.directory.path().join("certificates").join(self.number.as_str()),
            every_ms: 60_000,
            outbox: OutboxConfig::default(),
        };
        let rig = RigLamppost::wire(&plan, &scene, &mut self.instruments.lock().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::clone(clock) as Arc<dyn Clock>;
            let agent = Agent::build(rig.config, rig.opener, clock).unwrap();
            let (status, stop) = (agent.status(), CancellationToken::new());
            let until = self.time.now().wall.plus_ms(minutes * MINUTE_MS);
            let mut running = JoinSet::new();
            running.spawn(agent.run(stop.clone()));
            let comes_so_far = async {
                while !done(&status()) || self.time.now().wall < until {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let in_time = tokio::time::timeout(PATIENCE, comes_so_far).await;
            stop.cancel();
            assert!(in_time.is_ok(), "the agent is stuck: {:?}", status());
            running.join_next().await.unwrap().unwrap().unwrap();
        });
    }

    fn observed(&self) -> Observed {
        on_disk(Path::new(self.directory.path()), &self.number).unwrap().0
    }

    /// Times and reasons of a series, in order.
    fn temperatures(&self) -> Vec<(UtcMillis, String)> {
        let observed = self.observed();
        assert_eq!(observed.twice, []);
        let temperatures = observed
            .observations
            .into_iter()
            .filter(|(which, _)| which.device == WEATHER && which.property == "air_temperature");
        let mut told = Vec::new();
        for (which, what) in temperatures {
            if what.reason == "good" {
                let truth = self.world.at(which.time).value("air_temperature").unwrap();
                let value = what.value.unwrap();
                assert!((value - truth).abs() < 0.02, "{value} at {:?}, where it was {truth}", which.time);
            }
            told.push((which.time, what.reason));
        }
        told
    }
}

#[test]
fn what_was_read_before_the_clock_was_set_has_the_time_at_which_it_was_read_and_is_good() {
    let lamppost = Lamppost::new();
    let clock = Unknowing::on(&lamppost.time, 1);
    let mut waited = 0;
    lamppost.runs(&clock, 50, |status| {
        if !status.time_known {
            waited = waited.max(status.waiting_for_time);
        }
        if lamppost.time.now().wall.since_ms(START) > 20 * MINUTE_MS
            && clock.learnt().is_none()
            && !status.time_known
        {
            clock.tell();
        }
        status.time_known
    });
    assert!(waited > 20, "{waited} records waited");
    let told = lamppost.temperatures();
    assert!(told.len() > 45, "{}", told.len());
    assert!(told.iter().all(|(_, reason)| reason == "good"), "{told:?}");
    let beside_the_grid = (-OFF_MS).rem_euclid(MINUTE_MS);
    let grids: Vec<i64> = told.iter().map(|(time, _)| time.0.rem_euclid(MINUTE_MS)).collect();
    let learnt = grids.iter().position(|phase| *phase != beside_the_grid).unwrap();
    assert!(learnt >= 20, "read by the machine's grid, and exactly at its ticks");
    assert!(grids[learnt..].iter().all(|phase| *phase == 0), "then on the true one: {grids:?}");
    assert!(
        told.windows(2).all(|pair| pair[1].0.since_ms(pair[0].0) <= 3 * MINUTE_MS / 2),
        "without a hole: {told:?}"
    );
    assert!(told[0].0.since_ms(START) <= 2 * MINUTE_MS);
}

#[test]
fn a_run_that_never_learnt_the_time_is_exact_after_a_restart_and_uncertain_after_a_boot() {
    for (boot, reason) in [(1, "good"), (2, "clock-unsure")] {
        let lamppost = Lamppost::new();
        let lost = Unknowing::on(&lamppost.time, 1);
        lamppost.runs(&lost, 15, |_| true);
        let ended = lamppost.time.now().wall;
        let knows = Unknowing::on(&lamppost.time, boot);
        knows.stage.store(DATED, Ordering::SeqCst);
        let opened = lamppost.time.now().wall;
        lamppost.runs(&knows, 10, |_| true);
        let told = lamppost.temperatures();
        let (before, after): (Vec<_>, Vec<_>) = told.iter().partition(|(time, _)| *time < opened);
        assert!(before.len() >= 14 && after.len() >= 8, "{told:?}");
        assert!(before.iter().all(|(_, told)| told == reason), "{told:?}");
        assert!(after.iter().all(|(_, told)| told == "good"), "{told:?}");
        let newest = before.last().unwrap().0;
        if boot == 1 {
            assert!(
                newest <= ended && newest.0.rem_euclid(MINUTE_MS) == (-OFF_MS).rem_euclid(MINUTE_MS),
                "{newest:?}"
            );
        }
        assert!(before.windows(2).all(|pair| pair[1].0.since_ms(pair[0].0) == MINUTE_MS), "{told:?}");
    }
}
