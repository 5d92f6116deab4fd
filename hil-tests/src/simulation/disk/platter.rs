//! What the disk holds: page cache and platter, names and bytes.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::content::Content;
use super::{Fault, Operation};
use crate::simulation::dice::Dice;

/// A path, as text: comparing the components of paths costs many times as much.
pub(super) type Name = Arc<str>;

pub(super) type Names = BTreeMap<Name, Entry>;

#[derive(Default)]
pub(super) struct Platter {
    pub(super) inodes: Vec<Inode>,
    /// What a process sees.
    pub(super) names: Names,
    /// What a power cut leaves.
    pub(super) durable: Names,
    /// What was done to names since the durable ones, the oldest first.
    pub(super) undurable: Vec<NameChange>,
    pub(super) capacity: Option<u64>,
    pub(super) read_only: bool,
    pub(super) faults: Vec<Fault>,
    /// The process has died in an effect: nothing works until it starts anew.
    pub(super) dead: bool,
    pub(super) life: u64,
    pub(super) locks: BTreeMap<Name, u64>,
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
    pub(super) path: Name,
    pub(super) entry: Option<Entry>,
    /// Where the entry came from, if this is a renaming.
    pub(super) from: Option<Name>,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) cached: Content,
    pub(super) durable: Content,
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
            Dirty::Length(length) => self.durable.resize(length),
            Dirty::Bytes { offset, length } => {
                // What a later change cut off is not there any more.
                let end = (offset + length).min(self.cached.len());
                if offset <= end {
                    self.durable.take_from(&self.cached, offset, end);
                }
            }
        }
    }
}

impl NameChange {
    /// The directory whose sync makes it durable.
    fn directory(&self) -> &str {
        parent_of(&self.path).unwrap_or("/")
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

    pub(super) fn needs_parent(&self, path: &str) -> io::Result<()> {
        match parent_of(path).map(|parent| self.names.get(parent)) {
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

    pub(super) fn set_name(&mut self, path: &str, entry: Option<Entry>) {
        let path = Name::from(path);
        match entry {
            Some(entry) => self.names.insert(Arc::clone(&path), entry),
            None => self.names.remove(&path),
        };
        self.undurable.push(NameChange { path, entry, from: None });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, entry: Entry) {
        move_tree(&mut self.names, from, to);
        self.undurable.push(NameChange {
            path: Name::from(to),
            entry: Some(entry),
            from: Some(Name::from(from)),
        });
    }

    /// Carries the changes to names in this directory.
    pub(super) fn sync_names(&mut self, directory: &str) {
        let changes = std::mem::take(&mut self.undurable);
        let (meant, rest) = changes.into_iter().partition(|change| change.directory() == directory);
        self.undurable = rest;
        self.carry_names(meant);
    }

    /// Carries changes to names, in their order.
    fn carry_names(&mut self, changes: Vec<NameChange>) {
        for change in changes {
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
        let changes = std::mem::take(&mut self.undurable);
        let mut left: BTreeMap<&Path, usize> = BTreeMap::new();
        for change in &changes {
            *left.entry(Path::new(change.directory())).or_default() += 1;
        }
        for count in left.values_mut() {
            *count = self.dice.below(*count + 1);
        }
        let mut survivors = Vec::new();
        for change in &changes {
            let left = left.entry(Path::new(change.directory())).or_default();
            if *left > 0 {
                *left -= 1;
                survivors.push(change.clone());
            }
        }
        self.carry_names(survivors);
        // A name whose directory did not survive is not reached by anybody.
        let durable = self.durable.clone();
        self.durable.retain(|path, _| {
            parent_of(path).is_none_or(|parent| durable.get(parent) == Some(&Entry::Directory))
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
                                inode.durable.resize(end);
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
fn move_tree(names: &mut Names, from: &str, to: &str) {
    let below: Vec<Name> = below(names, from).map(|(path, _)| Arc::clone(path)).collect();
    for path in below {
        let Some(entry) = names.remove(&path) else { continue };
        names.insert(Name::from(format!("{to}{}", &path[from.len()..])), entry);
    }
    if let Some(entry) = names.remove(from) {
        names.insert(Name::from(to), entry);
    }
}

/// The text of a path.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("who uses this disk names its files in ASCII")
}

/// The directory that something is in.
pub(super) fn parent_of(path: &str) -> Option<&str> {
    let (parent, name) = path.rsplit_once('/')?;
    match (parent, name) {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

/// All that is below a directory, at whatever depth.
pub(super) fn below<'a>(
    names: &'a Names,
    directory: &str,
) -> impl Iterator<Item = (&'a Name, &'a Entry)> + use<'a> {
    let start = Name::from(if directory == "/" { "/".to_owned() } else { format!("{directory}/") });
    let from = (Bound::Excluded(Arc::clone(&start)), Bound::Unbounded);
    names.range(from).take_while(move |(path, _)| path.starts_with(&*start))
}

/// What a directory has: the names in it.
pub(super) fn inside<'a>(
    names: &'a Names,
    directory: &str,
) -> impl Iterator<Item = (&'a Name, &'a Entry)> + use<'a> {
    let skip = if directory == "/" { 1 } else { directory.len() + 1 };
    below(names, directory).filter(move |(path, _)| !path[skip..].contains('/'))
}
