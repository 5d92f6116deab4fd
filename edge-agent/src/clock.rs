//! The agent's clock, as a port: the system's, or one that a rig steps.
//!
//! A lamppost may start without knowing the time (D3). Its wall time is then *provisional*: what the machine's clock said
//! at the start, and monotonic time since, so that it never jumps. Once the time is [learnt](Clock::learnt), the outbox
//! dates what it holds, and tells the clock when that is on disk ([`Clock::dated`]): only then does the clock say the time
//! that was learnt. So whatever was read by provisional time is older than the dating, and nothing else is.

mod learning;
mod system;

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use lamplighter_protocol::UtcMillis;

pub use system::SystemClock;

/// What the clock says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since some fixed moment of this process; never goes back. For intervals.
    pub monotonic: Duration,
    /// Wall time, or provisional time. For stamps.
    pub wall: UtcMillis,
    /// Whether the wall time is known to be right.
    pub trust: ClockTrust,
}

/// Whether the wall time is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// It was synchronised, or is the server's, or agrees with it.
    Sure,
    /// It was known, and the server contradicts it, or the server has told it roughly: observations are uncertain (clock
    /// unsure).
    Unsure,
    /// Nobody has said what time it is: the wall time is provisional, and what it stamps is dated later (D3).
    Unknown,
}

/// The true time, as far as it was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// To be added to provisional times.
    pub shift_ms: i64,
    /// Who said so.
    pub from: LearntFrom,
}

/// Who said what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearntFrom {
    /// The machine's own clock, which somebody confirmed.
    OwnClock,
    /// The server: the last resort.
    Server,
    /// A server that never answered fast enough to be exact. What is dated by it is uncertain (clock unsure).
    SlowServer,
}

/// One boot of the machine. Its time runs on while agents come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Random; another one after each boot.
    pub id: [u8; 16],
    /// Time since the boot at [monotonic](Now::monotonic) zero of this process.
    pub at_zero: Duration,
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

    /// The server said what time it was, at some moment between these two of [monotonic](Now::monotonic) time: the last
    /// resort of a lamppost whose clock nobody else confirms.
    fn hear_server_time(&self, server: UtcMillis, between: Range<Duration>);

    /// The time, once it is learnt and for as long as [`now`](Self::now) is still provisional.
    fn learnt(&self) -> Option<Learnt> {
        None
    }

    /// All that was stamped with provisional time is dated by what [`learnt`](Self::learnt) said, on disk: from now on
    /// the time is known.
    fn dated(&self) {}

    /// Which boot of the machine this is, if that is known.
    fn boot(&self) -> Option<Boot> {
        None
    }

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
