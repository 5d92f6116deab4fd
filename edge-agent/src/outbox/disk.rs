//! The file system under the outbox, as a port: the system's, or one that fails or forgets on purpose. Nothing else
//! in the outbox touches a file, so that a simulation can own all that survives a power cut.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::error::{OutboxError, manage, unwritten};

/// What the outbox asks of a file system. Names are durable once their directory is synced, bytes once their file is.
///
/// Every method fails with whatever the disk says. A write or sync that fails ends the run (D2).
#[expect(clippy::missing_errors_doc, reason = "said once, for all methods")]
pub trait Disk: Send + Sync + Debug {
    /// Makes a directory, for this user alone. [`io::ErrorKind::AlreadyExists`] if there is one.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in any order.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a file or directory of this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Opens a file that is there. [`io::ErrorKind::NotFound`] if it is not.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a new empty file, for this user alone. [`io::ErrorKind::AlreadyExists`] if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file or directory another name. A file that had it is replaced; there is never none of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. [`io::ErrorKind::NotFound`] if it is gone.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Returns once the names in a directory would survive a power cut.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Opens a file, made if it is not there, and locks it for as long as what is returned lives.
    /// [`io::ErrorKind::WouldBlock`] if another process, or another outbox of this one, has it locked.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// How many bytes this user can still write in a directory.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
}

/// One open file.
///
/// Every method fails with whatever the disk says.
#[expect(clippy::missing_errors_doc, reason = "said once, for all methods")]
pub trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads bytes from `offset` on, fewer than asked for perhaps, none at the file's end.
    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, over what is there and past the file's end. Any part of them may be there after a
    /// failure.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Takes space for a file of this length, and makes a shorter one so long, by zeros: no write finds the disk full up to
    /// there. What can allocate nothing ahead does nothing, and succeeds.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Cuts the file to this length, and gives back the space that was allocated behind it.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Returns once the file's bytes and its length would survive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// The system's file system.
#[derive(Clone, Copy, Debug)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        Ok(Box::new(options.read(true).write(true).create_new(true).mode(0o600).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let free = rustix::fs::statvfs(directory)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize))
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, to, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        // The length too: a write within it changes only bytes, and its sync waits for no journal of the file system.
        match fallocate(self, FallocateFlags::empty(), 0, length) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync: the length goes with it, times do not.
        self.sync_data()
    }
}

/// Writes to a file, naming it if that fails.
pub(super) fn write_at(
    file: &dyn DiskFile,
    path: &Path,
    bytes: &[u8],
    offset: u64,
) -> Result<(), OutboxError> {
    file.write_at(bytes, offset).map_err(unwritten(path))
}

/// Syncs an open file, naming it if that fails.
pub(super) fn sync(file: &dyn DiskFile, path: &Path) -> Result<(), OutboxError> {
    file.sync().map_err(|source| OutboxError::Sync { path: path.to_owned(), source })
}

/// Syncs the entries of a directory.
pub(super) fn sync_directory(disk: &dyn Disk, path: &Path) -> Result<(), OutboxError> {
    disk.sync_directory(path).map_err(|source| OutboxError::Sync { path: path.to_owned(), source })
}

/// Makes a directory for this user alone, unless it is there.
pub(super) fn create_directory(disk: &dyn Disk, path: &Path) -> Result<(), OutboxError> {
    match disk.make_directory(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(manage("create", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a new file, for this user alone.
pub(super) fn create_file(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, OutboxError> {
    disk.create(path).map_err(manage("create", path))
}

/// The names in a directory.
pub(super) fn list(disk: &dyn Disk, directory: &Path) -> Result<Vec<String>, OutboxError> {
    disk.list(directory).map_err(manage("list", directory))
}

/// Puts `bytes` where `path` is, wholly or not at all: a new name, synced, renamed, and the directory synced.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), OutboxError> {
    let new = path.with_extension("new");
    write_new(disk, &new, bytes)?;
    put_in_place(disk, &new, path)
}

/// The first half of [`replace`]: the bytes are on disk, under a name that nobody reads.
pub(super) fn write_new(disk: &dyn Disk, new: &Path, bytes: &[u8]) -> Result<(), OutboxError> {
    remove_file(disk, new)?;
    let file = create_file(disk, new)?;
    write_at(&*file, new, bytes, 0)?;
    sync(&*file, new)
}

/// The other half.
pub(super) fn put_in_place(disk: &dyn Disk, new: &Path, path: &Path) -> Result<(), OutboxError> {
    disk.rename(new, path).map_err(manage("replace", path))?;
    path.parent().map_or(Ok(()), |directory| sync_directory(disk, directory))
}

/// Fills `to` from `offset` on, up to the file's end or to a place that cannot be read: says how far, and why not on.
pub(super) fn read_at(file: &dyn DiskFile, to: &mut [u8], offset: u64) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(rest) = to.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

/// A small file has no more bytes than this: the largest is a position.
const MAX_SMALL_BYTES: u64 = 16 << 20;

/// Reads a small file whole. None if it is not there.
pub(super) fn read_file(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, OutboxError> {
    let unread = |source| OutboxError::Read { path: path.to_owned(), source };
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unread(source)),
    };
    let length = file.length().map_err(unread)?.min(MAX_SMALL_BYTES);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    match read_at(&*file, &mut bytes, 0) {
        (_, Some(source)) => Err(unread(source)),
        (filled, None) => {
            bytes.truncate(filled);
            Ok(Some(bytes))
        }
    }
}

/// Removes a file, unless it is gone.
pub(super) fn remove_file(disk: &dyn Disk, path: &Path) -> Result<(), OutboxError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(manage("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a directory and the files in it.
pub(super) fn remove_directory(disk: &dyn Disk, path: &Path) -> Result<(), OutboxError> {
    for name in list(disk, path)? {
        remove_file(disk, &path.join(name))?;
    }
    disk.remove_directory(path).map_err(manage("remove", path))
}
