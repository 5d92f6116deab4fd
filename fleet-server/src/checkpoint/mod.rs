//! Checkpoints: what the server knew when it had read its journal up to a sequence, on disk, so that a start reads the
//! newest one and of the journal only what came later (D15).
//!
//! A checkpoint at sequence S is a function of the journal's entries below S: all that ingest knows, and the tail of the
//! store as it is. It is one file, `checkpoint-{S, 20 digits}`, of messages (`proto/lamplighter/fleet/v1/checkpoint.proto`)
//! under a checksum that runs from the first to the last; it is written under another name, synced, renamed, and the
//! directory synced. Two are kept, so that one that cannot be read costs a longer start and nothing else: it is named,
//! counted, and the older one taken.
//!
//! [`Checkpoints`] reads and writes them on a disk that is handed in; it has no clock and no thread. What it leaves to
//! others: when to write one, and what of the journal may go then.

mod disk;
mod error;
mod file;
mod shelf;
mod snapshot;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

pub use disk::{CheckpointDirectory, CheckpointDisk};
pub(crate) use error::WrongPart;
pub use error::{CheckpointError, CheckpointFailure, Operation, Unusable};
pub use shelf::{Checkpoints, Damaged, Newest, Written};
pub use snapshot::{Fresh, Restored, Snapshot};
