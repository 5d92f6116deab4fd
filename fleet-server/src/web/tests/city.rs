use std::sync::Arc;

use lamplighter_protocol::{Reason, UtcMillis};
use serde_json::{Value, json};

use super::rig::{Answer, Rig, START, Shape};
use crate::gateway::log_in;
use crate::web::city_copies::{CityCopies, etag_of};

fn city(rig: &Rig, if_none_match: &str) -> Answer {
    let token = format!("Bearer {}", rig.token.expose());
    rig.get_with("/api/v1/city", &[("authorization", &token), ("if-none-match", if_none_match)])
}

#[test]
fn the_register_comes_in_columns() {
    let rig = Rig::new();
    rig.import(&["DF2", "AB1"]);
    rig.look();
    let city = rig.get("/api/v1/city").json();
    let expected = json!({
        "revision": city["revision"], "numbers": ["AB1", "DF1", "DF2"],
        "latitude_e6": [22_320_000, 22_320_000, 22_320_000],
        "longitude_e6": [114_210_000, 114_210_000, 114_210_000],
        "roads": ["Kai Cheung Road"], "road": [0, 0, 0], "districts": ["Kwun Tong"], "district": [0, 0, 0],
    });
    assert_eq!(city, expected);
}

#[test]
fn a_register_that_is_known_is_not_sent_again_until_it_changes() {
    let rig = Rig::new();
    let first = rig.get("/api/v1/city");
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    let etag = first.header("etag").unwrap();

    let again = city(&rig, etag);
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(
        (again.header("etag"), again.header("cache-control")),
        (Some(etag), Some("private, no-cache"))
    );
    assert_eq!(again.header("x-content-type-options"), Some("nosniff"));
    rig.look();
    assert_eq!(city(&rig, etag).status, 304, "it was read again, and is the same");

    rig.import(&["DF2"]);
    rig.look();
    let changed = city(&rig, etag);
    assert_ne!(changed.header("etag"), Some(etag));
    assert_eq!(changed.json()["numbers"], json!(["DF1", "DF2"]));
    assert_eq!(city(&rig, "*").status, 304);
    assert_eq!(rig.get("/api/v1/city?a=1").header("cache-control"), Some("no-store"));
}

#[test]
fn a_register_that_is_known_in_another_form_is_sent() {
    let rig = Rig::new();
    let document = rig.get("/api/v1/city");
    let known = |document: &[u8]| city(&rig, etag_of(document).value()).status;
    assert_eq!(known(&document.bytes), 304);
    // The same content, and the same revision.
    let other = document.text.replace("latitude_e6", "latitudes_e6");
    assert_eq!(known(other.as_bytes()), 200);
    let revision = format!("W/\"{}\"", document.json()["revision"].as_str().unwrap());
    assert_eq!(city(&rig, &revision).status, 200);
}

#[test]
fn all_who_read_a_register_read_one_copy_of_it() {
    let rig = Rig::new();
    let (copies, revision) = (CityCopies::default(), || rig.roll.rows().unwrap().register.revision());
    let first = copies.of(revision(), || b"first".to_vec());
    rig.look();
    let again = copies.of(revision(), || panic!("it was read again, and is the same"));
    assert!(Arc::ptr_eq(&first, &again));
    drop(again);
    rig.import(&["DF2"]);
    rig.look();
    assert_eq!(copies.of(revision(), || b"second".to_vec()).document, b"second"[..]);
    assert_eq!(Arc::strong_count(&first), 1, "the one before is let go");
}

