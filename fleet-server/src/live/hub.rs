//! The hub that feeds read from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::ring::{Change, Ring};
use super::{EventId, LamppostState, LiveFeed, LiveFilter, LiveMetrics, LiveObservation, LiveOptions};

/// Changes that a feed looks at in one go, under the lock that publishing takes as well: some ten microseconds.
const LOOK: usize = 1_024;

/// Keeps the newest changes of the fleet for whoever reads them. A handle: clones are the same hub.
#[derive(Clone, Debug)]
pub struct LiveHub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    life: u64,
    options: LiveOptions,
    metrics: LiveMetrics,
    state: Mutex<State>,
    /// Wakes the feeds that wait for a change, or for the end.
    news: Notify,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    closed: bool,
}

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers for the ids of live events")]
pub struct LifeError(#[source] getrandom::Error);

/// A part of the ring that a feed has copied.
#[derive(Debug)]
pub(super) struct Look {
    /// What the feed wants of it.
    pub(super) wanted: Vec<(u64, Change)>,
    /// The sequence up to which it goes.
    pub(super) end: u64,
}

impl LiveHub {
    /// A hub that nothing was published to, in a life of its own.
    ///
    /// # Errors
    /// [`LifeError`].
    pub fn new(options: LiveOptions, metrics: LiveMetrics) -> Result<Self, LifeError> {
        let mut life = [0; 8];
        getrandom::fill(&mut life).map_err(LifeError)?;
        Ok(Self::of_life(u64::from_ne_bytes(life), options, metrics))
    }

    pub(super) fn of_life(life: u64, options: LiveOptions, metrics: LiveMetrics) -> Self {
        let state = State { ring: Ring::new(options.ring), closed: false };
        let shared = Shared { life, options, metrics, state: Mutex::new(state), news: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Tells of an observation that has become the newest of its series. Waits for no client: a feed that does not
    /// read costs nothing, and one that does is woken at most once in [`LiveOptions::pause`].
    pub fn publish(&self, observation: LiveObservation) {
        self.push(Change::Observation(observation));
    }

    /// Tells of the state that a lamppost is in now; waits as little as [`publish`](Self::publish).
    pub fn publish_state(&self, state: LamppostState) {
        self.push(Change::State(Arc::new(state)));
    }

    /// The id of the newest change. What was published by now is in the store: who takes this id, then reads the
    /// store, and then follows a feed from this id on, misses nothing.
    pub fn head(&self) -> EventId {
        self.id(self.lock().ring.head())
    }

    /// A feed of what the filter wants: from now on, or of all that follows `after`.
    pub fn subscribe(&self, filter: LiveFilter, after: Option<EventId>) -> LiveFeed {
        self.shared.metrics.feeds.inc();
        LiveFeed::new(self.clone(), filter, after)
    }

    /// Ends all feeds, once they have been read to their end, and all that are opened later.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.news.notify_waiters();
    }

    pub(super) fn id(&self, sequence: u64) -> EventId {
        EventId { life: self.shared.life, sequence }
    }

    pub(super) fn options(&self) -> &LiveOptions {
        &self.shared.options
    }

    pub(super) fn metrics(&self) -> &LiveMetrics {
        &self.shared.metrics
    }

    /// Ends at the next publication, also if that comes before it is awaited.
    pub(super) fn news(&self) -> Notified<'_> {
        self.shared.news.notified()
    }

    /// The newest sequence, and whether it remains the newest for ever.
    pub(super) fn head_and_closed(&self) -> (u64, bool) {
        let state = self.lock();
        (state.ring.head(), state.closed)
    }

    /// Whether the ring has all that follows a sequence.
    pub(super) fn reaches(&self, sequence: u64) -> bool {
        self.lock().ring.after(sequence).is_some()
    }

    /// Copies what the filter wants of the next changes after a sequence; none if the ring has run over it.
    pub(super) fn look(&self, after: u64, filter: &LiveFilter) -> Option<Look> {
        let state = self.lock();
        let mut look = Look { wanted: Vec::new(), end: after };
        for (sequence, change) in state.ring.after(after)?.take(LOOK) {
            look.end = sequence;
            if filter.wants(change) {
                look.wanted.push((sequence, change.clone()));
            }
        }
        Some(look)
    }

    fn push(&self, change: Change) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let gone = state.ring.push(change);
        drop(state);
        // Outside of the lock: it may be the last that held its words.
        drop(gone);
        self.shared.metrics.published.inc();
        self.shared.news.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is whole at each step: a panic elsewhere leaves nothing half done.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For tests that look at one life.
#[cfg(test)]
impl Default for LiveHub {
    fn default() -> Self {
        Self::of_life(1, LiveOptions::default(), LiveMetrics::default())
    }
}
