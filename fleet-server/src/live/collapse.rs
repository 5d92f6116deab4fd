//! Many changes become one event. A client that keeps up is told every observation; for one that lags, as for the states of
//! lampposts always, the latest stands for those before it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, SeriesName};

use super::ring::Change;
use super::{EventId, LamppostState, LiveChanges, LiveObservation, LiveSeries};

/// Changes of one event, while they are read in the order of their sequences.
#[derive(Debug)]
pub(super) struct Collapsed {
    limit: usize,
    client: Client,
    observations: Vec<LiveObservation>,
    states: Vec<Arc<LamppostState>>,
    /// Where among them.
    places: HashMap<Key, usize>,
    replaced: u64,
}

/// Whether a client reads as fast as is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// It is told every observation, in as many events as that takes.
    KeepsUp,
    /// So much waits for it that it is told the latest alone.
    Lags,
}

/// There is no room for another one: the change is the first of the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What there is one of in an event. Equal by name: a series may have been described anew between two observations.
#[derive(Debug)]
enum Key {
    Series(Arc<LamppostNumber>, Arc<LiveSeries>),
    Lamppost(Arc<LamppostState>),
}

impl Collapsed {
    /// At most so many changes, for such a client.
    pub(super) fn new(limit: usize, client: Client) -> Self {
        Self {
            limit: limit.max(1),
            client,
            observations: Vec::new(),
            states: Vec::new(),
            places: HashMap::new(),
            replaced: 0,
        }
    }

    /// Takes a change, in place of the one before of its series or lamppost where that is to be.
    pub(super) fn take(&mut self, change: Change) -> Result<(), Full> {
        let change = match (self.client, change) {
            (Client::KeepsUp, Change::Observation(observation)) => {
                if self.observations.len() + self.states.len() >= self.limit {
                    return Err(Full);
                }
                self.observations.push(observation);
                return Ok(());
            }
            (Client::KeepsUp | Client::Lags, change) => change,
        };
        let full = self.observations.len() + self.states.len() >= self.limit;
        match (self.places.entry(Key::of(&change)), change) {
            (Entry::Occupied(place), Change::Observation(observation)) => {
                self.observations[*place.get()] = observation;
                self.replaced += 1;
            }
            (Entry::Occupied(place), Change::State(state)) => self.states[*place.get()] = state,
            (Entry::Vacant(_), _) if full => return Err(Full),
            (Entry::Vacant(place), Change::Observation(observation)) => {
                place.insert(self.observations.len());
                self.observations.push(observation);
            }
            (Entry::Vacant(place), Change::State(state)) => {
                place.insert(self.states.len());
                self.states.push(state);
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.observations.is_empty() && self.states.is_empty()
    }

    /// How many observations gave way to a newer one of their series.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }

    pub(super) fn into_changes(self, id: EventId) -> LiveChanges {
        LiveChanges { id, observations: self.observations, states: self.states, replaced: self.replaced }
    }
}

impl Key {
    fn of(change: &Change) -> Self {
        match change {
            Change::Observation(observation) => {
                Self::Series(Arc::clone(&observation.lamppost), Arc::clone(&observation.series))
            }
            Change::State(state) => Self::Lamppost(Arc::clone(state)),
        }
    }

    fn names(&self) -> (&LamppostNumber, Option<&SeriesName>) {
        match self {
            Self::Series(lamppost, series) => (lamppost, Some(&series.name)),
            Self::Lamppost(state) => (&state.lamppost, None),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names().hash(state);
    }
}
