//! What all handlers share, and the only ways to the data.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};

use lamplighter_protocol::LamppostNumber;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::WebState;
use super::city_copies::CityCopies;
use super::problem::{Problem, ProblemKind};
use super::readiness::Phase;
use crate::registry::{Lamppost, RegistryError, Retirement};
use crate::store::Tail;

/// The state of the router. Clones are one and the same.
#[derive(Clone)]
pub(super) struct App {
    shared: Arc<Shared>,
}

struct Shared {
    state: WebState,
    feeds: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    imports: Arc<Semaphore>,
    city: CityCopies,
}

impl Deref for App {
    type Target = WebState;
    fn deref(&self) -> &WebState {
        &self.shared.state
    }
}

impl App {
    pub(super) fn new(state: WebState) -> Self {
        let places = |limit: usize| Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        let (feeds, reads) = (places(state.limits.feeds), places(state.limits.reads));
        let imports = places(1);
        Self { shared: Arc::new(Shared { state, feeds, reads, imports, city: CityCopies::default() }) }
    }

    /// Reads observations, on a thread where waiting for the lock is allowed. Refused until all are there: an
    /// incomplete answer would pass for a complete one.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Tail) -> T + Send + 'static,
    {
        let store = Arc::clone(&self.store);
        // A poisoned lock is read all the same: what is stored is replaced whole, or not at all.
        self.blocking(move |_| read(&store.read().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Does what may wait for a lock on a thread where that is allowed; refused as [`read`](Self::read) is.
    pub(super) async fn blocking<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&WebState) -> T + Send + 'static,
    {
        self.rebuilt()?;
        let place = Arc::clone(&self.shared.reads).acquire_owned().await;
        let place = place.expect("the semaphore of reads is never closed");
        let app = self.clone();
        let working = tokio::task::spawn_blocking(move || {
            // It goes with the work, which goes on when the client does not wait for it.
            let _place = place;
            work(&app)
        });
        working.await.map_err(|error| {
            tracing::error!(%error, "a read of the store panicked");
            Problem::new(ProblemKind::Internal, "the read ended in a panic; the log says where")
        })
    }

    /// The lamppost of this number.
    pub(super) async fn lamppost(&self, number: &LamppostNumber) -> Result<Lamppost, Problem> {
        let found = self.registry.lamppost(number).await.map_err(|error| registry_problem(&error))?;
        found.ok_or_else(|| {
            let detail = format!("no lamppost {number} is registered");
            Problem::new(ProblemKind::UnknownLamppost, detail).with_parameter("number")
        })
    }

    /// Since when the lamppost of this number is retired, if it is.
    pub(super) async fn retirement(&self, number: &LamppostNumber) -> Result<Option<Retirement>, Problem> {
        self.registry.retirement(number).await.map_err(|error| registry_problem(&error))
    }

    /// The document of the register, made once for all who read it.
    pub(super) fn city(&self) -> &CityCopies {
        &self.shared.city
    }

    /// A place for a live feed, if there is one left.
    pub(super) fn feed_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.feeds).try_acquire_owned().ok()
    }

    /// The place of the one import at a time, if nobody has it.
    pub(super) fn import_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.imports).try_acquire_owned().ok()
    }

    /// Refused until the journal is read.
    pub(super) fn rebuilt(&self) -> Result<(), Problem> {
        match self.readiness.phase() {
            Phase::Starting(progress) => Err(Problem::rebuilding(progress)),
            Phase::Ready | Phase::Short | Phase::Failing { .. } => Ok(()),
        }
    }
}

/// The registry does not answer: the log has the reason, which may name files, and the client has not.
pub(super) fn registry_problem(error: &RegistryError) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "the registry cannot be read for a request");
    Problem::new(
        ProblemKind::RegistryUnavailable,
        "the registry cannot be read; ask again, or look into the log",
    )
}
