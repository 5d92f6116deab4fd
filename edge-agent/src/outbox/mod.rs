//! The outbox: every record of this lamppost on its disk, from before it is sent until the server holds it.
//!
//! It is the only writer of durable sample data on the lamppost. One thread owns all of its files; the rest of the
//! agent holds an [`Outbox`], a handle with which records are appended, read for sending, and, once the server
//! says that it holds them, given up. What is sent when is the uplink's business. The thread is a shell around a
//! [`SteppedOutbox`], which does nothing by itself and reaches files through a [`Disk`] alone.
//!
//! It keeps these rules of the delivery contract: a start opens a run that begins with a synced opening (D1); what was
//! written without knowing the time is dated once, and that is synced before it is read to be sent (D3);
//! whatever is found on disk is synced before it is believed, and a failed write or sync ends the run (D2); a
//! description is kept as long as a record written in it (D4); only what the last position lists is freed, oldest
//! first, and only when the space is needed (D9); what has to go without that, for want of space or of age or because
//! it is damaged, is reported in events, and the report is synced before it goes (D11); an outbox found on another lamppost or other hardware is set
//! aside (D14), beside it as `outbox.set-aside-NUMBER`, until an operator has decided: then its runs are adopted, or it is
//! deleted.
//!
//! On disk, below the outbox's directory (directories have mode 0700, files 0600):
//!
//! | file | holds |
//! | --- | --- |
//! | `identity`, `identity.2` | version of this layout, id of the outbox, lamppost and hardware that it belongs to; twice |
//! | `lock` | nothing; locked while an agent uses the outbox |
//! | `position` | the last position that was believed |
//! | `commands` | what operators have decided of outboxes that were set aside, and what became of it |
//! | `reserve` | nothing, in 256 KiB that are given up when the disk is full |
//! | `descriptions/DIGEST` | a description's payload |
//! | `runs/NUMBER-RUN/undated` | the run began without knowing the time: which moment of which boot that was |
//! | `runs/NUMBER-RUN/dating`, `dating.2` | by how much its times are off, how that is known, and from which records on they are not; twice |
//! | `runs/NUMBER-RUN/LOG-FIRST.log` | a segment: records of one log in one description; its seal, once it is closed |
//!
//! A start reads and verifies the segments in which the last run ended, and those that hold openings and reports. Of any other
//! it believes the seal, which was synced with the records before the next segment was begun: so it takes no longer for a
//! gigabyte than for a megabyte. A segment without a whole seal is read. The price is that damage to a closed segment is not
//! found by a start, but by whoever reads the records, to send them or to drop them; what the server holds, and nobody reads, is
//! freed without a look.
//!
//! A sync gives the disk whole pages, one that is not full again with the next sync, and the file system's journal besides if
//! the file's length changed. So a segment has its length from the start, by zeros, and is cut to what was written when it is
//! closed, or by the next start. Bytes written for each byte of records, framing not counted among them (`cargo xtask bench
//! outbox`; what the disk is given was measured on ext4 with blocks of 4 KiB):
//!
//! | | pages | all that the disk is given |
//! | --- | --- | --- |
//! | 22 series each second, a sync every two seconds | 8 | 23 |
//! | 20 records of 220 bytes in each sync | 1.9 | 4.7 |
//!
//! Syncing less often writes less.
//!
//! What happens when the disk does not do as it should:
//!
//! - *Full.* Space for a segment is taken when it begins, so a full disk is met there and not in the middle of a write.
//!   What the server holds is freed; then the oldest samples are dropped, as at the outbox's own bound. Openings,
//!   positions, events and reports of drops find room in the reserve, which is made again once there is space.
//!   Earlier runs that did not know the time stay undated, and unsent, for as long as there is no room to date them.
//! - *Read-only*, as systems make a failing disk. The run ends with an error that says so. Nothing is read or sent until
//!   the disk can be written again: a run that sends has to be opened on disk (D1). What is on it stays, and is sent then.
//! - *A write or sync that fails* ends the run (D2); the next start finds all that was synced.
//! - *A place that cannot be read* is tried again by the next start, and not freed until then. One that was read and is
//!   damaged is reported (D11) and passed over, and its segment loses the seal: the next start reads it.
//!
//! The number of a run's directory is a hint for the order of runs and identifies nothing: the openings do, each
//! of which names the run before.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::{Digest, LamppostNumber, Log, RunId};

