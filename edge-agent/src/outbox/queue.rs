//! What waits for the outbox's thread.
//!
//! Records are bounded in number: a bus thread that appends to a full queue waits, so that a slow disk slows sampling
//! and takes no memory. Requests are as many as there are callers who wait for their answers. The thread takes all
//! that waits at once, so a read waits for one write at most, and a write for the reads of one batch.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lamplighter_protocol::{Command, Digest, Log, Position, Record, UtcMillis};
use tokio::sync::oneshot;

use super::dropping::Drops;
use super::error::{OutboxClosed, OutboxError};
use super::{Chunk, Place, ReadLimit, opening};
use crate::clock::Now;

/// Most appends that wait. A lamppost with 20 devices at 1 s fills it in 25 s.
const MAX_APPENDS: usize = 512;

/// Whose the times of a record are. It matters to a run that learns the time (D3): until then all of them are provisional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Those of a clock that knew the time.
    Known,
    /// Those of a clock that did not.
    Provisional,
}

/// What is written, in the order in which it was appended.
#[derive(Debug)]
pub(super) enum Append {
    Record { log: Log, bytes: Vec<u8>, time: UtcMillis, drops: Drops, times: Times },
    Description { digest: Digest, payload: Vec<u8> },
}

impl Append {
    pub(super) fn record(log: Log, record: &Record, times: Times) -> Self {
        let (time, drops) = (opening::time_in(record), Drops::of(record));
        Self::Record { log, bytes: record.encode(), time, drops, times }
    }
}

/// What is answered once all is written that was appended before.
#[derive(Debug)]
pub(super) enum Request {
    Read { from: Place, limit: ReadLimit, answer: oneshot::Sender<Result<Option<Chunk>, OutboxError>> },
    Description { digest: Digest, answer: oneshot::Sender<Result<Option<Vec<u8>>, OutboxError>> },
    Believe { position: Position, answer: oneshot::Sender<()> },
    Command { command: Command, now: Now, answer: oneshot::Sender<()> },
    Sync { answer: oneshot::Sender<()> },
}

/// All that waited at one moment.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) appends: Vec<Append>,
    pub(super) requests: Vec<Request>,
    /// Nothing more will come.
    pub(super) closed: bool,
}

/// The queue: many threads and tasks put work into it, one thread takes it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Work>,
    /// There is work, or the queue was closed.
    work: Condvar,
    /// There is room for appends, or the queue was closed.
    room: Condvar,
}

impl Queue {
    /// Puts an append at the end; waits for room.
    pub(super) fn append(&self, append: Append) -> Result<(), OutboxClosed> {
        let full = |work: &mut Work| !work.closed && work.appends.len() >= MAX_APPENDS;
        let mut waiting = self.room.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return Err(OutboxClosed);
        }
        waiting.appends.push(append);
        drop(waiting);
        self.work.notify_one();
        Ok(())
    }

    /// Puts a request at the end.
    pub(super) fn request(&self, request: Request) -> Result<(), OutboxClosed> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(OutboxClosed);
        }
        waiting.requests.push(request);
        drop(waiting);
        self.work.notify_one();
        Ok(())
    }

    /// Lets nothing more in. What waits can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Closes the queue and forgets what waits: whoever waits for an answer learns that the outbox is closed.
    pub(super) fn abandon(&self) {
        self.close();
        let mut waiting = self.lock();
        let forgotten = (std::mem::take(&mut waiting.appends), std::mem::take(&mut waiting.requests));
        drop(waiting);
        drop(forgotten);
    }

    /// Moves all that waits to `work`, which is empty; waits until there is something, at most for `patience`.
    pub(super) fn take(&self, work: &mut Work, patience: Duration) {
        let idle = |work: &mut Work| !work.closed && work.appends.is_empty() && work.requests.is_empty();
        let waited = self.work.wait_timeout_while(self.lock(), patience, idle);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut waiting.appends, &mut work.appends);
        std::mem::swap(&mut waiting.requests, &mut work.requests);
        work.closed = waiting.closed;
        drop(waiting);
        self.room.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
