//! The journal: what the gateway acknowledges is here first, on disk; all else is derived from it (D5, D15).
//!
//! Entries go into segment files, `{first sequence, 20 digits}.log`, that are only ever appended to. One thread owns
//! the files (or whoever steps it, [`SteppedJournal`]): it takes the oldest of what is queued, writes it in one piece,
//! syncs it, publishes the commit, and only then hands the batch on to ingest. A commit waits for nothing but the disk, so
//! batches grow by themselves with the load, up to a bound that grows with the time that the disk takes.
//!
//! What it promises:
//! - An entry below a published [`Commit`] comes back in every later [`Journal::replay`], once and in order.
//! - Nothing reaches ingest before it is committed.
//! - A failed write or sync commits nothing of its batch. The segment is cut back to its last committed byte, a new
//!   *epoch* begins, and all that was queued is forgotten: whoever waits for a [`Ticket`] of an older epoch closes
//!   its connection, and the sender sends again. The journal goes on in a new segment as soon as the disk allows.
//! - Below low water nothing is committed, and so acknowledged, until there is more room ([`LowWater`]): entries wait
//!   in the queue, which is bounded, and those behind it with their senders (D6). Nothing is forgotten for it.
//! - Damage is named (file, offset, bytes) and counted, never passed over in silence.
//! - Trimming removes whole segments, oldest first, and never the newest: a journal begins at some sequence, and what it
//!   holds has no hole.
//!
//! What it leaves to others: what an entry means, acknowledging, and what may be trimmed.

mod batch;
mod commit_times;
mod copy;
mod damage_seen;
mod disk;
mod entry;
mod error;
mod lag;
mod low_water;
mod metrics;
mod open;
mod options;
mod queue;
mod random;
mod read_only_disk;
mod reader;
mod replay;
mod report;
mod segment;
mod stepped;
mod thread;
mod verify;
mod writer;

#[cfg(test)]
pub(crate) mod memory_disk;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::mpsc::SyncSender;

use lamplighter_protocol::UtcMillis;

pub use commit_times::CommitTimes;
pub(crate) use copy::{segments_to_copy, settle_copy};
pub use damage_seen::DamageSeen;
pub use disk::{Disk, DiskFile, FileDisk, Space};
pub(crate) use disk::{space_of, sync_directory};
pub use entry::{Draft, Entry, LARGEST_PAYLOAD_BYTES};
pub use error::{JournalError, JournalFailure};
pub use lag::Lag;
pub use low_water::{LowWater, NotBytes, Shortage};
pub use metrics::{FailureLabels, JournalMetrics, Operation};
pub use options::JournalOptions;
pub use queue::{JournalClosed, JournalHandle, Trimming};
pub use random::Random;
pub use report::{Damage, DamageKind, ReplayReport, Trimmed};
pub(crate) use segment::first_of as segment_first;
pub use stepped::SteppedJournal;
pub use thread::{IngestGone, JournalThread};
pub use verify::{Verified, verify};

/// A journal that is open and not yet being written: replay it, then start it.
#[derive(Debug)]
pub struct Journal {
    options: JournalOptions,
    found: open::Found,
}

/// A segment on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The sequence of its first entry, after which its file is named.
    pub first: u64,
    /// Its length, as far as it is committed.
    pub bytes: u64,
}

/// How far the journal is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Counts the failures of the disk since the start; tickets of another epoch are void.
    pub epoch: u64,
    /// All sequences below this one are on disk.
    pub below: u64,
}

/// The place of one entry, valid in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The epoch in which the entry was queued.
    pub epoch: u64,
    /// Its sequence, if it is committed in that epoch.
    pub sequence: u64,
}

/// What became of a queued entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not on disk yet.
    Waiting,
    /// On disk: it may be acknowledged.
    Committed,
    /// Perhaps forgotten: it must not be acknowledged, and the connection it came by closes.
    Void,
}

