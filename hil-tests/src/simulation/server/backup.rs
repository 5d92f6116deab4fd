//! Backups as operators make them: under the lock, journal and checkpoints are copied file by file, while the server goes
//! on.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_server::checkpoint::{Backups, NoBackup};

use super::Server;
use super::heard::Heard;
use crate::simulation::dice::Dice;
use crate::simulation::disk::SimDisk;
use crate::simulation::model::RecordKey;
use crate::simulation::ports::ServerDirectory;

/// The lock between backups and the server, as `flock(2)` would be: it goes with the process that has it.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation) struct BackupLock(Arc<Mutex<bool>>);

/// It is locked while this is there.
#[derive(Debug)]
struct Locked(BackupLock);

/// A backup that is being made.
#[derive(Debug)]
pub(in crate::simulation) struct Copying {
    _locked: Locked,
    left: VecDeque<Step>,
    to: SimDisk,
    /// What the server had when it began.
    had: BTreeSet<RecordKey>,
}

#[derive(Debug)]
enum Step {
    /// Sees which files a directory has.
    List(&'static Path),
    Copy(PathBuf),
}

/// A backup that is whole.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Backup {
    pub(in crate::simulation) disk: SimDisk,
    pub(in crate::simulation) heard: Heard,
    pub(in crate::simulation) checkpoint_damaged: bool,
    /// What a server must have that is restored from it.
    pub(in crate::simulation) had: BTreeSet<RecordKey>,
}

impl BackupLock {
    fn try_lock(&self) -> Option<Locked> {
        let is_free = !std::mem::replace(&mut *self.held(), true);
        is_free.then(|| Locked(self.clone()))
    }

    fn held(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        *self.0.held() = false;
    }
}

impl Backups for BackupLock {
    fn hold_off(&self) -> io::Result<Option<NoBackup>> {
        Ok(self.try_lock().map(NoBackup::as_long_as))
    }
}

impl Server {
    /// Begins a backup, unless the server seals or another one is being made.
    pub(in crate::simulation) fn back_up(
        &self,
        had: BTreeSet<RecordKey>,
        dice: &mut Dice,
    ) -> Option<Copying> {
        let locked = self.lock.try_lock()?;
        let to = SimDisk::new(dice.fork());
        let mut left = VecDeque::from([
            Step::List(ServerDirectory::journal()),
            Step::List(ServerDirectory::checkpoints()),
        ]);
        // In whatever order.
        left.rotate_left(dice.below(2));
        Some(Copying { _locked: locked, left, to, had })
    }

    /// Goes on with a backup for so many files. Whole: there is nothing left to copy.
    pub(in crate::simulation) fn go_on(&self, mut copying: Copying, files: usize) -> Result<Backup, Copying> {
        for _ in 0..files {
            match copying.left.pop_front() {
                Some(Step::List(directory)) => {
                    copying.to.put_directory(directory);
                    let files = self.disk.files_in(directory).into_iter().map(Step::Copy).rev();
                    files.for_each(|file| copying.left.push_front(file));
                }
                Some(Step::Copy(path)) => match self.disk.bytes_of(&path) {
                    Some(bytes) => copying.to.put_file(&path, bytes),
                    // A start throws away what was never finished.
                    None => assert!(
                        path.ends_with("checkpoint.new"),
                        "{} goes while a backup is being made",
                        path.display()
                    ),
                },
                None => {
                    let Copying { to, had, .. } = copying;
                    let (heard, checkpoint_damaged) = (self.heard.clone(), self.checkpoint_damaged);
                    return Ok(Backup { disk: to, heard, checkpoint_damaged, had });
                }
            }
        }
        Err(copying)
    }

    /// The disk is replaced by a copy of a backup.
    pub(in crate::simulation) fn restore(&mut self, backup: &Backup, entropy: u64) {
        self.stop();
        self.disk = backup.disk.copy(Dice::new(entropy));
        self.heard = backup.heard.clone();
        self.checkpoint_damaged = backup.checkpoint_damaged;
    }
}
