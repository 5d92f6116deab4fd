//! Completeness: what became of everything that was due, series by series (D12).
//!
//! Every tick of the grids that were in force has one verdict: it is stored, or rejected, dropped, lost, still to come, or
//! it was never read. What is stored the store tells; all else the ledger of ingest. Nothing is counted of what has left
//! the server's memory, which is said.

mod count;
mod document;

use std::sync::{PoisonError, RwLockReadGuard};

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{ChannelName, LamppostNumber, SeriesName, UtcMillis};
use utoipa::IntoParams;

use self::count::{Count, Counter};
use self::document::{
    CountsDocument, LamppostCompletenessDocument, SeriesCompletenessDocument, SeriesCounts,
};
use super::WebState;
use super::app::App;
use super::lampposts::LamppostPath;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, InPath, Parameters};
use super::series_data::{SeriesPath, unknown_series};
use super::timestamp::Timestamp;
use crate::clock;
use crate::ingest::{Course, SeriesCourse};
use crate::store::{MAX_PAGE, SeriesId, SeriesKey, Tail};

/// How far a range reaches back when `from` is left out.
const DEFAULT_SPAN_MS: i64 = 24 * 3_600_000;

/// Stored observations that one answer looks at: 40 series that are read every 10 seconds, for more than a week.
const MOST_LOOKED_AT: u64 = 4_000_000;

/// How often a series is counted anew when its earliest observations leave the memory meanwhile.
const MOST_ATTEMPTS: usize = 8;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CompletenessQuery {
    /// Begin of the range. Left out: a day before its end.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<UtcMillis>,
    /// End of the range, itself not in it. Left out: now.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<UtcMillis>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesCompletenessQuery {
    /// Which of several series of the device and property; left out if there is one.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,32}$")]
    channel: Option<ChannelName>,
    /// Begin of the range. Left out: a day before its end; if the server's memory does not reach so far, that is said.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<UtcMillis>,
    /// End of the range, itself not in it. Left out: now.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<UtcMillis>,
}

impl FromParameters for CompletenessQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let begin = from.optional("from", Timestamp::parse)?;
        Ok(Self { from: begin, to: from.optional("to", Timestamp::parse)? })
    }
}

impl FromParameters for SeriesCompletenessQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let channel = from.optional("channel", ChannelName::new)?;
        let CompletenessQuery { from, to } = CompletenessQuery::take(from)?;
        Ok(Self { channel, from, to })
    }
}

/// From `from` to before `to`, of which what lies after `now` has not come yet.
#[derive(Clone, Copy)]
struct Range {
    from: UtcMillis,
    to: UtcMillis,
    now: UtcMillis,
}

impl Range {
    fn new(from: Option<UtcMillis>, to: Option<UtcMillis>, now: UtcMillis) -> Result<Self, Problem> {
        let to = to.unwrap_or_else(|| from.map_or(now, |from| now.max(from.plus_ms(1))));
        let from = from.unwrap_or_else(|| to.plus_ms(-DEFAULT_SPAN_MS));
        if from < to {
            return Ok(Self { from, to, now });
        }
        let detail = format!("from {} is not before to {}", Timestamp(from), Timestamp(to));
        Err(Problem::new(ProblemKind::EmptyRange, detail).with_parameter("from"))
    }

    fn course(self, state: &WebState, number: &LamppostNumber) -> Option<Course> {
        state.lifelines.course(number, self.from, self.to.min(self.now))
    }
}

/// Completeness of a series
///
/// What became of everything that was due of a series over a range of time. A range that begins before what the server
/// holds in memory is a problem (`older-than-tail`).
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/series/{device}/{property}/completeness", tag = "observations",
    params(SeriesPath, SeriesCompletenessQuery),
    responses(
        (status = 200, description = "What became of it", body = SeriesCompletenessDocument),
        SeriesCompletenessProblems
    )
)]
pub(super) async fn series_completeness(
    State(app): State<App>,
    InPath(path): InPath<SeriesPath>,
    Asked(query): Asked<SeriesCompletenessQuery>,
) -> Result<Json<SeriesCompletenessDocument>, Problem> {
    let range = Range::new(query.from, query.to, clock::wall())?;
    app.lamppost(&path.number).await?;
    let name = SeriesName { device: path.device, property: path.property, channel: query.channel };
    let key = SeriesKey { lamppost: path.number, name };
    let is_open = query.from.is_none();
    Ok(Json(app.blocking(move |state| of_series(state, key, range, is_open)).await??))
}

/// Completeness of a lamppost
///
/// What became of everything that was due of all series of a lamppost over a range of time. Where the range begins before
/// what the server holds of a series, that is said in its `unknown_before`.
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/completeness", tag = "observations",
    params(LamppostPath, CompletenessQuery),
    responses(
        (status = 200, description = "What became of it", body = LamppostCompletenessDocument),
        CompletenessProblems
    )
)]
pub(super) async fn completeness(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    Asked(query): Asked<CompletenessQuery>,
) -> Result<Json<LamppostCompletenessDocument>, Problem> {
    let range = Range::new(query.from, query.to, clock::wall())?;
    app.lamppost(&path.number).await?;
    Ok(Json(app.blocking(move |state| of_lamppost(state, path.number, range)).await??))
}

