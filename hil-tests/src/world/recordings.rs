//! The two recordings, as they lie in `data/`, indexed by time of day and by hour of the year.

use lamplighter_protocol::UtcMillis;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MET_MINUTE: &str = include_str!("../../data/met-minute.csv");
const KERBSIDE_HOURLY: &str = include_str!("../../data/kerbside-hourly.csv");

const MINUTES: usize = 1440;
const HOURS: usize = 365 * 24;

/// The recorded day and the recorded year.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// By minute of the day.
    weather: Vec<Weather>,
    /// By hour of a year of 365 days.
    particles: Vec<Particles>,
    mean_pressure_hpa: f64,
}

/// Why a text is not the recording that it should be.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A row cannot be read.
    #[error("a row of the recording cannot be read; compare it with data/README.md")]
    Row(#[from] csv::Error),
    /// A row is not of the time that follows the row before.
    #[error("data row {row} is of {time}, which does not follow the row before")]
    Order {
        /// Counted from 1.
        row: usize,
        /// What it says.
        time: String,
    },
    /// There are too few or too many rows.
    #[error("there are {found} rows where {expected} belong")]
    Rows {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}

/// What was measured in one minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) celsius: f64,
    pub(super) percent: f64,
    pub(super) hectopascals: f64,
}

/// What was measured in one hour, µg/m³. May be below zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Particles {
    pub(super) pm2_5: f64,
    pub(super) pm10: f64,
}

#[derive(Deserialize)]
struct MetRow {
    time: String,
    air_temperature_c: f64,
    relative_humidity_pct: f64,
    station_pressure_hpa: f64,
}

#[derive(Deserialize)]
struct KerbsideRow {
    time: String,
    pm10_ugm3: Option<f64>,
    pm2_5_ugm3: Option<f64>,
}

impl Recordings {
    /// Those in this crate.
    ///
    /// # Panics
    /// If they are not whole, which a test of this crate finds out.
    pub fn built_in() -> Self {
        Self::parse(MET_MINUTE, KERBSIDE_HOURLY).expect("the recordings of this crate are whole")
    }

    /// Reads them from the text of their files: a day of minutes from any time of day on, a year of hours.
    ///
    /// # Errors
    /// [`RecordingError`]: a row is missing, out of order or unreadable.
    pub fn parse(met_minute: &str, kerbside_hourly: &str) -> Result<Self, RecordingError> {
        let weather = weather(met_minute)?;
        let particles = particles(kerbside_hourly)?;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let rows = weather.len() as f64;
        let mean_pressure_hpa = weather.iter().map(|minute| minute.hectopascals).sum::<f64>() / rows;
        Ok(Self { weather, particles, mean_pressure_hpa })
    }

    pub(super) fn mean_pressure_hpa(&self) -> f64 {
        self.mean_pressure_hpa
    }

    /// The minute of the recorded day at this time of day.
    pub(super) fn weather(&self, time: UtcMillis) -> Weather {
        let minute = time.0.div_euclid(60_000).rem_euclid(1440);
        self.weather[usize::try_from(minute).unwrap_or(0)]
    }

    /// The hour of the recorded year at this month, day and hour.
    pub(super) fn particles(&self, time: UtcMillis) -> Particles {
        // Past the year 9999 there are no dates.
        let date = OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000));
        self.particles[hour_of_year(date.unwrap_or(OffsetDateTime::UNIX_EPOCH))]
    }
}

/// By minute of the day, though the recorded day begins at another.
fn weather(text: &str) -> Result<Vec<Weather>, RecordingError> {
    let rows: Vec<MetRow> = rows(text, MINUTES)?;
    check_order(rows.iter().map(|row| row.time.as_str()), 60)?;
    let mut minutes: Vec<Weather> = rows
        .iter()
        .map(|row| Weather {
            celsius: row.air_temperature_c,
            percent: row.relative_humidity_pct,
            hectopascals: row.station_pressure_hpa,
        })
        .collect();
    let first = rows.first().and_then(|row| parse_time(&row.time)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    minutes.rotate_right(usize::from(first.hour()) * 60 + usize::from(first.minute()));
    Ok(minutes)
}

fn particles(text: &str) -> Result<Vec<Particles>, RecordingError> {
    let rows: Vec<KerbsideRow> = rows(text, HOURS)?;
    check_order(rows.iter().map(|row| row.time.as_str()), 3600)?;
    // Before the first value stands the first one that there is.
    let first = |value: fn(&KerbsideRow) -> Option<f64>| rows.iter().find_map(value).unwrap_or(0.0);
    let mut held = Particles { pm2_5: first(|row| row.pm2_5_ugm3), pm10: first(|row| row.pm10_ugm3) };
    let hours = rows.iter().map(|row| {
        held.pm2_5 = row.pm2_5_ugm3.unwrap_or(held.pm2_5);
        held.pm10 = row.pm10_ugm3.unwrap_or(held.pm10);
        held
    });
    Ok(hours.collect())
}

fn rows<T: DeserializeOwned>(text: &str, expected: usize) -> Result<Vec<T>, RecordingError> {
    let rows: Vec<T> = csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>()?;
    if rows.len() != expected {
        return Err(RecordingError::Rows { found: rows.len(), expected });
    }
    Ok(rows)
}

/// Each row is `seconds` after the one before.
fn check_order<'a>(times: impl Iterator<Item = &'a str>, seconds: i64) -> Result<(), RecordingError> {
    let mut before: Option<i64> = None;
    for (place, time) in times.enumerate() {
        let order = || RecordingError::Order { row: place + 1, time: time.to_owned() };
        let this = parse_time(time).ok_or_else(order)?.unix_timestamp();
        if before.is_some_and(|before| this - before != seconds) {
            return Err(order());
        }
        before = Some(this);
    }
    Ok(())
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// 0 to 8759; 29 February is 28 February.
fn hour_of_year(time: OffsetDateTime) -> usize {
    /// Days before each month of a year of 365 days.
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let month = u8::from(time.month());
    let day = if month == 2 { time.day().min(28) } else { time.day() };
    let days = BEFORE[usize::from(month) - 1] + u16::from(day) - 1;
    usize::from(days) * 24 + usize::from(time.hour())
}
