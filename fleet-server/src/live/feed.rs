//! One client's side of the hub: a bounded queue, and the end that the client reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lamplighter_protocol::LamppostNumber;
use tokio::sync::Notify;

use super::hub::LiveHub;
use super::{LiveEvent, LiveObservation};

/// What one client reads. Dropping it takes the client off the hub.
#[derive(Debug)]
pub struct LiveFeed {
    hub: LiveHub,
    client: Arc<Client>,
}

impl LiveFeed {
    pub(super) fn new(hub: LiveHub, client: Arc<Client>) -> Self {
        Self { hub, client }
    }

    /// The next event, in the order of publishing; waits for one. None after the hub was closed and what waited has
    /// been read. Cancel-safe: an event that is not returned stays in the queue.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            match self.client.take() {
                Taken::Event(event) => return Some(event),
                Taken::Closed => return None,
                // A publication between the look and the wait leaves a permit behind, so it cannot be slept through.
                Taken::Nothing => self.client.ready.notified().await,
            }
        }
    }
}

impl Drop for LiveFeed {
    fn drop(&mut self) {
        self.hub.leave(&self.client);
    }
}

/// The queue of one client, filled by the hub and emptied by the feed.
#[derive(Debug)]
pub(super) struct Client {
    only: Option<LamppostNumber>,
    limit: usize,
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<LiveObservation>>,
    missed: u64,
    closed: bool,
}

enum Taken {
    Event(LiveEvent),
    Nothing,
    Closed,
}

/// What became of an observation at one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Unwanted,
    Queued,
    /// It is queued, and the oldest that waited went for it.
    Displaced,
}

impl Client {
    pub(super) fn new(only: Option<LamppostNumber>, limit: usize) -> Self {
        Self { only, limit: limit.max(1), queue: Mutex::default(), ready: Notify::new() }
    }

    pub(super) fn offer(&self, observation: &Arc<LiveObservation>) -> Offered {
        if self.only.as_ref().is_some_and(|only| *only != observation.lamppost) {
            return Offered::Unwanted;
        }
        let mut queue = self.lock();
        if queue.closed {
            return Offered::Unwanted;
        }
        let full = queue.waiting.len() >= self.limit;
        if full {
            queue.waiting.pop_front();
            queue.missed += 1;
        }
        queue.waiting.push_back(Arc::clone(observation));
        drop(queue);
        self.ready.notify_one();
        if full { Offered::Displaced } else { Offered::Queued }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    fn take(&self) -> Taken {
        let mut queue = self.lock();
        if queue.missed > 0 {
            return Taken::Event(LiveEvent::Missed(std::mem::take(&mut queue.missed)));
        }
        match queue.waiting.pop_front() {
            Some(observation) => Taken::Event(LiveEvent::Observation(observation)),
            None if queue.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change under this lock is whole at each step: a panic elsewhere leaves nothing half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
