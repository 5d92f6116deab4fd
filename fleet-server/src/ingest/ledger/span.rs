//! Observations of a series over a time, counted and not listed.

use lamplighter_protocol::UtcMillis;

/// Observations that lie evenly between the first and the last of them: exactly so for ticks of a grid, and as the best
/// guess where several spans had to become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Span {
    /// Time of the first.
    pub(in crate::ingest) first: UtcMillis,
    /// Time of the last.
    pub(in crate::ingest) last: UtcMillis,
    /// How many; at least one.
    pub(in crate::ingest) count: u64,
}

impl Span {
    /// Takes in another one, whatever lies between.
    pub(in crate::ingest) fn blur(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
    }
}
