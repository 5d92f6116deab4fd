//! All lampposts at once, for maps: where they stand, and how they are.
//!
//! A city's register is long and rarely changes, the states are short and change all the time: so the one is kept by
//! the client and asked for by its revision, and the other is read beside it, in the same order. Both are columns: a
//! name for each value of each lamppost would be most of the answer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lamplighter_protocol::{LamppostNumber, Property, PropertyName, Quality, SeriesName};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::observation::StatisticName;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, NoParameters, Parameters};
use super::timestamp::Timestamp;
use super::unread::Shared;
use crate::clock;
use crate::ingest::CurrentSeries;
use crate::live::Status;
use crate::roll::{Register, Rows, State as LamppostState};
use crate::store::{SeriesLatest, Tail};

/// Most lampposts whose values are read under one lock: ingest waits no longer than for a page of observations.
const AT_ONCE: usize = 1_000;

const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// The register in columns, one row for each lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct CityDocument<'a> {
    /// Names this content: another one has another name, the same one has it again after a restart.
    #[schema(example = "9d3f0c51e2a84b67")]
    revision: String,
    /// The official numbers, ascending byte by byte.
    #[schema(value_type = Vec<String>)]
    numbers: &'a [LamppostNumber],
    /// Millionths of a degree north, WGS 84.
    latitude_e6: &'a [i32],
    /// Millionths of a degree east, WGS 84.
    longitude_e6: &'a [i32],
    /// Each road once.
    roads: &'a [String],
    /// The place of each lamppost's road among `roads`.
    road: &'a [usize],
    /// Each district once.
    districts: &'a [String],
    /// The place of each lamppost's district among `districts`.
    district: &'a [usize],
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatesQuery {
    /// A property of the catalogue, whose newest values are to come with the states.
    #[param(value_type = Option<String>, example = "air_temperature")]
    property: Option<PropertyName>,
}

impl FromParameters for StatesQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { property: from.optional("property", PropertyName::new)? })
    }
}

/// How all lampposts are, with values if a property was asked for.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum StatesAnswer {
    WithValues(Box<StatesWithValues>),
    States(StatesDocument),
}

/// How all lampposts are: one row for each, in the order of the register's numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct StatesDocument {
    /// The revision of the register whose lampposts these are.
    #[schema(example = "9d3f0c51e2a84b67")]
    revision: String,
    /// What `/live` has told up to here is in this answer; `after` it comes what is not.
    event_id: String,
    /// The server's time.
    time: Timestamp,
    /// A letter each: `r` reporting, `l` late, `o` offline, `n` never heard.
    #[schema(example = "rrlon")]
    status: String,
    /// A letter each, the worst quality among the newest observations of its series: `g` good, `u` uncertain, `b` bad,
    /// `-` without any.
    #[schema(example = "gubg-")]
    quality: String,
    /// Phenomenon time of the newest observation, in milliseconds since 1970-01-01T00:00:00Z.
    last_observation_ms: Vec<Option<i64>>,
}

/// How all lampposts are, and the newest value of a property on each.
#[derive(Serialize, ToSchema)]
pub(super) struct StatesWithValues {
    #[serde(flatten)]
    states: StatesDocument,
    #[serde(flatten)]
    values: ValuesDocument,
}

