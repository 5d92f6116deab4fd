//! Why checkpoints cannot be used, and why none can be written.

use std::io;
use std::path::PathBuf;

/// Why the server cannot start with the checkpoints that are there.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The directory cannot be created, listed or synced.
    #[error("cannot use the directory of checkpoints {} (it must be writable)", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A later release wrote one.
    #[error("{name} has format {found}, this server reads up to {known}: start the later release")]
    Version {
        /// The checkpoint.
        name: String,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
}

/// Why one checkpoint cannot be used. It costs the longer start from an older one, or from the journal alone.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The disk refuses to read it.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It does not begin as one.
    #[error("its header is damaged")]
    Header,
    /// Its bytes are not those that were written.
    #[error("it is damaged at byte {offset}")]
    Checksum {
        /// Where the part begins that is not as it was written.
        offset: u64,
    },
    /// It ends too early or too late.
    #[error("it is not whole")]
    Length,
    /// A part is no message.
    #[error("a part of it is not readable protobuf")]
    Message(#[from] prost::DecodeError),
    /// A part contradicts itself or the others.
    #[error("it holds {0}")]
    Part(&'static str),
}

/// A part of a checkpoint that cannot be: what is wrong with it, as a noun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongPart(pub(crate) &'static str);

impl From<WrongPart> for Unusable {
    fn from(WrongPart(what): WrongPart) -> Self {
        Self::Part(what)
    }
}

/// An operation on the disk that failed while a checkpoint was being written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} {name}", .operation.verb())]
pub struct CheckpointFailure {
    /// What was tried.
    pub operation: Operation,
    /// The file.
    pub name: String,
    /// Why.
    pub source: io::Error,
}

/// Operations on the disk that may fail while a checkpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creating the file.
    Create,
    /// Writing it.
    Write,
    /// Making it durable.
    Sync,
    /// Giving it its name.
    Rename,
    /// Making its name durable.
    SyncNames,
}

impl Operation {
    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::SyncNames => "make durable the name of",
        }
    }
}
