//! A disk in memory that fails on purpose. It tells apart what the kernel shows and what would survive a power cut:
//! unsynced pages survive or not, each for itself; a failed sync leaves pages that look clean and were never written;
//! a failed write leaves any part of itself; space runs out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile, Space};
use crate::checkpoint::CheckpointDisk;

/// Smaller than a record, so that one record can be torn.
const PAGE: usize = 32;

/// A disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
    /// The life of the machine that opened it; operations of an earlier one fail.
    life: u64,
}

#[derive(Debug)]
struct Platter {
    files: BTreeMap<String, Content>,
    /// Names that survive a power cut.
    durable_names: BTreeSet<String>,
    /// Files that were removed, and may be there again after a power cut.
    removed: BTreeMap<String, Content>,
    /// What was renamed, the oldest first, and may not have been after a power cut.
    renamed: Vec<Renamed>,
    life: u64,
    faults: Faults,
    random: u64,
    /// How often it was asked how much room there is.
    asked: u64,
}

/// What goes wrong next.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Bytes that all files together may have.
    pub(crate) space: Option<usize>,
    /// Writes that fail.
    pub(crate) writes: u32,
    /// Syncs that fail.
    pub(crate) syncs: u32,
    /// Cuts that fail.
    pub(crate) cuts: u32,
    /// Removals that fail.
    pub(crate) removals: u32,
    /// Renames that fail.
    pub(crate) renames: u32,
    /// Syncs of names that fail.
    pub(crate) name_syncs: u32,
    /// The machine stops in the middle of the operation after so many.
    pub(crate) stops_after: Option<u32>,
}

/// How a machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The process is killed: the kernel keeps what it shows.
    Kill,
    /// The power fails: what was not written is gone.
    PowerCut,
}

#[derive(Debug, Clone, Default)]
struct Content {
    shown: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// It was cut, and the shorter length is not durable.
    cut: bool,
}

#[derive(Debug, Clone)]
struct Renamed {
    from: String,
    to: String,
    replaced: Option<Content>,
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    name: String,
}

impl MemoryDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let platter = Platter {
            files: BTreeMap::new(),
            durable_names: BTreeSet::new(),
            removed: BTreeMap::new(),
            renamed: Vec::new(),
            life: 0,
            faults: Faults::default(),
            random: seed | 1,
            asked: 0,
        };
        Self { platter: Arc::new(Mutex::new(platter)), life: 0 }
    }

    /// Sets what goes wrong from now on.
    pub(crate) fn fail(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// How often it was asked how much room there is.
    pub(crate) fn asked(&self) -> u64 {
        self.lock().asked
    }

    /// Stops the machine, if it has not stopped by a fault, and starts it again: the disk as the next life finds it.
    pub(crate) fn restart(&self, stop: Stop) -> Self {
        let mut platter = self.lock();
        platter.life = self.life + 2;
        platter.faults = Faults::default();
        if stop == Stop::PowerCut {
            platter.lose_power();
        }
        Self { platter: Arc::clone(&self.platter), life: self.life + 2 }
    }

    /// Whether the machine has stopped by a fault.
    pub(crate) fn has_stopped(&self) -> bool {
        self.lock().life != self.life
    }

    /// What a file shows, to look at or to spoil.
    pub(crate) fn edit<T>(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut platter = self.lock();
        let content = platter.files.get_mut(name).expect("the file exists");
        let result = edit(&mut content.shown);
        content.durable.clone_from(&content.shown);
        content.dirty.clear();
        result
    }

    /// An independent disk with the same content.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new(1);
        let platter = self.lock();
        {
            let mut new = copy.lock();
            new.files.clone_from(&platter.files);
            new.durable_names.clone_from(&platter.durable_names);
            new.removed.clone_from(&platter.removed);
            new.renamed.clone_from(&platter.renamed);
        }
        copy
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap()
    }

    /// Begins an operation: its platter, and whether the machine stops in the middle of it.
    fn operate(&self) -> io::Result<(MutexGuard<'_, Platter>, bool)> {
        let mut platter = self.lock();
        if platter.life != self.life {
            return Err(io::Error::other("the machine has stopped"));
        }
        let stops = platter.faults.stops_after == Some(0);
        if let Some(left) = &mut platter.faults.stops_after {
            *left = left.saturating_sub(1);
        }
        if stops {
            platter.life += 1;
        }
        Ok((platter, stops))
    }
}

impl Platter {
    fn random(&mut self) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn one_in_two(&mut self) -> bool {
        self.random() & 0x100 != 0
    }

    fn lose_power(&mut self) {
        while let Some(Renamed { from, to, replaced }) = self.renamed.pop() {
            if self.one_in_two() {
                self.durable_names.remove(&from);
                self.durable_names.insert(to);
            } else if let Some(content) = self.files.remove(&to) {
                self.files.insert(from, content);
                self.files.extend(replaced.map(|replaced| (to, replaced)));
            }
        }
        for (name, content) in std::mem::take(&mut self.removed) {
            if self.one_in_two() {
                self.files.insert(name, content);
            } else {
                self.durable_names.remove(&name);
            }
        }
        for name in self.files.keys().cloned().collect::<Vec<_>>() {
            if !self.durable_names.contains(&name) && self.one_in_two() {
                self.files.remove(&name);
                continue;
            }
            self.durable_names.insert(name.clone());
            self.write_some(&name);
            let content = self.files.get_mut(&name).expect("it was listed");
            content.shown.clone_from(&content.durable);
        }
    }

    /// Writes some of the dirty pages, or not, and perhaps the length; all count as clean after it.
    fn write_some(&mut self, name: &str) {
        let length_too = self.one_in_two();
        let mut content = self.files.get(name).cloned().expect("it was opened");
        if length_too {
            content.write_length();
        }
        content.cut = false;
        for page in std::mem::take(&mut content.dirty) {
            if self.one_in_two() {
                content.write_page(page);
            }
        }
        self.files.insert(name.to_owned(), content);
    }
}

