//! A whole day is replayed without variation or fault: for every minute of it, the API's values equal what the world
//! fed into the chips, within the coarser of the chip's and the catalogue's step.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::city::{Fidelity, Who, compare};
use hil_tests::fleet::{Binaries, Ending, ServerProcess, Street, StreetProcess, wait_for};
use lamplighter_protocol::UtcMillis;
use serde_json::Value;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

#[test]
fn every_minute_of_the_day_comes_out_of_the_api_as_the_world_fed_it_in() {
    let directory = tempfile::tempdir().unwrap();
    let binaries = Binaries::beside_this_program().unwrap();
    let server = ServerProcess::start(&binaries, directory.path()).unwrap();
    let certificates = server.register(2).unwrap();
    let now = SystemClock::new().now().wall;
    // A whole minute, and a little more than a day ago: so the whole day is in the past, and then some.
    let start = UtcMillis(now.0 - now.0.rem_euclid(MINUTE_MS) - DAY_MS - 30 * MINUTE_MS);
    let street = Street {
        lampposts: 2,
        speed: 10_000.0,
        start,
        fidelity: Fidelity::Exact,
        every_ms: 60_000,
        who: Who::All,
        told: false,
    };
    let lampposts =
        StreetProcess::start(&binaries, &server, &certificates, directory.path(), &street).unwrap();
    let end = start.plus_ms(DAY_MS + 5 * MINUTE_MS);
    wait_for("the day to pass", Duration::from_mins(5), || {
        let time = lampposts.figures()["virtual_time_ms"].as_i64()?;
        (time >= end.0).then_some(())
    })
    .unwrap();
    // It stops its time first, and then waits until nothing is under way any more.
    lampposts.end(Ending::Stop).unwrap();

    let range = compare::Range { from: start.plus_ms(MINUTE_MS), to: start.plus_ms(MINUTE_MS + DAY_MS) };
    let report = compare::fleet(server.api(), 2, range).unwrap();
    assert!(report.is_equal(), "{report}");
    // Six series of each lamppost, every minute of a day.
    assert_eq!(report.compared(), 2 * 6 * 1_440, "{report}");

    // The same by hand for one value, so that the comparison itself is not believed blindly.
    let at = range.from.0;
    let path = format!(
        "/api/v1/lampposts/KB0001/series/weather-1/air_temperature?from={at}&to={}&limit=1",
        range.to.0
    );
    let first: Value = server.api().json(&path).unwrap();
    let value = first["observations"][0]["value"].as_f64().unwrap();
    let minute = usize::try_from(at.rem_euclid(DAY_MS) / MINUTE_MS).unwrap();
    let recorded = recorded_temperature(minute);
    assert!((value - recorded).abs() <= 0.01 + 1e-9, "{value} is not the recorded {recorded}");
    assert_eq!(first["unit"], "Cel");
    server.end(Ending::Stop).unwrap();
}

/// What the logger wrote at this minute of the day: its file begins at 07:00.
fn recorded_temperature(minute_of_day: usize) -> f64 {
    let row = (minute_of_day + 1_440 - 7 * 60) % 1_440;
    let line = include_str!("../data/met-minute.csv").lines().nth(1 + row).unwrap();
    line.split(',').nth(1).unwrap().parse().unwrap()
}
