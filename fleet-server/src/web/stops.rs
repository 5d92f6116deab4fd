//! When a lamppost's agent was stopped, and what it missed meanwhile (D1, D2).

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLockReadGuard};

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{DeviceName, Grid, LamppostNumber, RunId, UtcMillis};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::WebState;
use super::app::App;
use super::lampposts::LamppostPath;
use super::missed::Ticks;
use super::observation::GridDocument;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, InPath, Parameters};
use super::timestamp::Timestamp;
use crate::ingest::Stop;
use crate::store::{MAX_PAGE, SeriesId, Tail};

/// Ticks that are listed one by one, of one device in one stop; `missed` counts all.
const MOST_LISTED: usize = 1_000;
/// Ticks that one answer lists.
const MOST_LISTED_IN_ALL: usize = 20_000;
/// Stored observations that one page looks at before it ends; a single stop may take more.
const MOST_LOOKED_AT: usize = 1_000_000;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StopsQuery {
    /// Only stops that lasted past this time, and ticks from it on.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<UtcMillis>,
    /// Only stops that began before this time, and ticks before it.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<UtcMillis>,
    /// Only stops past the one that this run ended: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<RunId>,
    /// How many stops at most; there may be fewer on a page that is not the last.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

impl FromParameters for StopsQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let begin = from.optional("from", Timestamp::parse)?;
        let to = from.optional("to", Timestamp::parse)?;
        if let (Some(begin), Some(to)) = (begin, to)
            && begin >= to
        {
            let detail = format!("from {} is not before to {}", Timestamp(begin), Timestamp(to));
            return Err(Problem::new(ProblemKind::EmptyRange, detail).with_parameter("from"));
        }
        let after = from.optional("after", str::parse::<RunId>)?;
        Ok(Self { from: begin, to, after, limit: from.limit(100, 1000)? })
    }
}

impl StopsQuery {
    fn concerns(&self, stop: &Stop) -> bool {
        self.from.is_none_or(|from| stop.opened > from) && self.to.is_none_or(|to| stop.ended.time() < to)
    }
}

/// Some times at which the agent was stopped.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct StopPage {
    /// In the order in which the agent opened again.
    stops: Vec<StopDocument>,
    /// `after` of the next page, to be asked with the same `from` and `to`; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// The agent was stopped between `ended` and `opened`.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct StopDocument {
    /// When the run before ended, by its last records on disk.
    ended: Timestamp,
    /// Whether the agent could still tell when that was. If not, `ended` is the newest time that is known of the run
    /// before: it went on until then, or for longer.
    ended_known: bool,
    /// When the next run opened.
    opened: Timestamp,
    /// The run that ended, in hexadecimal.
    run_before: String,
    /// The run that followed, in hexadecimal.
    run: String,
    /// What each device missed that is read on a grid.
    devices: Vec<MissedDocument>,
}

/// The ticks of a device from the end of one run on, before the opening of the next, that nothing has stored.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct MissedDocument {
    /// The device.
    #[schema(value_type = String, example = "weather-1")]
    device: DeviceName,
    /// The grid that it is read on.
    grid: GridDocument,
    /// How many ticks were missed.
    missed: u64,
    /// The first of them; null if none was missed.
    first: Option<Timestamp>,
    /// The last of them; null if none was missed.
    last: Option<Timestamp>,
    /// The ticks that were missed, from the first on, as many as one answer lists.
    ticks: Vec<Timestamp>,
    /// What was stored before this time has left the server's memory, so that earlier ticks are neither counted nor
    /// listed: whether they were missed is unknown. Null if all are known.
    unknown_before: Option<Timestamp>,
}

/// When the agent was stopped
///
/// The times at which the agent of a lamppost was stopped, and the ticks that were missed meanwhile.
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/stops", tag = "observations", params(LamppostPath, StopsQuery),
    responses((status = 200, description = "Some stops", body = StopPage), StopsProblems)
)]
pub(super) async fn list_stops(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    Asked(query): Asked<StopsQuery>,
) -> Result<Json<StopPage>, Problem> {
    app.lamppost(&path.number).await?;
    Ok(Json(app.blocking(move |state| page(state, &path.number, &query)).await??))
}

fn page(state: &WebState, number: &LamppostNumber, query: &StopsQuery) -> Result<StopPage, Problem> {
    let mut stops = state.lifelines.report(number).map(|report| report.stops).unwrap_or_default();
    stops.sort_by_key(|stop| (stop.opened, stop.run));
    let begin = match query.after {
        None => 0,
        Some(after) => {
            1 + stops.iter().position(|stop| stop.run == after).ok_or_else(|| {
                Problem::invalid(
                    "after",
                    "no stop of this lamppost was ended by this run: take `next` as it was",
                )
            })?
        }
    };
    let mut stops = stops.into_iter().skip(begin).filter(|stop| query.concerns(stop)).peekable();
    let mut work = Work { list: MOST_LISTED_IN_ALL, look: MOST_LOOKED_AT };
    let mut page = StopPage { stops: Vec::new(), next: None };
    while let Some(stop) = stops.next() {
        page.stops.push(stop_document(state, number, &stop, query, &mut work));
        let full = page.stops.len() >= query.limit as usize || work.look == 0;
        if full && stops.peek().is_some() {
            page.next = Some(stop.run.to_string());
            break;
        }
    }
    Ok(page)
}

