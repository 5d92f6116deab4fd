//! Changes as they come: server-sent events.
//!
//! A feed tells what has changed since it began, or since the event that the client saw last: a browser that comes
//! back names that one by itself. If too much has changed meanwhile, or the server was started anew, the feed says so
//! and the client reads anew what it shows. A client that reads slowly gets less often, but always the latest.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response, Sse};
use futures_util::StreamExt as _;
use futures_util::stream;
use lamplighter_protocol::{LamppostNumber, PropertyName};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::live_document::{LiveReset, LiveTime};
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, Parameters};
use crate::clock;
use crate::live::{EventId, LiveEvent, LiveFeed, LiveFilter, ResetReason, WantedObservations};

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveQuery {
    /// Only observations and states of this lamppost. Left out: those of all.
    #[param(value_type = Option<String>, example = "DF3637")]
    lamppost: Option<LamppostNumber>,
    /// Only observations of this property, a name of the catalogue; states come all the same. With `lamppost`: of
    /// this property on that lamppost.
    #[param(value_type = Option<String>, example = "air_temperature")]
    property: Option<PropertyName>,
    /// Whether observations come at all; with `none` only states do. Left out: all.
    #[param(inline)]
    observations: Option<Observations>,
    /// The id of an event, or `event_id` of what was read before: what has changed since comes first. The header
    /// Last-Event-ID wins over it. Left out: the feed begins now.
    #[param(value_type = Option<String>, example = "00c0ffee00c0ffee-1234")]
    after: Option<EventId>,
}

/// Which observations come.
#[derive(Clone, Copy, Debug, PartialEq, ToSchema)]
#[schema(rename_all = "snake_case")]
enum Observations {
    All,
    None,
}

impl FromParameters for LiveQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let observations = |text: &str| match text {
            "all" => Ok(Observations::All),
            "none" => Ok(Observations::None),
            _ => Err("it is all or none"),
        };
        Ok(Self {
            lamppost: from.optional("lamppost", LamppostNumber::new)?,
            property: from.optional("property", PropertyName::new)?,
            observations: from.optional("observations", observations)?,
            after: from.optional("after", str::parse)?,
        })
    }
}

/// Changes as they come
///
/// Server-sent events, in JSON. `time`: the server's clock (`LiveTime`), at once and every 5 seconds; a client that
/// hears none for longer has lost the feed. `changes`: what has changed (`LiveChanges`), at most 4096 in one
/// event, and 25 ms at least between two; for a client that lags by more, the latest of each series. `reset`: the changes
/// since the last id are not here any more (`LiveReset`); read anew what you show, what follows comes after this
/// event. Events have ids, to begin after; the first `time` has none.
///
/// Events come in order, and nothing comes twice. In the `changes` of a client that lags the latest of a series stands
/// where its first one would have stood. When the server stops, a feed tells what was published before that, and ends;
/// a client that has not taken it within 5 seconds is cut, and the next life of the server begins its feed with `reset`.
#[utoipa::path(
    get, path = "/live", tag = "observations",
    params(
        LiveQuery,
        (
            "Last-Event-ID" = Option<String>, Header,
            description = "As `after`, sent by browsers that come back. What is no id counts as one of another life \
                           of the server: the feed begins with `reset`."
        )
    ),
    responses(
        (
            status = 200, description = "Events, without end", content_type = "text/event-stream", body = String,
            example = "event: changes\nid: 00c0ffee00c0ffee-1234\ndata: {\"observations\":[..],\"states\":[..]}\n\n"
        ),
        LiveProblems
    )
)]
pub(super) async fn live(
    State(app): State<App>,
    Asked(query): Asked<LiveQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(number) = &query.lamppost {
        app.lamppost(number).await.map_err(|problem| problem.with_parameter("lamppost"))?;
    }
    if let Some(property) = query.property.as_ref().filter(|property| app.catalogue.get(property).is_none()) {
        let detail =
            format!("the catalogue has no property {property}; /api/v1/catalogue lists those it has");
        return Err(Problem::invalid("property", detail));
    }
    let Some(place) = app.feed_place() else {
        app.metrics.refused_feeds.inc();
        let detail = format!("there are {} live feeds, which is the limit; close one", app.limits.feeds);
        return Err(Problem::new(ProblemKind::TooManyClients, detail));
    };
    let reader = Reader {
        feed: feed(&app, query, &headers),
        time: every(app.limits.feed_time),
        stop: app.stop.clone(),
        _place: place,
    };
    let hello = stream::iter([Ok::<Event, Infallible>(time_event().retry(RETRY))]);
    Ok(Sse::new(hello.chain(stream::unfold(reader, next))).into_response())
}

/// A client's end of the hub, and its place among the feeds.
struct Reader {
    feed: LiveFeed,
    time: Interval,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

fn feed(app: &App, query: LiveQuery, headers: &HeaderMap) -> LiveFeed {
    let observations = match (query.observations, query.property) {
        (Some(Observations::None), _) => WantedObservations::None,
        (Some(Observations::All) | None, Some(property)) => WantedObservations::Of(property),
        (Some(Observations::All) | None, None) => WantedObservations::All,
    };
    let filter = LiveFilter { lamppost: query.lamppost, observations };
    let Some(last) = headers.get(LAST_EVENT_ID) else { return app.live.subscribe(filter, query.after) };
    match last.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(id) => app.live.subscribe(filter, Some(id)),
        // A browser would send it again and again: it is better told to begin anew than refused.
        None => app.live.subscribe(filter, None).reset_first(ResetReason::Restarted),
    }
}

fn every(period: Duration) -> Interval {
    let period = period.max(Duration::from_millis(1));
    let mut times = tokio::time::interval_at(Instant::now() + period, period);
    // Whoever did not read for a while is told the time once, and not as often as it was due.
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    times
}

async fn next(mut reader: Reader) -> Option<(Result<Event, Infallible>, Reader)> {
    let event = tokio::select! {
        biased;
        // What ingest and the watcher have published last is not waited for, and not lost either.
        () = reader.stop.cancelled() => told(reader.feed.left().await?),
        _ = reader.time.tick() => match reader.feed.told() {
            Some(id) => time_event().id(id.to_string()),
            None => time_event(),
        },
        next = reader.feed.next() => told(next?),
    };
    Some((Ok(event), reader))
}

fn told(news: LiveEvent) -> Event {
    match news {
        LiveEvent::Changes(changes) => event("changes", &changes).id(changes.id.to_string()),
        LiveEvent::Reset { id, reason } => event("reset", &LiveReset::from(reason)).id(id.to_string()),
    }
}

fn time_event() -> Event {
    event("time", &LiveTime::at(clock::wall()))
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("what is sent has only text keys");
    Event::default().event(name).data(data)
}

problems!(
    LiveProblems: InvalidParameter,
    UnknownParameter,
    UnknownLamppost,
    TooManyClients,
    RegistryUnavailable,
);
