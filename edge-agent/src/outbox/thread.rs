//! The shell around the stepped outbox: the loop of its thread, one batch after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::OutboxState;
use super::error::OutboxError;
use super::queue::{Queue, Request, Work};
use super::stepped::SteppedOutbox;
use crate::clock::{Clock, SystemClock};

/// How often the outbox hears what time it is: ages are in days.
const TELL_TIME_EVERY: Duration = Duration::from_mins(1);

/// How soon after the clock has learnt the time it is told (D3).
const LEARNS_WITHIN: Duration = Duration::from_secs(1);

/// Past this no other run is begun to be dated in a step,
const STEP_BEGINS_WITHIN: Duration = Duration::from_millis(250);

/// and so soon a step is over on a slow card: nothing else is written or read until then.
const STEP_ENDS_WITHIN: Duration = Duration::from_millis(750);

/// Writes, answers and publishes until the queue is closed or a write or sync fails. The time for which a sample may
/// stay unsynced is the machine's, whatever clock the lamppost samples by; ages go by that clock, `wall`. Earlier runs are
/// dated in steps, behind all else, and for no more than half of the time.
pub(super) fn run(
    mut outbox: SteppedOutbox,
    queue: &Arc<Queue>,
    state: &watch::Sender<OutboxState>,
    sync_every: Duration,
    wall: &dyn Clock,
) -> Result<(), OutboxError> {
    let _abandon = Abandon(Arc::clone(queue));
    let clock = SystemClock::new();
    let now = || clock.now().monotonic;
    let mut work = Work::default();
    let mut sync_at: Option<Duration> = None;
    let mut tell_time_at = Duration::ZERO;
    let mut date_at = Duration::ZERO;
    loop {
        let mut due = sync_at.map_or(tell_time_at, |at| at.min(tell_time_at));
        if outbox.is_undated() {
            due = due.min(now() + LEARNS_WITHIN);
        }
        if outbox.is_dating() {
            due = due.min(date_at);
        }
        queue.take(&mut work, due.saturating_sub(now()));
        if now() >= tell_time_at {
            outbox.hear_time(wall.now())?;
            tell_time_at = now() + TELL_TIME_EVERY;
        }
        for append in work.appends.drain(..) {
            outbox.take(append)?;
        }
        outbox.write_appended()?;
        if outbox.has_unsynced() {
            let due = *sync_at.get_or_insert_with(|| now().saturating_add(sync_every));
            // What comes due during a step is synced before it, and what was appended during the last one is as old as that.
            let ahead = if outbox.is_dating() { STEP_ENDS_WITHIN } else { Duration::ZERO };
            if work.closed || now().saturating_add(ahead) >= due {
                outbox.sync()?;
            }
        }
        for request in work.requests.drain(..) {
            answer(&mut outbox, request, state)?;
        }
        if let Some(learnt) = wall.learnt().filter(|_| outbox.is_undated()) {
            outbox.learn(learnt)?;
            wall.dated();
        }
        if outbox.is_dating() && !work.closed && now() >= date_at {
            let begun = now();
            outbox.date_earlier(&|| now().saturating_sub(begun) < STEP_BEGINS_WITHIN)?;
            // What reads waits for an answer before it asks on: it has as long for that.
            date_at = now().saturating_add(now().saturating_sub(begun));
        }
        if !outbox.has_unsynced() {
            sync_at = None;
        }
        publish(&mut outbox, state);
        if work.closed {
            return Ok(());
        }
    }
}

/// Whoever has an answer finds the state that belongs to it published.
pub(super) fn answer(
    outbox: &mut SteppedOutbox,
    request: Request,
    state: &watch::Sender<OutboxState>,
) -> Result<(), OutboxError> {
    // A caller who no longer waits for the answer is no error.
    let _gone = match request {
        Request::Read { from, limit, answer } => {
            let damaged = outbox.damaged();
            let found = outbox.read(from, limit);
            if outbox.damaged() != damaged {
                publish(outbox, state);
            }
            answer.send(found).is_err()
        }
        Request::Description { digest, answer } => answer.send(outbox.description(digest)).is_err(),
        Request::Believe { position, answer } => {
            outbox.believe(&position)?;
            publish(outbox, state);
            answer.send(()).is_err()
        }
        Request::Command { command, now, answer } => {
            outbox.command(&command, now)?;
            publish(outbox, state);
            answer.send(()).is_err()
        }
        Request::Sync { answer } => {
            outbox.sync()?;
            publish(outbox, state);
            answer.send(()).is_err()
        }
    };
    Ok(())
}

/// A read of what is whole changes nothing, and wakes nobody who waits for a change.
fn publish(outbox: &mut SteppedOutbox, state: &watch::Sender<OutboxState>) {
    let now = outbox.state();
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
