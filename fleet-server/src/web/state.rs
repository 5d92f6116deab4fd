//! The state of a lamppost as a document.

use serde::Serialize;
use utoipa::ToSchema;

use super::observation::QualityName;
use super::timestamp::Timestamp;
use crate::live::Status;
use crate::roll::State;

/// How a lamppost is.
#[derive(Serialize, ToSchema)]
pub(super) struct StateDocument {
    status: StatusName,
    /// Since when it has that status; null if that is not known, as of one that was offline when the server started.
    #[schema(required = true)]
    since: Option<Timestamp>,
    /// The worst quality among the newest observations of its series; null without any.
    #[schema(required = true)]
    quality: Option<QualityName>,
    /// Series whose newest observation is bad.
    bad: u32,
    /// Series whose newest observation is uncertain.
    uncertain: u32,
    /// Phenomenon time of its newest observation.
    #[schema(required = true)]
    last_observation: Option<Timestamp>,
}

/// `reporting`: connected, and its newest data is no older than three of its shortest periods, or its connection is not.
/// `late`: connected, and there has been no data for longer; while the server itself is seconds behind with what it has
/// taken, nobody becomes late. `offline`: not connected. `never`: it has never said hello.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Status)]
pub(super) enum StatusName {
    Reporting,
    Late,
    Offline,
    Never,
}

impl From<State> for StateDocument {
    fn from(state: State) -> Self {
        Self {
            status: state.status.into(),
            since: state.since.map(Timestamp),
            quality: state.worst.quality.map(QualityName::from),
            bad: state.worst.bad,
            uncertain: state.worst.uncertain,
            last_observation: state.last_observation.map(Timestamp),
        }
    }
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Reporting => Self::Reporting,
            Status::Late => Self::Late,
            Status::Offline => Self::Offline,
            Status::Never => Self::Never,
        }
    }
}
