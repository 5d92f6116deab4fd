//! A lamppost in Python: a recorded day of wind, from the published `.proto` to the API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::fleet::wait_for;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::stage::{Stage, run};

const NUMBER: &str = "GF0001";
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MINUTES: usize = 24 * 60;

#[test]
fn every_minute_of_a_python_lamppost_comes_back_with_unit_time_and_quality() {
    let day = Day::published();
    let direction = day.series("wind-1/wind_direction", "");
    assert_eq!(direction["unit"], "deg");
    for (minute, (observation, row)) in observations(&direction).iter().zip(&day.rows).enumerate() {
        assert_eq!(observation.time_ms(), day.minute(minute));
        assert_near(observation.value.unwrap(), row.wind_direction_deg, 0.05, minute);
        assert_eq!((&*observation.quality, &*observation.reason), ("good", "good"));
    }
    let speed = day.series("wind-1/wind_speed", "");
    assert_eq!(speed["unit"], "m/s");
    for (minute, (observation, row)) in observations(&speed).iter().zip(&day.rows).enumerate() {
        assert_near(observation.value.unwrap(), row.wind_speed_ms, 0.005, minute);
    }
}

/// The recorded probe is broken: most of the day it says -7999 °C.
#[test]
fn what_a_python_lamppost_says_of_a_broken_probe_comes_back_as_bad_or_uncertain() {
    let day = Day::published();
    let probe = day.series("probe-1/air_temperature", "");
    let mut bad = 0;
    for (minute, (observation, row)) in observations(&probe).iter().zip(&day.rows).enumerate() {
        assert_eq!(observation.time_ms(), day.minute(minute));
        let said = (&*observation.quality, &*observation.reason);
        if row.probe_temperature_c < -273.15 {
            assert_eq!((observation.value, said), (None, ("bad", "sensor-fault")), "minute {minute}");
            bad += 1;
        } else {
            assert_near(observation.value.unwrap(), row.probe_temperature_c, 0.005, minute);
            assert_eq!(said, ("uncertain", "out-of-range"), "minute {minute}");
        }
    }
    assert!((1..MINUTES).contains(&bad), "the recording has both kinds: {bad} are bad");
}

/// The wind of that day crosses north, so that an arithmetic mean would point elsewhere.
#[test]
fn hourly_wind_directions_are_vector_means_and_gusts_are_maxima() {
    let day = Day::published();
    let directions = day.series("wind-1/wind_direction", "&step=PT1H");
    assert_eq!(directions["statistic"], "vector_mean");
    let gusts = day.series("wind-1/wind_gust", "&step=PT1H");
    assert_eq!(gusts["statistic"], "maximum");
    let (directions, gusts) = (buckets(&directions), buckets(&gusts));
    assert_eq!((directions.len(), gusts.len()), (24, 24));

    let mut misleading = 0;
    for (hour, rows) in day.rows.chunks(60).enumerate() {
        let recorded: Vec<f64> = rows.iter().map(|row| row.wind_direction_deg).collect();
        let (direction, gust) = (&directions[hour], &gusts[hour]);
        assert_eq!(parse_ms(&direction.start), day.minute(hour * 60));
        assert_eq!((direction.good, direction.uncertain, direction.bad), (60, 0, 0));
        let mean = vector_mean(&recorded);
        let off = turn(direction.value.unwrap(), mean);
        assert!(off <= 0.05, "hour {hour}: {:?} is {off} degrees off {mean}", direction.value);
        let strongest = rows.iter().map(|row| row.wind_gust_ms).fold(0.0, f64::max);
        assert_near(gust.value.unwrap(), strongest, 0.005, hour);
        misleading += usize::from(turn(arithmetic_mean(&recorded), mean) > 22.0);
    }
    assert!(misleading >= 18, "only in {misleading} hours an arithmetic mean would have shown");
}

#[test]
fn the_position_that_answers_a_python_hello_names_every_record() {
    let day = Day::published();
    let (outbox, run_id) = (day.said["outbox"].as_str().unwrap(), day.said["run"].as_str().unwrap());
    let mut hello = day.stage.python("position.py", NUMBER);
    hello.args(["--outbox", outbox, "--run", run_id]);
    hello.args(["--samples", &day.said["samples"].to_string(), "--events", &day.said["events"].to_string()]);
    let position: Value = serde_json::from_str(&run(&mut hello).succeeded()).unwrap();

    let last_sample = (2 * MINUTES - 1).to_string();
    assert_eq!(day.said["samples"], 2 * MINUTES, "a record of each of two devices a minute");
    assert_eq!(position["runs"].as_array().unwrap().len(), 1);
    let held = &position["runs"][0];
    assert_eq!(held["samples"]["pieces"], serde_json::json!([{"first": "0", "last": last_sample}]));
    assert_eq!(held["events"]["pieces"], serde_json::json!([{"first": "0", "last": "0"}]));
    assert_eq!(position["lacking_descriptions"], serde_json::json!([]));
    assert_eq!((&position["count"], &position["newest_version"]), (&"1".into(), &1.into()));
    let said_ms: i64 = position["clock_ms"].as_str().unwrap().parse().unwrap();
    assert!((SystemClock::new().now().wall.0 - said_ms).abs() < MINUTE_MS, "the server's time: {said_ms}");
}

