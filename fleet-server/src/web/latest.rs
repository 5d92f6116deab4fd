//! The newest observation of each series, by time and not by arrival (D13).

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{ChannelName, DeviceName, IdError, LamppostNumber, PropertyName, SeriesName};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::lampposts::LamppostPath;
use super::observation::{ObservationDocument, SeriesDocument};
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, FromParameters, InPath, NoParameters, Parameters};
use super::timestamp::Timestamp;
use crate::clock;
use crate::store::{SeriesKey, SeriesLatest};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LatestQuery {
    /// Only series past this one, in the order of lampposts and names: `next` of the page before.
    #[param(value_type = Option<String>, example = "DF3637/weather-1/air_temperature")]
    after: Option<Cursor>,
    /// How many series at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000, default = 1000)]
    limit: u32,
}

impl FromParameters for LatestQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { after: from.optional("after", Cursor::from_str)?, limit: from.limit(1000, 10_000)? })
    }
}

/// The place of a series in the order of all: `lamppost/device/property[/channel]`.
#[derive(Clone, Debug, PartialEq)]
struct Cursor(SeriesKey);

/// Why a text is no place in the order of series.
#[derive(Debug, PartialEq, thiserror::Error)]
enum NoCursor {
    #[error(
        "it is lamppost/device/property or lamppost/device/property/channel, as `next` was on the page before"
    )]
    Shape,
    #[error(transparent)]
    Name(#[from] IdError),
}

/// The newest observation of some series.
#[derive(Serialize, ToSchema)]
pub(super) struct LatestPage {
    /// In the order of lampposts and names. Series that have never had an observation are left out.
    latest: Vec<LatestDocument>,
    /// `after` of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// The newest observation of the series of one lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct LatestOfLamppost {
    /// A live feed that begins after this id tells all that has changed since: `after` of `/live`.
    #[schema(example = "00c0ffee00c0ffee-1234")]
    event_id: String,
    /// The server's clock.
    time: Timestamp,
    /// In the order of names. Series that have never had an observation are left out.
    latest: Vec<LatestDocument>,
}

/// The newest observation of a series.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct LatestDocument {
    #[serde(flatten)]
    pub(super) series: SeriesDocument,
    #[serde(flatten)]
    pub(super) observation: ObservationDocument,
    /// The period at which it is read, in milliseconds; null if it reports by exception.
    #[schema(required = true, example = 1000)]
    period_ms: Option<u32>,
}

/// The newest observations of a lamppost
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/latest", tag = "observations", params(LamppostPath),
    responses((status = 200, description = "One of each series", body = LatestOfLamppost), OfLamppostProblems)
)]
pub(super) async fn latest_of_lamppost(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    _: Asked<NoParameters>,
) -> Result<Json<LatestOfLamppost>, Problem> {
    app.lamppost(&path.number).await?;
    // Taken before the store is read: what is published meanwhile comes twice rather than never.
    let event_id = app.live.head().to_string();
    let latest = app.read(move |tail| tail.latest_of_lamppost(&path.number).filter_map(document).collect());
    let latest = latest.await?;
    Ok(Json(LatestOfLamppost { event_id, time: Timestamp(clock::wall()), latest }))
}

/// The newest observations of the fleet
///
/// Of each series the newest observation, page by page.
#[utoipa::path(
    get, path = "/api/v1/latest", tag = "observations", params(LatestQuery),
    responses((status = 200, description = "One of each of some series", body = LatestPage), OfFleetProblems)
)]
pub(super) async fn latest_of_fleet(
    State(app): State<App>,
    Asked(query): Asked<LatestQuery>,
) -> Result<Json<LatestPage>, Problem> {
    let LatestQuery { after, limit } = query;
    let limit = limit as usize;
    let mut latest: Vec<LatestDocument> = app
        .read(move |tail| {
            let past = |one: &SeriesLatest<'_>| after.as_ref().is_none_or(|after| one.meta.key > after.0);
            tail.all().filter(past).filter_map(document).take(limit + 1).collect()
        })
        .await?;
    let more = latest.len() > limit;
    latest.truncate(limit);
    let next = latest.last().filter(|_| more).map(|last| Cursor(last.series.key()).to_string());
    Ok(Json(LatestPage { latest, next }))
}

/// None for a series that was described and has never had an observation.
pub(super) fn document(of: SeriesLatest<'_>) -> Option<LatestDocument> {
    let period_ms = of.meta.grid.map(|grid| grid.period_ms);
    Some(LatestDocument { series: of.meta.into(), observation: of.latest?.into(), period_ms })
}

impl FromStr for Cursor {
    type Err = NoCursor;
    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(NoCursor::Shape);
        let lamppost = LamppostNumber::new(next()?)?;
        let (device, property) = (DeviceName::new(next()?)?, PropertyName::new(next()?)?);
        let channel = parts.next().map(ChannelName::new).transpose()?;
        match parts.next() {
            None => Ok(Self(SeriesKey { lamppost, name: SeriesName { device, property, channel } })),
            Some(_) => Err(NoCursor::Shape),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.lamppost, self.0.name)
    }
}

problems!(OfLamppostProblems: InvalidParameter, UnknownParameter, UnknownLamppost, Rebuilding, RegistryUnavailable);
problems!(OfFleetProblems: InvalidParameter, UnknownParameter, Rebuilding);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_cursor_prints_and_parses_back(text in "[A-Za-z0-9_-]{1,32}/[a-z0-9-]{1,32}/[a-z][a-z0-9_]{0,20}(/[a-z0-9_-]{1,32})?") {
            prop_assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in
            ["", "DF3637", "DF3637/weather-1", "DF3637/weather-1/air temperature", "A/b/c/d/e", "A/b/c/"]
        {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }
}
