//! A series over a range of time: its observations, or buckets by its statistic; as a document or as a file.

use axum::Json;
use axum::extract::State;
use axum::http::Version;
use axum::response::{IntoResponse as _, Response};
use lamplighter_protocol::{ChannelName, DeviceName, LamppostNumber, PropertyName, SeriesName, UtcMillis};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::csv::{self, FileName};
use super::observation::{ObservationDocument, SeriesDocument};
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, FromPath, InPath, Parameters, PathParameters};
use super::step::Step;
use super::timestamp::Timestamp;
use crate::store::{AggregateError, Bucket, MAX_PAGE, SeriesId, SeriesKey, Tail};

/// Most buckets of an answer: a week of minutes. More than any screen has columns, and some 2 MB of JSON.
const MOST_BUCKETS: i64 = 10_080;

/// How far a range reaches back when `from` is left out.
const DEFAULT_SPAN_MS: i64 = 3_600_000;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SeriesPath {
    /// The official number of the lamppost.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,32}$", example = "DF3637")]
    pub(super) number: LamppostNumber,
    /// The device on it.
    #[param(value_type = String, pattern = "^[a-z0-9-]{1,32}$", example = "weather-1")]
    pub(super) device: DeviceName,
    /// What it observes; a name of the catalogue.
    #[param(value_type = String, pattern = "^[a-z][a-z0-9_]{0,47}$", example = "air_temperature")]
    pub(super) property: PropertyName,
}

impl FromPath for SeriesPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { number: from.get("number")?, device: from.get("device")?, property: from.get("property")? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DataQuery {
    /// Which of several series of the device and property; left out if there is one.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,32}$")]
    channel: Option<ChannelName>,
    /// Begin of the range. Left out: an hour before its end, or as far as the server's memory reaches.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<UtcMillis>,
    /// End of the range, itself not in it. Left out: just after the newest observation.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<UtcMillis>,
    /// Sum up into buckets of this length: a duration by ISO 8601 (`PT10M`, `PT1H`, `P1D`), or seconds.
    #[param(value_type = Option<String>, example = "PT1H")]
    step: Option<Step>,
    /// `json`: a document, of observations page by page. `csv`: a file with all of the range.
    #[param(value_type = Option<String>, pattern = "^(json|csv)$", default = "json")]
    format: Format,
    /// How many observations at most; not with `step` or `format=csv`.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000, default = 1000)]
    limit: u32,
    /// Only observations past this time: `next` of the page before; not with `step` or `format=csv`.
    #[param(value_type = Option<String>)]
    after: Option<UtcMillis>,
}

/// How a series is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

impl FromParameters for DataQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let channel = from.optional("channel", ChannelName::new)?;
        let begin = from.optional("from", Timestamp::parse)?;
        let to = from.optional("to", Timestamp::parse)?;
        let step = from.optional("step", Step::parse)?;
        if step.is_some() {
            from.absent("limit", "step", "the range and the step alone say how many buckets there are")?;
            from.absent("after", "step", "buckets come in one page")?;
        }
        let format = from.optional("format", Format::parse)?.unwrap_or(Format::Json);
        if format == Format::Csv {
            from.absent("limit", "format=csv", "a file holds the whole range")?;
            from.absent("after", "format=csv", "a file holds the whole range")?;
        }
        let limit = from.limit(1000, u32::try_from(MAX_PAGE).unwrap_or(u32::MAX))?;
        let after = from.optional("after", Timestamp::parse)?;
        Ok(Self { channel, from: begin, to, step, format, limit, after })
    }
}

impl Format {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("it is json or csv"),
        }
    }
}

/// A series over a range of time.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SeriesData {
    /// Without `step`.
    Observations(ObservationsDocument),
    /// With `step`.
    Buckets(BucketsDocument),
}

/// Observations of a series over a range of time.
#[derive(Serialize, ToSchema)]
pub(super) struct ObservationsDocument {
    #[serde(flatten)]
    series: SeriesDocument,
    /// Begin of the range.
    from: Timestamp,
    /// End of the range, itself not in it.
    to: Timestamp,
    /// In ascending order of time.
    observations: Vec<ObservationDocument>,
    /// `after` of the next page, to be asked with the same `from` and `to`; null on the last one.
    #[schema(required = true)]
    next: Option<Timestamp>,
}

/// A series over a range of time, summed up.
#[derive(Serialize, ToSchema)]
pub(super) struct BucketsDocument {
    #[serde(flatten)]
    series: SeriesDocument,
    /// Begin of the range.
    from: Timestamp,
    /// End of the range, itself not in it.
    to: Timestamp,
    /// Length of a bucket, by ISO 8601.
    #[schema(example = "PT1H")]
    step: String,
    /// In ascending order of time. A bucket begins at a whole multiple of the step since 1970-01-01T00:00:00Z; the
    /// first and the last one sum up only what lies in the range. Where nothing was observed there is no bucket.
    buckets: Vec<BucketDocument>,
}

