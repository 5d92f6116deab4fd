//! What waits for a commit, between the gateway's tasks and the thread that writes.
//!
//! The sequence is assigned while queueing, under the lock that also orders the queue, so a ticket costs no round trip
//! and the writer takes the oldest of what has gathered as its next batch. The queue is bounded in bytes: when it is full an
//! append waits, acknowledgements wait with it, and nothing is discarded (D6).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::batch::{Batch, Gathering};
use super::entry::{Draft, LARGEST_PAYLOAD_BYTES};
use super::metrics::JournalMetrics;
use super::segment::{self, LARGEST_RECORD_BYTES};
use super::{Commit, JournalHealth, JournalOptions, Ticket};

/// The journal takes no more entries: the server stops, or ingest is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal is closed and takes no more entries")]
pub struct JournalClosed;

/// Appends to the journal. The journal closes when the last handle is dropped, or by [`JournalHandle::close`].
#[derive(Debug, Clone)]
pub struct JournalHandle {
    queue: Arc<Queue>,
    commits: watch::Receiver<Commit>,
    health: watch::Receiver<JournalHealth>,
    _open: Arc<CloseOnDrop>,
}

impl JournalHandle {
    pub(super) fn new(
        queue: Arc<Queue>,
        commits: watch::Receiver<Commit>,
        health: watch::Receiver<JournalHealth>,
    ) -> Self {
        let open = Arc::new(CloseOnDrop(Arc::clone(&queue)));
        Self { queue, commits, health, _open: open }
    }

    /// Queues the draft and says where it will stand; it may be acknowledged once [`Commit::fate`] of the ticket is
    /// committed. Waits while the queue is full, in the order of the calls. Cancel safe: a call that is dropped while
    /// it waits has queued nothing.
    ///
    /// # Errors
    /// [`JournalClosed`].
    ///
    /// # Panics
    /// If the payload is larger than [`LARGEST_PAYLOAD_BYTES`]: the gateway's limit is far below.
    pub async fn append(&self, draft: Draft) -> Result<Ticket, JournalClosed> {
        assert!(draft.payload.len() <= LARGEST_PAYLOAD_BYTES, "the gateway takes no payload of that size");
        let record_bytes = segment::record_bytes(&draft.lamppost, &draft.payload);
        let cost = u32::try_from(record_bytes).expect("a record has at most LARGEST_RECORD_BYTES");
        let room = self.queue.room.acquire_many(cost).await.map_err(|_| JournalClosed)?;
        let ticket = self.queue.push(draft, cost)?;
        // Given back by the writer, once the entry is committed or forgotten.
        room.forget();
        Ok(ticket)
    }

    /// How far the journal is durable; changes with every commit and every failure.
    pub fn committed(&self) -> watch::Receiver<Commit> {
        self.commits.clone()
    }

    /// Whether the journal can be written now.
    pub fn health(&self) -> JournalHealth {
        self.health.borrow().clone()
    }

    /// Waits until the journal tells of its health again, as it does at each look while there is too little room; ends at once
    /// when the journal does.
    pub async fn told_again(&self) {
        let mut health = self.health.clone();
        health.mark_unchanged();
        // It has ended: what was told last stands.
        health.changed().await.ok();
    }

    /// Has the segments removed all of whose entries are below this sequence; never the newest. It is done soon, also
    /// in a shortage of room and while the disk refuses writes. What the disk refuses to remove is logged and counted,
    /// and tried again when this is next called.
    pub fn trim_below(&self, sequence: u64) -> Trimming {
        self.queue.trim_below(sequence)
    }

    /// Takes no more entries; those that are queued are still committed and handed on.
    pub fn close(&self) {
        self.queue.close();
    }
}

/// A trim that was asked for.
#[derive(Debug)]
pub struct Trimming(mpsc::Receiver<()>);

impl Trimming {
    /// Waits until it is over: done, refused by the disk, or left because the journal is closed or more is to be
    /// trimmed; blocks.
    pub fn wait(self) {
        self.0.recv().ok();
    }
}

