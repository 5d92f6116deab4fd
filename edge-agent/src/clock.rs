//! The agent's clock, as a port: the system's, or one that a rig steps.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Seconds after `start` at which systemd-timesyncd's word is looked for again.
    look_at: AtomicU64,
}

/// systemd-timesyncd keeps this file while it has synchronised the clock since boot (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// How often it is looked for while the clock is not confirmed.
const LOOK_EVERY_S: u64 = 10;

/// How far our time and the server's may be apart to agree. An observation's second stays right.
const AGREES_WITHIN_MS: i64 = 2_000;

/// A position on its way may be this old: only past it does a server's time behind ours contradict us.
const DELAYED_WITHIN_MS: i64 = 60_000;

impl SystemClock {
    /// Starts reading the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    pub fn new() -> Self {
        Self { start: Instant::now(), confirmed: AtomicBool::new(false), look_at: AtomicU64::new(0) }
    }

    fn trust(&self, elapsed: Duration) -> ClockTrust {
        let due = self.look_at.load(Ordering::Relaxed) <= elapsed.as_secs();
        if due && !self.confirmed.load(Ordering::Relaxed) {
            self.look_at.store(elapsed.as_secs() + LOOK_EVERY_S, Ordering::Relaxed);
            self.confirmed.store(std::path::Path::new(SYNCHRONISED).exists(), Ordering::Relaxed);
        }
        if self.confirmed.load(Ordering::Relaxed) { ClockTrust::Sure } else { ClockTrust::Unsure }
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
        let elapsed = self.start.elapsed();
        Now {
            monotonic: elapsed,
            wall: UtcMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)),
            trust: self.trust(elapsed),
        }
    }

    fn wait(&self, until: Duration, stop: &Stop) -> Waited {
        stop.wait(until.saturating_sub(self.start.elapsed()))
    }

    fn hear_server_time(&self, server: UtcMillis) {
        match judge(self.now().wall.since_ms(server)) {
            Agreement::Agrees => self.confirmed.store(true, Ordering::Relaxed),
            Agreement::Contradicts => self.confirmed.store(false, Ordering::Relaxed),
            Agreement::SaysNothing => {}
        }
    }
}

/// What the server's time says of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    Agrees,
    Contradicts,
    /// It may only have been long on its way.
    SaysNothing,
}

/// `ahead_ms`: how far our time is ahead of what the server wrote. A message's way only ever adds to it.
fn judge(ahead_ms: i64) -> Agreement {
    if (-AGREES_WITHIN_MS..=AGREES_WITHIN_MS).contains(&ahead_ms) {
        Agreement::Agrees
    } else if (0..=DELAYED_WITHIN_MS).contains(&ahead_ms) {
        Agreement::SaysNothing
    } else {
        Agreement::Contradicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_position_contradicts_nothing_and_a_wrong_clock_is_found_out() {
        assert_eq!(judge(0), Agreement::Agrees);
        assert_eq!(judge(-2_000), Agreement::Agrees);
        assert_eq!(judge(30_000), Agreement::SaysNothing);
        assert_eq!(judge(-2_001), Agreement::Contradicts);
        assert_eq!(judge(3_600_000), Agreement::Contradicts);
        assert_eq!(judge(i64::MIN), Agreement::Contradicts);
    }
}
