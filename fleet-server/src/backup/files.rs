//! Files, copied and read with their digests. Nobody but their owner may read what is written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use lamplighter_protocol::Digest;
use sha2::{Digest as _, Sha256};

use super::error::BackupError;
use super::progress::Progress;

const BUFFER_BYTES: usize = 1 << 20;

/// Longest certificate or key, in PEM.
const LARGEST_PEM_BYTES: u64 = 64 << 10;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
}

/// Makes a directory that only its owner enters.
pub(super) fn make_directory(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(|source| BackupError::Write { path: path.to_owned(), source })
}

/// Makes a file that only its owner reads; one that is there is an error.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opens a file of somebody who may mean harm; none if it is a link, a pipe or the like, which is not opened.
pub(super) fn open_plain(path: &Path) -> io::Result<Option<File>> {
    if std::fs::symlink_metadata(path)?.is_file() { File::open(path).map(Some) } else { Ok(None) }
}

/// Whether this is a directory, and no link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Reads a file to its end.
pub(super) fn read(mut file: File, progress: &mut Progress<'_>) -> io::Result<Content> {
    pass(&mut file, &mut |_| Ok(()), progress)
}

/// Copies what is in a file that was opened by this name, durably but for the name of the copy.
pub(super) fn copy(
    (mut from, name): (File, &Path),
    to: &Path,
    progress: &mut Progress<'_>,
) -> Result<Content, BackupError> {
    let writing = |source| BackupError::Write { path: to.to_owned(), source };
    let mut file = create(to).map_err(writing)?;
    let mut refused = None;
    let mut write = |bytes: &[u8]| {
        file.write_all(bytes).map_err(|error| {
            refused = Some(error);
            io::ErrorKind::Other.into()
        })
    };
    let passed = pass(&mut from, &mut write, progress);
    if let Some(source) = refused {
        return Err(writing(source));
    }
    let content = passed.map_err(|source| BackupError::Read { path: name.to_owned(), source })?;
    file.sync_all().map_err(writing)?;
    Ok(content)
}

/// Reads a certificate or a key; none if that cannot be one.
pub(super) fn read_pem(path: &Path) -> Option<String> {
    let file = open_plain(path).ok()??;
    let mut text = String::new();
    file.take(LARGEST_PEM_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The names in a directory, in order; none if it is not there.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, BackupError> {
    let list = || {
        let found = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found?,
        };
        found.map(|one| Ok(one?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()
    };
    let mut names = list().map_err(|source| BackupError::Read { path: directory.to_owned(), source })?;
    names.sort_unstable();
    Ok(names)
}

fn pass(
    from: &mut File,
    to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    progress: &mut Progress<'_>,
) -> io::Result<Content> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER_BYTES]);
    loop {
        let read = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(Content { bytes, sha256: Digest(hash.finalize().into()) });
        }
        hash.update(&buffer[..read]);
        to(&buffer[..read])?;
        bytes += read as u64;
        progress.add(read as u64);
    }
}
