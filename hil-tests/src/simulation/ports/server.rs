//! Directories of the server on a simulated disk.

use std::io;
use std::path::Path;

use fleet_server::checkpoint::CheckpointDisk;
use fleet_server::journal::{Disk, DiskFile, Space};

use crate::simulation::disk::{SimDisk, SimFile};

/// A directory of the server's data.
#[derive(Debug)]
pub(in crate::simulation) struct ServerDirectory {
    disk: SimDisk,
    path: &'static Path,
}

impl ServerDirectory {
    /// Where the journal is.
    pub(in crate::simulation) fn journal() -> &'static Path {
        Path::new("/journal")
    }

    /// Where checkpoints are.
    pub(in crate::simulation) fn checkpoints() -> &'static Path {
        Path::new("/checkpoints")
    }

    pub(in crate::simulation) fn new(disk: &SimDisk, path: &'static Path) -> Self {
        Self { disk: disk.clone(), path }
    }
}

impl CheckpointDisk for ServerDirectory {
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path.join(from), &self.path.join(to))
    }
}

impl Disk for ServerDirectory {
    fn names(&self) -> io::Result<Vec<String>> {
        self.disk.list(self.path)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.disk.open(&self.path.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.disk.create(&self.path.join(name), false)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove_file(&self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_directory(self.path)
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space { free_bytes: self.disk.free_bytes(), total_bytes: 1 << 40 })
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        SimFile::length(self)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        SimFile::read_at(self, into, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        SimFile::write_at(self, bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        SimFile::cut(self, length)
    }

    fn sync(&mut self) -> io::Result<()> {
        SimFile::sync(self)
    }
}
