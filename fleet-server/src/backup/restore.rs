//! Checking a backup, and making a data directory of it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use lamplighter_protocol::UtcMillis;

use super::destination::Destination;
use super::error::{BackupError, FileProblem};
use super::files::{self, Content};
use super::manifest::{self, FileEntry, Manifest};
use super::path::{BackupPath, CERTIFICATE_ROOMS, ROOMS, is_key};
use super::progress::{Progress, Step};
use super::take::belong_together;
use crate::audit::{Action, Actor, Entry, Subject};
use crate::registry::Registry;

/// A backup whose files are all as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it holds.
    pub manifest: Manifest,
    /// What lies in it besides; it is not restored.
    pub strangers: Vec<PathBuf>,
}

/// Reads all of a backup and says what of it is not as it was. With keys, whether they are its CA's. Nothing is changed.
///
/// # Errors
/// [`BackupError`]; [`BackupError::Damaged`] names every file.
pub fn check(
    backup: &Path,
    keys: Option<&Path>,
    tell: &mut (dyn FnMut(Step) + Send),
) -> Result<Checked, BackupError> {
    let manifest = Manifest::read(backup)?;
    let mut progress = Progress::new(manifest.bytes(), tell);
    let mut problems = Vec::new();
    for entry in &manifest.files {
        match examine(backup, entry, &mut progress) {
            Ok(()) => {}
            Err(problem) => problems.push((entry.path.clone(), problem)),
        }
    }
    if !problems.is_empty() {
        return Err(BackupError::Damaged { backup: backup.to_owned(), problems });
    }
    if let Some(keys) = keys {
        belong_together(backup, keys)?;
    }
    let strangers = strangers(backup, &manifest)?;
    Ok(Checked { manifest, strangers })
}

/// Makes a data directory of a backup and its keys, after it has checked all of it. When this returns it is durable.
///
/// # Errors
/// [`BackupError`]; there is no data directory then.
pub async fn restore(
    backup: &Path,
    keys: Option<&Path>,
    data: &Path,
    (by, now): (&Actor, UtcMillis),
    tell: &mut (dyn FnMut(Step) + Send),
) -> Result<Checked, BackupError> {
    let keys = keys.ok_or(BackupError::NoKeys)?;
    let destination = Destination::at(data)?;
    destination.is_apart_from(backup)?;
    destination.is_apart_from(keys)?;
    let checked = check(backup, Some(keys), tell)?;
    destination.has_room(checked.manifest.bytes(), None)?;
    destination.begin()?;
    let entry = Entry::new(now, by.clone(), Action::BackupRestored, Subject::Server)
        .text("from", backup.display())
        .text("taken", &checked.manifest.taken);
    let restored = put(backup, keys, &destination, &checked.manifest, &entry, tell).await;
    if restored.is_err() {
        destination.abandon();
    }
    restored.map(|()| checked)
}

async fn put(
    backup: &Path,
    keys: &Path,
    destination: &Destination,
    manifest: &Manifest,
    entry: &Entry,
    tell: &mut (dyn FnMut(Step) + Send),
) -> Result<(), BackupError> {
    for room in ROOMS {
        files::make_directory(&destination.partial().join(room))?;
    }
    let mut progress = Progress::new(manifest.bytes(), tell);
    for file in &manifest.files {
        let to = file.path.below(destination.partial());
        let copied = copy(&file.path.below(backup), &to, &mut progress)?;
        if copied != (Content { bytes: file.bytes, sha256: file.sha256 }) {
            // It was whole a moment ago.
            let problems = vec![(file.path.clone(), FileProblem::Altered)];
            return Err(BackupError::Damaged { backup: backup.to_owned(), problems });
        }
    }
    for room in CERTIFICATE_ROOMS {
        for name in files::names(&keys.join(room))?.iter().filter(|name| is_key(name)) {
            copy(&keys.join(room).join(name), &destination.partial().join(room).join(name), &mut progress)?;
        }
    }
    progress.add(0);
    // With the data directory its record is there, or neither.
    Registry::audit_as_it_is(&BackupPath::registry().below(destination.partial()), entry)
        .await
        .map_err(BackupError::Audit)?;
    destination.finish()
}

fn copy(from: &Path, to: &Path, progress: &mut Progress<'_>) -> Result<Content, BackupError> {
    let reading = |source| BackupError::Read { path: from.to_owned(), source };
    let file = files::open_plain(from).map_err(reading)?;
    let file = file.ok_or_else(|| reading(io::Error::other("it is no plain file")))?;
    files::copy((file, from), to, progress)
}

fn examine(backup: &Path, entry: &FileEntry, progress: &mut Progress<'_>) -> Result<(), FileProblem> {
    let path = entry.path.below(backup);
    // A directory may be a link to another one as well as a file to another file.
    if !path.parent().is_some_and(|parent| parent == backup || files::is_directory(parent)) {
        return Err(if path.exists() { FileProblem::NotAFile } else { FileProblem::Missing });
    }
    let file = match files::open_plain(&path) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(FileProblem::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FileProblem::Missing),
        Err(error) => return Err(FileProblem::Unreadable(error)),
    };
    let found = file.metadata().map_err(FileProblem::Unreadable)?.len();
    if found != entry.bytes {
        return Err(FileProblem::Length { found, expected: entry.bytes });
    }
    let content = files::read(file, progress).map_err(FileProblem::Unreadable)?;
    let is_same = content == Content { bytes: entry.bytes, sha256: entry.sha256 };
    if is_same { Ok(()) } else { Err(FileProblem::Altered) }
}

/// What lies in a backup and is not in its manifest.
fn strangers(backup: &Path, manifest: &Manifest) -> Result<Vec<PathBuf>, BackupError> {
    let known: HashSet<&BackupPath> = manifest.files.iter().map(|file| &file.path).collect();
    let is_listed = |text: String| BackupPath::try_from(text).is_ok_and(|path| known.contains(&path));
    let mut strangers = Vec::new();
    for name in files::names(backup)? {
        if ROOMS.contains(&name.as_str()) && files::is_directory(&backup.join(&name)) {
            let names = files::names(&backup.join(&name))?;
            let strange = names.iter().filter(|file| !is_listed(format!("{name}/{file}")));
            strangers.extend(strange.map(|file| Path::new(&name).join(file)));
        } else if name != manifest::FILE_NAME && !is_listed(name.clone()) {
            strangers.push(PathBuf::from(name));
        }
    }
    Ok(strangers)
}
