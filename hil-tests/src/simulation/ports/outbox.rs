//! The outbox's file system on a simulated disk.

use std::io;
use std::path::Path;

use edge_agent::outbox::{Disk, DiskFile};

use crate::simulation::disk::{SimDisk, SimFile};

/// The outbox's file system on a simulated disk.
#[derive(Debug)]
pub(in crate::simulation) struct OutboxDisk(pub(in crate::simulation) SimDisk);

/// A locked file.
#[derive(Debug)]
struct Locked {
    file: SimFile,
    disk: SimDisk,
    path: std::path::PathBuf,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.disk.unlock(&self.path, self.file.life());
    }
}

impl Disk for OutboxDisk {
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.0.create_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.0.list(directory)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.0.exists(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.0.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.0.create(path, true)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.0.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.0.sync_directory(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = if self.0.exists(path) { self.0.open(path)? } else { self.0.create(path, true)? };
        if !self.0.try_lock(path)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Locked { file, disk: self.0.clone(), path: path.to_owned() }))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.0.free_bytes())
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        SimFile::length(self)
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        SimFile::read_at(self, to, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        SimFile::write_at(self, bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        SimFile::allocate(self, length)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        SimFile::cut(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        SimFile::sync(self)
    }
}

impl DiskFile for Locked {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, to: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(to, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        SimFile::write_at(&self.file, bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