impl Content {
    /// Writes a page as far as the durable length lets it be seen.
    fn write_page(&mut self, page: usize) {
        let end = ((page + 1) * PAGE).min(self.shown.len()).min(self.durable.len());
        if let Some(shown) = self.shown.get(page * PAGE..end) {
            self.durable[page * PAGE..end].copy_from_slice(shown);
        }
    }

    fn write_length(&mut self) {
        if self.cut || self.durable.len() < self.shown.len() {
            self.durable.resize(self.shown.len(), 0);
        }
        self.cut = false;
    }

    fn cut(&mut self, length: usize) {
        if length != self.shown.len() {
            self.cut = true;
            self.shown.resize(length, 0);
            self.dirty.retain(|page| page * PAGE < length);
            self.dirty.extend(length.checked_sub(1).map(|last| last / PAGE));
        }
    }
}

impl Disk for MemoryDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.operate()?.0.files.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let (platter, _) = self.operate()?;
        if !platter.files.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(MemoryFile { disk: self.clone(), name: name.to_owned() }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let (mut platter, _) = self.operate()?;
        platter.files.entry(name.to_owned()).or_default().cut(0);
        Ok(Box::new(MemoryFile { disk: self.clone(), name: name.to_owned() }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut platter, stops) = self.operate()?;
        if platter.faults.removals > 0 || stops && platter.one_in_two() {
            platter.faults.removals = platter.faults.removals.saturating_sub(1);
            return Err(io::Error::other("a removal fails"));
        }
        let content = platter.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if platter.durable_names.contains(name) {
            platter.removed.insert(name.to_owned(), content);
        }
        if stops { Err(io::Error::other("the machine stops")) } else { Ok(()) }
    }

    fn sync_names(&self) -> io::Result<()> {
        let (mut platter, stops) = self.operate()?;
        if stops || platter.faults.name_syncs > 0 {
            platter.faults.name_syncs = platter.faults.name_syncs.saturating_sub(1);
            return Err(io::Error::other("a sync of names fails"));
        }
        platter.durable_names = platter.files.keys().cloned().collect();
        platter.removed.clear();
        platter.renamed.clear();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let (mut platter, _) = self.operate()?;
        platter.asked += 1;
        let total = platter.faults.space.unwrap_or(usize::MAX);
        let used: usize = platter.files.values().map(|content| content.shown.len()).sum();
        Ok(Space { free_bytes: total.saturating_sub(used) as u64, total_bytes: total as u64 })
    }
}

impl CheckpointDisk for MemoryDisk {
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut platter, stops) = self.operate()?;
        if platter.faults.renames > 0 || stops && platter.one_in_two() {
            platter.faults.renames = platter.faults.renames.saturating_sub(1);
            return Err(io::Error::other("a rename fails"));
        }
        let content = platter.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        let replaced = platter.files.insert(to.to_owned(), content);
        platter.renamed.push(Renamed { from: from.to_owned(), to: to.to_owned(), replaced });
        if stops { Err(io::Error::other("the machine stops")) } else { Ok(()) }
    }
}

impl MemoryFile {
    fn shown<T>(&self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let (platter, _) = self.disk.operate()?;
        Ok(look(&platter.files[&self.name].shown))
    }
}

impl DiskFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        self.shown(|shown| shown.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.shown(|shown| {
            let rest = shown.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let read = rest.len().min(into.len());
            into[..read].copy_from_slice(&rest[..read]);
            read
        })
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let (mut platter, stops) = self.disk.operate()?;
        let used: usize = platter.files.values().map(|content| content.shown.len()).sum();
        let grows = (offset + bytes.len()).saturating_sub(platter.files[&self.name].shown.len());
        let error = if stops {
            Some(io::Error::other("the machine stops"))
        } else if platter.faults.space.is_some_and(|space| used + grows > space) {
            Some(io::ErrorKind::StorageFull.into())
        } else if platter.faults.writes > 0 {
            platter.faults.writes -= 1;
            Some(io::Error::other("a write fails"))
        } else {
            None
        };
        let part = if error.is_some() {
            let room = platter.faults.space.map_or(usize::MAX, |space| space.saturating_sub(used));
            (usize::try_from(platter.random()).unwrap() % (bytes.len() + 1)).min(room)
        } else {
            bytes.len()
        };
        let content = platter.files.get_mut(&self.name).expect("it was opened");
        let (from, end) = (offset.min(content.shown.len()), offset + part);
        if part > 0 {
            content.shown.resize(end.max(content.shown.len()), 0);
            content.shown[offset..end].copy_from_slice(&bytes[..part]);
            content.dirty.extend(from / PAGE..=(end - 1) / PAGE);
        }
        error.map_or(Ok(()), Err)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let (mut platter, stops) = self.disk.operate()?;
        if stops || platter.faults.cuts > 0 {
            platter.faults.cuts = platter.faults.cuts.saturating_sub(1);
            return Err(io::Error::other("a cut fails"));
        }
        platter.files.get_mut(&self.name).expect("it was opened").cut(usize::try_from(length).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut platter, stops) = self.disk.operate()?;
        if stops || platter.faults.syncs > 0 {
            platter.faults.syncs = platter.faults.syncs.saturating_sub(1);
            platter.write_some(&self.name);
            return Err(io::Error::other("a sync fails"));
        }
        let content = platter.files.get_mut(&self.name).expect("it was opened");
        content.write_length();
        for page in std::mem::take(&mut content.dirty) {
            content.write_page(page);
        }
        Ok(())
    }
}