/// What is to be trimmed. Who waits for it waits until this is gone.
#[derive(Debug)]
pub(super) struct Trim {
    /// All whole segments below this sequence.
    pub(super) below: u64,
    _over: mpsc::Sender<()>,
}

/// Closes the queue when the last of its owners is gone.
#[derive(Debug)]
pub(super) struct CloseOnDrop(pub(super) Arc<Queue>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Bytes for which there is room.
    room: Semaphore,
    metrics: JournalMetrics,
}

#[derive(Debug)]
struct Waiting {
    gathering: Gathering,
    trim: Option<Trim>,
    closed: bool,
}

/// What the writer waits for at the queue, besides its end and what is to be trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Entries.
    Entries,
    /// Nothing but what is to be trimmed: entries have to wait.
    Closed,
}

impl Queue {
    /// An empty queue behind this commit, with room for one largest record at least.
    pub(super) fn new(commit: Commit, options: &JournalOptions) -> Self {
        let room = usize::try_from(options.queue_bytes).unwrap_or(usize::MAX).max(LARGEST_RECORD_BYTES);
        Self {
            waiting: Mutex::new(Waiting { gathering: Gathering::behind(commit), trim: None, closed: false }),
            changed: Condvar::new(),
            room: Semaphore::new(room.min(Semaphore::MAX_PERMITS)),
            metrics: options.metrics.clone(),
        }
    }

    /// Waits for this long, or until the queue is closed or has something for who waits; says whether it is closed.
    pub(super) fn wait(&self, most: Duration, until: Until) -> bool {
        let idle = |waiting: &mut Waiting| {
            let wanted = match until {
                Until::Entries => waiting.gathering.len() > 0,
                Until::Closed => false,
            };
            !wanted && waiting.trim.is_none() && !waiting.closed
        };
        let waiting = self.changed.wait_timeout_while(self.lock(), most, idle);
        waiting.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Takes the oldest of what is queued, if anything is: up to so many bytes, and one entry at least.
    pub(super) fn take(&self, most_bytes: u64) -> Option<Batch> {
        let batch = self.lock().gathering.take(most_bytes);
        (!batch.entries.is_empty()).then_some(batch)
    }

    /// Makes room for others, because the batch is committed or forgotten.
    pub(super) fn release(&self, batch_bytes: u64) {
        self.metrics.queue_bytes.dec_by(i64::try_from(batch_bytes).unwrap_or(i64::MAX));
        self.room.add_permits(usize::try_from(batch_bytes).unwrap_or(0));
    }

    /// Begins the epoch of this commit; gives back what was queued in the one before.
    pub(super) fn begin_epoch(&self, commit: Commit) -> Batch {
        self.lock().gathering.begin(commit)
    }

    /// What is to be trimmed, once.
    pub(super) fn take_trim(&self) -> Option<Trim> {
        self.lock().trim.take()
    }

    fn trim_below(&self, sequence: u64) -> Trimming {
        let (over, trimming) = mpsc::channel();
        let mut waiting = self.lock();
        if !waiting.closed {
            let before = waiting.trim.take().map_or(0, |trim| trim.below);
            waiting.trim = Some(Trim { below: sequence.max(before), _over: over });
        }
        drop(waiting);
        self.changed.notify_one();
        Trimming(trimming)
    }

    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.trim = None;
        drop(waiting);
        self.room.close();
        self.changed.notify_all();
    }

    fn push(&self, draft: Draft, cost: u32) -> Result<Ticket, JournalClosed> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(JournalClosed);
        }
        let ticket = waiting.gathering.push(draft);
        // Counted under the lock, so that the writer cannot take it off before.
        self.metrics.queue_bytes.inc_by(i64::from(cost));
        let first = waiting.gathering.len() == 1;
        drop(waiting);
        if first {
            self.changed.notify_one();
        }
        Ok(ticket)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code that holds the lock can panic half way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
