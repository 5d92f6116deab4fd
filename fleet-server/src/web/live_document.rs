//! The data of live events, as documents.

use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use super::observation::QualityName;
use crate::live::ResetReason;

/// The data of a `time` event.
#[derive(Serialize, ToSchema)]
pub(super) struct LiveTime {
    /// The server's clock, in milliseconds since 1970-01-01T00:00:00Z.
    time_ms: i64,
}

/// The data of a `reset` event.
#[derive(Serialize, ToSchema)]
pub(super) struct LiveReset {
    #[schema(inline)]
    reason: LiveResetReason,
}

/// Why the changes since the last event are not here: the server was started anew, or more has changed meanwhile than
/// it keeps.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LiveResetReason {
    Restarted,
    TooFarBehind,
}

/// The data of a `changes` event.
#[derive(ToSchema)]
#[schema(as = LiveChanges)]
#[expect(dead_code, reason = "it describes how LiveChanges is written; a test compares the two")]
pub(super) struct LiveChangesDocument {
    /// What was observed. A client that keeps up is told every observation that was the newest of its series when it
    /// came, in the order in which they came; of those that came together and more than a minute (and three periods) late, as a
    /// backlog does, the newest of each series. One that lags is told only the latest of each series, in the order in which
    /// the series first changed: what stands later may be older.
    observations: Vec<LiveObservationDocument>,
    /// Of each lamppost whose state has changed, its state, in the order in which the lampposts first changed.
    states: Vec<LiveStateDocument>,
    /// How many observations are left out here, each for a later one of its series: 0 for a client that keeps up.
    replaced: u64,
}

/// An observation in a `changes` event.
#[derive(ToSchema)]
#[schema(as = LiveObservation)]
#[expect(dead_code, reason = "it describes how a LiveObservation is written; a test compares the two")]
pub(super) struct LiveObservationDocument {
    /// The lamppost that observed.
    #[schema(example = "DF3637")]
    lamppost: String,
    /// Device, property and channel on it.
    #[schema(example = "weather-1/air_temperature")]
    series: String,
    /// Phenomenon time, in milliseconds since 1970-01-01T00:00:00Z.
    time_ms: i64,
    /// In the unit; null when there was none.
    #[schema(required = true)]
    value: Option<f64>,
    /// UCUM.
    #[schema(example = "Cel")]
    unit: String,
    /// How far it is to be believed.
    quality: QualityName,
    /// Why it is less than good, else `good`.
    reason: String,
    /// When the server received it, in milliseconds since 1970-01-01T00:00:00Z.
    received_ms: i64,
    /// The period at which it is read, in milliseconds; null if it reports by exception.
    #[schema(required = true, example = 1000)]
    period_ms: Option<u32>,
}

/// The state of a lamppost in a `changes` event.
#[derive(ToSchema)]
#[schema(as = LiveLamppostState)]
#[expect(dead_code, reason = "it describes how a LamppostState is written; a test compares the two")]
pub(super) struct LiveStateDocument {
    /// Which lamppost.
    #[schema(example = "DF3637")]
    lamppost: String,
    // Described where it is inlined; with words of its own here it would be described as an object besides.
    #[schema(inline)]
    status: LiveStatus,
    /// Since when, in milliseconds since 1970-01-01T00:00:00Z; null if that is not known.
    #[schema(required = true)]
    since_ms: Option<i64>,
    /// The worst quality among the newest observations of its series; null without any.
    #[schema(required = true)]
    quality: Option<QualityName>,
    /// Series whose newest observation is bad.
    bad: u32,
    /// Series whose newest observation is uncertain.
    uncertain: u32,
    /// Phenomenon time of its newest observation, in milliseconds since 1970-01-01T00:00:00Z; null without any.
    #[schema(required = true)]
    last_observation_ms: Option<i64>,
}

/// How it is: connected with data in time, connected without, not connected, or never heard of.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes how a Status is written; a test compares the two")]
enum LiveStatus {
    Reporting,
    Late,
    Offline,
    Never,
}

impl LiveTime {
    pub(super) fn at(time: UtcMillis) -> Self {
        Self { time_ms: time.0 }
    }
}

impl From<ResetReason> for LiveReset {
    fn from(reason: ResetReason) -> Self {
        let reason = match reason {
            ResetReason::Restarted => LiveResetReason::Restarted,
            ResetReason::TooFarBehind => LiveResetReason::TooFarBehind,
        };
        Self { reason }
    }
}