/// What was observed from `start` to before `end`.
#[derive(Serialize, ToSchema)]
pub(super) struct BucketDocument {
    /// Begin of the bucket.
    start: Timestamp,
    /// End of the bucket, itself not in it.
    end: Timestamp,
    /// By the statistic, in the unit of the series, of good and uncertain values. Null without any of these, and for
    /// directions that cancel out.
    #[schema(required = true)]
    value: Option<f64>,
    /// Least of these values; null for directions, of which none is the least.
    minimum: Option<f64>,
    /// Greatest of these values; null for directions.
    maximum: Option<f64>,
    /// How many observations are good.
    good: u32,
    /// How many are uncertain.
    uncertain: u32,
    /// How many are bad: they have no value.
    bad: u32,
}

/// A series over a range of time
///
/// Without `step` its observations, page by page; with `step` buckets by its statistic. A range that begins before
/// what the server holds in memory is a problem (`older-than-tail`) and never an empty answer.
///
/// With `format=csv` the same as a file (RFC 4180) of the whole range, however long: UTF-8, a header row always, times
/// by RFC 3339 in UTC, an empty cell where there is no value. Its columns are `time,value,unit,quality,reason`, with
/// `step` `start,end,value,minimum,maximum,good,uncertain,bad,unit`. A long file is sent as it is read; should the
/// rest of it leave the memory meanwhile, the answer breaks off without its last chunk: an error for every client of
/// HTTP/1.1, and never a shorter file. A client of HTTP/1.0 could not tell, and is refused (`http-too-old`).
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/series/{device}/{property}", tag = "observations",
    params(SeriesPath, DataQuery),
    responses(
        (
            status = 200, description = "Observations or buckets",
            content(
                (SeriesData = "application/json"),
                (
                    String = "text/csv",
                    example = "time,value,unit,quality,reason\r\n2026-07-01T08:00:00.000Z,27.31,Cel,good,good\r\n"
                )
            ),
            headers(("content-disposition" = Option<String>, description = "With `format=csv`: the name of the file"))
        ),
        DataProblems
    )
)]
pub(super) async fn series_data(
    State(app): State<App>,
    version: Version,
    InPath(path): InPath<SeriesPath>,
    Asked(query): Asked<DataQuery>,
) -> Result<Response, Problem> {
    if query.format == Format::Csv && query.step.is_none() {
        csv::can_break_off(version)?;
    }
    app.lamppost(&path.number).await?;
    let name = SeriesName { device: path.device, property: path.property, channel: query.channel.clone() };
    let key = SeriesKey { lamppost: path.number, name };
    match query.format {
        Format::Json => Ok(Json(app.read(move |tail| read(tail, &key, &query)).await??).into_response()),
        Format::Csv => file(app, key, query).await,
    }
}

fn read(tail: &Tail, key: &SeriesKey, query: &DataQuery) -> Result<SeriesData, Problem> {
    let (id, range) = find(tail, key, query)?;
    match query.step {
        None => observations(tail, id, range, query).map(SeriesData::Observations),
        Some(step) => buckets(tail, id, range, step).map(|buckets| {
            SeriesData::Buckets(BucketsDocument {
                series: tail.meta(id).into(),
                from: Timestamp(range.from),
                to: Timestamp(range.to),
                step: step.to_string(),
                buckets: buckets.into_iter().map(BucketDocument::from).collect(),
            })
        }),
    }
}

async fn file(app: App, key: SeriesKey, query: DataQuery) -> Result<Response, Problem> {
    let step = query.step;
    let asked = key.clone();
    let name = FileName { lamppost: &key.lamppost, series: &key.name, step };
    match app.read(move |tail| content(tail, &asked, &query)).await?? {
        Content::Observations(id, range, first) => Ok(csv::observations(app, id, &first, range.to, &name)),
        Content::Buckets(buckets, unit) => Ok(csv::buckets(&buckets, &unit, &name)),
    }
}

/// What a file begins with.
enum Content {
    Observations(SeriesId, Range, csv::Page),
    Buckets(Vec<Bucket>, String),
}

/// Under one lock: what a range that was left out begins with must not leave the memory before it is read.
fn content(tail: &Tail, key: &SeriesKey, query: &DataQuery) -> Result<Content, Problem> {
    let (id, range) = find(tail, key, query)?;
    if let Some(step) = query.step {
        return Ok(Content::Buckets(buckets(tail, id, range, step)?, tail.meta(id).unit.clone()));
    }
    let first = csv::Page::read(tail, id, range.from, range.to)
        .map_err(|older| Problem::older_than_tail("from", older.floor))?;
    Ok(Content::Observations(id, range, first))
}

