//! How events and ids are written.

use lamplighter_protocol::Reason;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn an_observation_is_json_with_unit_time_quality_reason_and_period() {
    let good = serde_json::to_value(observation("DF3637", 1_539_846_000_000)).unwrap();
    let expected = json!({
        "lamppost": "DF3637", "series": "weather-1/air_temperature", "time_ms": 1_539_846_000_000_i64,
        "value": 16.1, "unit": "Cel", "quality": "good", "reason": "good", "received_ms": 1_539_846_000_250_i64,
        "period_ms": 1000,
    });
    assert_eq!(good, expected);
    let by_exception = LiveSeries { period_ms: None, ..LiveSeries::clone(&series("presence")) };
    let bad = LiveObservation {
        series: Arc::new(by_exception),
        value: None,
        reason: Reason::NO_ANSWER,
        ..observation("DF3637", 0)
    };
    let bad = serde_json::to_value(&bad).unwrap();
    assert_eq!((&bad["value"], &bad["period_ms"]), (&Value::Null, &Value::Null));
    assert_eq!((&bad["quality"], &bad["reason"]), (&json!("bad"), &json!("no-answer")));
}

#[test]
fn changes_are_json_of_observations_and_states() {
    let (observations, states) =
        (vec![observation("DF1", 0)], vec![Arc::new(state("DF1", Status::Reporting))]);
    let changes = serde_json::to_value(LiveChanges { id: id(7), observations, states, replaced: 3 }).unwrap();
    let state = json!({
        "lamppost": "DF1", "status": "reporting", "since_ms": 5, "quality": null, "bad": 0, "uncertain": 0,
        "last_observation_ms": null,
    });
    assert_eq!(
        changes,
        json!({ "observations": [serde_json::to_value(observation("DF1", 0)).unwrap()], "states": [state], "replaced": 3 })
    );
}

#[test]
fn what_is_no_event_id_is_refused() {
    assert_eq!("00000000000000ff-12".parse(), Ok(EventId { life: 255, sequence: 12 }));
    let long = format!("{}-1", "0".repeat(17));
    for text in [
        "",
        "-",
        "00000000000000ff",
        "00000000000000ff-",
        "00000000000000ff-x",
        "00000000000000ff-+1",
        "00000000000000ff--1",
        "+0000000000000ff-1",
        "0000000000000fg-1",
        "ff-1",
        "00000000000000ff-18446744073709551616",
        " 00000000000000ff-1",
        &long,
    ] {
        assert_eq!(text.parse::<EventId>(), Err(NoEventId), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_event_id_prints_and_parses_back(life: u64, sequence: u64) {
        let id = EventId { life, sequence };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
}
