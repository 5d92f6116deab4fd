//! The sealer: a thread that writes checkpoints when they are due, and lets the journal go as far as it may (D15).
//!
//! Ingest waits for it only while the state is copied. A disk that refuses, a full one above all, stops nothing but the
//! sealer itself, which says so and tries again; it writes also below low water, for what it trims makes room.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use lamplighter_protocol::UtcMillis;

use super::backup::BackupLock;
use super::due::{Cadence, Due};
use super::keep::{JournalKeep, trim_limit};
use super::metrics::CheckpointMetrics;
use super::shelf::Checkpoints;
use super::snapshot::Snapshot;
use crate::clock;
use crate::ingest::Ingest;
use crate::journal::{JournalHandle, JournalMetrics};
use crate::store::Tail;

/// How often to look whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the sealer has to do with.
#[derive(Debug)]
pub struct Sealing {
    /// The checkpoints that the server started with.
    pub checkpoints: Checkpoints,
    /// What is sealed.
    pub ingest: Arc<RwLock<Ingest>>,
    /// What is sealed, too.
    pub store: Arc<RwLock<Tail>>,
    /// What is trimmed.
    pub journal: JournalHandle,
    /// Tells how much has come.
    pub journal_metrics: JournalMetrics,
    /// By which rules.
    pub rules: SealingRules,
    /// Where to count.
    pub metrics: CheckpointMetrics,
    /// The sequence of the newest checkpoint; none without one.
    pub newest: Option<u64>,
    /// Bytes of the journal that the start has read behind it.
    pub uncovered_bytes: u64,
}

/// By which rules checkpoints are written and the journal is trimmed.
#[derive(Clone, Debug)]
pub struct SealingRules {
    /// What keeps from both.
    pub backup: BackupLock,
    /// How often there is a checkpoint.
    pub cadence: Cadence,
    /// How much of the journal stays.
    pub keep: JournalKeep,
}

/// How the sealer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// With a checkpoint of what there is, so that the next start is short.
    Seal,
    /// At once.
    Leave,
}

/// The thread; see the module.
#[derive(Debug)]
pub struct Sealer {
    sealing: Sealing,
    due: Due,
    /// Bytes that had been committed when the newest checkpoint was taken.
    covered_bytes: u64,
}

/// What was copied.
struct Copied {
    snapshot: Snapshot,
    /// Below this sequence entries of the journal are older than it is kept.
    old_below: u64,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    Written,
    NothingNew,
    /// A backup runs.
    Backup,
    Failed,
    /// Whoever changes the state has panicked in the midst of it: it is not to be believed, and the server ends.
    Broken,
}

impl Sealer {
    /// A sealer that counts from now.
    pub fn new(sealing: Sealing) -> Self {
        Self { due: Due::new(sealing.rules.cadence, clock::monotonic()), sealing, covered_bytes: 0 }
    }

    /// Starts its thread. It ends when it is told how, or nobody can tell it any more.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn start(self) -> io::Result<(Sender<Last>, JoinHandle<()>)> {
        let (tell, told) = channel();
        let thread = std::thread::Builder::new().name("sealer".to_owned());
        Ok((tell, thread.spawn(move || self.run(&told))?))
    }

    fn run(mut self, end: &Receiver<Last>) {
        loop {
            match end.recv_timeout(LOOK_EVERY) {
                Err(RecvTimeoutError::Timeout) => {
                    let is_due = self.due.is_due(clock::monotonic(), self.gathered_bytes());
                    if is_due && self.seal() == Sealed::Broken {
                        return;
                    }
                }
                Ok(Last::Seal) => {
                    self.seal();
                    return;
                }
                Ok(Last::Leave) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes a checkpoint, if there is something new, and trims the journal.
    pub(super) fn seal(&mut self) -> Sealed {
        let sealed = self.try_once();
        let now = clock::monotonic();
        match sealed {
            Sealed::Written | Sealed::NothingNew => self.due.done(now),
            Sealed::Failed => {
                let retry_in = self.due.failed(now);
                tracing::error!(?retry_in, "without a newer checkpoint the next start takes longer");
            }
            // Looked at again soon.
            Sealed::Backup | Sealed::Broken => {}
        }
        sealed
    }

    /// Bytes of the journal that are in no checkpoint.
    fn gathered_bytes(&self) -> u64 {
        let committed = self.sealing.journal_metrics.bytes.get().saturating_sub(self.covered_bytes);
        self.sealing.uncovered_bytes.saturating_add(committed)
    }

    fn try_once(&mut self) -> Sealed {
        let no_backup = match self.sealing.rules.backup.hold_off() {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(%error, "cannot tell whether a backup runs: no checkpoint is written");
                return self.failed();
            }
        };
        self.sealing.metrics.backup.set(i64::from(no_backup.is_none()));
        if no_backup.is_none() {
            return Sealed::Backup;
        }
        let (began, now) = (clock::monotonic(), clock::wall());
        let committed_bytes = self.sealing.journal_metrics.bytes.get();
        let Copied { snapshot, old_below } = match self.sealing.copy(now) {
            Ok(copied) => copied,
            Err(sealed) => return sealed,
        };
        let copied = clock::monotonic();
        let observations = snapshot.observations();
        let info = match self.sealing.checkpoints.write(snapshot) {
            Ok(info) => info,
            Err(failure) => {
                let cause = format!("{failure}: {}", failure.source);
                tracing::error!(%cause, "no checkpoint could be written");
                return self.failed();
            }
        };
        let (copy, write) = (copied.duration_since(began), clock::monotonic().duration_since(copied));
        tracing::info!(
            sequence = info.sequence,
            bytes = info.bytes,
            observations,
            ?copy,
            ?write,
            "a checkpoint"
        );
        self.sealing.metrics.written(info, copy, write);
        self.sealing.newest = Some(info.sequence);
        (self.sealing.uncovered_bytes, self.covered_bytes) = (0, committed_bytes);
        let limit = trim_limit(self.sealing.checkpoints.older(), old_below);
        self.sealing.journal.trim_below(limit).wait();
        drop(no_backup);
        Sealed::Written
    }

    fn failed(&self) -> Sealed {
        self.sealing.metrics.failed();
        Sealed::Failed
    }
}

impl Sealing {
    /// Copies what there is, if it is new. Ingest waits meanwhile.
    fn copy(&self, now: UtcMillis) -> Result<Copied, Sealed> {
        let (Ok(ingest), Ok(store)) = (self.ingest.read(), self.store.read()) else {
            return Err(Sealed::Broken);
        };
        let next = ingest.next_sequence();
        if next == 0 || Some(next) == self.newest {
            return Err(Sealed::NothingNew);
        }
        let old_below = self.rules.keep.old_below(&ingest, now);
        Ok(Copied { snapshot: Snapshot::of(&ingest, &store, now), old_below })
    }
}
