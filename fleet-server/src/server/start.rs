//! The start: what is derived from the journal is rebuilt, from the newest checkpoint on.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use tokio::sync::{oneshot, watch};

use super::LOOK_EVERY;
use crate::checkpoint::{self, CheckpointMetrics, Checkpoints, Fresh, Started};
use crate::clock;
use crate::ingest::Ingest;
use crate::journal::{Journal, ReplayReport};
use crate::store::{StoreMetrics, Tail};
use crate::web::{Phase, Progress};

/// What is on disk, and what is made of it.
#[derive(Debug)]
pub(super) struct Rebuild {
    pub(super) journal: Journal,
    pub(super) checkpoints: Checkpoints,
    pub(super) fresh: Fresh,
    /// Where ingest and store are put once they are whole.
    pub(super) ingest: Arc<RwLock<Ingest>>,
    pub(super) store: Arc<RwLock<Tail>>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) store_metrics: StoreMetrics,
    pub(super) checkpoint_metrics: CheckpointMetrics,
}

/// What is left of a rebuild: the server goes on with it.
#[derive(Debug)]
pub(super) struct Rebuilt {
    pub(super) journal: Journal,
    pub(super) checkpoints: Checkpoints,
    /// The sequence of the checkpoint that the start began with.
    pub(super) newest: Option<u64>,
    /// Bytes of the journal that it read behind that one.
    pub(super) uncovered_bytes: u64,
}

impl Rebuild {
    /// Rebuilds on a thread of its own, which a stop leaves behind: reading changes nothing on disk.
    pub(super) fn start(self) -> anyhow::Result<oneshot::Receiver<anyhow::Result<Rebuilt>>> {
        let (done, rebuilt) = oneshot::channel();
        // Nobody listens any more when the server stops.
        let work = move || drop(done.send(self.run()));
        let thread = std::thread::Builder::new().name("replay".to_owned());
        thread.spawn(work).context("cannot start the replay thread")?;
        Ok(rebuilt)
    }

    fn run(mut self) -> anyhow::Result<Rebuilt> {
        let began = clock::monotonic();
        let mut progress = Progress::default();
        let mut looked = began;
        let started =
            checkpoint::start(&mut self.checkpoints, &mut self.journal, &self.fresh, |entry, tail| {
                progress.entries += 1;
                progress.bytes += entry.payload.len() as u64;
                if progress.entries.is_multiple_of(1024) {
                    self.phase.send_replace(Phase::Starting(progress));
                    let now = clock::monotonic();
                    if now.duration_since(looked) >= LOOK_EVERY {
                        looked = now;
                        self.store_metrics.observe(tail);
                    }
                }
            })?;
        let seconds = clock::monotonic().duration_since(began).as_secs_f64();
        self.checkpoint_metrics.started(&started, seconds);
        tell(&started.replay);
        let Started { ingest, tail, checkpoint, .. } = started;
        *self.ingest.write().unwrap_or_else(PoisonError::into_inner) = ingest;
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = tail;
        Ok(Rebuilt {
            journal: self.journal,
            checkpoints: self.checkpoints,
            newest: checkpoint.map(|info| info.sequence),
            uncovered_bytes: progress.bytes,
        })
    }
}

fn tell(report: &ReplayReport) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let seconds_per_gb = if report.bytes == 0 { 0.0 } else { report.seconds / (report.bytes as f64 / 1e9) };
    tracing::info!(
        entries = report.entries,
        bytes = report.bytes,
        seconds = report.seconds,
        seconds_per_gb,
        "the journal is read"
    );
    for damage in &report.damaged {
        tracing::error!(%damage, "the journal is damaged; the rest of it is served");
    }
}
