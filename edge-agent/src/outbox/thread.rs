//! The loop of the outbox's thread: one batch after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::OutboxState;
use super::error::OutboxError;
use super::files::Files;
use super::queue::{Queue, Request, Work};
use crate::clock::{Clock as _, SystemClock};

/// Writes, answers and publishes until the queue is closed or a write or sync fails. The time for which a sample may
/// stay unsynced is the machine's, whatever clock the lamppost samples by.
pub(super) fn run(
    mut files: Files,
    queue: &Arc<Queue>,
    state: &watch::Sender<OutboxState>,
    sync_every: Duration,
) -> Result<(), OutboxError> {
    let _abandon = Abandon(Arc::clone(queue));
    let clock = SystemClock::new();
    let now = || clock.now().monotonic;
    let mut work = Work::default();
    let mut sync_at: Option<Duration> = None;
    loop {
        queue.take(&mut work, sync_at.map(|at| at.saturating_sub(now())));
        for append in work.appends.drain(..) {
            files.append(append)?;
        }
        files.write()?;
        if files.has_unsynced() {
            let due = *sync_at.get_or_insert_with(|| now().saturating_add(sync_every));
            if work.closed || now() >= due {
                files.sync()?;
            }
        }
        for request in work.requests.drain(..) {
            answer(&mut files, request, state)?;
        }
        if !files.has_unsynced() {
            sync_at = None;
        }
        publish(&mut files, state);
        if work.closed {
            return Ok(());
        }
    }
}

/// Whoever has an answer finds the state that belongs to it published.
pub(super) fn answer(
    files: &mut Files,
    request: Request,
    state: &watch::Sender<OutboxState>,
) -> Result<(), OutboxError> {
    // A caller who no longer waits for the answer is no error.
    let _gone = match request {
        Request::Read { from, limit, answer } => {
            let damaged = files.damaged();
            let found = files.read(from, limit);
            if files.damaged() != damaged {
                publish(files, state);
            }
            answer.send(found).is_err()
        }
        Request::Description { digest, answer } => answer.send(files.description(digest)).is_err(),
        Request::Believe { position, answer } => {
            files.believe(&position)?;
            publish(files, state);
            answer.send(()).is_err()
        }
        Request::Sync { answer } => {
            files.sync()?;
            publish(files, state);
            answer.send(()).is_err()
        }
    };
    Ok(())
}

/// A read of what is whole changes nothing, and wakes nobody who waits for a change.
fn publish(files: &mut Files, state: &watch::Sender<OutboxState>) {
    let now = files.state();
    state.send_if_modified(|last| {
        let changed = *last != now;
        *last = now;
        changed
    });
}

/// Closes the queue however the thread ends, so that nobody waits for it in vain.
struct Abandon(Arc<Queue>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
