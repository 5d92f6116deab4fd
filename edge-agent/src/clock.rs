//! The agent's clock, as a port: the system's, or one that a rig steps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lamplighter_protocol::UtcMillis;

/// What the clock says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since some fixed moment of this process; never goes back. For intervals.
    pub monotonic: Duration,
    /// Wall time. For stamps.
    pub wall: UtcMillis,
    /// Whether the wall time is known to be right.
    pub trust: ClockTrust,
}

/// Whether the wall time is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// It was synchronised, or agrees with the server's.
    Sure,
    /// Nothing has confirmed it yet: observations are uncertain (clock unsure).
    Unsure,
}

/// A source of time. Two implementations: [`SystemClock`], and the stepped clock of `hil-tests`.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Reads the clock.
    fn now(&self) -> Now;

    /// Blocks this thread until the monotonic time reaches `until`, or `stop` is raised.
    fn wait(&self, until: Duration, stop: &Stop) -> Waited;

    /// Lets a chip work for so long: in real time, unless the chip lives in a time that stands still meanwhile.
    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// The server said what time it is: the last resort of a lamppost whose clock nobody else confirms.
    fn hear_server_time(&self, server: UtcMillis);

    /// A thread that samples begins to follow this clock. A stepped clock stands still while such a thread works,
    /// and moves on while all of them wait.
    fn enter(&self) {}

    /// A thread that samples follows this clock no longer.
    fn leave(&self) {}
}

/// Why [`Clock::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The time has come.
    Reached,
    /// The process is stopping.
    Stopped,
}

/// A signal to stop that a thread can wait on. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Not raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it, for good.
    pub fn raise(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks for `time` of real time, or until it is raised.
    pub fn wait(&self, time: Duration) -> Waited {
        let raised = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (raised, _) = self
            .0
            .1
            .wait_timeout_while(raised, time, |raised| !*raised)
            .unwrap_or_else(PoisonError::into_inner);
        if *raised { Waited::Stopped } else { Waited::Reached }
    }
}

/// The machine's clock. Its wall time is trusted once systemd-timesyncd says that it is synchronised, or once it
/// agrees with the server's.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    confirmed: AtomicBool,
}

/// systemd-timesyncd keeps this file while it has synchronised the clock since boot (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// How far our time and the server's may be apart to agree. An observation's second stays right, and a slow
/// connection's delay fits in.
const AGREES_WITHIN_MS: u64 = 2_000;

impl SystemClock {
    /// Starts reading the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    pub fn new() -> Self {
        let confirmed = AtomicBool::new(std::path::Path::new(SYNCHRONISED).exists());
        Self { start: Instant::now(), confirmed }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let trust =
            if self.confirmed.load(Ordering::Relaxed) { ClockTrust::Sure } else { ClockTrust::Unsure };
        Now {
            monotonic: self.start.elapsed(),
            wall: UtcMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)),
            trust,
        }
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        stop.wait(until.saturating_sub(self.start.elapsed()))
    }

    fn hear_server_time(&self, server: UtcMillis) {
        let agrees = self.now().wall.since_ms(server).unsigned_abs() <= AGREES_WITHIN_MS;
        let synchronised = std::path::Path::new(SYNCHRONISED).exists();
        self.confirmed.store(agrees || synchronised, Ordering::Relaxed);
    }
}
