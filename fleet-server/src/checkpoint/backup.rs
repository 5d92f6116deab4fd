//! While a backup copies the data directory, nothing in it may go and no checkpoint may come (D15): the copy would have
//! an older checkpoint beside a journal that has been trimmed for a newer one.

use std::fmt::Debug;
use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Tells whether a backup runs, and keeps one from beginning.
pub trait Backups: Debug + Send {
    /// Keeps backups from beginning, for as long as what it returns is there; none while one runs.
    ///
    /// # Errors
    /// Whatever the system says.
    fn hold_off(&self) -> io::Result<Option<NoBackup>>;
}

/// A file that whoever makes a backup locks (`flock(2)`) while it copies, and the server while it seals and trims.
#[derive(Clone, Debug)]
pub struct BackupLock {
    path: PathBuf,
}

/// No backup begins while this is there.
#[derive(Debug)]
pub struct NoBackup {
    _lock: Box<dyn Debug + Send>,
}

impl NoBackup {
    /// For as long as this lock is held, which is until it is dropped.
    pub fn as_long_as(lock: impl Debug + Send + 'static) -> Self {
        Self { _lock: Box::new(lock) }
    }
}

impl BackupLock {
    /// What the file is called in the data directory.
    pub const FILE_NAME: &str = "backup.lock";

    /// The lock of this data directory.
    pub fn of(data: &Path) -> Self {
        Self { path: data.join(Self::FILE_NAME) }
    }
}

impl Backups for BackupLock {
    /// The file is created if it is not there.
    fn hold_off(&self) -> io::Result<Option<NoBackup>> {
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(NoBackup::as_long_as(lock))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
