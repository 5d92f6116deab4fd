//! A start: the newest checkpoint that is whole, and of the journal what came later.

use std::ops::Range;

use super::error::CheckpointError;
use super::shelf::{CheckpointInfo, Checkpoints, Damaged, Newest};
use super::snapshot::{Fresh, Restored};
use crate::ingest::Ingest;
use crate::journal::{Entry, Journal, JournalError, ReplayReport};
use crate::store::Tail;

/// What a start came to.
#[derive(Debug)]
pub struct Started {
    /// Ingest, at the journal's end.
    pub ingest: Ingest,
    /// The tail, at the journal's end.
    pub tail: Tail,
    /// The checkpoint that it began with; none: it had the journal alone.
    pub checkpoint: Option<CheckpointInfo>,
    /// Newer ones, which could not be used.
    pub damaged: Vec<Damaged>,
    /// Sequences that are in no checkpoint that could be used, and were trimmed from the journal: what they told is
    /// lost, but for what lampposts still hold and send again.
    pub lost: Option<Range<u64>>,
    /// What reading the journal met.
    pub replay: ReplayReport,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Because of a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Because of the journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Reads the newest checkpoint that is whole and what the journal has behind it. Each entry is shown, after it was
/// taken in. A journal that ends before the checkpoint goes on behind it, so that no sequence is given twice.
///
/// # Errors
/// [`StartError`]; damage is none.
pub fn start(
    checkpoints: &mut Checkpoints,
    journal: &mut Journal,
    fresh: &Fresh,
    mut each: impl FnMut(&Entry, &Tail),
) -> Result<Started, StartError> {
    let Newest { restored, damaged } = checkpoints.newest(fresh)?;
    for Damaged { name, cause, .. } in &damaged {
        let cause: &dyn std::error::Error = cause;
        tracing::error!(file = name, cause, "a checkpoint cannot be used: an older one is taken");
    }
    let (checkpoint, (mut ingest, mut tail)) = match restored {
        Some(Restored { info, ingest, tail }) => (Some(info), (ingest, tail)),
        None => (None, fresh.build()),
    };
    if let Some(CheckpointInfo { sequence, bytes, .. }) = checkpoint {
        tracing::info!(sequence, bytes, "a checkpoint is read");
    }
    ingest.retry_quarantine(&mut tail, &mut |_| {});
    let from = ingest.next_sequence();
    journal.continue_at(from);
    let lost = Some(from..journal.first_sequence()).filter(|lost| !lost.is_empty());
    if let Some(Range { start, end }) = lost {
        tracing::error!(
            first = start,
            last = end - 1,
            "these entries are in no checkpoint that can be used, and not in the journal any more: what they told is \
             lost, but for what lampposts still hold and send again"
        );
    }
    let replay = journal.replay_from(from, |entry| {
        ingest.apply(&entry, &mut tail, &mut |_| {});
        each(&entry, &tail);
    })?;
    Ok(Started { ingest, tail, checkpoint, damaged, lost, replay })
}
