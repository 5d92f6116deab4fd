//! What is published of an outbox: what it holds, may come to hold, and has lost.

use std::sync::Arc;

use lamplighter_protocol::{DropReason, Dropped, Log, OutboxId, Pieces, RunId, UtcMillis};

use super::set_aside::Aside;

/// What the outbox holds, as of the last batch written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxState {
    /// Which outbox.
    pub outbox: OutboxId,
    /// The run that this process opened.
    pub run: RunId,
    /// Every run of which something is on disk, oldest first, the current one last.
    pub runs: Vec<Arc<RunState>>,
    /// Bytes of all records on disk, with their framing.
    pub bytes: u64,
    /// Bytes that it may come to have: [`OutboxOptions::max_bytes`](super::OutboxOptions::max_bytes), or less where the disk
    /// had less room a minute ago.
    pub capacity: u64,
    /// What is appended in an hour, at the rate of the last hour; none in the first minute.
    pub appended_per_hour: Option<AppendRate>,
    /// Time of the oldest tick on disk that the last position does not list; none if there is no such tick.
    pub oldest: Option<UtcMillis>,
    /// Records that this run refused: they fit in no frame, or the outbox was full of what may never be dropped.
    pub refused: u64,
    /// Records that were dropped, by reason, as far as the reports are on disk or of this run.
    pub dropped: DropCounts,
    /// Places on disk that this run found damaged or unreadable, each once, however often it was met. Their sequences are in
    /// no log's pieces.
    pub damaged: u64,
    /// Runs that did not know the time, and that could be dated if the disk, or the outbox, had room for it (D3). They
    /// wait, and are tried again each minute.
    pub undated_for_room: u64,
    /// The outboxes beside this one that were set aside, the first one first.
    pub set_aside: Arc<[Aside]>,
}

/// How much is appended in some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AppendRate {
    /// Bytes on disk.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

/// How many records were dropped and reported (D11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DropCounts {
    /// Newer ones needed the space.
    pub bytes: u64,
    /// They were too old.
    pub age: u64,
    /// They were on disk, and not as they were written.
    pub damaged: u64,
}

impl DropCounts {
    /// All of them.
    pub fn total(self) -> u64 {
        self.bytes + self.age + self.damaged
    }

    pub(super) fn add(&mut self, report: &Dropped) {
        let count = match report.reason {
            DropReason::Bytes => &mut self.bytes,
            DropReason::Age => &mut self.age,
            DropReason::Damaged => &mut self.damaged,
        };
        *count += report.pieces.count();
    }
}

/// What the outbox holds of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Which run.
    pub run: RunId,
    /// Whether its records have their times (D3). Until then they wait: nothing of it can be read to be sent.
    pub may_be_sent: bool,
    /// Its samples.
    pub samples: LogState,
    /// Its events.
    pub events: LogState,
}

impl RunState {
    /// What the outbox holds of one of the run's logs.
    pub fn log(&self, log: Log) -> &LogState {
        match log {
            Log::Samples => &self.samples,
            Log::Events => &self.events,
        }
    }
}

/// What the outbox holds of one log.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogState {
    /// The sequences that can be read here, synced or not.
    pub on_disk: Pieces,
    /// All sequences below this that are on disk are synced.
    pub synced_end: u64,
    /// One past the greatest sequence that was ever written and is known of: for the current run, the next one.
    pub end: u64,
    /// The sequences that the server holds, as the last position lists them.
    pub held: Arc<Pieces>,
}
