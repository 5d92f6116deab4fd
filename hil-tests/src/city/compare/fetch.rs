//! What a server stored, fetched by its REST API and compared.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lamplighter_protocol::{Grid, LamppostNumber, UtcMillis};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::series::{ComparedSeries, Mismatch, Observed, Report, compare};
use crate::city::Fidelity;
use crate::city::positions::sample_lampposts;
use crate::city::timestamp;
use crate::fleet::Api;
use crate::rig::lamppost::SERIES;
use crate::world::Recordings;

/// From when to when is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The begin.
    pub from: UtcMillis,
    /// The end, itself not in it.
    pub to: UtcMillis,
}

/// How the comparison of a whole fleet went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetReport {
    /// By property: the reports of all lampposts.
    properties: BTreeMap<&'static str, Report>,
}

/// The server gave no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// It gave none, or refused.
    #[error("cannot fetch {path}: {reason}")]
    Fetch {
        /// What was asked for.
        path: String,
        /// The whole chain of reasons.
        reason: String,
    },
    /// Its answer is not of the shape that the API has.
    #[error("{path} has an unexpected shape")]
    Shape {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A time in its answer is none.
    #[error("{path} has {text:?} where a time belongs")]
    Time {
        /// What was asked for.
        path: String,
        /// What stands there.
        text: String,
    },
}

/// Observations on one page: as many as the server gives at once.
const PAGE: u32 = 10_000;

/// How many mismatches are named; all are counted.
const MOST_NAMED: usize = 20;

#[derive(Deserialize)]
struct SeriesList {
    series: Vec<SeriesDocument>,
}

#[derive(Deserialize)]
struct SeriesDocument {
    device: String,
    property: String,
    grid: Option<GridDocument>,
    floor: Option<String>,
}

#[derive(Deserialize)]
struct GridDocument {
    period_ms: u32,
    phase_ms: u32,
}

#[derive(Deserialize)]
struct Page {
    observations: Vec<ObservationDocument>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ObservationDocument {
    time: String,
    value: Option<f64>,
    reason: String,
}

impl Range {
    /// All that the server has in memory.
    pub const ALL: Self = Self { from: UtcMillis(0), to: UtcMillis(i64::MAX) };
}

/// Compares all that a server has of the first `lampposts` lampposts, in this range, with the world of an exact replay.
/// What has left the server's memory is not compared.
///
/// # Errors
/// [`CompareError`]: something could not be fetched. What differs is no error, but in the report.
pub fn fleet(api: &Api, lampposts: u32, range: Range) -> Result<FleetReport, CompareError> {
    let recordings = Arc::new(Recordings::built_in());
    let mut fleet = FleetReport::default();
    for lamppost in sample_lampposts(lampposts) {
        let world = Fidelity::Exact.world(&recordings, &lamppost);
        let path = format!("/api/v1/lampposts/{}/series", lamppost.number);
        let stored: SeriesList = fetch(api, &path)?;
        for (device, property) in SERIES {
            let found = stored.series.iter().find(|one| one.device == device && one.property == property);
            let report = match found.and_then(|found| Some((found, found.grid.as_ref()?))) {
                None => Report::of_nothing(format!("{}/{device}/{property}", lamppost.number)),
                Some((found, grid)) => {
                    let floor = found.floor.as_deref().map(|text| parse_time(&path, text)).transpose()?;
                    let from = floor.map_or(range.from, |floor| floor.max(range.from));
                    let series = ComparedSeries {
                        lamppost: lamppost.number.clone(),
                        device: device.to_owned(),
                        property: property.to_owned(),
                        grid: Grid { period_ms: grid.period_ms, phase_ms: grid.phase_ms },
                    };
                    let observed = observations(api, &series, Range { from, ..range })?;
                    compare(&series, &observed, &world)
                }
            };
            fleet.properties.entry(property).or_default().add(report);
        }
    }
    Ok(fleet)
}

impl FleetReport {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.mismatches().next().is_none()
    }

    /// How many observations were compared.
    pub fn compared(&self) -> u64 {
        self.properties.values().map(|report| report.compared).sum()
    }

    /// The report of one property over all lampposts.
    pub fn property(&self, property: &str) -> Option<&Report> {
        self.properties.get(property)
    }

    /// All that differs.
    pub fn mismatches(&self) -> impl Iterator<Item = &Mismatch> {
        self.properties.values().flat_map(|report| &report.mismatches)
    }
}

impl fmt::Display for FleetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>10} {:>6} {:>16} {:>8}",
            "property", "compared", "late", "worst deviation", "differ"
        )?;
        for (_, property) in SERIES {
            let Some(Report { compared, late, worst, mismatches }) = self.property(property) else {
                continue;
            };
            writeln!(f, "{property:<20} {compared:>10} {late:>6} {worst:>16.6} {:>8}", mismatches.len())?;
        }
        for mismatch in self.mismatches().take(MOST_NAMED) {
            writeln!(f, "{mismatch}")?;
        }
        let more = self.mismatches().count().saturating_sub(MOST_NAMED);
        if more > 0 { writeln!(f, "and {more} more") } else { Ok(()) }
    }
}

/// All observations of a series in this range, in the order of their times.
fn observations(api: &Api, series: &ComparedSeries, range: Range) -> Result<Vec<Observed>, CompareError> {
    let ComparedSeries { lamppost, device, property, .. } = series;
    let asked = observations_path(lamppost, device, property, range);
    let mut observations = Vec::new();
    let mut path = asked.clone();
    loop {
        let page: Page = fetch(api, &path)?;
        for one in page.observations {
            let time = parse_time(&path, &one.time)?;
            observations.push(Observed { time, value: one.value, reason: one.reason });
        }
        let Some(next) = page.next else { return Ok(observations) };
        path = format!("{asked}&after={}", parse_time(&path, &next)?.0);
    }
}

fn observations_path(lamppost: &LamppostNumber, device: &str, property: &str, range: Range) -> String {
    let Range { from, to } = range;
    format!(
        "/api/v1/lampposts/{lamppost}/series/{device}/{property}?from={}&to={}&limit={PAGE}",
        from.0, to.0
    )
}

fn fetch<T: DeserializeOwned>(api: &Api, path: &str) -> Result<T, CompareError> {
    let document = api
        .json(path)
        .map_err(|error| CompareError::Fetch { path: path.to_owned(), reason: format!("{error:#}") })?;
    serde_json::from_value(document).map_err(|source| CompareError::Shape { path: path.to_owned(), source })
}

fn parse_time(path: &str, text: &str) -> Result<UtcMillis, CompareError> {
    timestamp::parse(text).ok_or_else(|| CompareError::Time { path: path.to_owned(), text: text.to_owned() })
}
