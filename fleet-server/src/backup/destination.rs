//! What a backup or a restore makes: all of it or nothing.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use super::files;
use super::manifest;
use super::path::ROOMS;
use crate::journal::{LowWater, space_of, sync_directory};
use crate::registry::Registry;

/// A directory that is made under another name, `NAME.partial`, and put in place when it is whole.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    partial: PathBuf,
    parent: PathBuf,
}

impl Destination {
    /// It has to be empty, or not there, in a directory that is.
    pub(super) fn at(path: &Path) -> Result<Self, BackupError> {
        let reading = |path: &Path| {
            let path = path.to_owned();
            move |source| BackupError::Read { path, source }
        };
        let absolute = std::path::absolute(path).map_err(reading(path))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(BackupError::InTheWay(absolute));
        };
        let parent = parent.canonicalize().map_err(reading(parent))?;
        let path = parent.join(name);
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(BackupError::Read { path, source }),
            Ok(found) if !found.is_dir() || !files::names(&path)?.is_empty() => {
                return Err(BackupError::InTheWay(path));
            }
            Ok(found) => {
                let around = std::fs::metadata(&parent).map_err(reading(&parent))?;
                if found.dev() != around.dev() {
                    return Err(BackupError::MountPoint(path));
                }
            }
        }
        let partial = path.with_added_extension("partial");
        Ok(Self { path, partial, parent })
    }

    /// Where its files are put.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Where it will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses one that lies in the other directory, or has it within.
    pub(super) fn is_apart_from(&self, other: &Path) -> Result<(), BackupError> {
        let other = other.canonicalize().unwrap_or_else(|_| other.to_owned());
        for one in [&self.path, &self.partial] {
            if one.starts_with(&other) || other.starts_with(one) {
                return Err(BackupError::Nested { one: self.path.clone(), other });
            }
        }
        Ok(())
    }

    /// Refuses if there is too little room for so many bytes. On the disk of a server that runs on `beside`, so much has to
    /// stay free that it goes on.
    pub(super) fn has_room(&self, needed: u64, beside: Option<&Path>) -> Result<(), BackupError> {
        let reading = |source| BackupError::Read { path: self.parent.clone(), source };
        let space = space_of(&self.parent).map_err(reading)?;
        let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev());
        let is_shared = match beside {
            Some(beside) => device(beside).map_err(reading)? == device(&self.parent).map_err(reading)?,
            None => false,
        };
        let kept = if is_shared { LowWater::default().on(space) } else { 0 };
        if space.free_bytes < needed.saturating_add(kept) {
            let (directory, free) = (self.path.clone(), space.free_bytes);
            return Err(BackupError::NoRoom { directory, needed, free, kept });
        }
        Ok(())
    }

    /// Begins it, in the place of what an interrupted one has left.
    pub(super) fn begin(&self) -> Result<(), BackupError> {
        match std::fs::symlink_metadata(&self.partial) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(BackupError::Read { path: self.partial.clone(), source }),
            Ok(found) if found.is_dir() && files::names(&self.partial)?.iter().all(|name| is_ours(name)) => {
                let removed = std::fs::remove_dir_all(&self.partial);
                removed.map_err(|source| BackupError::Write { path: self.partial.clone(), source })?;
            }
            Ok(_) => return Err(BackupError::NotOurs(self.partial.clone())),
        }
        files::make_directory(&self.partial)
    }

    /// Puts it in place, durably.
    pub(super) fn finish(&self) -> Result<(), BackupError> {
        let put = || {
            for room in ROOMS.map(|room| self.partial.join(room)).iter().filter(|room| room.is_dir()) {
                sync_directory(room)?;
            }
            sync_directory(&self.partial)?;
            std::fs::rename(&self.partial, &self.path)?;
            sync_directory(&self.parent)
        };
        put().map_err(|source| BackupError::Write { path: self.path.clone(), source })
    }

    /// Removes what was begun; what cannot be removed is in nobody's way.
    pub(super) fn abandon(&self) {
        std::fs::remove_dir_all(&self.partial).ok();
    }
}

fn is_ours(name: &str) -> bool {
    ROOMS.contains(&name) || name == manifest::FILE_NAME || name.starts_with(Registry::FILE_NAME)
}
