//! The checkpoints on disk: the newest is read, a new one is written, two are kept.

use std::io;
use std::path::Path;

use lamplighter_protocol::UtcMillis;

use super::disk::{CheckpointDirectory, CheckpointDisk};
use super::error::{CheckpointError, CheckpointFailure, Operation, Unusable};
use super::file::{self, Beginning, Reader, Writer};
use super::snapshot::{Fresh, Restore, Restored, Snapshot};
use crate::journal::DiskFile;

/// What a checkpoint is called until it is whole.
const UNFINISHED: &str = "checkpoint.new";

/// The checkpoints of a server.
#[derive(Debug)]
pub struct Checkpoints {
    disk: Box<dyn CheckpointDisk>,
    /// In ascending order of their sequences.
    found: Vec<Found>,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    sequence: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has looked.
    Unread,
    /// It was read, or written, from end to end.
    Whole,
    Damaged,
}

/// What a start finds.
#[derive(Debug)]
pub struct Newest {
    /// The newest that is whole; none: the start has the journal alone.
    pub restored: Option<Restored>,
    /// Newer ones, which are not.
    pub damaged: Vec<Damaged>,
}

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub struct Damaged {
    /// Its file.
    pub name: String,
    /// The sequence that it is named after.
    pub sequence: u64,
    /// What is wrong with it.
    pub cause: Unusable,
}

/// A checkpoint on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// The first sequence that is not in it.
    pub sequence: u64,
    /// When it was taken.
    pub taken: UtcMillis,
    /// Length of its file.
    pub bytes: u64,
}

/// What a file turned out to be.
enum Read {
    Whole(Box<Restored>),
    Later { version: u32 },
}

impl Checkpoints {
    /// Where a server keeps them, in its data directory.
    pub const DIRECTORY_NAME: &str = "checkpoints";

    /// Those in this directory, which is created if its parent exists.
    ///
    /// # Errors
    /// [`CheckpointError::Directory`].
    pub fn in_directory(path: &Path) -> Result<Self, CheckpointError> {
        let opened = CheckpointDirectory::open(path).and_then(|disk| Self::open(Box::new(disk)));
        opened.map_err(|source| CheckpointError::Directory { path: path.to_owned(), source })
    }