use crate::clock::{Boot, Now};

mod adopt;
mod commands;
mod damage;
mod dating;
mod descriptions;
mod disk;
mod dropping;
mod error;
mod files;
mod growth;
mod handle;
mod identity;
mod kept;
mod learn;
mod log_index;
mod opening;
mod order;
mod pen;
mod place;
mod plan;
mod queue;
mod random;
mod read;
mod readable;
mod recover;
mod reporting;
mod reserve;
mod room;
mod run;
mod seal;
mod sealed;
mod segment;
mod set_aside;
mod settle;
mod state;
mod steady;
mod stepped;
mod thread;
mod twin;
mod writing;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskFile, SystemDisk};
pub(crate) use error::chain;
pub use error::{OutboxClosed, OutboxError};
pub use handle::{Outbox, OutboxThread};
pub use random::Random;
pub use set_aside::Aside;
pub use state::{AppendRate, DropCounts, LogState, OutboxState, RunState};
pub use stepped::SteppedOutbox;

/// 1 MiB, and less in a small outbox, so that freeing one segment leaves most.
const MAX_SEGMENT_BYTES: u64 = 1 << 20;
const SEGMENTS_PER_OUTBOX: u64 = 64;
/// A file takes a block of 4 KiB and an inode at least; below this they would outweigh what is in it.
const MIN_SEGMENT_BYTES: u64 = 16 << 10;

/// Past so many runs the oldest ones go whole, once the server holds them (D1).
pub const MOST_RUNS: usize = 10_000;

/// Where an outbox lives, whom it belongs to, and how much it may hold.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// The outbox's own directory; made if it is not there, its parent has to be.
    pub directory: PathBuf,
    /// The lamppost that it belongs to.
    pub lamppost: LamppostNumber,
    /// The hardware that it belongs to; empty if the hardware has no serial number.
    pub hardware_serial: String,
    /// Most bytes of records on disk. Events may go past it by a small reserve, and the seals of closed segments, which
    /// are not counted, by less than a hundredth.
    pub max_bytes: u64,
    /// A new segment, which is the least that can be freed, is begun rather than exceed so many bytes:
    /// [`Self::segment_bytes_of`] unless there is a reason.
    pub segment_bytes: u64,
    /// Longest time for which anything is kept that the server does not hold; openings and reports of what was dropped are
    /// kept longer.
    pub max_age: Duration,
    /// Longest time for which a sample's append may stay unsynced; zero: each is synced singly, as events are.
    pub sync_every: Duration,
}

impl OutboxOptions {
    /// How large the segments of an outbox of this size are.
    pub fn segment_bytes_of(max_bytes: u64) -> u64 {
        (max_bytes / SEGMENTS_PER_OUTBOX).clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
    }
}

/// The moment at which a run opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// By the clock of the lamppost. If nobody knows the time, the run is dated later (D3).
    pub now: Now,
    /// Which boot of the machine this is, if that is known: what earlier runs of it left is then dated exactly.
    pub boot: Option<Boot>,
}

impl From<Now> for Beginning {
    fn from(now: Now) -> Self {
        Self { now, boot: None }
    }
}

/// One record: (run, log, sequence).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Whose record.
    pub run: RunId,
    /// Of which of its logs.
    pub log: Log,
    /// Counted from 0 in each log.
    pub sequence: u64,
}

/// How much one [`Outbox::read`] may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Most bytes, each record counted as it stands in a frame: with its tag and length. One record is returned
    /// even if it has more.
    pub bytes: usize,
    /// Most records.
    pub records: usize,
    /// Last sequence that may be returned.
    pub last: u64,
}

/// Records of one log with consecutive sequences, all written in one description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of the first record.
    pub place: Place,
    /// What the records are written in.
    pub description: Digest,
    /// The records, at least one, serialised.
    pub records: Vec<Bytes>,
}
