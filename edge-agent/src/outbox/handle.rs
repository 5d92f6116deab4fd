//! The open outbox, as the rest of the agent holds it, and the thread that owns its files.

use std::sync::Arc;
use std::thread::JoinHandle;

use lamplighter_protocol::{Command, Description, Digest, Log, Position, Record};
use tokio::sync::{oneshot, watch};

use super::disk::{Disk, SystemDisk};
use super::error::{OutboxClosed, OutboxError};
use super::queue::{Append, Queue, Request, Times};
use super::random::Random;
use super::state::OutboxState;
use super::stepped::SteppedOutbox;
use super::{Beginning, Chunk, OutboxOptions, Place, ReadLimit, thread};
use crate::clock::{Clock, ClockTrust, Now};

/// A handle to the outbox. Clones share it; when all are dropped, or one is [closed](Self::close), the outbox syncs
/// what it was given and its thread ends.
#[derive(Clone, Debug)]
pub struct Outbox {
    handles: Arc<Handles>,
}

/// What all handles share; the last one to go closes the queue.
#[derive(Debug)]
struct Handles {
    queue: Arc<Queue>,
    state: watch::Receiver<OutboxState>,
    opened: Now,
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The thread that owns the outbox's files.
#[derive(Debug)]
#[must_use = "the thread says how the outbox ended"]
pub struct OutboxThread {
    thread: JoinHandle<Result<(), OutboxError>>,
}

impl OutboxThread {
    /// Waits until the thread ends: all handles are dropped, one was closed, or a write or sync failed. Blocks.
    ///
    /// # Errors
    /// The write or sync that failed. The run is over; a restart opens the next.
    pub fn join(self) -> Result<(), OutboxError> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Whether the thread has ended: [`Self::join`] then returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Outbox {
    /// Opens the outbox and a new run in it, whose opening is synced when this returns. Blocks: the end of what an earlier
    /// run left is synced and verified first. Time comes from `clock`, that of the opening once this is done.
    ///
    /// # Errors
    /// [`OutboxError::InUse`] if another agent has it open; otherwise the file that could not be used, and why.
    pub fn open(
        options: OutboxOptions,
        description: &Description,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OutboxThread), OutboxError> {
        Self::open_on(Arc::new(SystemDisk), options, description, clock)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        options: OutboxOptions,
        description: &Description,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, OutboxThread), OutboxError> {
        let sync_every = options.sync_every;
        let now = || Beginning { now: clock.now(), boot: clock.boot() };
        let mut stepped = SteppedOutbox::open(disk, Random::system(), options, description, now)?;
        let opened = stepped.opened();
        let (publish, state) = watch::channel(stepped.state());
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || thread::run(stepped, &theirs, &publish, sync_every, &*clock))
            .map_err(OutboxError::Thread)?;
        Ok((Self { handles: Arc::new(Handles { queue, state, opened }) }, OutboxThread { thread }))
    }

    /// When this run opened, as its opening says: what is due from then on is this run's to read, or to miss.
    pub fn opened(&self) -> Now {
        self.handles.opened
    }

    /// Appends a record. Blocks while the queue of the outbox's thread is full. Where there is no space left the oldest
    /// samples are dropped for it and reported (D11), and last of all events.
    ///
    /// # Errors
    /// [`OutboxClosed`] if the outbox was closed, or a write or sync failed.
    pub fn append(&self, log: Log, record: &Record) -> Result<(), OutboxClosed> {
        self.append_by(log, record, ClockTrust::Sure)
    }

    /// Appends a record whose times are those of a clock that was trusted so far: provisional ones are dated (D3).
    ///
    /// # Errors
    /// [`OutboxClosed`] as for [`Self::append`].
    pub fn append_by(&self, log: Log, record: &Record, trust: ClockTrust) -> Result<(), OutboxClosed> {
        let times = match trust {
            ClockTrust::Sure | ClockTrust::Unsure => Times::Known,
            ClockTrust::Unknown => Times::Provisional,
        };
        self.handles.queue.append(Append::record(log, record, times))
    }

    /// Records appended from now on are written in this description.
    ///
    /// # Errors
    /// [`OutboxClosed`] as for [`Self::append`].
    pub fn describe(&self, description: &Description) -> Result<(), OutboxClosed> {
        let (payload, digest) = description.encode();
        self.handles.queue.append(Append::Description { digest, payload })
    }

    /// What the outbox holds. Changes after each batch written, each sync and each position believed. Its sender is
    /// gone once the thread has ended.
    pub fn state(&self) -> watch::Receiver<OutboxState> {
        self.handles.state.clone()
    }

    /// Reads records from `from` on: of its run and log, in one description, with their times. None if `from` is not on disk,
    /// or [waits for its time](super::RunState::may_be_sent).
    ///
    /// # Errors
    /// [`OutboxError::Closed`], or the file that could not be read. Once either this or None is returned, the record
    /// is no longer stated as on disk, unless reading it again may help.
    pub async fn read(&self, from: Place, limit: ReadLimit) -> Result<Option<Chunk>, OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Read { from, limit, answer })?;
        answered.await.map_err(|_| OutboxClosed)?
    }

    /// The payload of a description, as it was stored. None if it is not here.
    ///
    /// # Errors
    /// [`OutboxError::Closed`], or the file that could not be read.
    pub async fn description(&self, digest: Digest) -> Result<Option<Vec<u8>>, OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Description { digest, answer })?;
        answered.await.map_err(|_| OutboxClosed)?
    }

    /// Takes what this position lists, and that alone, as held by the server (D9). It is on disk when this returns.
    /// Whether a position is to be believed (D8) is for the caller to know.
    ///
    /// # Errors
    /// [`OutboxError::Closed`]; the outbox also closes if the position cannot be written.
    pub async fn believe(&self, position: Position) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Believe { position, answer })?;
        Ok(answered.await.map_err(|_| OutboxClosed)?)
    }

    /// Does what a command says about outboxes that were set aside (D14), and reports in events what becomes of any command.
    /// It is on disk before it is acknowledged, and done when this returns.
    ///
    /// # Errors
    /// [`OutboxError::Closed`]; the outbox also closes if it cannot be written.
    pub async fn command(&self, command: Command, now: Now) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Command { command, now, answer })?;
        Ok(answered.await.map_err(|_| OutboxClosed)?)
    }

    /// Syncs all that was appended before.
    ///
    /// # Errors
    /// [`OutboxError::Closed`]; the outbox also closes if the sync fails.
    pub async fn sync(&self) -> Result<(), OutboxError> {
        let (answer, answered) = oneshot::channel();
        self.handles.queue.request(Request::Sync { answer })?;
        Ok(answered.await.map_err(|_| OutboxClosed)?)
    }

    /// Takes no more records, and lets the thread end once it has synced what it was given.
    pub fn close(&self) {
        self.handles.queue.close();
    }
}