/// A recorded day that a Python lamppost has published, and the server has stored.
struct Day {
    stage: Stage,
    start_ms: i64,
    rows: Vec<Row>,
    /// What the Python lamppost said of itself.
    said: Value,
}

#[derive(Deserialize)]
struct Row {
    wind_direction_deg: f64,
    wind_speed_ms: f64,
    wind_gust_ms: f64,
    probe_temperature_c: f64,
}

#[derive(Deserialize)]
struct Observation {
    time: String,
    value: Option<f64>,
    quality: String,
    reason: String,
}

#[derive(Deserialize)]
struct Bucket {
    start: String,
    value: Option<f64>,
    good: u32,
    uncertain: u32,
    bad: u32,
}

impl Day {
    fn published() -> Self {
        let stage = Stage::with_lampposts(&[NUMBER]);
        let start_ms = yesterday();
        let mut lamppost = stage.python("lamppost.py", NUMBER);
        lamppost.arg("--measurements").arg(measurements()).args(["--start-ms", &start_ms.to_string()]);
        let said: Value = serde_json::from_str(&run(&mut lamppost).succeeded()).unwrap();
        let published = said["published"].as_array().unwrap();
        let refused: Vec<&Value> = published.iter().filter(|one| one["acknowledged"] != true).collect();
        assert!(
            refused.is_empty() && published.len() > 4,
            "not acknowledged: {refused:?} of {}",
            published.len()
        );
        let rows =
            csv::Reader::from_path(measurements()).unwrap().deserialize().map(Result::unwrap).collect();
        let day = Self { stage, start_ms, rows, said };
        // What is acknowledged is on disk; it is stored a moment later.
        let stored =
            || day.ask("probe-1/air_temperature", "").filter(|data| observations(data).len() == MINUTES);
        wait_for("the day to be stored", Duration::from_secs(30), stored).unwrap();
        day
    }

    fn minute(&self, minute: usize) -> i64 {
        self.start_ms + i64::try_from(minute).unwrap() * MINUTE_MS
    }

    /// All of the day's observations or buckets, and that there is one for each minute.
    fn series(&self, name: &str, more: &str) -> Value {
        let data = self.ask(name, more).unwrap();
        assert_eq!(self.rows.len(), MINUTES);
        assert!(data["buckets"].is_array() || observations(&data).len() == MINUTES, "{name} is not whole");
        data
    }

    fn ask(&self, name: &str, more: &str) -> Option<Value> {
        let (from, to) = (self.start_ms, self.minute(MINUTES));
        let page = if more.is_empty() { "&limit=10000" } else { more };
        let path = format!("/api/v1/lampposts/{NUMBER}/series/{name}?from={from}&to={to}{page}");
        self.stage.api().json(&path).ok()
    }
}

impl Observation {
    fn time_ms(&self) -> i64 {
        parse_ms(&self.time)
    }
}

/// The full hour 24 hours ago: no observation lies ahead of its receipt, and an hour of the recording is an hour.
pub(crate) fn yesterday() -> i64 {
    let now = SystemClock::new().now().wall.0;
    now - now.rem_euclid(HOUR_MS) - 24 * HOUR_MS
}

pub(crate) fn measurements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/met-minute.csv")
}

fn observations(data: &Value) -> Vec<Observation> {
    serde_json::from_value(data["observations"].clone()).unwrap()
}

fn buckets(data: &Value) -> Vec<Bucket> {
    serde_json::from_value(data["buckets"].clone()).unwrap()
}

fn parse_ms(time: &str) -> i64 {
    let time = OffsetDateTime::parse(time, &Rfc3339).unwrap();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap()
}

/// Within half a step of the property's resolution.
fn assert_near(stored: f64, recorded: f64, half_step: f64, place: usize) {
    assert!((stored - recorded).abs() < half_step + 1e-9, "at {place}: {stored} is not {recorded}");
}

/// Direction of the sum of unit vectors, in degrees.
fn vector_mean(degrees: &[f64]) -> f64 {
    let (north, east) = degrees.iter().fold((0.0, 0.0), |(north, east), direction| {
        (north + direction.to_radians().cos(), east + direction.to_radians().sin())
    });
    east.atan2(north).to_degrees()
}

fn arithmetic_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap())
}

/// The smaller angle between two directions, in degrees.
fn turn(a: f64, b: f64) -> f64 {
    let apart = (a - b).rem_euclid(360.0);
    apart.min(360.0 - apart)
}
