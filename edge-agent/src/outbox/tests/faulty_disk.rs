//! The system's disk, but failing on command.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::outbox::{Disk, DiskFile, SystemDisk};

/// It does not sync: nothing here cuts the power.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultyDisk(Arc<Faults>);

#[derive(Debug)]
pub(super) struct Faults {
    /// So many more writes work; the next fails half-way.
    pub(super) writes: AtomicU32,
    /// So many more writes find room; the next one finds none, and whoever took it gives it back at once.
    pub(super) writes_in_room: AtomicU32,
    /// So many more syncs work.
    pub(super) syncs: AtomicU32,
    /// So many more segments can be removed.
    pub(super) removals: AtomicU32,
    /// So many more changes work, and then none: the process has died.
    pub(super) changes: AtomicU32,
    /// Bytes that were read.
    pub(super) read: AtomicU64,
    /// Everything that writes fails.
    pub(super) read_only: AtomicBool,
    /// Bytes that the disk has room for.
    pub(super) capacity: AtomicU64,
    /// Bytes that each file takes.
    taken: Mutex<BTreeMap<PathBuf, u64>>,
    /// These bytes of this file cannot be read.
    unreadable: Mutex<Option<(PathBuf, Range<u64>)>>,
    /// What is at this path gives its name to nothing else.
    fixed: Mutex<Option<PathBuf>>,
    /// What is done to files, once somebody watches.
    seen: Mutex<Option<Vec<(Change, PathBuf)>>>,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Written,
    Synced,
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    faults: Arc<Faults>,
}

impl Deref for FaultyDisk {
    type Target = Faults;

    fn deref(&self) -> &Faults {
        &self.0
    }
}

impl Default for Faults {
    fn default() -> Self {
        let endless = || AtomicU32::new(u32::MAX);
        Self {
            writes: endless(),
            writes_in_room: endless(),
            syncs: endless(),
            removals: endless(),
            changes: endless(),
            read: AtomicU64::new(0),
            read_only: AtomicBool::new(false),
            capacity: AtomicU64::new(u64::MAX),
            taken: Mutex::default(),
            unreadable: Mutex::default(),
            fixed: Mutex::default(),
            seen: Mutex::default(),
        }
    }
}

impl Faults {
    pub(super) fn cannot_read(&self, path: &Path, bytes: Range<u64>) {
        *self.unreadable.lock().unwrap() = Some((path.to_owned(), bytes));
    }

    /// The inode of this file is damaged: it can neither be read nor replaced.
    pub(super) fn loses(&self, path: &Path) {
        self.cannot_read(path, 0..u64::MAX);
        *self.fixed.lock().unwrap() = Some(path.to_owned());
    }

    pub(super) fn reads_again(&self) {
        *self.unreadable.lock().unwrap() = None;
    }

    /// From now on, all that is done to files is kept.
    pub(super) fn watch(&self) {
        *self.seen.lock().unwrap() = Some(Vec::new());
    }

    /// What was done to files.
    pub(super) fn seen(&self) -> Vec<(Change, PathBuf)> {
        self.seen.lock().unwrap().take().unwrap_or_default()
    }

    fn see(&self, change: Change, path: &Path) {
        if let Some(seen) = self.seen.lock().unwrap().as_mut() {
            seen.push((change, path.to_owned()));
        }
    }

    /// Something else takes all the space that is left.
    pub(super) fn fill(&self) {
        let taken = self.taken.lock().unwrap().values().sum();
        self.capacity.store(taken, Ordering::SeqCst);
    }

    fn sync(&self) -> io::Result<()> {
        self.change()?;
        match self.syncs.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(io::Error::other("the card is gone")),
            1.. => Ok(()),
        }
    }

    fn write(&self) -> io::Result<()> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.change()
    }

    /// Nothing changes any more once the process has died.
    fn change(&self) -> io::Result<()> {
        let less = |left: u32| if left == u32::MAX { Some(left) } else { left.checked_sub(1) };
        match self.changes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other("the process has died")),
        }
    }

    /// Takes space for a file to have so many bytes.
    fn take(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut taken = self.taken.lock().unwrap();
        let all: u64 = taken.values().sum();
        let more = bytes.saturating_sub(taken.get(path).copied().unwrap_or(0));
        if more > 0 && all + more > self.capacity.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *taken.entry(path.to_owned()).or_default() += more;
        Ok(())
    }
}

impl FaultyDisk {
    fn faulty(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, path: path.to_owned(), faults: Arc::clone(&self.0) })
    }
}

impl Disk for FaultyDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.write()?;
        SystemDisk.make_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(directory)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        SystemDisk.exists(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.faulty(path, SystemDisk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.write()?;
        Ok(self.faulty(path, SystemDisk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.write()?;
        if self.fixed.lock().unwrap().as_deref() == Some(to) {
            return Err(io::Error::from_raw_os_error(5));
        }
        SystemDisk.rename(from, to)?;
        let mut taken = self.taken.lock().unwrap();
        let moved = taken.keys().filter(|path| path.starts_with(from)).cloned().collect::<Vec<_>>();
        for path in moved {
            let bytes = taken.remove(&path).unwrap_or(0);
            let rest = path.strip_prefix(from).unwrap();
            let named = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            taken.insert(named, bytes);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.write()?;
        let is_segment = path.extension().is_some_and(|kind| kind == "log");
        if is_segment && self.removals.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(io::Error::other("the power is cut"));
        }
        SystemDisk.remove_file(path)?;
        self.taken.lock().unwrap().remove(path);
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.write()?;
        SystemDisk.remove_directory(path)
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        self.0.sync()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.write()?;
        SystemDisk.lock(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        SystemDisk.free_bytes(directory)
    }
}

impl DiskFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        let unreadable = self.faults.unreadable.lock().unwrap().clone();
        let most = match unreadable.filter(|one| one.0 == self.path && offset < one.1.end) {
            Some((_, bytes)) if bytes.start <= offset => return Err(io::Error::from_raw_os_error(5)),
            Some((_, bytes)) => usize::try_from(bytes.start - offset).unwrap_or(usize::MAX).min(to.len()),
            None => to.len(),
        };
        let read = self.file.read_at(&mut to[..most], offset)?;
        self.faults.read.fetch_add(read as u64, Ordering::SeqCst);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.write()?;
        if self.faults.writes.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::Error::other("the card is gone"));
        }
        if self.faults.writes_in_room.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.faults.see(Change::Written, &self.path);
        self.faults.take(&self.path, self.file.length()?.max(offset + bytes.len() as u64))?;
        self.file.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.faults.write()?;
        self.faults.take(&self.path, length)?;
        self.file.allocate(length)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.faults.write()?;
        self.file.cut(length)?;
        self.faults.taken.lock().unwrap().insert(self.path.clone(), length);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.see(Change::Synced, &self.path);
        self.faults.sync()
    }
}
