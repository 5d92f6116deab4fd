//! Why a sampling thread ended before it was told to.

use super::pace::ClockJumped;
use super::sink::Closed;

/// Why a sampling thread ended before it was told to. Nothing more can be read in this run: the agent ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The wall clock was set back by an hour or more (D3): the times of this run would repeat. A new run has to begin.
    #[error("the clock was set back by {back_ms} ms; a new run has to begin")]
    ClockJumped {
        /// Milliseconds, behind the latest wall time that this run has seen.
        back_ms: i64,
    },
    /// The outbox takes nothing any more.
    #[error("the outbox is closed")]
    OutboxClosed,
    /// A fault of ours.
    #[error("a sampling thread panicked")]
    Panicked,
}

impl From<ClockJumped> for Ended {
    fn from(jumped: ClockJumped) -> Self {
        Self::ClockJumped { back_ms: jumped.back_ms }
    }
}

impl From<Closed> for Ended {
    fn from(_: Closed) -> Self {
        Self::OutboxClosed
    }
}
