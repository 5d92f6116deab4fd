//! What is counted of checkpoints.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::shelf::CheckpointInfo;
use super::start::Started;

/// Figures of the checkpoints; a clone is the same.
#[derive(Clone, Debug, Default)]
pub struct CheckpointMetrics {
    /// The sequence of the newest one; 0 without one.
    pub sequence: Gauge,
    /// Length of its file; 0 without one.
    pub bytes: Gauge,
    /// When it was taken, in milliseconds since 1970; 0 without one.
    pub taken_ms: Gauge,
    /// Checkpoints that could not be used at the last start.
    pub damaged: Gauge,
    /// Entries that were in no checkpoint that could be used, and not in the journal any more, at the last start.
    pub lost_entries: Gauge,
    /// Checkpoints written since the start.
    pub written: Counter,
    /// Tries since the start that failed.
    pub failures: Counter,
    /// 1 while the last try failed.
    pub failing: Gauge,
    /// 1 while a backup keeps checkpoints from being written and the journal from being trimmed.
    pub backup: Gauge,
    /// For how long ingest had to wait for the last one.
    pub copy_seconds: Gauge<f64, AtomicU64>,
    /// How long writing the last one took.
    pub write_seconds: Gauge<f64, AtomicU64>,
    start: Arc<OnceLock<StartFigures>>,
}

/// How the server has started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartFigures {
    /// The sequence of the checkpoint that it began with; none: it had the journal alone.
    pub checkpoint: Option<u64>,
    /// Newer checkpoints, which could not be used.
    pub damaged: u64,
    /// Entries of the journal that it read.
    pub entries: u64,
    /// Bytes of the journal that it read.
    pub bytes: u64,
    /// How long that took.
    pub seconds: f64,
    /// Entries that were in no checkpoint that could be used, and not in the journal any more.
    pub lost_entries: u64,
}

impl CheckpointMetrics {
    /// There is a newer one.
    pub fn newest(&self, info: CheckpointInfo) {
        self.sequence.set(gauge(info.sequence));
        self.bytes.set(gauge(info.bytes));
        self.taken_ms.set(info.taken.0);
    }

    /// One was written: how long ingest waited, and how long writing took.
    pub fn written(&self, info: CheckpointInfo, copy: Duration, write: Duration) {
        self.newest(info);
        self.written.inc();
        self.failing.set(0);
        self.copy_seconds.set(copy.as_secs_f64());
        self.write_seconds.set(write.as_secs_f64());
    }

    /// One could not be written.
    pub fn failed(&self) {
        self.failures.inc();
        self.failing.set(1);
    }

    /// The server has started.
    pub fn started(&self, started: &Started, seconds: f64) {
        if let Some(info) = started.checkpoint {
            self.newest(info);
        }
        let figures = StartFigures {
            checkpoint: started.checkpoint.map(|info| info.sequence),
            damaged: started.damaged.len() as u64,
            entries: started.replay.entries,
            bytes: started.replay.bytes,
            seconds,
            lost_entries: started.lost.as_ref().map_or(0, |lost| lost.end - lost.start),
        };
        self.damaged.set(gauge(figures.damaged));
        self.lost_entries.set(gauge(figures.lost_entries));
        // A process starts once.
        self.start.set(figures).ok();
    }

    /// How the server has started; none while it still does.
    pub fn start(&self) -> Option<StartFigures> {
        self.start.get().copied()
    }

    /// Makes the figures visible under `lamplighter_checkpoint_..`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("lamplighter_checkpoint");
        registry.register(
            "sequence",
            "The newest checkpoint holds what the journal told below this sequence; 0 without one",
            self.sequence.clone(),
        );
        registry.register_with_unit("newest", "Length of the newest one", Unit::Bytes, self.bytes.clone());
        registry.register(
            "taken_ms",
            "When the newest one was taken, in milliseconds since 1970; 0 without one",
            self.taken_ms.clone(),
        );
        registry.register(
            "damaged",
            "Checkpoints that could not be used at the last start",
            self.damaged.clone(),
        );
        registry.register(
            "lost_entries",
            "Entries that were in no usable checkpoint and not in the journal any more at the last start",
            self.lost_entries.clone(),
        );
        registry.register("written", "Checkpoints written", self.written.clone());
        registry.register("failures", "Checkpoints that could not be written", self.failures.clone());
        registry.register(
            "failing",
            "1 while the last one could not be written, else 0",
            self.failing.clone(),
        );
        registry.register(
            "backup",
            "1 while a backup keeps checkpoints from being written and the journal from being trimmed, else 0",
            self.backup.clone(),
        );
        registry.register_with_unit(
            "copy",
            "For how long ingest had to wait for the last one",
            Unit::Seconds,
            self.copy_seconds.clone(),
        );
        registry.register_with_unit(
            "write",
            "How long writing the last one took, its sync included",
            Unit::Seconds,
            self.write_seconds.clone(),
        );
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
