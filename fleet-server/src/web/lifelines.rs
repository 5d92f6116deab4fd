//! What the web asks of ingest: the lives of the lampposts' agents, as their hellos, descriptions and openings tell.

use std::sync::{PoisonError, RwLock};

use lamplighter_protocol::LamppostNumber;

use crate::ingest::{Ingest, LamppostReport};

/// What ingest knows of lampposts, in a shape for people.
pub trait Lifelines: Send + Sync {
    /// What is known of a lamppost; none if it has never said hello. It may wait for a lock, and for nothing longer:
    /// it is called where blocking is allowed.
    fn report(&self, number: &LamppostNumber) -> Option<LamppostReport>;
}

impl Lifelines for RwLock<Ingest> {
    fn report(&self, number: &LamppostNumber) -> Option<LamppostReport> {
        self.read().unwrap_or_else(PoisonError::into_inner).report(number)
    }
}
