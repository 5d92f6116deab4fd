//! The sealer: a thread that writes checkpoints when they are due, and lets the journal go as far as it may (D15). What it
//! does is [`SteppedSealer`]'s; when, and what is said of it, is here.
//!
//! Ingest waits for it only while the state is copied. A disk that refuses, a full one above all, stops nothing but the
//! sealer itself, which says so and tries again; it writes also below low water, for what it trims makes room.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::backup::{BackupLock, NoBackup};
use super::due::{Cadence, Due};
use super::keep::JournalKeep;
use super::metrics::CheckpointMetrics;
use super::shelf::Checkpoints;
use super::stepped::{Copied, SteppedSealer};
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
    stepped: SteppedSealer,
    ingest: Arc<RwLock<Ingest>>,
    store: Arc<RwLock<Tail>>,
    journal: JournalHandle,
    journal_metrics: JournalMetrics,
    metrics: CheckpointMetrics,
    due: Due,
    /// Bytes of the journal that the start has read behind the newest checkpoint; 0 once there is a newer one.
    uncovered_bytes: u64,
    /// Bytes that had been committed when the newest checkpoint was taken.
    covered_bytes: u64,
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
        let Sealing {
            checkpoints,
            ingest,
            store,
            journal,
            journal_metrics,
            rules,
            metrics,
            newest,
            uncovered_bytes,
        } = sealing;
        let SealingRules { backup, cadence, keep } = rules;
        let stepped = SteppedSealer::new(checkpoints, Box::new(backup), keep, newest);
        let due = Due::new(cadence, clock::monotonic());
        let covered_bytes = 0;
        Self {
            stepped,
            ingest,
            store,
            journal,
            journal_metrics,
            metrics,
            due,
            uncovered_bytes,
            covered_bytes,
        }
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
        let committed = self.journal_metrics.bytes.get().saturating_sub(self.covered_bytes);
        self.uncovered_bytes.saturating_add(committed)
    }

    fn try_once(&mut self) -> Sealed {
        let no_backup = match self.stepped.hold_off() {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(%error, "cannot tell whether a backup runs: no checkpoint is written");
                return self.failed();
            }
        };
        self.metrics.backup.set(i64::from(no_backup.is_none()));
        let Some(no_backup) = no_backup else { return Sealed::Backup };
        let began = clock::monotonic();
        let committed_bytes = self.journal_metrics.bytes.get();
        let copied = match self.copy(no_backup) {
            Ok(copied) => copied,
            Err(sealed) => return sealed,
        };
        let behind_copy = clock::monotonic();
        let observations = copied.observations();
        let written = match self.stepped.write(copied) {
            Ok(written) => written,
            Err(failure) => {
                let cause = format!("{failure}: {}", failure.source);
                tracing::error!(%cause, "no checkpoint could be written");
                return self.failed();
            }
        };
        let info = written.info;
        let (copy, write) =
            (behind_copy.duration_since(began), clock::monotonic().duration_since(behind_copy));
        tracing::info!(
            sequence = info.sequence,
            bytes = info.bytes,
            observations,
            ?copy,
            ?write,
            "a checkpoint"
        );
        self.metrics.written(info, copy, write);
        (self.uncovered_bytes, self.covered_bytes) = (0, committed_bytes);
        self.journal.trim_below(written.trim_below).wait();
        drop(written);
        Sealed::Written
    }

    /// Copies what there is, if it is new. Ingest waits meanwhile.
    fn copy(&self, no_backup: NoBackup) -> Result<Copied, Sealed> {
        let (Ok(ingest), Ok(store)) = (self.ingest.read(), self.store.read()) else {
            return Err(Sealed::Broken);
        };
        let copied = self.stepped.copy(no_backup, &ingest, &store, clock::wall());
        copied.ok_or(Sealed::NothingNew)
    }

    fn failed(&self) -> Sealed {
        self.metrics.failed();
        Sealed::Failed
    }
}
