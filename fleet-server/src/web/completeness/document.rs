//! Completeness as documents.

use lamplighter_protocol::{ChannelName, DeviceName, LamppostNumber, PropertyName, SeriesName};
use serde::Serialize;
use utoipa::ToSchema;

use super::count::Count;
use crate::ingest::Rejection;
use crate::web::outboxes::DroppedDocument;
use crate::web::timestamp::Timestamp;

/// What became of a series over a range of time.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct SeriesCompletenessDocument {
    /// The lamppost that observes.
    #[schema(value_type = String, example = "DF3637")]
    pub(super) lamppost: LamppostNumber,
    /// Begin of the range.
    pub(super) from: Timestamp,
    /// End of the range, itself not in it. Ticks that are still to come are not expected.
    pub(super) to: Timestamp,
    #[serde(flatten)]
    pub(super) series: SeriesCounts,
}

/// What became of all series of a lamppost over a range of time.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct LamppostCompletenessDocument {
    /// The lamppost that observes.
    #[schema(value_type = String, example = "DF3637")]
    pub(super) lamppost: LamppostNumber,
    /// Begin of the range.
    pub(super) from: Timestamp,
    /// End of the range, itself not in it. Ticks that are still to come are not expected.
    pub(super) to: Timestamp,
    /// Each series of which anything was due or is known in that time, in the order of their names.
    pub(super) series: Vec<SeriesCounts>,
    /// Of all those series together that are read on a grid throughout.
    pub(super) total: CountsDocument,
    /// How many series are not in the total, because nothing says how many observations were due.
    pub(super) without_grid: usize,
    /// Records of all times that are here and cannot be read: nothing is known of what they say.
    pub(super) unreadable_records: u64,
    /// Observations of all times that came late or are rejected, and are in no series' counts: their description has no
    /// name for them, or there was no room.
    pub(super) unplaced: u64,
}

/// A series, and what became of it.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct SeriesCounts {
    /// The device that observes.
    #[schema(value_type = String, example = "weather-1")]
    device: DeviceName,
    /// What it observes.
    #[schema(value_type = String, example = "air_temperature")]
    property: PropertyName,
    /// Which of several series of that device and property; null if there is one.
    #[schema(value_type = Option<String>, required = true)]
    channel: Option<ChannelName>,
    /// What was before this time has left the server's memory, so that it is not counted: what became of it is unknown.
    /// Null if all of the range is counted.
    #[schema(required = true)]
    unknown_before: Option<Timestamp>,
    #[serde(flatten)]
    counts: CountsDocument,
}

/// What became of what was due. For a series that is read on a grid, `stored`, `rejected`, `dropped`, `lost`,
/// `agent_stopped`, `not_yet_here`, `not_recorded` and `unknown` add up to `expected`: each tick has one verdict. Without
/// a grid nothing says how much was due: what may be missing is null, which is unknown, and never 0.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(in crate::web) struct CountsDocument {
    /// Ticks of the grids that were in force.
    #[schema(required = true)]
    expected: Option<u64>,
    /// Ticks of which an observation is stored: at the tick, or before the next one if it was read late. Without a grid:
    /// observations that are stored.
    stored: u64,
    /// Observations that are stored; more than ticks if it was read in between, too.
    observations: u64,
    /// Of these, those that were received more than three periods after their time.
    #[schema(required = true)]
    late: Option<u64>,
    /// Ticks of which an observation has arrived, but is not taken; without a grid, such observations.
    rejected: RejectedDocument,
    /// Ticks whose records the lamppost had to drop; without a grid, observations that it reported as dropped, as good as
    /// can be told of a part of a report's time.
    dropped: DroppedDocument,
    /// Ticks whose records no outbox has that lives.
    #[schema(required = true)]
    lost: Option<u64>,
    /// Ticks at which the agent was stopped.
    #[schema(required = true)]
    agent_stopped: Option<u64>,
    /// Ticks whose records an outbox has that lives, or may have.
    #[schema(required = true)]
    not_yet_here: Option<u64>,
    /// Ticks at which the agent ran, and of which nothing that it sent of that time says anything.
    #[schema(required = true)]
    not_recorded: Option<u64>,
    /// Ticks after the last that is known of an outbox that does not live any more.
    #[schema(required = true)]
    unknown: Option<u64>,
}