/// What is left of what one answer may list and look at.
struct Work {
    list: usize,
    look: usize,
}

fn stop_document(
    state: &WebState,
    number: &LamppostNumber,
    stop: &Stop,
    query: &StopsQuery,
    work: &mut Work,
) -> StopDocument {
    // The tick at which a run ended is one that some device read. Another one may have been about to.
    let last_before = stop.ended.time().plus_ms(-1);
    let begin = query.from.map_or(last_before, |from| last_before.max(from.plus_ms(-1)));
    let end = query.to.map_or(stop.opened, |to| stop.opened.min(to));
    let devices = stop.grids.iter().map(|(device, grid)| {
        let series = series_of(&tail(state), number, device);
        missed_document(state, device, *grid, series, (begin, end), work)
    });
    StopDocument {
        ended: Timestamp(stop.ended.time()),
        ended_known: stop.ended.is_stated(),
        opened: Timestamp(stop.opened),
        run_before: stop.run_before.to_string(),
        run: stop.run.to_string(),
        devices: devices.collect(),
    }
}

fn missed_document(
    state: &WebState,
    device: &DeviceName,
    grid: Grid,
    series: Option<SeriesId>,
    (begin, end): (UtcMillis, UtcMillis),
    work: &mut Work,
) -> MissedDocument {
    let between = Ticks::between(grid, begin, end);
    let (stored, floor) = match (between, series) {
        (Some(ticks), Some(series)) => stored(state, series, ticks, begin, end, work),
        (_, _) => (BTreeSet::new(), None),
    };
    let known = match floor {
        Some(floor) => Ticks::between(grid, begin.max(floor.plus_ms(-1)), end),
        None => between,
    };
    let missed = known.and_then(|ticks| ticks.missed(&stored, MOST_LISTED.min(work.list)));
    let ticks: Vec<Timestamp> =
        missed.iter().flat_map(|missed| &missed.listed).copied().map(Timestamp).collect();
    work.list -= ticks.len();
    MissedDocument {
        device: device.clone(),
        grid: grid.into(),
        missed: missed.as_ref().map_or(0, |missed| missed.count),
        first: missed.as_ref().map(|missed| Timestamp(missed.first)),
        last: missed.as_ref().map(|missed| Timestamp(missed.last)),
        ticks,
        unknown_before: floor.map(|floor| Timestamp(floor.min(end))),
    }
}

/// The first series of the device that was ever observed: a tick is one record, which holds all series of its device.
fn series_of(tail: &Tail, number: &LamppostNumber, device: &DeviceName) -> Option<SeriesId> {
    let mut series = tail.latest_of_lamppost(number);
    series.find(|one| one.meta.key.name.device == *device && one.latest.is_some()).map(|one| one.id)
}

/// Which of the ticks are stored, and from when on that is known, if it is not for all of them. The lock is taken
/// page by page, so that ingest gets its turn.
fn stored(
    state: &WebState,
    series: SeriesId,
    ticks: Ticks,
    begin: UtcMillis,
    end: UtcMillis,
    work: &mut Work,
) -> (BTreeSet<UtcMillis>, Option<UtcMillis>) {
    let mut stored = BTreeSet::new();
    let mut known_from = None;
    let mut next = Some(begin.plus_ms(1));
    while let Some(from) = next {
        match tail(state).range(series, from, end, MAX_PAGE) {
            Ok(page) => {
                work.look = work.look.saturating_sub(page.points.len());
                stored
                    .extend(page.points.iter().map(|point| point.time).filter(|time| ticks.contains(*time)));
                next = page.next;
            }
            Err(older) => {
                // Also when the memory moved on between two pages: what was read before is not all that there was.
                stored = stored.split_off(&older.floor);
                known_from = Some(older.floor);
                next = Some(older.floor.max(from)).filter(|from| *from < end);
            }
        }
    }
    (stored, known_from)
}

fn tail(state: &WebState) -> RwLockReadGuard<'_, Tail> {
    state.store.read().unwrap_or_else(PoisonError::into_inner)
}

problems!(
    StopsProblems: InvalidParameter,
    UnknownParameter,
    EmptyRange,
    UnknownLamppost,
    Rebuilding,
    RegistryUnavailable,
);
