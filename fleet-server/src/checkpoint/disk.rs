//! The disk under checkpoints: what the journal's can do, and renaming.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use crate::journal::{Disk, DiskFile, Space, space_of, sync_directory};

/// A directory of checkpoints that one server has to itself.
pub trait CheckpointDisk: Disk {
    /// Gives a file another name, at once; a file that has that name is replaced.
    ///
    /// # Errors
    /// Whatever the disk says. After a crash either name may be there, until the names are synced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
}

/// A directory of the machine. It is not locked: it belongs to whoever has the journal's lock.
#[derive(Debug)]
pub struct CheckpointDirectory(PathBuf);

impl CheckpointDirectory {
    /// Takes this directory, creating it if its parent exists.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        match std::fs::create_dir(path) {
            Ok(()) => sync_directory(path.parent().unwrap_or(path))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(Self(path.to_owned()))
    }
}

impl CheckpointDisk for CheckpointDirectory {
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }
}

impl Disk for CheckpointDirectory {
    fn names(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.0)?;
        names.map(|file| Ok(file?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).open(self.0.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.0.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_directory(&self.0)
    }

    fn space(&self) -> io::Result<Space> {
        space_of(&self.0)
    }
}
