//! How an outbox fails.

use std::io;
use std::path::{Path, PathBuf};

/// Why the outbox could not be opened, or why its run ended.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another agent has it open.
    #[error("the outbox {directory} is in use by another agent; stop that one first, or give this one a state_dir of its own", directory = .directory.display())]
    InUse {
        /// The outbox.
        directory: PathBuf,
    },
    /// It was written by a later version of the agent.
    #[error("{path} has version {version} of the outbox's format, this agent reads {ours}; run the version that wrote it", path = .path.display())]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        version: u16,
        /// The newest version that is read.
        ours: u16,
    },
    /// A file or directory could not be made, renamed or removed.
    #[error("cannot {action} {path}", path = .path.display())]
    Manage {
        /// What was to be done: "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {path}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be written: full disk, above all. The run is over.
    #[error("cannot write {path}; what was acknowledged is safe, make room and start again", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file system is read-only, as systems make one whose disk fails. The run is over.
    #[error("cannot {action} {path}: its file system is read-only; what was synced is safe: look for the cause (dmesg), mount it writable or replace the card, and start again", path = .path.display())]
    ReadOnly {
        /// What was to be done: "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory could not be synced. The run is over.
    #[error("cannot sync {path}; its disk may be failing", path = .path.display())]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for a new id")]
    Random(#[source] io::Error),
    /// The system gave no thread.
    #[error("cannot start the outbox's thread")]
    Thread(#[source] io::Error),
    /// The outbox was closed, or its run has ended.
    #[error(transparent)]
    Closed(#[from] OutboxClosed),
}

/// Input/output error, on every Linux: the device could not read the place.
const EIO: i32 = 5;

impl OutboxError {
    /// Whether a file could not be read because it, or its place on the disk, is damaged.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Read { source, .. } => {
                source.raw_os_error() == Some(EIO)
                    || matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
            }
            Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Manage { .. }
            | Self::Write { .. }
            | Self::ReadOnly { .. }
            | Self::Sync { .. }
            | Self::Random(_)
            | Self::Thread(_)
            | Self::Closed(_) => false,
        }
    }

    /// Whether it failed because the disk is full.
    pub(super) fn is_full_disk(&self) -> bool {
        match self {
            Self::Manage { source, .. } | Self::Write { source, .. } | Self::Sync { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Read { .. }
            | Self::ReadOnly { .. }
            | Self::Random(_)
            | Self::Thread(_)
            | Self::Closed(_) => false,
        }
    }
}

/// The outbox was closed, or a write or sync failed: [`super::OutboxThread::join`] says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is closed")]
pub struct OutboxClosed;

/// Makes an [`OutboxError`] of the failure of a write.
pub(super) fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> OutboxError + '_ {
    move |source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
            return OutboxError::ReadOnly { action: "write", path, source };
        }
        OutboxError::Write { path, source }
    }
}

/// Makes an [`OutboxError`] of an [`io::Error`].
pub(super) fn manage<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> OutboxError + 'a {
    move |source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
            return OutboxError::ReadOnly { action, path, source };
        }
        OutboxError::Manage { action, path, source }
    }
}

/// The whole chain of an error, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their source in their own text.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
