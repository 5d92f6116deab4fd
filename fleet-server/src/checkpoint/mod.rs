//! Checkpoints: what the server knew when it had read its journal up to a sequence, on disk, so that a start reads the
//! newest one and of the journal only what came later (D15).
//!
//! A checkpoint at sequence S is a function of the journal's entries below S: all that ingest knows, and the tail of the
//! store as it is. It is one file, `checkpoint-{S, 20 digits}`, of messages (`proto/lamplighter/fleet/v1/checkpoint.proto`)
//! under a checksum that runs from the first to the last; it is written under another name, synced, renamed, and the
//! directory synced. Two are kept, so that one that cannot be read costs a longer start and nothing else: it is named,
//! counted, and the older one taken.
//!
//! [`Checkpoints`] reads and writes them on a disk that is handed in, and [`start`] makes a start of them and the
//! journal; [`SteppedSealer`] writes them, and says how far the journal may go for it; they have no clock and no thread.
//! [`Sealer`] is the thread that does so when one is due.

mod backup;
mod disk;
mod due;
mod error;
mod file;
mod keep;
mod metrics;
mod sealer;
mod shelf;
mod snapshot;
mod start;
mod stepped;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod wire;

pub use backup::{BackupLock, BackupRuns, Backups, NoBackup};
pub use disk::{CheckpointDirectory, CheckpointDisk};
pub use due::Cadence;
pub(crate) use error::WrongPart;
pub use error::{CheckpointError, CheckpointFailure, Operation, Unusable};
pub use keep::{JournalKeep, NotDays, trim_limit};
pub use metrics::{CheckpointMetrics, StartFigures};
pub use sealer::{Last, Sealer, Sealing, SealingRules};
pub(crate) use shelf::sequence_of as checkpoint_sequence;
pub use shelf::{CheckpointInfo, Checkpoints, Damaged, Newest};
pub use snapshot::{Fresh, Restored, Snapshot};
pub use start::{StartError, Started, start};
pub use stepped::{Copied, SteppedSealer, Written};
