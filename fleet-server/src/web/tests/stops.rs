use lamplighter_protocol::Reason;
use serde_json::{Value, json};

use super::rig::{Rig, Shape};
use crate::store::TailOptions;

const STOPS: &str = "/api/v1/lampposts/DF1/stops";

#[test]
fn ticks_missed_while_the_agent_was_stopped_are_named() {
    let rig = Rig::new();
    rig.report_stops(&[(9_000, 14_000)]);
    // Another run stored one of the ticks all the same.
    rig.observe("DF1", "weather-1/air_temperature", 11_000, Some(21.0), Reason::GOOD);
    let stops = rig.get(STOPS).json();
    let expected = json!([{
        "ended": "2026-07-01T08:00:09.000Z", "opened": "2026-07-01T08:00:14.000Z",
        "ended_known": true,
        "run_before": "00".repeat(16), "run": "01".repeat(16),
        "devices": [{
            "device": "weather-1", "grid": {"period_ms": 1000, "phase_ms": 0}, "missed": 3,
            "first": "2026-07-01T08:00:10.000Z", "last": "2026-07-01T08:00:13.000Z",
            "ticks": ["2026-07-01T08:00:10.000Z", "2026-07-01T08:00:12.000Z", "2026-07-01T08:00:13.000Z"],
            "unknown_before": null,
        }],
    }]);
    assert_eq!(stops, json!({"stops": expected, "next": null}));
}

#[test]
fn the_tick_at_which_a_run_ended_is_missed_by_a_device_that_had_not_read_it_yet() {
    let rig = Rig::new();
    // Another device read that tick, so the run was alive at it; and this one was killed before it did.
    rig.report_stops(&[(20_000, 22_000)]);
    rig.observe("DF1", "weather-1/air_temperature", 19_000, Some(21.0), Reason::GOOD);
    let device = rig.get(STOPS).json()["stops"][0]["devices"][0].clone();
    assert_eq!(device["ticks"], json!(["2026-07-01T08:00:20.000Z", "2026-07-01T08:00:21.000Z"]));
}

#[test]
fn a_range_of_time_cuts_stops_and_ticks() {
    let rig = Rig::new();
    rig.report_stops(&[(9_000, 14_000), (20_000, 30_000)]);
    let stops = rig.get(&format!("{STOPS}?from=2026-07-01T08:00:22Z&to=2026-07-01T08:00:25Z")).json();
    let stops = stops["stops"].as_array().unwrap();
    assert_eq!(stops.len(), 1);
    let ticks = ["22", "23", "24"].map(|second| format!("2026-07-01T08:00:{second}.000Z"));
    assert_eq!(stops[0]["devices"][0]["ticks"], json!(ticks));
}

#[test]
fn stops_come_page_by_page() {
    let rig = Rig::new();
    rig.report_stops(&[(10_000, 11_000), (12_000, 13_000), (14_000, 15_000)]);
    let first = rig.get(&format!("{STOPS}?limit=2")).json();
    assert_eq!(first["stops"].as_array().unwrap().len(), 2);
    let next = first["next"].as_str().unwrap();
    let second = rig.get(&format!("{STOPS}?limit=2&after={next}")).json();
    assert_eq!(second["stops"].as_array().unwrap().len(), 1);
    assert_eq!(second["stops"][0]["opened"], "2026-07-01T08:00:15.000Z");
    assert_eq!(second["next"], Value::Null);
}

#[test]
fn a_long_stop_is_counted_whole_and_listed_up_to_a_bound() {
    let rig = Rig::new();
    rig.report_stops(&[(9_000, 9_000 + 400 * 86_400_000)]);
    let device = rig.get(STOPS).json()["stops"][0]["devices"][0].clone();
    assert_eq!(device["missed"], 400 * 86_400 - 1);
    assert_eq!(device["ticks"].as_array().unwrap().len(), 1000);
}

#[test]
fn what_was_missed_before_the_tail_is_unknown_and_not_nothing() {
    let tail = TailOptions { max_observations: 64, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    for second in 100..300 {
        rig.observe("DF1", "weather-1/air_temperature", second * 1000, Some(21.0), Reason::GOOD);
    }
    let floor = rig.get("/api/v1/lampposts/DF1/series").json()["series"][0]["floor"].clone();
    rig.report_stops(&[(9_000, 100_000), (20_000, 310_000)]);
    let stops = rig.get(STOPS).json()["stops"].clone();
    let before = &stops[0]["devices"][0];
    assert_eq!((&before["missed"], &before["unknown_before"]), (&json!(0), &stops[0]["opened"]));
    let across = &stops[1]["devices"][0];
    assert_eq!((&across["missed"], &across["unknown_before"]), (&json!(10), &floor));
    assert_eq!(across["first"], "2026-07-01T08:05:00.000Z");
}

#[test]
fn a_lamppost_that_never_spoke_has_no_stops() {
    let rig = Rig::new();
    assert_eq!(rig.get(STOPS).json(), json!({"stops": [], "next": null}));
}
