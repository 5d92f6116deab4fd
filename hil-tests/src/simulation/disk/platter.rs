//! What the disk holds: page cache and platter, names and bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Fault, Operation};
use crate::simulation::dice::Dice;

#[derive(Default)]
pub(super) struct Platter {
    pub(super) inodes: Vec<Inode>,
    /// What a process sees.
    pub(super) names: BTreeMap<PathBuf, Entry>,
    /// What a power cut leaves.
    pub(super) durable: BTreeMap<PathBuf, Entry>,
    /// What was done to names since the durable ones, the oldest first.
    pub(super) undurable: Vec<NameChange>,
    pub(super) capacity: Option<u64>,
    pub(super) read_only: bool,
    pub(super) faults: Vec<Fault>,
    /// The process has died in an effect: nothing works until it starts anew.
    pub(super) dead: bool,
    pub(super) life: u64,
    pub(super) locks: BTreeMap<PathBuf, u64>,
    pub(super) dice: Dice,
    pub(super) injected: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File(usize),
}

#[derive(Clone, Debug)]
pub(super) struct NameChange {
    /// The directory whose sync makes it durable.
    pub(super) directory: PathBuf,
    pub(super) path: PathBuf,
    pub(super) entry: Option<Entry>,
    /// Where the entry came from, if this is a renaming.
    pub(super) from: Option<PathBuf>,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) cached: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) dirty: Vec<Dirty>,
    /// Space is taken up to this length.
    pub(super) allocated: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Dirty {
    Bytes { offset: usize, length: usize },
    Length(usize),
}

impl Inode {
    /// Bytes that it takes on the disk.
    pub(super) fn taken(&self) -> usize {
        self.cached.len().max(self.allocated)
    }

    /// Carries what one change did to the platter.
    pub(super) fn carry(&mut self, dirty: Dirty) {
        match dirty {
            Dirty::Length(length) => self.durable.resize(length, 0),
            Dirty::Bytes { offset, length } => {
                // What a later change cut off is not there any more.
                let end = (offset + length).min(self.cached.len());
                let Some(bytes) = self.cached.get(offset..end) else { return };
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Platter {
    pub(super) fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|entry| match entry {
            Entry::File(inode) => Some(self.inodes[*inode].taken() as u64),
            Entry::Directory => None,
        });
        files.sum()
    }

    pub(super) fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    pub(super) fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the process is dead")) } else { Ok(()) }
    }

    pub(super) fn needs_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().map(|parent| self.names.get(parent)) {
            Some(Some(Entry::Directory)) => Ok(()),
            Some(_) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// An effect is about to happen: whether it fails.
    pub(super) fn effect(&mut self, what: Operation) -> io::Result<()> {
        self.alive()?;
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let mut failed = None;
        self.faults.retain_mut(|fault| match fault {
            Fault::Fails { what: kind, after } if *kind == what => {
                if *after == 0 {
                    failed = Some(false);
                    return false;
                }
                *after -= 1;
                true
            }
            Fault::Fails { .. } => true,
            Fault::Dies { after } => {
                if *after == 0 {
                    failed = Some(true);
                    return false;
                }
                *after -= 1;
                true
            }
        });
        match failed {
            None => Ok(()),
            Some(dies) => {
                self.injected += 1;
                self.dead = dies;
                Err(io::Error::other(if dies { "the process dies here" } else { "input/output error" }))
            }
        }
    }

    pub(super) fn set_name(&mut self, path: &Path, entry: Option<Entry>, from: Option<PathBuf>) {
        match entry {
            Some(entry) => self.names.insert(path.to_owned(), entry),
            None => self.names.remove(path),
        };
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.undurable.push(NameChange { directory, path: path.to_owned(), entry, from });
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, entry: Entry) {
        move_tree(&mut self.names, from, to);
        let directory = to.parent().unwrap_or(Path::new("/")).to_owned();
        self.undurable.push(NameChange {
            directory,
            path: to.to_owned(),
            entry: Some(entry),
            from: Some(from.to_owned()),
        });
    }

    /// Carries the changes to names for which this holds, in their order.
    pub(super) fn make_names_durable(&mut self, is_meant: impl Fn(&NameChange) -> bool) {
        let (meant, rest) =
            std::mem::take(&mut self.undurable).into_iter().partition(|change| is_meant(change));
        self.undurable = rest;
        let meant: Vec<NameChange> = meant;
        for change in meant {
            match (&change.from, change.entry) {
                (Some(from), _) => move_tree(&mut self.durable, from, &change.path),
                (None, Some(entry)) => {
                    self.durable.insert(change.path, entry);
                }
                (None, None) => {
                    self.durable.remove(&change.path);
                }
            }
        }
        // What was done below a directory's old name was done to its new one.
    }

    pub(super) fn cut_power(&mut self) {
        // Names: each directory's changes up to some point survive.
        let mut kept: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for change in &self.undurable {
            *counts.entry(change.directory.clone()).or_default() += 1;
        }
        for (directory, count) in counts {
            kept.insert(directory, self.dice.below(count + 1));
        }
        let mut survivors = Vec::new();
        for change in std::mem::take(&mut self.undurable) {
            let left = kept.entry(change.directory.clone()).or_default();
            if *left > 0 {
                *left -= 1;
                survivors.push(change);
            }
        }
        self.undurable = survivors;
        self.make_names_durable(|_| true);
        // A name whose directory did not survive is not reached by anybody.
        let durable = self.durable.clone();
        self.durable.retain(|path, _| {
            path.parent().is_none_or(|parent| durable.get(parent) == Some(&Entry::Directory))
        });
        self.names = self.durable.clone();
        for inode in &mut self.inodes {
            for dirty in std::mem::take(&mut inode.dirty) {
                match dirty {
                    Dirty::Length(_) if self.dice.chance(50) => inode.carry(dirty),
                    Dirty::Length(_) => {}
                    Dirty::Bytes { offset, length } => match self.dice.below(4) {
                        0 => {}
                        1 => inode.carry(dirty),
                        2 => inode.carry(Dirty::Bytes { offset, length: self.dice.below(length + 1) }),
                        // The length arrived, the bytes did not.
                        _ => {
                            let end = (offset + length).min(inode.cached.len());
                            if inode.durable.len() < end {
                                inode.durable.resize(end, 0);
                            }
                        }
                    },
                }
            }
            inode.cached = inode.durable.clone();
        }
    }
}

/// Gives a file, or a directory with all below it, another name; what had that name is gone.
fn move_tree(names: &mut BTreeMap<PathBuf, Entry>, from: &Path, to: &Path) {
    let below: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
    for path in below {
        let Some(entry) = names.remove(&path) else { continue };
        let Ok(rest) = path.strip_prefix(from) else { continue };
        let name = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
        names.insert(name, entry);
    }
}