#[test]
fn states_stand_in_the_order_of_the_register_whose_revision_they_name() {
    let rig = Rig::new();
    rig.import(&["DF2", "DF3"]);
    rig.observe("DF2", "air-1/pm2_5", 0, Some(900.0), Reason::OUT_OF_RANGE);
    let _connected = log_in(&rig.sessions, &"DF3".parse().unwrap(), UtcMillis(START));
    let before = rig.get("/api/v1/city/states").json();
    assert_eq!((&before["status"], &before["quality"]), (&json!("n"), &json!("b")), "it was not looked yet");
    rig.look();
    let states = rig.get("/api/v1/city/states").json();
    assert_eq!((&states["status"], &states["quality"]), (&json!("nnr"), &json!("bu-")));
    assert_eq!(states["last_observation_ms"], json!([null, null, null]));
    assert_eq!(states["revision"], rig.get("/api/v1/city").json()["revision"]);
    assert_ne!(states["revision"], before["revision"]);
    assert!(states["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(states.get("values"), None);
}

#[test]
fn the_values_of_a_property_come_with_unit_time_and_quality() {
    let rig = Rig::new();
    rig.import(&["DF2", "DF3"]);
    rig.observe("DF2", "weather-2/air_temperature", 0, Some(99.0), Reason::OUT_OF_RANGE);
    rig.observe("DF2", "weather-3/air_temperature", 5000, Some(21.0), Reason::GOOD);
    rig.look();
    let states = rig.get("/api/v1/city/states?property=air_temperature").json();
    assert_eq!((&states["unit"], &states["statistic"]), (&json!("Cel"), &json!("mean")));
    assert_eq!(states["values"], json!([20.9, 99.0, null]), "of several series the first by name");
    assert_eq!(states["value_time_ms"], json!([START + 9000, START, null]));
    assert_eq!(states["value_quality"], "gu-");
    assert_eq!(states["value_reason"], json!([null, "out-of-range", null]));
    assert_eq!(states["value_period_ms"], json!([1000, 1000, null]));
    assert_eq!(states["series"], json!(["weather-1/air_temperature", "weather-2/air_temperature"]));
    assert_eq!(states["value_series"], json!([0, 1, null]));
    let bad = rig.get("/api/v1/city/states?property=wind_direction").json();
    assert_eq!((&bad["values"][0], &bad["value_quality"]), (&Value::Null, &json!("b--")));
    assert_eq!(bad["value_reason"][0], "no-answer");
    let nobody = rig.get("/api/v1/city/states?property=pm2_5").json();
    assert_eq!((&nobody["value_quality"], &nobody["unit"]), (&json!("---"), &json!("ug/m3")));
}

#[test]
fn a_value_is_of_a_series_that_the_lamppost_has_now_and_that_has_observed() {
    let rig = Rig::new();
    rig.import(&["DF2", "DF3"]);
    let states = || {
        rig.look();
        let states = rig.get("/api/v1/city/states?property=air_temperature").json();
        let columns = ["values", "value_time_ms", "value_quality", "value_period_ms"];
        columns.map(|column| states[column].clone())
    };
    rig.describe("DF2", &["weather-2", "weather-3"]);
    rig.describe("DF3", &["weather-2"]);
    for lamppost in ["DF2", "DF3"] {
        rig.observe(lamppost, "weather-1/air_temperature", 0, None, Reason::NO_ANSWER);
    }
    rig.observe("DF2", "weather-4/air_temperature", 9000, Some(40.0), Reason::GOOD);
    let times = json!([START + 9000, null, null]);
    assert_eq!(
        states(),
        [json!([20.9, null, null]), times, json!("g--"), json!([1000, 1000, 1000])],
        "what they have has not observed yet"
    );
    let nobody_else = rig.get("/api/v1/city/states?property=air_temperature").json();
    assert_eq!(nobody_else["value_series"], json!([0, null, null]), "none of these has told the values");
    rig.observe("DF2", "weather-3/air_temperature", 5000, Some(21.0), Reason::GOOD);
    assert_eq!(states()[..2], [json!([20.9, 21.0, null]), json!([START + 9000, START + 5000, null])]);
    rig.observe("DF2", "weather-2/air_temperature", 1000, Some(22.0), Reason::GOOD);
    assert_eq!(states()[0], json!([20.9, 22.0, null]), "of two the first by name");
}

#[test]
fn a_lamppost_says_how_it_is_also_before_the_roll_has_it() {
    let rig = Rig::new();
    let silent = json!({
        "status": "never", "since": null, "quality": "bad", "bad": 1, "uncertain": 0, "last_observation": null,
    });
    assert_eq!(rig.get("/api/v1/lampposts/DF1").json()["state"], silent);
    rig.import(&["DF2"]);
    let _connected = log_in(&rig.sessions, &"DF2".parse().unwrap(), UtcMillis(START));
    let listed = rig.get("/api/v1/lampposts").json();
    assert_eq!(listed["lampposts"][0]["state"], silent);
    let connected = json!({
        "status": "reporting", "since": "2026-07-01T08:00:00.000Z", "quality": null, "bad": 0, "uncertain": 0,
        "last_observation": null,
    });
    assert_eq!(listed["lampposts"][1]["state"], connected);
}

#[test]
fn a_registry_that_was_never_read_is_a_problem_and_no_empty_city() {
    let rig = Rig::of(Shape::default());
    for target in ["/api/v1/city", "/api/v1/city/states"] {
        rig.get(target).problem(503, "registry-unavailable");
    }
    rig.look();
    rig.runtime.block_on(rig.registry.close());
    rig.look();
    assert_eq!(rig.get("/api/v1/city").json()["numbers"], json!(["DF1"]), "what was read stays");
}