/// The newest observation of a property on each lamppost: of the series that it has now the first by name that has an
/// observation. What a device has observed that the lamppost does not have any more is not among them.
#[derive(Serialize, ToSchema)]
pub(super) struct ValuesDocument {
    /// UCUM; the unit of all values.
    #[schema(example = "Cel")]
    unit: String,
    /// How the property is summed up over time.
    statistic: StatisticName,
    /// In the unit; null when there was none.
    values: Vec<Option<f64>>,
    /// Phenomenon time, in milliseconds since 1970-01-01T00:00:00Z; null without an observation.
    value_time_ms: Vec<Option<i64>>,
    /// A letter each: `g` good, `u` uncertain, `b` bad, `-` without an observation.
    #[schema(example = "gub-")]
    value_quality: String,
    /// Why it is less than good; null if it is good, and without an observation.
    value_reason: Vec<Option<String>>,
    /// The period of the series' grid in milliseconds; null if it reports by exception, and without a series. A series
    /// that has not observed yet has one.
    value_period_ms: Vec<Option<u32>>,
    /// The names of series, each once, as `/live` has them.
    #[schema(example = json!(["weather-1/air_temperature"]))]
    series: Vec<String>,
    /// The place among `series` of the one that the value is of; null without an observation.
    value_series: Vec<Option<usize>>,
    /// Where each name stands in `series`.
    #[serde(skip)]
    places: HashMap<SeriesName, usize>,
}

/// Where all lampposts stand
///
/// The whole register in columns. Its `ETag` goes by the document, its content and its form: whoever has it sends it as
/// `If-None-Match`, and is told in a few bytes that nothing has changed.
#[utoipa::path(
    get, path = "/api/v1/city", tag = "lampposts",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the register that is known")),
    responses(
        (
            status = 200, description = "The register", body = CityDocument<'_>,
            headers(("ETag" = String, description = "Goes by the document"))
        ),
        (status = 304, description = "The register is the one that is known"),
        CityProblems
    )
)]
pub(super) async fn city(
    State(app): State<App>,
    headers: HeaderMap,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    app.rebuilt()?;
    let register = rows(&app)?.register;
    let copies = app.clone();
    let copy =
        app.blocking(move |_| copies.city().of(register.revision(), || json(&CityDocument::of(&register))));
    let copy = copy.await?;
    let kept = [(header::ETAG, copy.etag.value()), (header::CACHE_CONTROL, "private, no-cache")];
    if copy.etag.is_known_to(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    Ok((Extension(Shared), kept, JSON, copy.document.clone()).into_response())
}

/// How all lampposts are
///
/// One row for each lamppost, in the order of the register whose `revision` it names: if that is another one than the
/// client has, it reads the register anew.
#[utoipa::path(
    get, path = "/api/v1/city/states", tag = "lampposts", params(StatesQuery),
    responses((status = 200, description = "The states", body = StatesAnswer), StatesProblems)
)]
pub(super) async fn city_states(
    State(app): State<App>,
    Asked(query): Asked<StatesQuery>,
) -> Result<Response, Problem> {
    app.rebuilt()?;
    let property = query.property.map(|name| property(&app, &name)).transpose()?;
    // Before all else: what is told later may be in the answer too, and nothing is in neither.
    let event_id = app.live.head().to_string();
    let rows = rows(&app)?;
    let (roll, store) = (app.roll.clone(), Arc::clone(&app.store));
    let answer = move |_: &_| {
        let states = StatesDocument::of(&rows, event_id);
        let Some(property) = property else { return json(&StatesAnswer::States(states)) };
        let mut values = ValuesDocument::of(&property);
        for numbers in rows.register.numbers().chunks(AT_ONCE) {
            let current = roll.current_series(numbers);
            let tail = store.read().unwrap_or_else(PoisonError::into_inner);
            for (number, current) in numbers.iter().zip(current) {
                values.push(newest(&tail, number, &property.name, current.as_ref()));
            }
        }
        json(&StatesAnswer::WithValues(Box::new(StatesWithValues { states, values })))
    };
    Ok((JSON, app.blocking(answer).await?).into_response())
}

/// Written where it was read, for the rows of a whole city take their time.
fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("a document of columns has only text keys")
}

fn rows(app: &App) -> Result<Rows, Problem> {
    app.roll.rows().ok_or_else(|| {
        let detail = "the registry could not be read so far; ask again, or look into the log";
        Problem::new(ProblemKind::RegistryUnavailable, detail)
    })
}

