//! Keys and certificates on disk: nobody else reads a key, and a power cut leaves the old file or the new one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Something about a file of a key or a certificate failed.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// Its directory could not be made.
    #[error("cannot make the directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock that keeps two processes from creating it at once could not be had.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Readable {
    /// The owner (mode 0600): keys.
    ByOwner,
    /// Everybody whom the directory lets in (mode 0644): certificates.
    ByAll,
}

impl Readable {
    fn mode(self) -> u32 {
        match self {
            Self::ByOwner => 0o600,
            Self::ByAll => 0o644,
        }
    }
}

/// Makes a directory that its owner alone may enter (mode 0700), and those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), CaFileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| CaFileError::Directory { path: path.to_owned(), source })
}

/// Waits for the lock of a directory. It is released with the file, also by kill -9.
pub(crate) fn lock(directory: &Path) -> Result<File, CaFileError> {
    let path = directory.join(".lock");
    let open = || {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|source| CaFileError::Lock { path: path.clone(), source })
}

/// Reads a file; none if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, CaFileError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CaFileError::Read { path: path.to_owned(), source }),
    }
}

/// Puts a file in the place of what may be there: written to a new name, synced, renamed, and the directory synced.
pub(super) fn replace(path: &Path, text: &str, readable: Readable) -> Result<(), CaFileError> {
    let new = path.with_added_extension("new");
    let write = || {
        // Left by a crash; its mode is not to be trusted.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        write_new(&new, text, readable)?;
        std::fs::rename(&new, path)?;
        sync_directory(path)
    };
    write().map_err(|source| CaFileError::Write { path: path.to_owned(), source })
}

/// Gives a file another name, durably; one that had it is gone.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), CaFileError> {
    let renamed = std::fs::rename(from, to).and_then(|()| sync_directory(to));
    renamed.map_err(|source| CaFileError::Write { path: to.to_owned(), source })
}

/// Removes a file, durably, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), CaFileError> {
    let removed = match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed.and_then(|()| sync_directory(path)),
    };
    removed.map_err(|source| CaFileError::Write { path: path.to_owned(), source })
}

/// Writes a file that is not there yet; one that is there is an error and stays as it is.
pub(super) fn create(path: &Path, text: &str, readable: Readable) -> Result<(), CaFileError> {
    write_new(path, text, readable)
        .and_then(|()| sync_directory(path))
        .map_err(|source| CaFileError::Write { path: path.to_owned(), source })
}

/// Writes a certificate, which everybody may read, to a file that is not there yet.
///
/// # Errors
/// [`CaFileError::Write`], also for a file that is there; it stays as it is.
pub fn write_certificate(path: &Path, pem: &str) -> Result<(), CaFileError> {
    create(path, pem, Readable::ByAll)
}

fn write_new(path: &Path, text: &str, readable: Readable) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(readable.mode()).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_directory(of: &Path) -> io::Result<()> {
    let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
