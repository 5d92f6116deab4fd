//! While a backup copies the data directory, nothing in it may go and no checkpoint may come (D15): the copy would have
//! an older checkpoint beside a journal that has been trimmed for a newer one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A file that whoever makes a backup locks (`flock(2)`) while it copies, and the server while it seals and trims.
#[derive(Clone, Debug)]
pub struct BackupLock {
    path: PathBuf,
}

/// No backup begins while this is there.
#[derive(Debug)]
pub struct NoBackup {
    _lock: File,
}

impl BackupLock {
    /// What the file is called in the data directory.
    pub const FILE_NAME: &str = "backup.lock";

    /// The lock of this data directory.
    pub fn of(data: &Path) -> Self {
        Self { path: data.join(Self::FILE_NAME) }
    }

    /// Keeps backups from beginning; none while one runs. The file is created if it is not there.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn hold_off(&self) -> io::Result<Option<NoBackup>> {
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(NoBackup { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
