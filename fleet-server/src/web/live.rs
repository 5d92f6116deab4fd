//! Observations as they come: server-sent events.
//!
//! A feed tells what is committed from its beginning on. It has no history: who was away reads the series for the
//! time that it missed. A client that reads too slowly loses its oldest observations, and is told how many.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse as _, Response, Sse};
use futures_util::StreamExt as _;
use futures_util::stream;
use lamplighter_protocol::LamppostNumber;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::observation::QualityName;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, Parameters};
use crate::live::{LiveEvent, LiveFeed, LiveObservation};

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveQuery {
    /// Only observations of this lamppost. Left out: those of all.
    #[param(value_type = Option<String>, example = "DF3637")]
    lamppost: Option<LamppostNumber>,
}

impl FromParameters for LiveQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { lamppost: from.optional("lamppost", LamppostNumber::new)? })
    }
}

/// The data of an `observation` event.
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
}

/// The data of a `missed` event.
#[derive(Serialize, ToSchema)]
pub(super) struct MissedObservations {
    /// So many observations that the client asked for were left out here.
    missed: u64,
}

/// Observations as they come
///
/// Server-sent events. `observation`: its id names lamppost, series and time, its data is the observation. `missed`:
/// the client was too slow, its data says how many observations were left out. A comment comes every 15 seconds.
#[utoipa::path(
    get, path = "/live", tag = "observations", params(LiveQuery),
    responses(
        (
            status = 200, description = "Events, without end", content_type = "text/event-stream", body = String,
            example = "event: observation\nid: DF3637/weather-1/air_temperature/1782892800000\ndata: {..}\n\n"
        ),
        LiveProblems
    )
)]
pub(super) async fn live(
    State(app): State<App>,
    Asked(query): Asked<LiveQuery>,
) -> Result<Response, Problem> {
    if let Some(number) = &query.lamppost {
        app.lamppost(number).await.map_err(|problem| problem.with_parameter("lamppost"))?;
    }
    let Some(place) = app.feed_place() else {
        app.metrics.refused_feeds.inc();
        let detail = format!("there are {} live feeds, which is the limit; close one", app.limits.feeds);
        return Err(Problem::new(ProblemKind::TooManyClients, detail));
    };
    let feed = match query.lamppost {
        Some(number) => app.live.subscribe_to(number),
        None => app.live.subscribe(),
    };
    let reader = Reader { feed, stop: app.stop.clone(), _place: place };
    let hello = stream::iter([Ok::<Event, Infallible>(Event::default().comment("live").retry(RETRY))]);
    let events = hello.chain(stream::unfold(reader, next));
    let keep_alive = KeepAlive::new().interval(app.limits.keep_alive).text("keep-alive");
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// A client's end of the hub, and its place among the feeds.
struct Reader {
    feed: LiveFeed,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

async fn next(mut reader: Reader) -> Option<(Result<Event, Infallible>, Reader)> {
    let event = tokio::select! {
        biased;
        () = reader.stop.cancelled() => None,
        event = reader.feed.next() => event,
    };
    let event = match event? {
        LiveEvent::Observation(observation) => observation_event(&observation),
        LiveEvent::Missed(missed) => {
            Event::default().event("missed").data(json(&MissedObservations { missed }))
        }
    };
    Some((Ok(event), reader))
}

fn observation_event(observation: &LiveObservation) -> Event {
    let LiveObservation { lamppost, series, time, .. } = observation;
    Event::default()
        .event("observation")
        .id(format!("{lamppost}/{series}/{}", time.0))
        .data(json(observation))
}

fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("what is sent has only text keys")
}

problems!(
    LiveProblems: InvalidParameter,
    UnknownParameter,
    UnknownLamppost,
    TooManyClients,
    RegistryUnavailable,
);
