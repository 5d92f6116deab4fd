//! The state of a lamppost, as people see it.

use lamplighter_protocol::{LamppostNumber, Quality, UtcMillis};
use serde::{Serialize, Serializer};

/// How a lamppost is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is connected, and its newest data, or the connection, is no older than three of its shortest periods.
    Reporting,
    /// It is connected, and there has been no data for longer than that.
    Late,
    /// It is not connected.
    Offline,
    /// It has never said hello.
    Never,
}

/// The state of one lamppost. In JSON, times are milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LamppostState {
    /// Which lamppost.
    pub lamppost: LamppostNumber,
    /// How it is.
    pub status: Status,
    /// Since when, if that is known.
    #[serde(rename = "since_ms")]
    pub since: Option<UtcMillis>,
    /// The worst quality among the newest observations of its series; none without any.
    #[serde(serialize_with = "quality_word")]
    pub quality: Option<Quality>,
    /// Series whose newest observation is bad.
    pub bad: u32,
    /// Series whose newest observation is uncertain.
    pub uncertain: u32,
    /// Phenomenon time of its newest observation.
    #[serde(rename = "last_observation_ms")]
    pub last_observation: Option<UtcMillis>,
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn quality_word<S: Serializer>(quality: &Option<Quality>, to: S) -> Result<S::Ok, S::Error> {
    quality.map(Quality::as_str).serialize(to)
}
