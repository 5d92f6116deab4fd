//! The thread that owns the files: it waits for entries and for the disk, writes ([`Writer`]), and tells who waits.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use lamplighter_protocol::UtcMillis;
use tokio::sync::watch;

use super::batch::{Batch, BatchSize};
use super::entry::Entry;
use super::error::JournalFailure;
use super::low_water::Shortage;
use super::open::Found;
use super::queue::{CloseOnDrop, JournalHandle, Queue, Until};
use super::writer::Writer;
use super::{Commit, JournalError, JournalHealth, JournalOptions, Trimmed};
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
    let (retry, batch_size) = (options.retry_first, BatchSize::new(&options));
    let writer = Writer::new(options, found);
    let (commits, commits_seen) = watch::channel(writer.committed());
    let queue = Arc::new(Queue::new(writer.committed(), writer.options()));
    let (health, health_seen) = watch::channel(JournalHealth::Writing);
    let handle = JournalHandle::new(Arc::clone(&queue), commits_seen, health_seen);
    let shell = Shell { writer, queue, commits, health, committed, batch_size, retry };
    let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || shell.run());
    Ok((handle, JournalThread(thread.map_err(JournalError::Thread)?)))
}

struct Shell {
    writer: Writer,
    queue: Arc<Queue>,
    commits: watch::Sender<Commit>,
    health: watch::Sender<JournalHealth>,
    committed: SyncSender<Vec<Entry>>,
    batch_size: BatchSize,
    /// How long to wait after the next failure. Not jittered: nobody else waits for this disk.
    retry: Duration,
}

impl Shell {
    fn run(mut self) -> Result<(), IngestGone> {
        // However the thread ends, nobody waits for it in vain.
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        loop {
            let is_closed = self.wait();
            if let Some(trim) = self.queue.take_trim() {
                self.trim_below(trim.below);
            }
            if self.writer.is_failing() {
                if is_closed {
                    return Ok(());
                }
                self.recover();
                continue;
            }
            if let Some(shortage) = self.writer.look() {
                self.short(shortage);
                if is_closed {
                    return Ok(());
                }
                continue;
            }
            self.well();
            match self.queue.take(self.batch_size.next()) {
                Some(batch) => self.commit(batch)?,
                None if is_closed => return Ok(()),
                None => {}
            }
        }
    }

    /// Waits for something to do; says whether the queue is closed.
    fn wait(&self) -> bool {
        let look_every = self.writer.options().look_every;
        if self.writer.is_failing() {
            self.queue.wait(self.retry, Until::Closed)
        } else if self.writer.shortage().is_some() {
            self.queue.wait(look_every, Until::Closed)
        } else {
            self.queue.wait(look_every, Until::Entries)
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<(), IngestGone> {
        let began = clock::monotonic();
        if let Err(failure) = self.writer.commit(&batch) {
            self.forget(&batch, &failure);
            return Ok(());
        }
        let now = clock::monotonic();
        let options = self.writer.options();
        self.retry = options.retry_first;
        options.metrics.commit_times.observe(now.duration_since(began));
        options.metrics.lag.committed(batch.entries.len() as u64, now);
        self.commits.send_replace(self.writer.committed());
        self.committed.send(batch.entries).map_err(|_| IngestGone)?;
        let (took, waited) = (now.duration_since(began), clock::monotonic().duration_since(now));
        self.batch_size.committed(batch.bytes, took, waited);
        self.queue.release(batch.bytes);
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

    /// Tries to cut the failed segment back and to begin a new one.
    fn recover(&mut self) {
        self.retry = self.retry.saturating_mul(2).min(self.writer.options().retry_most);
        match self.writer.recover() {
            Ok(()) => self.well(),
            Err(failure) => self.fail(&failure),
        }
    }

    fn trim_below(&mut self, sequence: u64) {
        match self.writer.trim_below(sequence) {
            Ok(Trimmed { segments: 0, .. }) => {}
            Ok(Trimmed { segments, bytes, first }) => {
                tracing::info!(segments, bytes, first, "the journal is trimmed");
            }
            Err(failure) => {
                let cause = format!("{failure}: {}", failure.source);
                tracing::error!(%cause, "the journal cannot be trimmed, and grows");
            }
        }
    }

    fn well(&self) {
        self.health.send_if_modified(|health| {
            let was_well = *health == JournalHealth::Writing;
            *health = JournalHealth::Writing;
            !was_well
        });
    }

    fn short(&self, shortage: Shortage) {
        self.health.send_modify(|health| *health = JournalHealth::Short { since: since(health), shortage });
    }

    fn fail(&self, failure: &JournalFailure) {
        let cause = format!("{failure}: {}", failure.source);
        tracing::error!(%cause, retry_in = ?self.retry, "the journal cannot be written: nothing is acknowledged");
        self.health.send_modify(|health| *health = JournalHealth::Failing { since: since(health), cause });
    }
}

/// Since when nothing is acknowledged.
fn since(health: &JournalHealth) -> UtcMillis {
    match *health {
        JournalHealth::Writing => clock::wall(),
        JournalHealth::Short { since, .. } | JournalHealth::Failing { since, .. } => since,
    }
}
