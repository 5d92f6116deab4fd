//! The roll: every registered lamppost in memory, where it stands, and its state.
//!
//! A map of a city asks for all lampposts at once, and again and again; the registry, the sessions, ingest and the
//! store each know a part of the answer, none of them all of it in one place. The roll puts it together: [`Register`]
//! is what the registry says, in columns and in the order of numbers, [`State`] is how each lamppost is, in the same
//! order. [`Roll`] hands out both as they were at one instant, and a reader holds no lock while it reads them. A
//! [`Watcher`] looks once a second, and tells which states have changed: piece by piece, so that who listens to the
//! live feed can read what a storm of changes tells before the ring runs over it.
//!
//! A state goes by what ingest has taken. While that lags behind the journal by more than [`MOST_LAG`], nobody becomes
//! late: what would show that a lamppost is not may be what waits. Who is late stays so until its data is there.
//!
//! [`status()`] says what a status means; it and the register are pure. Nothing here is durable: all of it is derived
//! from what the others hold.

mod look;
mod reader;
mod register;
mod status;
#[cfg(test)]
mod tests;
mod watcher;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use lamplighter_protocol::{LamppostNumber, UtcMillis};

use crate::clock;
use crate::ingest::CurrentSeries;

pub use look::{Sources, Worst};
pub use register::{Dictionary, Register, Revision};
pub use status::{MOST_LAG, State, status};
pub use watcher::{LookPanicked, StatePublisher, Watcher};

/// The roll. Clones are one and the same.
#[derive(Clone)]
pub struct Roll {
    sources: Sources,
    rows: Arc<RwLock<Option<Rows>>>,
}

/// The roll as it was at one instant.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What the registry says.
    pub register: Arc<Register>,
    /// How each lamppost is, in the order of the register.
    pub states: Arc<[State]>,
    /// When that was looked at.
    pub looked: UtcMillis,
}

impl Roll {
    /// A roll that has not been read yet.
    pub fn new(sources: Sources) -> Self {
        Self { sources, rows: Arc::default() }
    }

    /// The roll as it is now; none until the registry was read for the first time.
    pub fn rows(&self) -> Option<Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How a lamppost is. One that the roll does not have yet, as its registration is only seconds old, is looked at
    /// now. It may wait for a lock, and for nothing longer.
    pub fn state(&self, number: &LamppostNumber, now: UtcMillis) -> State {
        let known = self.rows().and_then(|rows| rows.state(number));
        known.unwrap_or_else(|| {
            let lag = self.sources.lag(clock::monotonic());
            let seen = self.sources.look(std::slice::from_ref(number));
            seen.into_iter().map(|seen| seen.state(None, now, lag)).next().unwrap_or_default()
        })
    }

    /// The series that each of these lampposts has now, in their order; none for one of which that is not known. It
    /// may wait for a lock, and others wait for it: not for more than some thousand at a time.
    pub fn current_series(&self, numbers: &[LamppostNumber]) -> Vec<Option<CurrentSeries>> {
        self.sources.current_series(numbers)
    }

    fn replace(&self, rows: Rows) {
        let before = self.rows.write().unwrap_or_else(PoisonError::into_inner).replace(rows);
        // What is let go is let go without the lock.
        drop(before);
    }
}

impl fmt::Debug for Roll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lampposts = self.rows().map(|rows| rows.states.len());
        f.debug_struct("Roll").field("lampposts", &lampposts).finish_non_exhaustive()
    }
}

impl Rows {
    /// How a lamppost is; none if it is not on the roll.
    pub fn state(&self, number: &LamppostNumber) -> Option<State> {
        self.states.get(self.register.place(number)?).copied()
    }
}