/// What is rejected, by reason.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(in crate::web) struct RejectedDocument {
    /// Its time lies further ahead of its receipt than a clock may be wrong.
    future: u64,
    /// It is older than anything is kept.
    retention: u64,
    /// Its type or unit is not the catalogue's.
    r#type: u64,
    /// The catalogue does not know its property.
    unknown_property: u64,
    /// The lamppost has more series than one may have.
    too_many_series: u64,
}

impl SeriesCounts {
    pub(super) fn new(name: SeriesName, unknown_before: Option<Timestamp>, count: &Count) -> Self {
        let SeriesName { device, property, channel } = name;
        Self { device, property, channel, unknown_before, counts: count.into() }
    }

    /// Whether it says nothing at all: nothing was due, nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        let counts = &self.counts;
        let nothing_reported = counts.rejected.total() == 0 && counts.dropped.total() == 0;
        counts.expected == Some(0)
            && counts.observations == 0
            && nothing_reported
            && self.unknown_before.is_none()
    }

    pub(super) fn counts(&self) -> &CountsDocument {
        &self.counts
    }
}

impl CountsDocument {
    pub(super) fn has_grid(&self) -> bool {
        self.expected.is_some()
    }

    /// Takes in those of another series that is read on a grid.
    pub(super) fn add(&mut self, other: &Self) {
        let sum = |one: Option<u64>, other: Option<u64>| Some(one.unwrap_or(0) + other.unwrap_or(0));
        *self = Self {
            expected: sum(self.expected, other.expected),
            stored: self.stored + other.stored,
            observations: self.observations + other.observations,
            late: sum(self.late, other.late),
            rejected: self.rejected.plus(other.rejected),
            dropped: self.dropped.plus(other.dropped),
            lost: sum(self.lost, other.lost),
            agent_stopped: sum(self.agent_stopped, other.agent_stopped),
            not_yet_here: sum(self.not_yet_here, other.not_yet_here),
            not_recorded: sum(self.not_recorded, other.not_recorded),
            unknown: sum(self.unknown, other.unknown),
        };
    }
}

impl RejectedDocument {
    fn total(self) -> u64 {
        self.future + self.retention + self.r#type + self.unknown_property + self.too_many_series
    }

    fn plus(self, other: Self) -> Self {
        Self {
            future: self.future + other.future,
            retention: self.retention + other.retention,
            r#type: self.r#type + other.r#type,
            unknown_property: self.unknown_property + other.unknown_property,
            too_many_series: self.too_many_series + other.too_many_series,
        }
    }
}

impl From<&Count> for CountsDocument {
    fn from(count: &Count) -> Self {
        let ticks = count.ticks;
        let rejected = |reason| count.rejected.get(&reason).copied().unwrap_or(0);
        Self {
            expected: ticks.map(|ticks| ticks.expected),
            stored: ticks.map_or(count.observations, |ticks| ticks.stored),
            observations: count.observations,
            late: count.late,
            rejected: RejectedDocument {
                future: rejected(Rejection::Future),
                retention: rejected(Rejection::Retention),
                r#type: rejected(Rejection::Type),
                unknown_property: rejected(Rejection::UnknownProperty),
                too_many_series: rejected(Rejection::TooManySeries),
            },
            dropped: count.dropped.into(),
            lost: ticks.map(|ticks| ticks.lost),
            agent_stopped: ticks.map(|ticks| ticks.agent_stopped),
            not_yet_here: ticks.map(|ticks| ticks.not_yet_here),
            not_recorded: ticks.map(|ticks| ticks.not_recorded),
            unknown: ticks.map(|ticks| ticks.unknown),
        }
    }
}