/// Whether the journal can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalHealth {
    /// It is being written.
    Writing,
    /// There is too little room on the disk; nothing is acknowledged until there is more.
    Short {
        /// When it began.
        since: UtcMillis,
        /// How much there is, and how much there has to be.
        shortage: Shortage,
    },
    /// The disk refuses; nothing is acknowledged until it takes writes again.
    Failing {
        /// When it began.
        since: UtcMillis,
        /// What failed, with path and cause.
        cause: String,
    },
}

impl Journal {
    /// Its directory in the server's data directory.
    pub const DIRECTORY_NAME: &str = "journal";

    /// Opens the journal: takes the lock, syncs all that is there before it is believed, and cuts off the unfinished
    /// end of the last segment (D15).
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(options: JournalOptions) -> Result<Self, JournalError> {
        let disk = FileDisk::open(&options.directory)?;
        Self::open_on(options, Box::new(disk))
    }

    /// Opens the journal on another disk than that of the machine; the options' directory only names it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(options: JournalOptions, disk: Box<dyn Disk>) -> Result<Self, JournalError> {
        let found = open::open(&options, disk)?;
        Ok(Self { options, found })
    }

    /// The sequence that the next entry gets.
    pub fn next_sequence(&self) -> u64 {
        self.found.next
    }

    /// The sequence of the oldest entry, or of the next one if there is none.
    pub fn first_sequence(&self) -> u64 {
        self.found.first()
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.found.segments
    }

    /// Hands on every committed entry, oldest first, once. Memory does not grow with the journal: payloads are slices
    /// of the read buffer (about 1 MiB), which lives as long as the longest kept slice, so copy what is kept.
    ///
    /// # Errors
    /// [`JournalError::Read`]; damage is no error but stands in the report.
    pub fn replay(&mut self, each: impl FnMut(Entry)) -> Result<ReplayReport, JournalError> {
        replay::replay(&self.options, &self.found, self.first_sequence(), each)
    }

    /// As [`Self::replay`], from this sequence on. Earlier segments are not read; damage is reported from the segment
    /// on that holds the sequence, and entries that are missing from the sequence on.
    ///
    /// # Errors
    /// As [`Self::replay`]; [`JournalError::Ends`] if the journal has not come as far as the sequence.
    pub fn replay_from(
        &mut self,
        sequence: u64,
        each: impl FnMut(Entry),
    ) -> Result<ReplayReport, JournalError> {
        replay::replay(&self.options, &self.found, sequence, each)
    }

    /// Goes on at this sequence, if the journal has not come as far: who knows more than the journal still holds says
    /// so before it is written, so that no sequence is given twice. What lies between shows as missing.
    pub fn continue_at(&mut self, sequence: u64) {
        if sequence > self.found.next {
            tracing::warn!(
                sequence,
                end = self.found.next,
                "the journal goes on behind entries that it does not have"
            );
            self.found.next = sequence;
            self.found.tail = None;
        }
    }

    /// Begins to write. Batches go to `committed` after their commit; while nobody takes them, nothing is committed.
    ///
    /// # Errors
    /// [`JournalError::Thread`].
    pub fn start(
        self,
        committed: SyncSender<Vec<Entry>>,
    ) -> Result<(JournalHandle, JournalThread), JournalError> {
        thread::start(self.options, self.found, committed)
    }

    /// To be written step by step, by whoever has it.
    pub fn stepped(self) -> SteppedJournal {
        SteppedJournal::new(self.options, self.found)
    }
}

impl Commit {
    /// What this commit says of a queued entry.
    pub fn fate(self, ticket: Ticket) -> Fate {
        match ticket.epoch.cmp(&self.epoch) {
            Ordering::Less => Fate::Void,
            Ordering::Equal if ticket.sequence < self.below => Fate::Committed,
            // A ticket may be of an epoch whose beginning has not been seen yet.
            Ordering::Equal | Ordering::Greater => Fate::Waiting,
        }
    }
}
