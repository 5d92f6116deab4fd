//! What can fail when a backup is made, checked or restored.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::manifest::FORMAT;
use super::path::BackupPath;
use crate::ca::CaFileError;
use crate::journal::JournalError;
use crate::registry::RegistryError;

/// Why there is no backup, or why one cannot be restored. What was begun is gone, or replaced by the next try.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no server in the data directory.
    #[error("{} is no server's data directory, or no server has run there yet: it has no {missing}", .data.display())]
    NoServer {
        /// The directory.
        data: PathBuf,
        /// What every server has.
        missing: BackupPath,
    },
    /// What is to be made is there already.
    #[error("{} is there and not empty: nothing is written over it; remove it, or name another directory", .0.display())]
    InTheWay(PathBuf),
    /// It lies in another directory that it must not be in.
    #[error("{} and {} lie one in the other: name directories that are apart", .one.display(), .other.display())]
    Nested {
        /// One of them.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// The directory is a file system of its own, which cannot be put in place as a whole.
    #[error("{} is where a file system is mounted: name a directory in it", .0.display())]
    MountPoint(PathBuf),
    /// What lies where it would be made is not ours.
    #[error("{} is in the way, and is not what an interrupted backup or restore leaves: remove it", .0.display())]
    NotOurs(PathBuf),
    /// There is too little room.
    #[error(
        "{needed} bytes are needed where {} is to be, and {free} are free{}", .directory.display(),
        if *.kept > 0 { format!(", of which the server needs {kept} to go on") } else { String::new() }
    )]
    NoRoom {
        /// What is to be made.
        directory: PathBuf,
        /// How much it takes.
        needed: u64,
        /// How much there is.
        free: u64,
        /// How much of that the running server leaves free.
        kept: u64,
    },
    /// The lock of backups.
    #[error("cannot lock {}, which keeps the server from trimming", .path.display())]
    Lock {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or directory cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or directory cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal's copy.
    #[error("the journal cannot be backed up")]
    Journal(#[from] JournalError),
    /// The registry's copy.
    #[error("the registry cannot be backed up")]
    Registry(#[from] RegistryError),
    /// The audit.
    #[error("it cannot be recorded in the audit")]
    Audit(#[source] RegistryError),
    /// The directory of keys and certificates.
    #[error("the certificates cannot be backed up")]
    Certificates(#[from] CaFileError),
    /// It has no manifest.
    #[error("{} is no backup, or one that was never finished: it has no manifest.json", .0.display())]
    NoBackup(PathBuf),
    /// Its manifest is none.
    #[error("{} is not readable as a manifest", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Its manifest says what cannot be.
    #[error("{} is no manifest: it {what}", .path.display())]
    Absurd {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A later release made it.
    #[error("{} has format {found}, this program reads up to {FORMAT}: use the later release", .path.display())]
    Later {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Files are not as they were.
    #[error("the backup {} is damaged; use another one{}", .backup.display(), list(.problems))]
    Damaged {
        /// The backup.
        backup: PathBuf,
        /// All of them.
        problems: Vec<(BackupPath, FileProblem)>,
    },
    /// Nobody said where the keys are.
    #[error(
        "the keys are not in the backup, and a server cannot run without its CA's key: name the directory of the keys \
         with --keys DIR (it has ca/ca.key, made by `fleet-server backup --keys DIR` or copied from the old machine)"
    )]
    NoKeys,
    /// The key is missing, or is another CA's.
    #[error(
        "{} is not the key of the CA whose certificate is {}: no lamppost would be let in; find the keys that belong \
         to this server", .key.display(), .certificate.display()
    )]
    ForeignKey {
        /// Where the key should be.
        key: PathBuf,
        /// The certificate.
        certificate: PathBuf,
    },
}

/// What is wrong with a file of a backup.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is a link, a directory or the like.
    #[error("is no plain file")]
    NotAFile,
    /// Its length is another.
    #[error("has {found} bytes instead of {expected}")]
    Length {
        /// As it is.
        found: u64,
        /// As it was.
        expected: u64,
    },
    /// Its content is another.
    #[error("is altered")]
    Altered,
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Most files that an error names one by one.
const MOST_NAMED: usize = 100;

fn list(problems: &[(BackupPath, FileProblem)]) -> impl fmt::Display {
    let named = problems.iter().take(MOST_NAMED).map(|(path, problem)| format!("\n  {path} {problem}"));
    let more = problems.len().saturating_sub(MOST_NAMED);
    let more = (more > 0).then(|| format!("\n  and {more} more"));
    named.chain(more).collect::<String>()
}
