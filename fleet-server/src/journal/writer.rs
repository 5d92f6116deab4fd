//! The thread that owns the files: group commit, and what follows a failure of the disk (D15).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use super::disk::Disk;
use super::entry::Entry;
use super::metrics::{FailureLabels, Operation};
use super::open::{self, Found, Segment};
use super::queue::{Batch, CloseOnDrop, JournalHandle, Queue};
use super::segment::{self, HEADER_BYTES};
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
    let queue = Arc::new(Queue::new(found.next, options.queue_bytes, options.metrics.clone()));
    let (commits, commits_seen) = watch::channel(Commit { epoch: 0, below: found.next });
    let (health, health_seen) = watch::channel(JournalHealth::Writing);
    let handle = JournalHandle::new(Arc::clone(&queue), commits_seen, health_seen);
    let writer = Writer {
        wait: options.retry_first,
        options,
        disk: found.disk,
        newest: found.segments.last().copied(),
        segment: found.tail,
        next: found.next,
        epoch: 0,
        records: Vec::new(),
        queue,
        commits,
        health,
        committed,
    };
    let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run());
    Ok((handle, JournalThread(thread.map_err(JournalError::Thread)?)))
}

/// What the buffer of records keeps after a batch that was larger.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

struct Writer {
    options: JournalOptions,
    disk: Box<dyn Disk>,
    /// None until the first batch that needs a new one.
    segment: Option<Segment>,
    /// First sequence of the newest segment on disk.
    newest: Option<u64>,
    /// The sequence behind the last committed one.
    next: u64,
    epoch: u64,
    /// The batch as it is written; kept for its memory.
    records: Vec<u8>,
    queue: Arc<Queue>,
    commits: watch::Sender<Commit>,
    health: watch::Sender<JournalHealth>,
    committed: SyncSender<Vec<Entry>>,
    /// How long to wait after the next failure. Not jittered: nobody else waits for this disk.
    wait: Duration,
}

/// An operation on the disk that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", .path.display())]
struct Failure {
    operation: Operation,
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

#[derive(PartialEq, Eq)]
enum Recovery {
    Writable,
    Closed,
}

impl Writer {
    fn run(mut self) -> Result<(), IngestGone> {
        // However the thread ends, nobody waits for it in vain.
        let _closing = CloseOnDrop(Arc::clone(&self.queue));
        while let Some(batch) = self.queue.take() {
            match self.commit(&batch) {
                Ok(()) => {
                    self.commits.send_replace(Commit { epoch: self.epoch, below: self.next });
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

    /// Makes a batch durable: one write, one sync.
    fn commit(&mut self, batch: &Batch) -> Result<(), Failure> {
        let began = clock::monotonic();
        let full = |segment: &Segment| {
            let empty = segment.committed_bytes == HEADER_BYTES as u64;
            !empty && segment.committed_bytes + batch.bytes > self.options.segment_bytes
        };
        let mut segment = match self.segment.take() {
            Some(segment) if !full(&segment) => segment,
            _ => self.create_segment()?,
        };
        self.records.clear();
        for (place, entry) in (0..).zip(&batch.entries) {
            segment::write_record(&mut self.records, segment.mark, place, entry);
        }
        let written = segment.file.write_at(&self.records, segment.committed_bytes);
        let written = written
            .map_err(|source| (Operation::Write, "write", source))
            .and_then(|()| segment.file.sync().map_err(|source| (Operation::Sync, "sync", source)));
        let path = open::path(&self.options, segment.first);
        let segment = self.segment.insert(segment);
        written.map_err(|(operation, what, source)| Failure { operation, what, path, source })?;

        segment.committed_bytes += self.records.len() as u64;
        self.next += batch.entries.len() as u64;
        self.wait = self.options.retry_first;
        let metrics = &self.options.metrics;
        metrics.entries.inc_by(batch.entries.len() as u64);
        metrics.bytes.inc_by(self.records.len() as u64);
        metrics.disk_bytes.inc_by(i64::try_from(self.records.len()).unwrap_or(i64::MAX));
        metrics.commits.inc();
        let now = clock::monotonic();
        metrics.commit_times.observe(now.duration_since(began));
        metrics.lag.committed(batch.entries.len() as u64, now);
        self.records.clear();
        self.records.shrink_to(KEPT_BUFFER_BYTES);
        Ok(())
    }

    /// Forgets the batch and all that is queued behind it, and begins a new epoch.
    fn forget(&mut self, batch: &Batch, failure: &Failure) {
        self.epoch += 1;
        let behind = self.queue.begin_epoch(self.epoch, self.next);
        self.fail(failure);
        self.commits.send_replace(Commit { epoch: self.epoch, below: self.next });
        self.queue.release(batch.bytes + behind.bytes);
        let forgotten = batch.entries.len() + behind.entries.len();
        self.options.metrics.forgotten.inc_by(forgotten as u64);
        tracing::error!(
            forgotten,
            epoch = self.epoch,
            "entries were forgotten unacknowledged, and come again"
        );
    }

    /// Tries until the failed segment is cut back and a new one stands ready.
    fn recover(&mut self) -> Recovery {
        loop {
            if self.queue.is_closed_within(self.wait) {
                return Recovery::Closed;
            }
            self.wait = self.wait.saturating_mul(2).min(self.options.retry_most);
            match self.cut_back().and_then(|()| self.create_segment()) {
                Ok(segment) => {
                    tracing::info!(file = %open::path(&self.options, segment.first).display(), "the journal goes on");
                    self.segment = Some(segment);
                    self.health.send_replace(JournalHealth::Writing);
                    return Recovery::Writable;
                }
                Err(failure) => self.fail(&failure),
            }
        }
    }

    fn cut_back(&mut self) -> Result<(), Failure> {
        if let Some(segment) = &mut self.segment {
            let cut = segment.file.cut(segment.committed_bytes).and_then(|()| segment.file.sync());
            let path = open::path(&self.options, segment.first);
            cut.map_err(|source| Failure { operation: Operation::Cut, what: "cut back", path, source })?;
        }
        self.segment = None;
        Ok(())
    }

    /// Creates the segment of the next sequence, durable before anything relies on it. A segment of that name can
    /// only be one that holds no entry: it is created anew.
    fn create_segment(&mut self) -> Result<Segment, Failure> {
        let first = self.next;
        let create = || {
            let mark = open::new_mark()?;
            let header = segment::write_header(first, mark);
            let mut file = self.disk.create(&segment::name(first))?;
            file.write_at(&header, 0)?;
            file.sync()?;
            self.disk.sync_names()?;
            Ok(Segment { first, file, mark, committed_bytes: header.len() as u64 })
        };
        let path = open::path(&self.options, first);
        let created = create().map_err(|source| Failure {
            operation: Operation::Create,
            what: "create",
            path,
            source,
        })?;
        if self.newest.replace(first) != Some(first) {
            self.options.metrics.segments.inc();
            self.options.metrics.disk_bytes.inc_by(i64::try_from(HEADER_BYTES).unwrap_or(i64::MAX));
        }
        Ok(created)
    }

    fn fail(&self, failure: &Failure) {
        let cause = format!("{failure}: {}", failure.source);
        tracing::error!(%cause, retry_in = ?self.wait, "the journal cannot be written: nothing is acknowledged");
        self.options.metrics.failures.get_or_create(&FailureLabels { what: failure.operation }).inc();
        self.health.send_modify(|health| {
            let since = match *health {
                JournalHealth::Writing => clock::wall(),
                JournalHealth::Failing { since, .. } => since,
            };
            *health = JournalHealth::Failing { since, cause };
        });
    }
}
