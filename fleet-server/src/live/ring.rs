//! The newest changes of the fleet, each with its sequence.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{LamppostState, LiveObservation};

/// Something that feeds tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// It became the newest of its series.
    Observation(LiveObservation),
    /// A lamppost is in this state now.
    State(Arc<LamppostState>),
}

/// The first change has sequence 1; sequences have no gaps.
#[derive(Debug)]
pub(super) struct Ring {
    limit: usize,
    changes: VecDeque<Change>,
    head: u64,
}

impl Ring {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), changes: VecDeque::new(), head: 0 }
    }

    /// The sequence of the newest change; 0 before there is one.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Takes a change in, and gives the one back that went for it.
    pub(super) fn push(&mut self, change: Change) -> Option<Change> {
        let gone = if self.changes.len() >= self.limit { self.changes.pop_front() } else { None };
        self.changes.push_back(change);
        self.head += 1;
        gone
    }

    /// All changes that follow a sequence, with their own; none if some of them are gone, or it was never reached.
    pub(super) fn after(&self, sequence: u64) -> Option<impl Iterator<Item = (u64, &Change)>> {
        let count = usize::try_from(self.head.checked_sub(sequence)?).ok()?;
        let skipped = self.changes.len().checked_sub(count)?;
        Some((sequence + 1..).zip(self.changes.range(skipped..)))
    }
}
