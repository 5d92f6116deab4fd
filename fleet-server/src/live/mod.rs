//! The live hub: tells those who listen what has just been committed and stored.
//!
//! One ring holds the newest changes of the whole fleet (observations that became the newest of their series, and
//! states of lampposts), each with its sequence. A feed is a place in the ring and a filter, and nothing else: a
//! client that reads slowly, or not at all, costs neither memory nor time, and publishing waits for nobody. Who reads
//! gets what lies between its place and the newest change; if that is more than an event holds, collapsed: of each series
//! and each lamppost the latest.
//!
//! Each event has an id, and a feed may begin after any that the ring still reaches: nothing is left out and nothing
//! comes twice. If the ring does not reach it, or it is of another life of the server, the feed says so
//! ([`LiveEvent::Reset`]) before it goes on. Nothing here is durable: who needs every observation reads the store.

mod collapse;
mod event_id;
mod feed;
mod filter;
mod hub;
mod metrics;
mod observation;
mod ring;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use event_id::{EventId, NoEventId};
pub use feed::LiveFeed;
pub use filter::{LiveFilter, WantedObservations};
pub use hub::{LifeError, LiveHub};
pub use metrics::LiveMetrics;
pub use observation::{LiveObservation, LiveSeries};
pub use state::{LamppostState, Status};

/// What a feed says.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveEvent {
    /// What the client has must be read anew: changes are missing between what it asked for, or was told last, and
    /// this id. What follows comes after the id.
    Reset {
        /// The newest change at this moment.
        id: EventId,
        /// Why the changes before it are missing.
        reason: ResetReason,
    },
    /// Something has changed.
    Changes(LiveChanges),
}

/// What has changed. To a client that keeps up every observation is told; one that lags by more than an event holds is
/// told the latest of each series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveChanges {
    /// The last change that is in this, or was left out of it for a later one or by the filter.
    #[serde(skip)]
    pub id: EventId,
    /// To a client that keeps up in the order of publishing. To one that lags the latest of each series stands where its
    /// first one stood, so that only those of different events are in order.
    pub observations: Vec<LiveObservation>,
    /// Of each lamppost the latest, where its first one stood; when among the observations is not told.
    #[serde(serialize_with = "shared_states")]
    pub states: Vec<Arc<LamppostState>>,
    /// How many observations are left out, each for a later one of its series, because the client lags.
    pub replaced: u64,
}

/// Why a feed cannot go on from where it was asked to. In JSON and in figures: `restarted`, `too_far_behind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// The id is none of this life of the server.
    Restarted,
    /// The ring does not reach back to it any more.
    TooFarBehind,
}

/// Bounds of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Most changes in the ring, at least 1. The default of 65,536 is two minutes of fifty lampposts with ten series
    /// a second each, and half a minute of ten thousand with a series each five seconds; some 4 MB when full.
    pub ring: usize,
    /// Most changes of one event, at least 1. The default of 4,096 makes an event of at most 1 MB.
    pub event: usize,
    /// A client for which more changes wait than this lags: it is told the latest of each series alone. The default of
    /// 32,768 is half of the ring: a browser that stands still for half a minute beside 1,000 changes a second is told
    /// every one of them, and a client that is too slow for all of them does not fall out of the ring.
    pub lag: usize,
    /// A feed does not look at the ring again for this long. The default of 25 ms is a quarter of what live may take at
    /// all, and bounds what feeds cost, however much is published.
    pub pause: Duration,
}

impl ResetReason {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restarted => "restarted",
            Self::TooFarBehind => "too_far_behind",
        }
    }
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { ring: 65_536, event: 4_096, lag: 32_768, pause: Duration::from_millis(25) }
    }
}

fn shared_states<S: Serializer>(states: &[Arc<LamppostState>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(states.iter().map(Arc::as_ref))
}
