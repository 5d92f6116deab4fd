//! The operations of a file system.

use std::fmt;
use std::io;
use std::path::Path;

use super::content::Content;
use super::platter::{Dirty, Entry, Inode, Name, Platter, inside, text};
use super::{Operation, SimDisk};

/// An open file. It stays the same file when its name goes.
#[derive(Clone)]
pub(in crate::simulation) struct SimFile {
    disk: SimDisk,
    inode: usize,
    /// Of which life of the process: a file that was opened before a crash is of no use after it.
    life: u64,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("inode", &self.inode).finish_non_exhaustive()
    }
}

impl SimDisk {
    pub(in crate::simulation) fn create_directory(&self, path: &Path) -> io::Result<()> {
        let (mut platter, path) = (self.lock(), text(path));
        if let Some(entry) = platter.names.get(path) {
            return match entry {
                Entry::Directory => Err(io::ErrorKind::AlreadyExists.into()),
                Entry::File(_) => Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        platter.needs_parent(path)?;
        platter.effect(Operation::Name)?;
        platter.set_name(path, Some(Entry::Directory));
        Ok(())
    }

    pub(in crate::simulation) fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let (platter, directory) = (self.lock(), text(directory));
        platter.alive()?;
        if platter.names.get(directory) != Some(&Entry::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let names = inside(&platter.names, directory).filter_map(|(path, _)| path.rsplit_once('/'));
        Ok(names.map(|(_, name)| name.to_owned()).collect())
    }

    pub(in crate::simulation) fn exists(&self, path: &Path) -> bool {
        self.lock().names.contains_key(text(path))
    }

    pub(in crate::simulation) fn open(&self, path: &Path) -> io::Result<SimFile> {
        let platter = self.lock();
        platter.alive()?;
        match platter.names.get(text(path)) {
            Some(Entry::File(inode)) => Ok(SimFile { disk: self.clone(), inode: *inode, life: platter.life }),
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// A new empty file; one of this name is replaced (`exclusive`: refused).
    pub(in crate::simulation) fn create(&self, path: &Path, exclusive: bool) -> io::Result<SimFile> {
        let (mut platter, path) = (self.lock(), text(path));
        platter.needs_parent(path)?;
        if exclusive && platter.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        platter.effect(Operation::Name)?;
        if let Some(Entry::File(inode)) = platter.names.get(path).copied() {
            // As O_TRUNC: the same file, emptied.
            let file = &mut platter.inodes[inode];
            file.cached = Content::default();
            file.dirty.push(Dirty::Length(0));
            return Ok(SimFile { disk: self.clone(), inode, life: platter.life });
        }
        let inode = platter.inodes.len();
        platter.inodes.push(Inode::default());
        platter.set_name(path, Some(Entry::File(inode)));
        Ok(SimFile { disk: self.clone(), inode, life: platter.life })
    }

    pub(in crate::simulation) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut platter, from, to) = (self.lock(), text(from), text(to));
        let entry = *platter.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        platter.effect(Operation::Name)?;
        platter.rename(from, to, entry);
        Ok(())
    }

    pub(in crate::simulation) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (mut platter, path) = (self.lock(), text(path));
        match platter.names.get(path) {
            Some(Entry::File(_)) => {}
            Some(Entry::Directory) => return Err(io::ErrorKind::IsADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        platter.effect(Operation::Name)?;
        platter.set_name(path, None);
        Ok(())
    }

    pub(in crate::simulation) fn remove_directory(&self, directory: &Path) -> io::Result<()> {
        let (mut platter, directory) = (self.lock(), text(directory));
        if platter.names.get(directory) != Some(&Entry::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if inside(&platter.names, directory).next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        platter.effect(Operation::Name)?;
        platter.set_name(directory, None);
        Ok(())
    }

    pub(in crate::simulation) fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let (mut platter, directory) = (self.lock(), text(directory));
        if platter.names.get(directory) != Some(&Entry::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        platter.effect(Operation::SyncNames)?;
        platter.sync_names(directory);
        Ok(())
    }

    /// Locks a file for as long as this process lives, or until [`SimDisk::unlock`].
    pub(in crate::simulation) fn try_lock(&self, path: &Path) -> io::Result<bool> {
        let (mut platter, path) = (self.lock(), text(path));
        platter.alive()?;
        if platter.locks.contains_key(path) {
            return Ok(false);
        }
        let life = platter.life;
        platter.locks.insert(Name::from(path), life);
        Ok(true)
    }

    pub(in crate::simulation) fn unlock(&self, path: &Path, life: u64) {
        let (mut platter, path) = (self.lock(), text(path));
        if platter.locks.get(path) == Some(&life) {
            platter.locks.remove(path);
        }
    }

    pub(in crate::simulation) fn free_bytes(&self) -> u64 {
        self.lock().room()
    }
}

impl SimFile {
    /// Of which life of the process it is.
    pub(in crate::simulation) fn life(&self) -> u64 {
        self.life
    }

    pub(in crate::simulation) fn length(&self) -> io::Result<u64> {
        self.with(|platter, inode| platter.inodes[inode].cached.len() as u64)
    }

    pub(in crate::simulation) fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|platter, inode| {
            platter.inodes[inode].cached.read(usize::try_from(offset).unwrap_or(usize::MAX), into)
        })
    }

    pub(in crate::simulation) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut platter = self.disk.lock();
        self.belongs(&platter)?;
        let outcome = platter.effect(Operation::Write);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let grown = (from + bytes.len()).saturating_sub(platter.inodes[self.inode].taken()) as u64;
        let room = platter.room();
        // What fails half way has written some of it.
        let written = match &outcome {
            Err(_) => platter.dice.below(bytes.len() + 1),
            Ok(()) if grown > room => {
                bytes.len().saturating_sub(usize::try_from(grown - room).unwrap_or(usize::MAX))
            }
            Ok(()) => bytes.len(),
        };
        let file = &mut platter.inodes[self.inode];
        file.cached.write(from, &bytes[..written]);
        if written > 0 {
            file.dirty.push(Dirty::Bytes { offset: from, length: written });
        }
        outcome?;
        if written < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Takes space for a file of this length, and makes a shorter one so long.
    pub(in crate::simulation) fn allocate(&self, length: u64) -> io::Result<()> {
        let mut platter = self.disk.lock();
        self.belongs(&platter)?;
        platter.effect(Operation::Write)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let grown = length.saturating_sub(platter.inodes[self.inode].taken()) as u64;
        if grown > platter.room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut platter.inodes[self.inode];
        file.allocated = file.allocated.max(length);
        if file.cached.len() < length {
            file.cached.resize(length);
            file.dirty.push(Dirty::Length(length));
        }
        Ok(())
    }

    pub(in crate::simulation) fn cut(&self, length: u64) -> io::Result<()> {
        let mut platter = self.disk.lock();
        self.belongs(&platter)?;
        platter.effect(Operation::Write)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let file = &mut platter.inodes[self.inode];
        file.allocated = 0;
        file.cached.resize(length);
        file.dirty.push(Dirty::Length(length));
        Ok(())
    }

    pub(in crate::simulation) fn sync(&self) -> io::Result<()> {
        let mut platter = self.disk.lock();
        self.belongs(&platter)?;
        let outcome = platter.effect(Operation::Sync);
        let Platter { inodes, dice, .. } = &mut *platter;
        let file = &mut inodes[self.inode];
        let dirty = std::mem::take(&mut file.dirty);
        for one in dirty {
            // After a sync that failed the cache is clean all the same, whatever arrived.
            if outcome.is_ok() || dice.chance(50) {
                file.carry(one);
            }
        }
        outcome
    }

    fn belongs(&self, platter: &Platter) -> io::Result<()> {
        platter.alive()?;
        if self.life == platter.life {
            Ok(())
        } else {
            Err(io::Error::other("a file of a process that is gone"))
        }
    }

    fn with<T>(&self, read: impl FnOnce(&mut Platter, usize) -> T) -> io::Result<T> {
        let mut platter = self.disk.lock();
        self.belongs(&platter)?;
        Ok(read(&mut platter, self.inode))
    }
}