fn find(tail: &Tail, key: &SeriesKey, query: &DataQuery) -> Result<(SeriesId, Range), Problem> {
    let id = tail.find(key).ok_or_else(|| unknown_series(tail, key))?;
    Ok((id, Range::of(tail, id, query)?))
}

/// From `from` to before `to`, and it is not empty.
#[derive(Clone, Copy)]
struct Range {
    from: UtcMillis,
    to: UtcMillis,
}

impl Range {
    fn of(tail: &Tail, id: SeriesId, query: &DataQuery) -> Result<Self, Problem> {
        let floor = tail.floor(id);
        let after_latest = tail.latest(id).map(|latest| latest.time.plus_ms(1));
        let to = query.to.or(after_latest).unwrap_or(floor.max(UtcMillis(0)));
        let Some(from) = query.from else {
            // The newest observation may have left the memory: then there is no begin that can be answered from.
            let from = to.plus_ms(-DEFAULT_SPAN_MS).max(floor);
            if from >= to && query.to.is_none() {
                return Err(Problem::older_than_tail("from", floor));
            }
            return Self::new(from.min(to.plus_ms(-1)), to);
        };
        // A range that begins after the newest observation is not upside down: it is just empty.
        let to = if query.to.is_none() { to.max(from.plus_ms(1)) } else { to };
        Self::new(from, to)
    }

    fn new(from: UtcMillis, to: UtcMillis) -> Result<Self, Problem> {
        if from < to {
            return Ok(Self { from, to });
        }
        let detail = format!("from {} is not before to {}", Timestamp(from), Timestamp(to));
        Err(Problem::new(ProblemKind::EmptyRange, detail).with_parameter("from"))
    }
}

fn observations(
    tail: &Tail,
    id: SeriesId,
    range: Range,
    query: &DataQuery,
) -> Result<ObservationsDocument, Problem> {
    let (begin, parameter) = match query.after {
        Some(after) => (after.plus_ms(1).max(range.from), "after"),
        None => (range.from, "from"),
    };
    let page = tail
        .range(id, begin, range.to, query.limit as usize)
        .map_err(|older| Problem::older_than_tail(parameter, older.floor))?;
    let next = page.next.and(page.points.last()).map(|last| Timestamp(last.time));
    Ok(ObservationsDocument {
        series: tail.meta(id).into(),
        from: Timestamp(range.from),
        to: Timestamp(range.to),
        observations: page.points.into_iter().map(ObservationDocument::from).collect(),
        next,
    })
}

fn buckets(tail: &Tail, id: SeriesId, range: Range, step: Step) -> Result<Vec<Bucket>, Problem> {
    let first = range.from.0.div_euclid(step.ms());
    let last = range.to.plus_ms(-1).0.div_euclid(step.ms());
    if last.saturating_sub(first) >= MOST_BUCKETS {
        return Err(too_many_buckets(step));
    }
    tail.aggregate(id, range.from, range.to, step.ms()).map_err(|error| match error {
        AggregateError::OlderThanTail(older) => Problem::older_than_tail("from", older.floor),
        AggregateError::TooManyBuckets { .. } => too_many_buckets(step),
        AggregateError::Step { .. } => Problem::invalid("step", error.to_string()),
    })
}

impl From<Bucket> for BucketDocument {
    fn from(bucket: Bucket) -> Self {
        let Bucket { start, end, value, minimum, maximum, good, uncertain, bad } = bucket;
        Self { start: Timestamp(start), end: Timestamp(end), value, minimum, maximum, good, uncertain, bad }
    }
}

fn too_many_buckets(step: Step) -> Problem {
    let detail = format!("a step of {step} makes more than {MOST_BUCKETS} buckets: take a longer one");
    Problem::new(ProblemKind::TooManyBuckets, detail).with_parameter("step")
}

/// Names the first part of the series' name that does not fit what the lamppost has.
pub(super) fn unknown_series(tail: &Tail, key: &SeriesKey) -> Problem {
    let known: Vec<&SeriesName> =
        tail.latest_of_lamppost(&key.lamppost).map(|one| &one.meta.key.name).collect();
    let of_device: Vec<&&SeriesName> = known.iter().filter(|name| name.device == key.name.device).collect();
    let parameter = if of_device.is_empty() {
        "device"
    } else if of_device.iter().any(|name| name.property == key.name.property) {
        "channel"
    } else {
        "property"
    };
    let detail =
        format!("lamppost {} has no series {}; it has {} others", key.lamppost, key.name, known.len());
    Problem::new(ProblemKind::UnknownSeries, detail).with_parameter(parameter)
}

problems!(
    DataProblems: InvalidParameter,
    UnknownParameter,
    EmptyRange,
    TooManyBuckets,
    UnknownLamppost,
    UnknownSeries,
    OlderThanTail,
    HttpTooOld,
    Rebuilding,
    RegistryUnavailable,
);
