//! A clock that stands still while a sampling thread works, and moves on while all of them wait.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use lamplighter_protocol::UtcMillis;

use crate::clock::{Clock, ClockTrust, Now, Stop, Waited};

/// Moves only within [`run_until`](Self::run_until).
#[derive(Debug)]
pub(super) struct SteppedClock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    monotonic: Duration,
    /// Wall time at monotonic zero.
    epoch: UtcMillis,
    trust: ClockTrust,
    limit: Duration,
    entered: usize,
    waits: Vec<Duration>,
}

/// How long a thread may work between two waits, in real time, before a test gives up.
const GIVES_UP_AFTER: Duration = Duration::from_mins(1);

impl SteppedClock {
    pub(super) fn starting_at(epoch: UtcMillis) -> Self {
        let state = State {
            monotonic: Duration::ZERO,
            epoch,
            trust: ClockTrust::Sure,
            limit: Duration::ZERO,
            entered: 0,
            waits: Vec::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Lets time go on until then, and everything happen that is due until then.
    pub(super) fn run_until(&self, limit: Duration) {
        let mut state = self.state.lock().unwrap();
        state.limit = limit;
        self.changed.notify_all();
        let runs = |state: &mut State| !(state.all_wait() && state.waits.iter().all(|until| *until > limit));
        let (mut state, waited) = self.changed.wait_timeout_while(state, GIVES_UP_AFTER, runs).unwrap();
        assert!(!waited.timed_out(), "a thread works without end: {state:?}");
        state.monotonic = limit;
    }

    /// Sets the wall clock forward, or back.
    pub(super) fn set_wall_by_ms(&self, ms: i64) {
        let mut state = self.state.lock().unwrap();
        state.epoch = state.epoch.plus_ms(ms);
    }

    pub(super) fn set_trust(&self, trust: ClockTrust) {
        self.state.lock().unwrap().trust = trust;
    }

    /// If all wait and nobody has yet to wake, on to the first wait that ends within the limit.
    fn step(&self, state: &mut MutexGuard<'_, State>) {
        if !state.all_wait() {
            return;
        }
        if let Some(first) = state.waits.iter().min().copied().filter(|first| *first <= state.limit) {
            state.monotonic = first;
            self.changed.notify_all();
        }
    }
}

impl State {
    fn all_wait(&self) -> bool {
        self.waits.len() == self.entered && self.waits.iter().all(|until| *until > self.monotonic)
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Now {
        let state = self.state.lock().unwrap();
        let wall = state.epoch.plus_ms(i64::try_from(state.monotonic.as_millis()).unwrap());
        Now { monotonic: state.monotonic, wall, trust: state.trust }
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        let mut state = self.state.lock().unwrap();
        state.waits.push(until);
        let waited = loop {
            if stop.is_raised() {
                break Waited::Stopped;
            }
            self.step(&mut state);
            if state.monotonic >= until {
                break Waited::Reached;
            }
            self.changed.notify_all();
            // Short, because a stop does not notify.
            state = self.changed.wait_timeout(state, Duration::from_millis(20)).unwrap().0;
        };
        let place = state.waits.iter().position(|wait| *wait == until).unwrap();
        state.waits.swap_remove(place);
        waited
    }

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}

    fn enter(&self) {
        self.state.lock().unwrap().entered += 1;
    }

    fn leave(&self) {
        self.state.lock().unwrap().entered -= 1;
        self.changed.notify_all();
    }
}
