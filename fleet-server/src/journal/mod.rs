//! The journal: what the gateway acknowledges is here first, on disk; all else is derived from it (D5, D15).
//!
//! Entries go into segment files, `{first sequence, 20 digits}.log`, that are only ever appended to. One thread owns
//! the files: it takes all that is queued, writes it in one piece, syncs it, publishes the commit, and only then
//! hands the batch on to ingest. A commit waits for nothing but the disk, so batches grow by themselves with the load.
//!
//! What it promises:
//! - An entry below a published [`Commit`] comes back in every later [`Journal::replay`], once and in order.
//! - Nothing reaches ingest before it is committed.
//! - A failed write or sync commits nothing of its batch. The segment is cut back to its last committed byte, a new
//!   *epoch* begins, and all that was queued is forgotten: whoever waits for a [`Ticket`] of an older epoch closes
//!   its connection, and the sender sends again. The journal goes on in a new segment as soon as the disk allows.
//! - Damage is named (file, offset, bytes) and counted, never passed over in silence.
//!
//! What it leaves to others: what an entry means, acknowledging, trimming.

mod commit_times;
mod disk;
mod entry;
mod lag;
mod metrics;
mod open;
mod queue;
mod reader;
mod replay;
mod segment;
mod writer;

#[cfg(test)]
mod memory_disk;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use lamplighter_protocol::UtcMillis;

pub use commit_times::CommitTimes;
pub use disk::{Disk, DiskFile, FileDisk};
pub use entry::{Draft, Entry, LARGEST_PAYLOAD_BYTES};
pub use lag::Lag;
pub use metrics::{FailureLabels, JournalMetrics, Operation};
pub use queue::{JournalClosed, JournalHandle};
pub use writer::{IngestGone, JournalThread};

/// Where the journal is and what bounds it.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// The directory of the segments. It is created if its parent exists.
    pub directory: PathBuf,
    /// A batch that would make its segment longer than this begins a new one.
    pub segment_bytes: u64,
    /// Bytes that may wait for a commit, the batch that is being written included; an append past it waits. At least
    /// one entry of the largest payload fits, whatever this says.
    pub queue_bytes: u32,
    /// How long to wait after the first failure of the disk; it doubles with each further one.
    pub retry_first: Duration,
    /// The longest wait between two tries.
    pub retry_most: Duration,
    /// Where to count.
    pub metrics: JournalMetrics,
}

/// A journal that is open and not yet being written: replay it, then start it.
#[derive(Debug)]
pub struct Journal {
    options: JournalOptions,
    found: open::Found,
}

/// What [`Journal::replay`] met.
#[derive(Debug, Clone, Default)]
pub struct ReplayReport {
    /// Entries handed on.
    pub entries: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files read.
    pub segments: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes of a write that never finished, cut off the last segment on opening; they were never acknowledged.
    pub torn_bytes: u64,
    /// What could not be read although it had been committed.
    pub damaged: Vec<Damage>,
    /// How many entries the numbering shows as missing.
    pub missing: u64,
}

/// A region of the journal that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How many bytes are not understood; 0 where only the numbering shows that something is missing.
    pub bytes: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is wrong with a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The header of the segment; its records are read all the same if they can be told.
    Header,
    /// No record with a right checksum.
    Records,
    /// A record that does not follow its predecessor: entries are missing before it.
    Gap {
        /// The sequence that should have come.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
    /// A record whose sequence had come before; it is not handed on again.
    Repeated {
        /// The sequence that should have come.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
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
    /// The disk refuses; nothing is acknowledged until it takes writes again.
    Failing {
        /// When it began.
        since: UtcMillis,
        /// What failed, with path and cause.
        cause: String,
    },
}

/// Why a journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds the lock.
    #[error("{} is in use by another server: stop that one, or choose another data directory", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be created, listed or locked.
    #[error("cannot use the journal's directory {} (it must be writable)", .path.display())]
    Directory {
        /// The directory, or the lock in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment cannot be read.
    #[error("cannot read the journal's segment {}", .path.display())]
    Read {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is there cannot be made durable, so it is not believed (D15).
    #[error("cannot sync the journal at {}: it is not believed before it is on disk", .path.display())]
    Sync {
        /// The segment or the directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The unfinished end of the last segment cannot be cut off.
    #[error("cannot cut the unfinished end off {}", .path.display())]
    Cut {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A later release wrote it.
    #[error("{} has format {found}, this server reads up to {known}: start the later release", .path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// The last segment is damaged so that the next sequence is unknown.
    #[error(
        "neither the header nor the first record of {} can be read: restore it, or move it away to go on without it",
        .0.display()
    )]
    Unreadable(PathBuf),
    /// The thread that writes cannot be started.
    #[error("cannot start the journal's thread")]
    Thread(#[source] io::Error),
}

impl JournalOptions {
    /// The journal in this directory, with safe bounds: segments of 64 MiB, a queue of 16 MiB.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            segment_bytes: 64 << 20,
            queue_bytes: 16 << 20,
            retry_first: Duration::from_millis(100),
            retry_most: Duration::from_secs(10),
            metrics: JournalMetrics::default(),
        }
    }
}

impl Journal {
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

    /// Hands on every committed entry, oldest first, once. Memory does not grow with the journal: payloads are slices
    /// of the read buffer (about 1 MiB), which lives as long as the longest kept slice, so copy what is kept.
    ///
    /// # Errors
    /// [`JournalError::Read`]; damage is no error but stands in the report.
    pub fn replay(&mut self, each: impl FnMut(Entry)) -> Result<ReplayReport, JournalError> {
        replay::replay(&self.options, &self.found, each)
    }

    /// Begins to write. Batches go to `committed` after their commit; while nobody takes them, nothing is committed.
    ///
    /// # Errors
    /// [`JournalError::Thread`].
    pub fn start(
        self,
        committed: SyncSender<Vec<Entry>>,
    ) -> Result<(JournalHandle, JournalThread), JournalError> {
        writer::start(self.options, self.found, committed)
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