    /// Looks which there are, and removes what was never finished.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn open(disk: Box<dyn CheckpointDisk>) -> io::Result<Self> {
        let mut found = Vec::new();
        for name in disk.names()? {
            if name == UNFINISHED {
                disk.remove(&name)?;
            } else if let Some(sequence) = sequence_of(&name) {
                found.push(Found { sequence, state: State::Unread });
            } else {
                tracing::warn!(file = name, "not a checkpoint: left alone");
            }
        }
        // What is read is believed: its name must not be gone after the next power cut.
        disk.sync_names()?;
        found.sort_unstable_by_key(|one| one.sequence);
        Ok(Self { disk, found })
    }

    /// Reads the newest one that is whole.
    ///
    /// # Errors
    /// [`CheckpointError::Version`]: what a later release wrote is not passed over, for its journal may be trimmed.
    pub fn newest(&mut self, fresh: &Fresh) -> Result<Newest, CheckpointError> {
        let mut damaged = Vec::new();
        for found in self.found.iter_mut().rev() {
            let name = name_of(found.sequence);
            match read(&*self.disk, found.sequence, fresh) {
                Ok(Read::Whole(restored)) => {
                    found.state = State::Whole;
                    return Ok(Newest { restored: Some(*restored), damaged });
                }
                Ok(Read::Later { version }) => {
                    return Err(CheckpointError::Version { name, found: version, known: file::VERSION });
                }
                Err(cause) => {
                    found.state = State::Damaged;
                    damaged.push(Damaged { name, sequence: found.sequence, cause });
                }
            }
        }
        Ok(Newest { restored: None, damaged })
    }

    /// Writes one. When this returns it is durable, and of the others the newest that is whole is kept.
    ///
    /// # Errors
    /// What the disk refused. What there was before is still there, and it may be tried again.
    pub fn write(&mut self, snapshot: Snapshot) -> Result<CheckpointInfo, CheckpointFailure> {
        let (sequence, taken) = (snapshot.header.sequence, snapshot.header.taken);
        let bytes = self.put(snapshot).inspect_err(|_| {
            // It takes room. If it cannot be removed, the next one takes its place.
            self.disk.remove(UNFINISHED).ok();
        })?;
        let usable = |one: &&Found| one.state != State::Damaged && one.sequence < sequence;
        let older = self.found.iter().rfind(usable).copied();
        self.found = older.into_iter().chain([Found { sequence, state: State::Whole }]).collect();
        self.remove_others();
        Ok(CheckpointInfo { sequence, taken, bytes })
    }

    /// The sequence of the older one of two that are whole; none if there are not two.
    pub fn older(&self) -> Option<u64> {
        match self.found.as_slice() {
            [older, newer] if older.state == State::Whole && newer.state == State::Whole => {
                Some(older.sequence)
            }
            _ => None,
        }
    }

    fn put(&self, snapshot: Snapshot) -> Result<u64, CheckpointFailure> {
        let name = name_of(snapshot.header.sequence);
        let failed = |operation| {
            let name = name.clone();
            move |source| CheckpointFailure { operation, name, source }
        };
        let mut file = self.disk.create(UNFINISHED).map_err(failed(Operation::Create))?;
        let bytes = fill(&mut *file, snapshot).map_err(failed(Operation::Write))?;
        file.sync().map_err(failed(Operation::Sync))?;
        drop(file);
        self.disk.rename(UNFINISHED, &name).map_err(failed(Operation::Rename))?;
        self.disk.sync_names().map_err(failed(Operation::SyncNames))?;
        Ok(bytes)
    }

    /// Removes all but the two that are kept. What cannot be removed costs room, and is tried after the next one.
    fn remove_others(&self) {
        let kept = |sequence| self.found.iter().any(|one| one.sequence == sequence);
        for name in self.disk.names().unwrap_or_default() {
            if sequence_of(&name).is_some_and(|sequence| !kept(sequence))
                && let Err(error) = self.disk.remove(&name)
            {
                tracing::warn!(file = name, %error, "an old checkpoint cannot be removed");
            }
        }
    }
}

fn fill(file: &mut dyn DiskFile, snapshot: Snapshot) -> io::Result<u64> {
    let mut writer = Writer::new(file, snapshot.header);
    snapshot.parts(|part| writer.part(part))?;
    writer.finish()
}

fn read(disk: &dyn CheckpointDisk, sequence: u64, fresh: &Fresh) -> Result<Read, Unusable> {
    let file = disk.open(&name_of(sequence))?;
    let (beginning, mut reader) = Reader::begin(&*file)?;
    let header = match beginning {
        Beginning::Good(header) if header.sequence == sequence => header,
        Beginning::Good(_) => return Err(Unusable::Header),
        Beginning::Later { version } => return Ok(Read::Later { version }),
    };
    let mut restore = Restore::new(fresh);
    while let Some(part) = reader.next()? {
        restore.part(part)?;
    }
    let bytes = file.length()?;
    let (ingest, tail) = restore.finish(header)?;
    let info = CheckpointInfo { sequence, taken: header.taken, bytes };
    Ok(Read::Whole(Box::new(Restored { info, ingest, tail })))
}

fn name_of(sequence: u64) -> String {
    format!("checkpoint-{sequence:020}")
}

/// The sequence of the checkpoint of this file name, if it is one.
pub(crate) fn sequence_of(name: &str) -> Option<u64> {
    let sequence = name.strip_prefix("checkpoint-")?.parse().ok()?;
    (name_of(sequence) == name).then_some(sequence)
}
