//! The thread that owns the files: it waits for entries and for the disk, writes ([`Writer`]), and tells who waits.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::batch::Batch;
use super::entry::Entry;
use super::error::JournalFailure;
use super::open::Found;
use super::queue::{CloseOnDrop, JournalHandle, Queue};
use super::writer::Writer;
use super::{Commit, JournalError, JournalHealth, JournalOptions};
use crate::clock;

/// Ingest stopped taking batches, so the journal stopped too: all that it committed will be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ingest ended before the journal")]
pub struct IngestGone;

/// The thread that writes. It ends when the journal is closed and what was queued is committed; if the disk refuses at
/// that moment, what is queued is dropped, for none of it was acknowledged.
#[derive(Debug)]
pub struct JournalThread(JoinHandle<Result<(), IngestGone>>);

impl JournalThread {
    /// Waits until the thread has ended; blocks. Ingest must go on taking batches until then.
    ///
    /// # Errors
    /// [`IngestGone`].
    ///
    /// # Panics
    /// If the thread panicked.
    pub fn join(self) -> Result<(), IngestGone> {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

pub(super) fn start(
    options: JournalOptions,
    found: Found,
    committed: SyncSender<Vec<Entry>>,
) -> Result<(JournalHandle, JournalThread), JournalError> {
    let (retry_first, retry_most) = (options.retry_first, options.retry_most);
    let writer = Writer::new(options, found);
    let (commits, commits_seen) = watch::channel(writer.committed());
    let queue = Arc::new(Queue::new(writer.committed(), writer.options()));
    let (health, health_seen) = watch::channel(JournalHealth::Writing);
    let handle = JournalHandle::new(Arc::clone(&queue), commits_seen, health_seen);
    let shell =
        Shell { writer, queue, commits, health, committed, wait: retry_first, retry_first, retry_most };
    let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || shell.run());
    Ok((handle, JournalThread(thread.map_err(JournalError::Thread)?)))
}

struct Shell {
    writer: Writer,
    queue: Arc<Queue>,
    commits: watch::Sender<Commit>,
    health: watch::Sender<JournalHealth>,
    committed: SyncSender<Vec<Entry>>,
    /// How long to wait after the next failure. Not jittered: nobody else waits for this disk.
    wait: Duration,
    retry_first: Duration,
    retry_most: Duration,
}

#[derive(PartialEq, Eq)]
enum Recovery {
    Writable,
    Closed,
}

impl Shell {
    fn run(mut self) -> Result<(), IngestGone> {
        // However the thread ends, nobody waits for it in vain.
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        while let Some(batch) = self.queue.take() {
            let began = clock::monotonic();
            match self.writer.commit(&batch) {
                Ok(()) => {
                    self.wait = self.retry_first;
                    let now = clock::monotonic();
                    let metrics = &self.writer.options().metrics;
                    metrics.commit_times.observe(now.duration_since(began));
                    metrics.lag.committed(batch.entries.len() as u64, now);
                    self.commits.send_replace(self.writer.committed());
                    let bytes = batch.bytes;
                    self.committed.send(batch.entries).map_err(|_| IngestGone)?;
                    self.queue.release(bytes);
                }
                Err(failure) => {
                    self.forget(&batch, &failure);
                    if self.recover() == Recovery::Closed {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Forgets what is queued behind the batch that failed; a new epoch has begun.
    fn forget(&mut self, batch: &Batch, failure: &JournalFailure) {
        let commit = self.writer.committed();
        let behind = self.queue.begin_epoch(commit);
        self.fail(failure);
        self.commits.send_replace(commit);
        self.queue.release(batch.bytes + behind.bytes);
        self.writer.options().metrics.forgotten.inc_by(behind.entries.len() as u64);
        tracing::error!(
            forgotten = batch.entries.len() + behind.entries.len(),
            epoch = commit.epoch,
            "entries were forgotten unacknowledged, and come again"
        );
    }

    /// Tries until the failed segment is cut back and a new one stands ready.
    fn recover(&mut self) -> Recovery {
        loop {
            if self.queue.is_closed_within(self.wait) {
                return Recovery::Closed;
            }
            self.wait = self.wait.saturating_mul(2).min(self.retry_most);
            match self.writer.recover() {
                Ok(()) => {
                    self.health.send_replace(JournalHealth::Writing);
                    return Recovery::Writable;
                }
                Err(failure) => self.fail(&failure),
            }
        }
    }

    fn fail(&self, failure: &JournalFailure) {
        let cause = format!("{failure}: {}", failure.source);
        tracing::error!(%cause, retry_in = ?self.wait, "the journal cannot be written: nothing is acknowledged");
        self.health.send_modify(|health| {
            let since = match *health {
                JournalHealth::Writing => clock::wall(),
                JournalHealth::Failing { since, .. } => since,
            };
            *health = JournalHealth::Failing { since, cause };
        });
    }
}
