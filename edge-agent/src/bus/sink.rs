//! Where the bus tasks put what they read.

use lamplighter_protocol::{Log, Record, Tick};

use crate::clock::ClockTrust;
use crate::outbox::Outbox;

/// Takes ticks. Two implementations: the outbox, and the collector of the tests.
pub trait Sink: Send {
    /// Takes one tick, whose time is that of a clock that was trusted so far. Blocks while the sink is full: the bus then misses ticks, and counts them.
    ///
    /// # Errors
    /// [`Closed`]: nothing will ever be taken again.
    fn put(&self, tick: Tick, trust: ClockTrust) -> Result<(), Closed>;
}

/// A sink takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is closed")]
pub struct Closed;

impl Sink for Outbox {
    fn put(&self, tick: Tick, trust: ClockTrust) -> Result<(), Closed> {
        self.append_by(Log::Samples, &Record::Tick(tick), trust).map_err(|_| Closed)
    }
}
