//! The hub that feeds hang on.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lamplighter_protocol::LamppostNumber;

use super::feed::{Client, LiveFeed, Offered};
use super::{LiveMetrics, LiveObservation, LiveOptions};

/// Hands each published observation to every feed that wants it. A handle: clones are the same hub.
#[derive(Clone, Debug, Default)]
pub struct LiveHub {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    options: LiveOptions,
    metrics: LiveMetrics,
    clients: RwLock<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    open: Vec<Arc<Client>>,
    closed: bool,
}

impl LiveHub {
    /// A hub without feeds.
    pub fn new(options: LiveOptions, metrics: LiveMetrics) -> Self {
        Self { shared: Arc::new(Shared { options, metrics, clients: RwLock::default() }) }
    }

    /// Hands an observation to the feeds that want it. Never waits for a client.
    pub fn publish(&self, observation: Arc<LiveObservation>) {
        self.publish_with(|| observation);
    }

    /// As [`publish`](Self::publish), and the observation is only made if there is a feed: nothing is spent on a
    /// fleet that nobody watches.
    pub fn publish_with(&self, observation: impl FnOnce() -> Arc<LiveObservation>) {
        let clients = self.read();
        if clients.open.is_empty() {
            return;
        }
        let observation = observation();
        let missed = clients.open.iter().filter(|one| one.offer(&observation) == Offered::Displaced).count();
        drop(clients);
        self.shared.metrics.published.inc();
        self.shared.metrics.missed.inc_by(missed as u64);
    }

    /// A feed of the whole fleet, from now on.
    pub fn subscribe(&self) -> LiveFeed {
        self.join(None)
    }

    /// A feed of one lamppost, from now on.
    pub fn subscribe_to(&self, lamppost: LamppostNumber) -> LiveFeed {
        self.join(Some(lamppost))
    }

    /// How many feeds are open.
    pub fn feeds(&self) -> usize {
        self.read().open.len()
    }

    /// Ends all feeds, once they have been read to their end, and all that are opened later.
    pub fn close(&self) {
        let mut clients = self.write();
        clients.closed = true;
        for client in &clients.open {
            client.close();
        }
    }

    pub(super) fn leave(&self, client: &Arc<Client>) {
        let mut clients = self.write();
        clients.open.retain(|one| !Arc::ptr_eq(one, client));
        self.count(&clients);
    }

    fn join(&self, only: Option<LamppostNumber>) -> LiveFeed {
        let client = Arc::new(Client::new(only, self.shared.options.queue));
        let mut clients = self.write();
        if clients.closed {
            client.close();
        }
        clients.open.push(Arc::clone(&client));
        self.count(&clients);
        LiveFeed::new(self.clone(), client)
    }

    fn count(&self, clients: &Clients) {
        self.shared.metrics.feeds.set(i64::try_from(clients.open.len()).unwrap_or(i64::MAX));
    }

    fn read(&self) -> RwLockReadGuard<'_, Clients> {
        self.shared.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Clients> {
        self.shared.clients.write().unwrap_or_else(PoisonError::into_inner)
    }
}
