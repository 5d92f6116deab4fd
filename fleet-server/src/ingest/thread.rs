//! The shell of ingest: a thread that follows the journal's commits.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::LamppostNumber;

use super::core::{Fresh, Ingest};
use super::pace::Pace;
use crate::clock;
use crate::journal::{Entry, Lag};
use crate::live::LiveHub;
use crate::store::Tail;

/// Sends a position to a lamppost, if it is connected. It must not wait.
pub type PositionSender = Box<dyn Fn(&LamppostNumber, Bytes) + Send>;

/// Is told that a lamppost has said hello, once its position is sent. It must not wait.
pub type Greeter = Box<dyn Fn(&LamppostNumber) + Send>;

/// How often due positions are looked for while nothing is committed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The thread that derives everything from the journal.
pub struct IngestThread {
    ingest: Arc<RwLock<Ingest>>,
    store: Arc<RwLock<Tail>>,
    live: LiveHub,
    send: PositionSender,
    greet: Greeter,
    lag: Lag,
    pace: Pace,
}

impl std::fmt::Debug for IngestThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestThread").finish_non_exhaustive()
    }
}

impl IngestThread {
    /// Follows on from what the replayed journal has told; what it takes is counted out of `lag`.
    pub fn new(
        ingest: Arc<RwLock<Ingest>>,
        store: Arc<RwLock<Tail>>,
        live: LiveHub,
        send: PositionSender,
        greet: Greeter,
        lag: Lag,
    ) -> Self {
        Self { ingest, store, live, send, greet, lag, pace: Pace::default() }
    }

    /// Runs until the journal has ended and all that it committed is taken.
    pub fn run(mut self, committed: &Receiver<Vec<Entry>>) {
        loop {
            match committed.recv_timeout(LOOK_EVERY) {
                Ok(batch) => self.batch(&batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(number) = self.pace.next(clock::monotonic()) {
                self.position(&number);
            }
        }
    }

    fn batch(&mut self, batch: &[Entry]) {
        // Once each, however often a batch says hello.
        let mut greeted = BTreeSet::new();
        let now = clock::monotonic();
        // Locks are taken for each entry, so that readers get their turn within a large batch. A poisoned lock is
        // taken all the same: the state is derived, and the next start derives it again.
        for entry in batch {
            let mut ingest = self.ingest.write().unwrap_or_else(PoisonError::into_inner);
            let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
            let live = &self.live;
            match ingest.apply(entry, &mut store, &mut |observation| live.publish(observation)) {
                Fresh::Hello => {
                    greeted.insert(entry.lamppost.clone());
                }
                Fresh::Held => self.pace.changed(&entry.lamppost, now),
                Fresh::Nothing => {}
            }
            self.lag.ingested();
        }
        for number in greeted {
            self.position(&number);
            (self.greet)(&number);
        }
    }

    fn position(&mut self, number: &LamppostNumber) {
        let now = clock::wall();
        let mut ingest = self.ingest.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(payload) = ingest.position(number, now) {
            drop(ingest);
            (self.send)(number, payload.into());
        }
    }
}
