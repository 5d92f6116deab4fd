//! Sealing in steps, for who brings disks, a clock and an order of events of their own.

use std::io;

use lamplighter_protocol::UtcMillis;

use super::backup::{Backups, NoBackup};
use super::error::CheckpointFailure;
use super::keep::{JournalKeep, trim_limit};
use super::shelf::{CheckpointInfo, Checkpoints};
use super::snapshot::Snapshot;
use crate::ingest::Ingest;
use crate::store::Tail;

/// What [`super::Sealer`] does by itself, step by step: backups are held off, what there is is copied and written, and the
/// journal is trimmed. Whatever else happens may happen between two steps; a step that is never taken costs nothing.
#[derive(Debug)]
pub struct SteppedSealer {
    checkpoints: Checkpoints,
    backups: Box<dyn Backups>,
    keep: JournalKeep,
    /// The sequence of the newest checkpoint.
    newest: Option<u64>,
}

/// What is to be written. No backup begins while it is there.
#[derive(Debug)]
pub struct Copied {
    snapshot: Snapshot,
    /// Below this sequence entries of the journal are older than it is kept.
    old_below: u64,
    no_backup: NoBackup,
}

/// What was written. No backup begins while it is there: the journal is trimmed before it is dropped.
#[derive(Debug)]
pub struct Written {
    /// The checkpoint, which is durable.
    pub info: CheckpointInfo,
    /// Below this sequence the journal may be trimmed now.
    pub trim_below: u64,
    _no_backup: NoBackup,
}

impl SteppedSealer {
    /// Goes on with the checkpoints that a start found, of which the newest has this sequence.
    pub fn new(
        checkpoints: Checkpoints,
        backups: Box<dyn Backups>,
        keep: JournalKeep,
        newest: Option<u64>,
    ) -> Self {
        Self { checkpoints, backups, keep, newest }
    }

    /// Keeps backups from beginning. None while one runs: then nothing is sealed (D15).
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn hold_off(&self) -> io::Result<Option<NoBackup>> {
        self.backups.hold_off()
    }

    /// Copies what there is; none if it is in the newest checkpoint already. Both must be at the same entry, so whoever
    /// shares them holds both locks until this returns.
    pub fn copy(&self, no_backup: NoBackup, ingest: &Ingest, tail: &Tail, now: UtcMillis) -> Option<Copied> {
        let next = ingest.next_sequence();
        if next == 0 || Some(next) == self.newest {
            return None;
        }
        let old_below = self.keep.old_below(ingest, now);
        Some(Copied { snapshot: Snapshot::of(ingest, tail, now), old_below, no_backup })
    }

    /// Writes a checkpoint, durably, and says how far the journal may go for it.
    ///
    /// # Errors
    /// What the disk refused. What there was before is still there.
    pub fn write(&mut self, copied: Copied) -> Result<Written, CheckpointFailure> {
        let Copied { snapshot, old_below, no_backup } = copied;
        let info = self.checkpoints.write(snapshot)?;
        self.newest = Some(info.sequence);
        let trim_below = trim_limit(self.checkpoints.older(), old_below);
        Ok(Written { info, trim_below, _no_backup: no_backup })
    }
}

impl Copied {
    /// How many observations it holds.
    pub fn observations(&self) -> usize {
        self.snapshot.observations()
    }
}