fn property(app: &App, name: &PropertyName) -> Result<Property, Problem> {
    app.catalogue.get(name).cloned().ok_or_else(|| {
        let detail =
            format!("the catalogue has no property {name}; /api/v1/catalogue lists those that it has");
        Problem::invalid("property", detail)
    })
}

impl<'a> CityDocument<'a> {
    fn of(register: &'a Register) -> Self {
        let (roads, districts) = (register.roads(), register.districts());
        Self {
            revision: register.revision().to_string(),
            numbers: register.numbers(),
            latitude_e6: register.latitude_e6(),
            longitude_e6: register.longitude_e6(),
            roads: roads.texts(),
            road: roads.rows(),
            districts: districts.texts(),
            district: districts.rows(),
        }
    }
}

impl StatesDocument {
    fn of(rows: &Rows, event_id: String) -> Self {
        let last_observation = |state: &LamppostState| state.last_observation.map(|time| time.0);
        Self {
            revision: rows.register.revision().to_string(),
            event_id,
            time: Timestamp(clock::wall()),
            status: rows.states.iter().map(|state| status_letter(state.status)).collect(),
            quality: rows.states.iter().map(|state| quality_letter(state.worst.quality)).collect(),
            last_observation_ms: rows.states.iter().map(last_observation).collect(),
        }
    }
}

impl ValuesDocument {
    fn of(property: &Property) -> Self {
        Self {
            unit: property.unit.clone(),
            statistic: property.statistic.into(),
            values: Vec::new(),
            value_time_ms: Vec::new(),
            value_quality: String::new(),
            value_reason: Vec::new(),
            value_period_ms: Vec::new(),
            series: Vec::new(),
            value_series: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn push(&mut self, series: Option<SeriesLatest<'_>>) {
        let latest = series.and_then(|series| series.latest);
        let quality = latest.map(|latest| latest.reason.quality());
        let reason = latest.filter(|_| quality != Some(Quality::Good)).map(|latest| latest.reason.name());
        self.values.push(latest.and_then(|latest| latest.value));
        self.value_time_ms.push(latest.map(|latest| latest.time.0));
        self.value_quality.push(quality_letter(quality));
        self.value_reason.push(reason);
        self.value_period_ms.push(series.and_then(|series| series.meta.grid).map(|grid| grid.period_ms));
        let observed = series.filter(|series| series.latest.is_some());
        let place = observed.map(|series| self.place(&series.meta.key.name));
        self.value_series.push(place);
    }

    fn place(&mut self, name: &SeriesName) -> usize {
        self.places.get(name).copied().unwrap_or_else(|| {
            let place = self.series.len();
            self.series.push(name.to_string());
            self.places.insert(name.clone(), place);
            place
        })
    }
}

/// The series that speaks for a property on a lamppost: of those that are current, or of all if it is not known which are,
/// the first by name with an observation, or else the first.
fn newest<'a>(
    tail: &'a Tail,
    number: &LamppostNumber,
    property: &PropertyName,
    current: Option<&CurrentSeries>,
) -> Option<SeriesLatest<'a>> {
    let mut among = current.map(CurrentSeries::among_them);
    let mut has =
        |name: &SeriesName| name.property == *property && among.as_mut().is_none_or(|among| among(name));
    let series = tail.latest_of_lamppost(number).filter(|one| has(&one.meta.key.name));
    // Of several that are equal it gives the first.
    series.min_by_key(|one| one.latest.is_none())
}

fn status_letter(status: Status) -> char {
    match status {
        Status::Reporting => 'r',
        Status::Late => 'l',
        Status::Offline => 'o',
        Status::Never => 'n',
    }
}

fn quality_letter(quality: Option<Quality>) -> char {
    match quality {
        Some(Quality::Good) => 'g',
        Some(Quality::Uncertain) => 'u',
        Some(Quality::Bad) => 'b',
        None => '-',
    }
}

problems!(CityProblems: UnknownParameter, Rebuilding, RegistryUnavailable);
problems!(StatesProblems: InvalidParameter, UnknownParameter, Rebuilding, RegistryUnavailable);
