//! The disk under the journal, as a port: files of the machine, or a disk that fails on purpose.

use std::fmt::Debug;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::JournalError;

/// A directory of segment files that one journal has to itself.
pub trait Disk: Debug + Send {
    /// The names of all files, in any order.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Creates a file, or empties the one of this name.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names of files durable.
    ///
    /// # Errors
    /// Whatever the disk says; after a crash, what was created since the last success may be gone, and what was removed
    /// may be there again.
    fn sync_names(&self) -> io::Result<()>;

    /// How much room there is.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn space(&self) -> io::Result<Space>;
}

/// The room of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// One open file. Nothing written is durable before [`DiskFile::sync`] has succeeded.
pub trait DiskFile: Debug + Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn length(&self) -> io::Result<u64>;

    /// Reads up to `into.len()` bytes at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all the bytes at `offset`.
    ///
    /// # Errors
    /// Whatever the disk says; any part may have been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to this length.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// Whatever the disk says. After a failure the kernel may hold what was not written for clean, so that a second
    /// try succeeds without writing anything: only bytes written anew are durable then.
    fn sync(&mut self) -> io::Result<()>;
}

/// Files of the machine, below one directory that is locked for as long as this lives.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
    /// Released by the kernel when the process ends, however it ends.
    _lock: File,
}

pub(super) const LOCK: &str = "journal.lock";

impl FileDisk {
    /// Takes this directory, creating it if its parent exists.
    ///
    /// # Errors
    /// [`JournalError::InUse`] if another process has it; [`JournalError::Directory`] if it cannot be written.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let refused = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Directory { path, source }
        };
        match std::fs::create_dir(directory) {
            Ok(()) => sync_directory(directory.parent().unwrap_or(directory)).map_err(refused(directory))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(directory)(error)),
        }
        let path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(refused(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory: directory.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => Err(refused(&path)(error)),
        }
    }
}

impl Disk for FileDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(&self.directory)? {
            let name = file?.file_name();
            if name != LOCK {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.directory.join(name))?;
        Ok(Box::new(file))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.directory.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.directory.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_directory(&self.directory)
    }

    fn space(&self) -> io::Result<Space> {
        space_of(&self.directory)
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        // fdatasync: the length is written with the data that it makes readable.
        self.sync_data()
    }
}

/// The room of the file system that a file or directory is on.
pub(crate) fn space_of(directory: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(directory)?;
    // What is kept back for the superuser is not ours.
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) })
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    // The parent of a bare name is "", which stands for the working directory.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}
