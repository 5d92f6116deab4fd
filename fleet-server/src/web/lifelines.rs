//! What the web asks of ingest: the lives of the lampposts' agents, as their hellos, descriptions and openings tell.

use std::sync::{PoisonError, RwLock};

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use crate::ingest::{Course, Ingest, LamppostLedger, LamppostReport};

/// What ingest knows of lampposts, in a shape for people.
pub trait Lifelines: Send + Sync {
    /// What is known of a lamppost; none if it has never said hello. It may wait for a lock, and for nothing longer:
    /// it is called where blocking is allowed.
    fn report(&self, number: &LamppostNumber) -> Option<LamppostReport>;

    /// What became of all that a lamppost has written; none if it has never sent anything. It waits as
    /// [`report`](Self::report) does.
    fn ledger(&self, number: &LamppostNumber) -> Option<LamppostLedger>;

    /// The course of its series from `from` to before `to`, which is not in the future; none if it has never sent
    /// anything. It waits as [`report`](Self::report) does.
    fn course(&self, number: &LamppostNumber, from: UtcMillis, to: UtcMillis) -> Option<Course>;

    /// When the last message of a lamppost was received that is on the journal's disk; none if there is none. It waits
    /// as [`report`](Self::report) does.
    fn last_acknowledged(&self, number: &LamppostNumber) -> Option<UtcMillis>;
}

impl Lifelines for RwLock<Ingest> {
    fn report(&self, number: &LamppostNumber) -> Option<LamppostReport> {
        self.read().unwrap_or_else(PoisonError::into_inner).report(number)
    }

    fn ledger(&self, number: &LamppostNumber) -> Option<LamppostLedger> {
        self.read().unwrap_or_else(PoisonError::into_inner).ledger(number)
    }

    fn course(&self, number: &LamppostNumber, from: UtcMillis, to: UtcMillis) -> Option<Course> {
        self.read().unwrap_or_else(PoisonError::into_inner).course(number, from, to)
    }

    fn last_acknowledged(&self, number: &LamppostNumber) -> Option<UtcMillis> {
        self.read().unwrap_or_else(PoisonError::into_inner).last_acknowledged(number)
    }
}
