//! The few things that are done to files here, as a port: the system's, or one that a test cuts the power of.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// No file of a certificate or key is longer than this, in bytes: a chain of three has some 4 KiB.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What is asked of a file system. Names are durable once their directory is synced, bytes once `write_new` returns.
pub(super) trait Files: Send + Sync + Debug {
    /// All of a file. [`io::ErrorKind::NotFound`] if there is none.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Makes a file of these bytes, in place of one that has the name, and syncs it.
    fn write_new(&self, path: &Path, bytes: &[u8], readable: Readable) -> io::Result<()>;

    /// Gives a file another name. A file that had it is replaced; there is never none of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. [`io::ErrorKind::NotFound`] if it is gone.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns once the names in a directory would survive a power cut.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readable {
    /// Whoever has the key is the lamppost.
    ByOwner,
    /// A certificate is shown to anybody.
    ByAll,
}

/// The system's file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemFiles;

impl Files for SystemFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "no certificate or key is that long"));
        }
        Ok(bytes)
    }

    fn write_new(&self, path: &Path, bytes: &[u8], readable: Readable) -> io::Result<()> {
        // Made anew, so that it has the rights that are asked for here and nobody has it open.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mode = match readable {
            Readable::ByOwner => 0o600,
            Readable::ByAll => 0o644,
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name under which the next content of a file is written.
pub(super) fn new_name(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Puts `bytes` where `path` is, wholly or not at all: a new name, synced, renamed, and the directory synced.
pub(super) fn replace(files: &dyn Files, path: &Path, bytes: &[u8], readable: Readable) -> io::Result<()> {
    let new = new_name(path);
    files.write_new(&new, bytes, readable)?;
    files.rename(&new, path)?;
    files.sync_directory(folder_of(path))
}

/// Removes a file for good, if it is there.
pub(super) fn remove(files: &dyn Files, path: &Path) -> io::Result<()> {
    match files.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => files.sync_directory(folder_of(path)),
    }
}
