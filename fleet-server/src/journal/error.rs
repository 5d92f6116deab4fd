//! Why a journal cannot be opened, and why it cannot be written.

use std::io;
use std::path::PathBuf;

use super::metrics::Operation;

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
    /// It does not reach as far as it was asked from.
    #[error("the journal in {} ends at sequence {next}: there is nothing to read from {asked} on", .path.display())]
    Ends {
        /// The directory.
        path: PathBuf,
        /// The sequence of the next entry.
        next: u64,
        /// The sequence that was asked from.
        asked: u64,
    },
    /// The thread that writes cannot be started.
    #[error("cannot start the journal's thread")]
    Thread(#[source] io::Error),
}

/// An operation on the disk that failed while the journal was being written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {} {}", .operation.verb(), .path.display())]
pub struct JournalFailure {
    /// What was tried.
    pub operation: Operation,
    /// The segment.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}