fn of_series(
    state: &WebState,
    key: SeriesKey,
    range: Range,
    is_open: bool,
) -> Result<SeriesCompletenessDocument, Problem> {
    let course = range.course(state, &key.lamppost);
    let id = tail(state).find(&key);
    let is_known = id.is_some() || course.as_ref().is_some_and(|course| course.series().contains(&key.name));
    if !is_known {
        return Err(unknown_series(&tail(state), &key));
    }
    let mut work = MOST_LOOKED_AT;
    let (count, unknown_before) = count(state, id, course.as_ref(), &key.name, range, &mut work)?;
    if let Some(floor) = unknown_before.filter(|_| !is_open) {
        return Err(Problem::older_than_tail("from", floor));
    }
    let series = SeriesCounts::new(key.name, unknown_before.map(Timestamp), &count);
    let (from, to) = (Timestamp(range.from), Timestamp(range.to));
    Ok(SeriesCompletenessDocument { lamppost: key.lamppost, from, to, series })
}

fn of_lamppost(
    state: &WebState,
    number: LamppostNumber,
    range: Range,
) -> Result<LamppostCompletenessDocument, Problem> {
    let course = range.course(state, &number);
    let mut names = course.as_ref().map(Course::series).unwrap_or_default();
    names.extend(tail(state).latest_of_lamppost(&number).map(|one| one.meta.key.name.clone()));
    let mut work = MOST_LOOKED_AT;
    let mut series = Vec::new();
    for name in names {
        let key = SeriesKey { lamppost: number.clone(), name };
        let id = tail(state).find(&key);
        let (count, unknown_before) = count(state, id, course.as_ref(), &key.name, range, &mut work)?;
        series.push(SeriesCounts::new(key.name, unknown_before.map(Timestamp), &count));
    }
    series.retain(|one| !one.is_empty());
    let mut total = CountsDocument::default();
    for one in series.iter().map(SeriesCounts::counts).filter(|counts| counts.has_grid()) {
        total.add(one);
    }
    Ok(LamppostCompletenessDocument {
        lamppost: number,
        from: Timestamp(range.from),
        to: Timestamp(range.to),
        without_grid: series.iter().filter(|one| !one.counts().has_grid()).count(),
        series,
        total,
        unreadable_records: course.as_ref().map_or(0, Course::unreadable),
        unplaced: course.as_ref().map_or(0, Course::unplaced),
    })
}

/// Counts a series from the begin of the range, or from when the server knows of it, which is told if it is later.
fn count(
    state: &WebState,
    id: Option<SeriesId>,
    course: Option<&Course>,
    name: &SeriesName,
    range: Range,
    work: &mut u64,
) -> Result<(Count, Option<UtcMillis>), Problem> {
    let of_series = course.map(|course| course.of(name)).unwrap_or_default();
    let remembered = course.and_then(Course::known_from);
    let mut from = range.from.max(remembered.unwrap_or(range.from));
    for _ in 0..MOST_ATTEMPTS {
        let from_here = from.min(range.to);
        match attempt(state, id, &of_series, (from_here, range.to), work)? {
            Ok(count) => return Ok((count, Some(from_here).filter(|from| *from > range.from))),
            // Also when the memory moves on between two pages.
            Err(floor) => from = from.max(floor),
        }
    }
    Err(Problem::older_than_tail("from", from))
}

/// Counts from here on, unless the store's memory begins later.
fn attempt(
    state: &WebState,
    id: Option<SeriesId>,
    course: &SeriesCourse,
    (from, to): (UtcMillis, UtcMillis),
    work: &mut u64,
) -> Result<Result<Count, UtcMillis>, Problem> {
    let mut counter = Counter::new(course, from, to);
    let end = counter.reads_to();
    let mut next = Some(from).filter(|from| *from < end);
    while let (Some(id), Some(begin)) = (id, next) {
        // The lock is taken page by page, so that ingest gets its turn.
        let page = match tail(state).range(id, begin, end, MAX_PAGE) {
            Ok(page) => page,
            Err(older) => return Ok(Err(older.floor)),
        };
        *work = work.checked_sub(page.points.len() as u64).ok_or_else(too_long)?;
        for point in &page.points {
            counter.stored(point.time);
        }
        next = page.next;
    }
    Ok(Ok(counter.finish()))
}

fn too_long() -> Problem {
    let detail = format!("there are more than {MOST_LOOKED_AT} observations in it: ask for a shorter one");
    Problem::new(ProblemKind::RangeTooLong, detail).with_parameter("from")
}

fn tail(state: &WebState) -> RwLockReadGuard<'_, Tail> {
    state.store.read().unwrap_or_else(PoisonError::into_inner)
}

problems!(
    CompletenessProblems: InvalidParameter,
    UnknownParameter,
    EmptyRange,
    RangeTooLong,
    UnknownLamppost,
    OlderThanTail,
    Rebuilding,
    RegistryUnavailable,
);
problems!(
    SeriesCompletenessProblems: InvalidParameter,
    UnknownParameter,
    EmptyRange,
    RangeTooLong,
    UnknownLamppost,
    UnknownSeries,
    OlderThanTail,
    Rebuilding,
    RegistryUnavailable,
);
