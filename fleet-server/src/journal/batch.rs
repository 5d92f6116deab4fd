//! What gathers between two commits, each entry with its place already.

use super::entry::{Draft, Entry};
use super::segment;
use super::{Commit, Ticket};

/// Entries that are committed together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Bytes of their records.
    pub(super) bytes: u64,
}

/// Gives entries their places, and gathers them to a batch.
#[derive(Debug)]
pub(super) struct Gathering {
    epoch: u64,
    next: u64,
    batch: Batch,
}

impl Gathering {
    /// Nothing yet, behind this commit.
    pub(super) fn behind(commit: Commit) -> Self {
        Self { epoch: commit.epoch, next: commit.below, batch: Batch::default() }
    }

    pub(super) fn push(&mut self, draft: Draft) -> Ticket {
        let ticket = Ticket { epoch: self.epoch, sequence: self.next };
        let Draft { received, lamppost, leaf, payload } = draft;
        self.batch.bytes += segment::record_bytes(&lamppost, &payload) as u64;
        self.batch.entries.push(Entry { sequence: ticket.sequence, received, lamppost, leaf, payload });
        self.next += 1;
        ticket
    }

    pub(super) fn len(&self) -> usize {
        self.batch.entries.len()
    }

    /// All that has gathered.
    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Begins the epoch of this commit; gives back what had gathered in the one before.
    pub(super) fn begin(&mut self, commit: Commit) -> Batch {
        std::mem::replace(self, Self::behind(commit)).batch
    }
}
