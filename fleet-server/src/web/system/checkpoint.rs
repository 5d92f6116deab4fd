//! The figures of checkpoints.

use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use super::size;
use crate::checkpoint::{CheckpointMetrics, StartFigures};
use crate::web::timestamp::Timestamp;

/// What the journal told up to a moment, on disk: a start reads it, and of the journal what came later.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct CheckpointDocument {
    /// The newest one; null without any.
    #[schema(required = true)]
    newest: Option<NewestDocument>,
    /// Checkpoints written since the start.
    written: u64,
    /// Tries since the start that failed; it is tried again.
    failures: u64,
    /// Whether the last try failed: the next start reads more of the journal, and the journal is not trimmed.
    is_failing: bool,
    /// Whether a backup keeps checkpoints from being written and the journal from being trimmed.
    waits_for_backup: bool,
    /// For how long ingest had to wait for the last one, in milliseconds; null before the first.
    #[schema(required = true)]
    copy_ms: Option<f64>,
    /// How long writing the last one took, in milliseconds; null before the first.
    #[schema(required = true)]
    write_ms: Option<f64>,
    /// How the server has started; null while it still does.
    #[schema(required = true)]
    start: Option<StartDocument>,
}

/// A checkpoint.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct NewestDocument {
    /// It holds what the journal told below this sequence.
    sequence: u64,
    /// Length of its file.
    bytes: u64,
    /// When it was taken.
    taken: Timestamp,
    /// How long ago that is, in milliseconds.
    age_ms: u64,
}

/// How the server has started.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct StartDocument {
    /// The sequence of the checkpoint that it began with; null if it had the journal alone.
    #[schema(required = true)]
    checkpoint: Option<u64>,
    /// Newer checkpoints that were damaged.
    damaged_checkpoints: u64,
    /// Entries of the journal that were read behind it.
    entries: u64,
    /// Bytes of the journal that were read.
    bytes: u64,
    /// How long the start took, in seconds.
    seconds: f64,
    /// Entries that were in no usable checkpoint and not in the journal any more. What they told is lost, but for what
    /// lampposts still hold and send again; the log names them.
    lost_entries: u64,
}

impl CheckpointDocument {
    pub(super) fn new(metrics: &CheckpointMetrics, now: UtcMillis) -> Self {
        let bytes = size(&metrics.bytes);
        let taken = UtcMillis(metrics.taken_ms.get());
        let newest = (bytes > 0).then(|| NewestDocument {
            sequence: size(&metrics.sequence),
            bytes,
            taken: Timestamp(taken),
            age_ms: u64::try_from(now.since_ms(taken)).unwrap_or(0),
        });
        let written = metrics.written.get();
        let ms = |seconds: f64| (written > 0).then_some(seconds * 1000.0);
        Self {
            newest,
            written,
            failures: metrics.failures.get(),
            is_failing: metrics.failing.get() > 0,
            waits_for_backup: metrics.backup.get() > 0,
            copy_ms: ms(metrics.copy_seconds.get()),
            write_ms: ms(metrics.write_seconds.get()),
            start: metrics.start().map(StartDocument::from),
        }
    }
}

impl From<StartFigures> for StartDocument {
    fn from(figures: StartFigures) -> Self {
        let StartFigures { checkpoint, damaged, entries, bytes, seconds, lost_entries } = figures;
        Self { checkpoint, damaged_checkpoints: damaged, entries, bytes, seconds, lost_entries }
    }
}
