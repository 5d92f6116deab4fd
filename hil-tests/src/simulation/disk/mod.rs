//! A file system in memory that loses what a real one may lose.
//!
//! Two things are kept of every file: what a reader sees (the page cache) and what a power cut leaves (the platter).
//! A write reaches the first; a sync carries it to the second. A sync that fails makes the cache look clean although
//! some of it never arrived, as Linux does. A power cut carries any part of what was not synced, torn at any byte.
//! Names are durable when their directory is synced; what was done to names since then survives up to some point.

mod content;
mod files;
mod platter;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::content::Content;
use self::platter::{Entry, Inode, Name, Platter, inside, text};
use super::dice::Dice;

pub(super) use self::files::SimFile;

/// A disk. Clones are the same disk.
#[derive(Clone)]
pub(super) struct SimDisk(Arc<Mutex<Platter>>);

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Write,
    Sync,
    SyncNames,
    Name,
}

/// What goes wrong, and when.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The operation of this kind that comes after so many others fails once.
    Fails { what: Operation, after: u32 },
    /// The process dies in the effect that comes after so many others; half of it may have happened.
    Dies { after: u32 },
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl SimDisk {
    /// An empty disk.
    pub(super) fn new(dice: Dice) -> Self {
        let mut platter = Platter { dice, ..Platter::default() };
        platter.names.insert(Name::from("/"), Entry::Directory);
        platter.durable.insert(Name::from("/"), Entry::Directory);
        Self(Arc::new(Mutex::new(platter)))
    }

    /// Another disk with what a reader sees on this one, all of it durable: a backup, a clone, a restored copy.
    pub(super) fn copy(&self, dice: Dice) -> Self {
        let from = self.lock();
        let mut to =
            Platter { dice, names: from.names.clone(), durable: from.names.clone(), ..Platter::default() };
        to.inodes = from
            .inodes
            .iter()
            .map(|inode| Inode { durable: inode.cached.clone(), ..inode.clone() })
            .collect();
        to.inodes.iter_mut().for_each(|inode| inode.dirty.clear());
        drop(from);
        Self(Arc::new(Mutex::new(to)))
    }

    /// Chance of what happens next on this disk.
    pub(super) fn stir(&self, entropy: u64) {
        self.lock().dice = Dice::new(entropy);
    }

    /// So many bytes fit; none: as many as may be.
    pub(super) fn limit(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// Bytes of all files.
    pub(super) fn used(&self) -> u64 {
        self.lock().used()
    }

    /// The file system was remounted read-only, or writable again.
    pub(super) fn set_read_only(&self, read_only: bool) {
        self.lock().read_only = read_only;
    }

    pub(super) fn plan(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// No fault is planned any more, and there is room.
    pub(super) fn heal(&self) {
        let mut platter = self.lock();
        platter.faults.clear();
        platter.capacity = None;
        platter.read_only = false;
    }

    /// Whether the process died in an effect.
    pub(super) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// How many faults were injected.
    pub(super) fn injected(&self) -> u64 {
        self.lock().injected
    }

    /// The process is gone; what it wrote stays in the page cache. Another may start.
    pub(super) fn kill(&self) {
        let mut platter = self.lock();
        platter.dead = false;
        platter.life += 1;
        platter.locks.clear();
    }

    /// The power goes, and comes back.
    pub(super) fn cut_power(&self) {
        self.kill();
        let mut platter = self.lock();
        platter.cut_power();
    }

    /// Overwrites part of a file behind everybody's back, durably. Says whether there was anything to damage.
    pub(super) fn damage(&self, is_meant: impl Fn(&Path) -> bool, entropy: u64) -> Option<PathBuf> {
        let mut platter = self.lock();
        let mut dice = Dice::new(entropy);
        let meant: Vec<(PathBuf, usize)> = platter
            .names
            .iter()
            .filter_map(|(path, entry)| match entry {
                Entry::File(inode) if is_meant(Path::new(&**path)) => Some((PathBuf::from(&**path), *inode)),
                Entry::File(_) | Entry::Directory => None,
            })
            .collect();
        let (path, inode) = dice.pick(&meant)?.clone();
        let file = platter.inodes.get_mut(inode)?;
        let length = file.cached.len();
        if length == 0 {
            return None;
        }
        let from = dice.below(length);
        let to = (from + 1 + dice.below(64)).min(length);
        for at in from..to {
            let [byte, ..] = dice.next_u64().to_le_bytes();
            let mut one = [0];
            file.cached.read(at, &mut one);
            file.cached.write(at, &[one[0] ^ (byte | 1)]);
            if at < file.durable.len() {
                file.durable.take_from(&file.cached, at, at + 1);
            }
        }
        Some(path)
    }

    /// What files a directory has, for who reads them beside the process that writes them.
    pub(super) fn files_in(&self, directory: &Path) -> Vec<PathBuf> {
        let platter = self.lock();
        let all = inside(&platter.names, text(directory));
        let files = all.filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(path, _)| PathBuf::from(&**path)).collect()
    }

    /// What such a reader sees of a file; none if it is gone.
    pub(super) fn bytes_of(&self, path: &Path) -> Option<Vec<u8>> {
        let platter = self.lock();
        match platter.names.get(text(path)) {
            Some(Entry::File(inode)) => Some(platter.inodes[*inode].cached.to_vec()),
            Some(Entry::Directory) | None => None,
        }
    }

    /// A directory is there, durably.
    pub(super) fn put_directory(&self, path: &Path) {
        self.put(path, Entry::Directory);
    }

    /// A file is there with these bytes, durably.
    pub(super) fn put_file(&self, path: &Path, bytes: Vec<u8>) {
        let bytes = Content::from(bytes);
        let inode = Inode { durable: bytes.clone(), cached: bytes, ..Inode::default() };
        let mut platter = self.lock();
        platter.inodes.push(inode);
        let entry = Entry::File(platter.inodes.len() - 1);
        drop(platter);
        self.put(path, entry);
    }

    fn put(&self, path: &Path, entry: Entry) {
        let mut platter = self.lock();
        let name = Name::from(text(path));
        platter.names.insert(Name::clone(&name), entry);
        platter.durable.insert(name, entry);
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
