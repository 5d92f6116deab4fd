//! The live hub: tells those who listen what has just been committed and stored.
//!
//! Publishing never waits for a client. Each has a bounded queue of its own; when that is full its oldest
//! observation goes, and the client is told how many it missed before it gets the rest. Nothing here is durable: who
//! needs every observation reads the store.

mod feed;
mod hub;
mod metrics;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, Quality, Reason, SeriesName, UtcMillis};
use serde::{Serialize, Serializer};

pub use feed::LiveFeed;
pub use hub::LiveHub;
pub use metrics::LiveMetrics;
pub use state::{LamppostState, Status};

/// An observation as feeds carry it, never without unit, time and quality. In JSON, names are text and times are
/// milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveObservation {
    /// The lamppost that observed.
    pub lamppost: LamppostNumber,
    /// Device, property and channel on it: `weather-1/air_temperature`.
    #[serde(serialize_with = "series_name")]
    pub series: SeriesName,
    /// Phenomenon time.
    #[serde(rename = "time_ms")]
    pub time: UtcMillis,
    /// In the unit; none if there was none.
    pub value: Option<f64>,
    /// UCUM.
    pub unit: String,
    /// How far it is to be believed.
    #[serde(serialize_with = "quality_word")]
    pub quality: Quality,
    /// Why it is less than good.
    #[serde(serialize_with = "reason_name")]
    pub reason: Reason,
    /// When the gateway received it.
    #[serde(rename = "received_ms")]
    pub received: UtcMillis,
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveEvent {
    /// Something was observed.
    Observation(Arc<LiveObservation>),
    /// The client was too slow: so many observations that it asked for were left out here.
    Missed(u64),
}

/// Bounds of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Most observations that wait for one client, at least 1. The default of 4,096 is some seconds of fifty
    /// lampposts; waiting observations are shared between clients, so a client costs a pointer for each.
    pub queue: usize,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { queue: 4_096 }
    }
}

fn series_name<S: Serializer>(name: &SeriesName, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(name)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn quality_word<S: Serializer>(quality: &Quality, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(quality.as_str())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn reason_name<S: Serializer>(reason: &Reason, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&reason.name())
}
