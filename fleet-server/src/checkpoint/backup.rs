//! While a backup copies the data directory, nothing in it may go and no checkpoint may come (D15): the copy would have
//! an older checkpoint beside a journal that has been trimmed for a newer one.

use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
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

/// A backup runs while this is there. The kernel ends it with the process, however that ends.
#[derive(Debug)]
pub struct BackupRuns {
    _lock: File,
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a backup; none while the server seals, or while another backup runs.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn try_begin(&self) -> io::Result<Option<BackupRuns>> {
        Ok(self.try_lock()?.map(|lock| BackupRuns { _lock: lock }))
    }

    /// Begins a backup, and waits for that as long as it takes.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn begin(&self) -> io::Result<BackupRuns> {
        let lock = self.open()?;
        lock.lock()?;
        Ok(BackupRuns { _lock: lock })
    }

    fn try_lock(&self) -> io::Result<Option<File>> {
        let lock = self.open()?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// One that is there is only read: it may be another user's, whose backup came first.
    fn open(&self) -> io::Result<File> {
        match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)
            }
            opened => opened,
        }
    }
}

impl Backups for BackupLock {
    /// The file is created if it is not there.
    fn hold_off(&self) -> io::Result<Option<NoBackup>> {
        Ok(self.try_lock()?.map(NoBackup::as_long_as))
    }
}
