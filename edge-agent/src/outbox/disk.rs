//! What the outbox asks of a disk. Two implementations: the system's, and one that fails on command (tests).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::{OutboxError, manage};

/// Writes and syncs, whose failure ends a run (D2), and reads, whose failure may be of one place or pass again.
pub(super) trait Disk: Send + Sync + std::fmt::Debug {
    /// Writes all of `bytes` at the file's end.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Returns once the file's bytes, or the directory's entries, would survive a power cut.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Reads bytes from `offset` on, fewer than asked for perhaps, none at the file's end. `path` is the file's.
    fn read_at(&self, file: &File, path: &Path, to: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// The system's disk.
#[derive(Debug)]
pub(super) struct SystemDisk;

impl Disk for SystemDisk {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        // fdatasync: the length goes with it, times do not. For a directory it is the same as fsync.
        file.sync_data()
    }

    fn read_at(&self, file: &File, _path: &Path, to: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(to, offset)
    }
}

/// Appends to a file, naming it if that fails.
pub(super) fn append(disk: &dyn Disk, file: &File, path: &Path, bytes: &[u8]) -> Result<(), OutboxError> {
    disk.append(file, bytes).map_err(|source| OutboxError::Write { path: path.to_owned(), source })
}

/// Syncs an open file, naming it if that fails.
pub(super) fn sync(disk: &dyn Disk, file: &File, path: &Path) -> Result<(), OutboxError> {
    disk.sync(file).map_err(|source| OutboxError::Sync { path: path.to_owned(), source })
}

/// Syncs the entries of a directory.
pub(super) fn sync_directory(disk: &dyn Disk, path: &Path) -> Result<(), OutboxError> {
    let directory = File::open(path).map_err(manage("open", path))?;
    sync(disk, &directory, path)
}

/// Makes a directory for this user alone, unless it is there.
pub(super) fn create_directory(path: &Path) -> Result<(), OutboxError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(manage("create", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a new file, for this user alone, that is only ever appended to.
pub(super) fn create_file(path: &Path) -> Result<File, OutboxError> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600).open(path).map_err(manage("create", path))
}

/// Puts `bytes` where `path` is, wholly or not at all: a new name, synced, renamed, and the directory synced.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), OutboxError> {
    let new = path.with_extension("new");
    remove_file(&new)?;
    let file = create_file(&new)?;
    append(disk, &file, &new, bytes)?;
    sync(disk, &file, &new)?;
    fs::rename(&new, path).map_err(manage("replace", path))?;
    path.parent().map_or(Ok(()), |directory| sync_directory(disk, directory))
}

/// Fills `to` from `offset` on, up to the file's end or to a place that cannot be read: says how far, and why not on.
pub(super) fn read_at(
    disk: &dyn Disk,
    file: &File,
    path: &Path,
    to: &mut [u8],
    offset: u64,
) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(rest) = to.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match disk.read_at(file, path, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

/// Reads a file whole. None if it is not there.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, OutboxError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OutboxError::Read { path: path.to_owned(), source }),
    }
}

/// Removes a file, unless it is gone.
pub(super) fn remove_file(path: &Path) -> Result<(), OutboxError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(manage("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
