//! The files of a journal for who only reads: it takes no lock, and a server may have them at the same time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::disk::{Disk, DiskFile, LOCK, Space, space_of};

/// A directory of segments that is left as it is.
#[derive(Debug)]
pub(super) struct ReadOnlyDisk {
    directory: PathBuf,
}

impl ReadOnlyDisk {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Whether a server has the journal at this moment. A server that starts in this very moment may be refused.
    pub(super) fn is_in_use(&self) -> Result<bool, JournalError> {
        let path = self.directory.join(LOCK);
        let refused = |source| JournalError::Directory { path: path.clone(), source };
        let lock = match File::open(&path) {
            // A copy, or the directory of a server that never ran.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            lock => lock.map_err(refused)?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(refused(error)),
        }
    }
}

impl Disk for ReadOnlyDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.directory)?;
        let names = names.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
        names.filter(|name| !matches!(name, Ok(name) if name == LOCK)).collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::open(self.directory.join(name))?))
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn space(&self) -> io::Result<Space> {
        space_of(&self.directory)
    }
}
