//! The clocks that a rig's agents follow.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_agent::clock::{Clock, ClockTrust, Now, Stop, SystemClock, Waited};
use lamplighter_protocol::UtcMillis;

/// The machine's clock, believed as it is: a rig's wall time is right by definition. For speed 1, where time has to
/// go on while a sensor is being read.
#[derive(Debug)]
pub struct RealClock {
    system: SystemClock,
}

impl Default for RealClock {
    fn default() -> Self {
        Self { system: SystemClock::believed() }
    }
}

/// Virtual time for replays: it stands still while a sampling thread works and leaps while all of them wait, to the
/// first moment that one of them waits for. So no reading is late, however fast the replay is, and each tick of every
/// grid is read.
///
/// It never runs faster than `speed` times real time, counted from its start, and never ahead of the machine's own
/// wall time: once it has caught up it moves along with it.
///
/// A thread that works for longer than [`HANGS_AFTER`] of real time does not stop the others: time moves on without it
/// until it waits again. (If it comes back just then, time may leap once while another thread still works. That
/// thread's reading then is late, as it could be on a lamppost.)
#[derive(Debug)]
pub struct SteppedClock {
    real: SystemClock,
    /// Real monotonic time of the start.
    started: Duration,
    begin: UtcMillis,
    speed: f64,
    hangs_after: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

/// How long a thread may work before time moves on without it. An instrument's longest exchange takes 2.5 s; a full
/// queue before a slow disk may hold a thread for some seconds more, and costs no tick as long as time waits.
pub const HANGS_AFTER: Duration = Duration::from_secs(30);

/// How often a waiting thread looks whether its process stops.
const LOOKS_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct State {
    /// Virtual time since the begin.
    monotonic: Duration,
    /// Threads that follow this clock.
    entered: usize,
    /// What each waiting thread waits for. One whose time has come counts as working, though it may not run yet.
    waits: Vec<Duration>,
    /// Threads that time no longer waits for.
    given_up: usize,
    /// Real monotonic time since which nothing has moved.
    moved: Duration,
    frozen: bool,
}

impl Clock for RealClock {
    fn now(&self) -> Now {
        self.system.now()
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        self.system.wait(until, stop)
    }

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}
}

impl SteppedClock {
    /// Time begins at `begin`, now, and runs at most `speed` times as fast as real time.
    pub fn new(begin: UtcMillis, speed: f64) -> Self {
        let real = SystemClock::believed();
        let started = real.now().monotonic;
        let state = State {
            monotonic: Duration::ZERO,
            entered: 0,
            waits: Vec::new(),
            given_up: 0,
            moved: started,
            frozen: false,
        };
        Self {
            real,
            started,
            begin,
            speed: if speed.is_finite() { speed.max(f64::MIN_POSITIVE) } else { f64::MAX },
            hangs_after: HANGS_AFTER,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// As given, for tests of what happens then.
    #[cfg(test)]
    pub(super) fn hanging_after(self, hangs_after: Duration) -> Self {
        Self { hangs_after, ..self }
    }

    /// Time stands still from now on. What is being read is still read.
    pub fn freeze(&self) {
        self.lock().frozen = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves time on if that is due. Says how long nothing needs to be done.
    fn step(&self, state: &mut State) -> Duration {
        let real = self.real.now();
        if !state.all_wait() {
            let hangs_in = (state.moved + self.hangs_after).saturating_sub(real.monotonic);
            if !hangs_in.is_zero() {
                return hangs_in;
            }
            state.given_up = state.working();
            tracing::warn!(threads = state.given_up, "sampling threads hang; time moves on without them");
        }
        let first = state.waits.iter().filter(|until| **until > state.monotonic).min().copied();
        let Some(first) = first.filter(|_| !state.frozen) else { return LOOKS_EVERY };
        let early = self.early(first, real);
        if early.is_zero() {
            state.monotonic = first;
            state.moved = real.monotonic;
            self.changed.notify_all();
        }
        early
    }

    /// How much real time has to pass before virtual time may be `time`.
    fn early(&self, time: Duration, real: Now) -> Duration {
        let elapsed = real.monotonic.saturating_sub(self.started);
        let by_speed = slowed(time, self.speed).saturating_sub(elapsed);
        let by_present = self.wall(time).since_ms(real.wall);
        by_speed.max(Duration::from_millis(u64::try_from(by_present).unwrap_or(0)))
    }

    fn wall(&self, monotonic: Duration) -> UtcMillis {
        self.begin.plus(monotonic)
    }
}

impl State {
    /// Threads that do not wait, or whose time has come.
    fn working(&self) -> usize {
        let waiting = self.waits.iter().filter(|until| **until > self.monotonic).count();
        self.entered.saturating_sub(waiting)
    }

    fn all_wait(&self) -> bool {
        self.working() <= self.given_up
    }

    /// A thread that was given up may be among those that wait again.
    fn take_back(&mut self) {
        self.given_up = self.given_up.min(self.entered.saturating_sub(self.waits.len()));
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Now {
        let monotonic = self.lock().monotonic;
        Now { monotonic, wall: self.wall(monotonic), trust: ClockTrust::Sure }
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        let mut state = self.lock();
        state.waits.push(until);
        state.take_back();
        let waited = loop {
            if stop.is_raised() {
                break Waited::Stopped;
            }
            if state.monotonic >= until {
                break Waited::Reached;
            }
            // Cut into pieces, for a stop does not notify.
            let pause = self.step(&mut state).min(LOOKS_EVERY);
            if pause.is_zero() {
                continue;
            }
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        };
        if let Some(place) = state.waits.iter().position(|wait| *wait == until) {
            state.waits.swap_remove(place);
        }
        waited
    }

    /// Models are done when they are asked again: no time has to pass, real or virtual.
    fn pause(&self, _: Duration) {}

    fn hear_server_time(&self, _: UtcMillis, _: Range<Duration>) {}

    fn enter(&self) {
        let mut state = self.lock();
        state.entered += 1;
        state.moved = self.real.now().monotonic;
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.entered = state.entered.saturating_sub(1);
        state.take_back();
        self.changed.notify_all();
    }
}

/// `time` at `speed` in real time.
fn slowed(time: Duration, speed: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() / speed).unwrap_or(Duration::MAX)
}
