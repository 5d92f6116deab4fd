//! What became of everything that was due. `DF9` is read every second from [`START`](super::rig::START) on.

use lamplighter_protocol::{Leaf, Log, Observation, Reason, Record, Tick, UtcMillis};
use serde_json::{Value, json};

use super::rig::{Rig, START, Shape};
use super::speaker::{Speaker, Ticks, seconds};
use crate::store::TailOptions;

const DAY: i64 = 24 * 3_600_000;
const WEATHER: [(&str, Option<u32>); 1] = [("weather-1", Some(1000))];

/// What is told of the series of `weather-1`, and of all of the lamppost, over so many seconds.
fn told(rig: &Rig, from_s: i64, to_s: i64) -> Value {
    let range = format!("from={}&to={}", START + from_s * 1000, START + to_s * 1000);
    let path = "/api/v1/lampposts/DF9";
    let series = rig.get(&format!("{path}/series/weather-1/air_temperature/completeness?{range}")).json();
    let lamppost = rig.get(&format!("{path}/completeness?{range}")).json();
    let of_lamppost = lamppost["series"].as_array().unwrap();
    if let Some(same) = of_lamppost.iter().find(|one| one["device"] == "weather-1") {
        for (name, count) in same.as_object().unwrap() {
            assert_eq!(&series[name], count, "{name}");
        }
    }
    check_sum(&lamppost["total"]);
    check_sum(&series);
    series
}

/// Each tick has one verdict.
fn check_sum(counts: &Value) {
    let Some(expected) = counts["expected"].as_u64() else { return };
    let of = |part: &Value| match part {
        Value::Object(parts) => parts.values().map(|count| count.as_u64().unwrap()).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            part.as_u64().unwrap()
        }
    };
    let parts =
        ["stored", "rejected", "dropped", "lost", "agent_stopped", "not_yet_here", "not_recorded", "unknown"];
    assert_eq!(parts.map(|name| of(&counts[name])).iter().sum::<u64>(), expected, "{counts}");
}

/// Those of the counts that are not 0.
fn counts(told: &Value) -> Value {
    let names =
        ["expected", "stored", "late", "lost", "agent_stopped", "not_yet_here", "not_recorded", "unknown"];
    let counts = names.iter().map(|name| ((*name).to_owned(), told[*name].clone()));
    Value::Object(counts.filter(|(_, count)| *count != json!(0)).collect())
}

#[test]
fn an_outage_that_drains_later_is_first_still_to_come_and_then_late() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&WEATHER);
    speaker.opens(1, digest, 0, None);
    speaker.greets(0, 5, &[(1, 0, 0)]);
    speaker.reads(1, 0, digest, seconds(0, 60), 59_500);
    // Connected again: what it reads now goes first.
    speaker.greets(180_000, 5, &[(1, 0, 180)]);
    speaker.reads(1, 180, digest, seconds(180_000, 20), 200_000);
    let before = json!({"expected": 200, "stored": 80, "late": 57 + 17, "not_yet_here": 120});
    assert_eq!(counts(&told(&rig, 0, 200)), before);
    speaker.reads(1, 60, digest, seconds(60_000, 120), 300_000);
    assert_eq!(counts(&told(&rig, 0, 200)), json!({"expected": 200, "stored": 200, "late": 57 + 17 + 120}));
    assert_eq!(counts(&told(&rig, 100, 150)), json!({"expected": 50, "stored": 50, "late": 50}));
    assert_eq!(counts(&told(&rig, -100, 0)), json!({}), "nothing was due before it was there");
}

#[test]
fn a_device_that_was_removed_misses_nothing_from_then_on() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let both = speaker.describes(&[("weather-1", Some(1000)), ("air-1", Some(1000))]);
    let without = speaker.describes(&[("air-1", Some(1000))]);
    speaker.opens(1, both, 0, None);
    speaker.greets(0, 5, &[(1, 0, 0)]);
    for second in 0..60u64 {
        let at = i64::try_from(second).unwrap() * 1000;
        speaker.reads(1, 2 * second, both, seconds(at, 1), at);
        speaker.reads(1, 2 * second + 1, both, Ticks { device: 1, ..seconds(at, 1) }, at);
    }
    speaker.reads(1, 120, without, seconds(60_000, 60), 119_000);
    assert_eq!(counts(&told(&rig, 0, 120)), json!({"expected": 60, "stored": 60}));
    let range = format!("from={}&to={}", START, START + 120_000);
    let all = rig.get(&format!("/api/v1/lampposts/DF9/completeness?{range}")).json();
    assert_eq!((&all["total"]["expected"], &all["total"]["stored"]), (&json!(180), &json!(180)));
}

#[test]
fn a_period_that_was_changed_is_expected_from_then_on() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let (fast, slow) = (speaker.describes(&WEATHER), speaker.describes(&[("weather-1", Some(10_000))]));
    speaker.opens(1, fast, 0, None);
    speaker.greets(0, 5, &[(1, 0, 0)]);
    speaker.reads(1, 0, fast, seconds(0, 60), 59_000);
    speaker.reads(1, 60, slow, Ticks { every_ms: 10_000, ..seconds(60_000, 6) }, 110_000);
    speaker.greets(120_000, 5, &[(1, 0, 65)]);
    let expected = json!({"expected": 66, "stored": 66, "late": 56 + 2});
    assert_eq!(counts(&told(&rig, 0, 120)), expected, "by three periods of either grid");
}

#[test]
fn what_was_due_while_the_agent_was_stopped_says_so() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&WEATHER);
    speaker.opens(1, digest, 0, None);
    speaker.greets(0, 5, &[(1, 0, 0)]);
    speaker.reads(1, 0, digest, seconds(0, 60), 59_000);
    speaker.opens(2, digest, 89_500, Some((1, 60, 59_000)));
    speaker.greets(89_600, 5, &[(2, 0, 0), (1, 0, 59)]);
    speaker.reads(2, 0, digest, seconds(90_000, 30), 119_000);
    let told = told(&rig, 0, 120);
    assert_eq!(
        (&told["expected"], &told["stored"], &told["agent_stopped"]),
        (&json!(120), &json!(90), &json!(30))
    );
}

#[test]
fn all_ticks_of_a_restart_are_stored_or_said_to_be_missing_while_the_agent_was_stopped_or_began_to_read() {
    for ended_ms in [Some(59_000), None] {
        let rig = Rig::new();
        let mut speaker = Speaker::new(&rig);
        let digest = speaker.describes(&WEATHER);
        speaker.opens(1, digest, 0, None);
        speaker.greets(0, 5, &[(1, 0, 0)]);
        speaker.reads(1, 0, digest, seconds(0, 60), 59_000);
        speaker.opens_after(2, digest, 89_500, Some((1, 60)), ended_ms);
        speaker.greets(92_400, 5, &[(2, 0, 0), (1, 0, 59)]);
        // It opened before the tick of 90 s, and came to read when that of 92 s had passed.
        speaker.reads(2, 0, digest, seconds(92_400, 1), 92_400);
        speaker.reads(2, 1, digest, seconds(93_000, 27), 119_000);
        let expected = json!({"expected": 120, "stored": 60 + 28, "late": 56 + 23, "agent_stopped": 30, "not_recorded": 2});
        assert_eq!(counts(&told(&rig, 0, 120)), expected, "{ended_ms:?}");
        let stop = rig.get("/api/v1/lampposts/DF9/stops").json()["stops"][0].clone();
        assert_eq!(stop["ended"], "2026-07-01T08:00:59.000Z");
        assert_eq!(
            (&stop["ended_known"], &stop["devices"][0]["missed"]),
            (&json!(ended_ms.is_some()), &json!(30))
        );
    }
}

#[test]
fn what_had_to_be_dropped_is_told_with_its_reason() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&WEATHER);
    speaker.opens(1, digest, 0, None);
    speaker.greets(0, 5, &[(1, 0, 9)]);
    speaker.reads(1, 0, digest, seconds(0, 10), 10_000);
    speaker.drops((1, 1), digest, (1, 10, 59), (10_000, 59_000));
    speaker.greets(100_000, 5, &[(1, 60, 99)]);
    let before = told(&rig, 0, 100);
    assert_eq!((&before["dropped"]["bytes"], &before["not_yet_here"]), (&json!(50), &json!(40)));
    speaker.reads(1, 60, digest, seconds(60_000, 40), 100_000);
    // Some of what was reported came all the same.
    speaker.reads(1, 50, digest, seconds(50_000, 10), 110_000);
    let after = told(&rig, 0, 100);
    assert_eq!(
        (&after["stored"], &after["dropped"]["bytes"], &after["lost"]),
        (&json!(60), &json!(40), &json!(0))
    );
    assert_eq!(told(&rig, 20, 30)["dropped"], json!({"bytes": 10, "age": 0, "damaged": 0}));
}

#[test]
fn of_an_outbox_that_is_gone_what_was_named_is_lost_and_the_rest_unknown() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&WEATHER);
    speaker.opens(1, digest, 0, None);
    speaker.reads(1, 0, digest, seconds(0, 60), 60_000);
    speaker.greets(100_000, 5, &[(1, 0, 99)]);
    // A new card, with an outbox that knows of no other.
    speaker.opens(2, digest, 200_000, None);
    speaker.greets(200_000, 6, &[(2, 0, 0)]);
    speaker.reads(2, 0, digest, seconds(200_000, 50), 250_000);
    let expected = json!({"expected": 250, "stored": 110, "late": 57 + 47, "not_yet_here": 140});
    assert_eq!(counts(&told(&rig, 0, 250)), expected);
    speaker.greets(31 * DAY, 6, &[(2, 0, 49)]);
    let expected = json!({"expected": 250, "stored": 110, "late": 57 + 47, "lost": 40, "unknown": 100});
    assert_eq!(counts(&told(&rig, 0, 250)), expected);
    speaker.greets(31 * DAY + 1, 5, &[(1, 0, 99)]);
    assert_eq!(told(&rig, 0, 250)["not_yet_here"], 140, "it was only elsewhere");
}

#[test]
fn a_record_that_is_lost_between_others_is_missing_of_its_own_device() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let both = speaker.describes(&[("weather-1", Some(1000)), ("air-1", Some(1000))]);
    speaker.opens(1, both, 0, None);
    for sequence in (0..80u64).filter(|sequence| *sequence != 41) {
        let at = i64::try_from(sequence / 2).unwrap() * 1000;
        let device = usize::try_from(sequence % 2).unwrap();
        speaker.reads(1, sequence, both, Ticks { device, ..seconds(at, 1) }, at);
    }
    speaker.greets(40_000, 5, &[(2, 0, 0), (1, 60, 79)]);
    speaker.opens(2, both, 40_000, Some((1, 80, 39_500)));
    assert_eq!(counts(&told(&rig, 0, 40)), json!({"expected": 40, "stored": 40}));
    let range = format!("from={}&to={}", START, START + 40_000);
    let all = rig.get(&format!("/api/v1/lampposts/DF9/completeness?{range}")).json();
    assert_eq!(all["series"][0]["device"], "air-1");
    assert_eq!(counts(&all["series"][0]), json!({"expected": 40, "stored": 39, "lost": 1}));
}

#[test]
fn without_a_grid_what_is_missing_is_null_and_never_0() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&[("weather-1", None)]);
    speaker.opens(1, digest, 0, None);
    speaker.greets(0, 5, &[(1, 10, 99)]);
    speaker.reads(1, 40, digest, seconds(40_000, 20), 60_000);
    speaker.drops((1, 1), digest, (1, 0, 9), (0, 9_000));
    let told = told(&rig, 0, 100);
    for unknown in ["expected", "late", "lost", "agent_stopped", "not_yet_here", "not_recorded", "unknown"] {
        assert_eq!(told[unknown], Value::Null, "{unknown}");
    }
    assert_eq!((&told["stored"], &told["dropped"]["bytes"]), (&json!(20), &json!(10)));
    let range = format!("from={}&to={}", START, START + 100_000);
    let all = rig.get(&format!("/api/v1/lampposts/DF9/completeness?{range}")).json();
    assert_eq!((&all["without_grid"], &all["total"]["expected"]), (&json!(1), &Value::Null));
}

#[test]
fn what_is_rejected_or_cannot_be_read_is_not_missing_unsaid() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&WEATHER);
    speaker.opens(1, digest, 0, None);
    speaker.greets(0, 5, &[(1, 0, 0)]);
    speaker.reads(1, 0, digest, seconds(0, 30), 30_000);
    // Its clock ran ahead by an hour for ten ticks, and was then put right.
    speaker.reads(1, 30, digest, seconds(3_630_000, 10), 40_000);
    speaker.reads(1, 40, digest, seconds(40_000, 20), 60_000);
    let unreadable = [Record::Tick(Tick {
        device: 0,
        time: UtcMillis(START + 60_000),
        // A value, and a reason why there is none.
        observations: vec![Observation { series: 0, value: Some(1), reason: Reason::NO_ANSWER }],
    })];
    speaker.sends(61_000, Log::Samples, 1, 60, digest, &unreadable);
    speaker.reads(1, 61, digest, seconds(61_000, 9), 70_000);
    let told_now = told(&rig, 0, 70);
    assert_eq!((&told_now["stored"], &told_now["not_recorded"]), (&json!(59), &json!(11)));
    speaker.greets(3_700_000, 5, &[(1, 0, 69)]);
    let ahead = told(&rig, 3_600, 3_650);
    assert_eq!((&ahead["rejected"]["future"], &ahead["not_yet_here"]), (&json!(10), &json!(40)));
    let all = rig.get("/api/v1/lampposts/DF9/completeness").json();
    assert_eq!((&all["unreadable_records"], &all["unplaced"]), (&json!(1), &json!(0)));
}

#[test]
fn a_series_that_is_never_taken_is_told_of() {
    let rig = Rig::new();
    let mut speaker = Speaker::new(&rig);
    let catalogue = lamplighter_protocol::Catalogue::built_in();
    let known = catalogue.get(&"air_temperature".parse().unwrap()).unwrap();
    let description = lamplighter_protocol::Description {
        grids: vec![lamplighter_protocol::Grid { period_ms: 1000, phase_ms: 0 }],
        devices: vec![lamplighter_protocol::Device {
            name: "weather-1".parse().unwrap(),
            grid: Some(0),
            model: String::new(),
            series: vec![lamplighter_protocol::Series {
                property: "phlogiston".parse().unwrap(),
                channel: None,
                value_type: known.value_type,
                unit: "1".to_owned(),
                resolution: known.resolution,
            }],
        }],
    };
    let (payload, digest) = description.encode();
    speaker.says(0, Leaf::Description, payload);
    speaker.opens(1, digest, 0, None);
    speaker.reads(1, 0, digest, seconds(0, 30), 30_000);
    let path = "/api/v1/lampposts/DF9/series/weather-1/phlogiston/completeness";
    let told = rig.get(&format!("{path}?from={START}&to={}", START + 30_000)).json();
    assert_eq!((&told["expected"], &told["rejected"]["unknown_property"]), (&json!(30), &json!(30)));
    rig.get(&path.replace("phlogiston", "rainfall")).problem(404, "unknown-series");
}

#[test]
fn what_has_left_the_memory_is_not_counted_and_said() {
    let tail = TailOptions { max_observations: 64, ..TailOptions::default() };
    let rig = Rig::of(Shape { tail, ..Shape::default() });
    rig.look();
    let mut speaker = Speaker::new(&rig);
    let digest = speaker.describes(&WEATHER);
    speaker.opens(1, digest, 0, None);
    speaker.greets(0, 5, &[(1, 0, 0)]);
    speaker.reads(1, 0, digest, seconds(0, 300), 300_000);
    let path = "/api/v1/lampposts/DF9";
    let range = format!("from={START}&to={}", START + 300_000);
    let series = format!("{path}/series/weather-1/air_temperature/completeness");
    let problem = rig.get(&format!("{series}?{range}")).problem(410, "older-than-tail");
    let floor = problem["floor"].as_str().unwrap();
    let told = rig.get(&format!("{path}/completeness?{range}")).json()["series"][0].clone();
    assert_eq!(told["unknown_before"], floor);
    assert_eq!(told["expected"], told["stored"], "of what is counted nothing is missing");
    assert!(told["stored"].as_u64().unwrap() >= 30, "{told}");
    let open = rig.get(&format!("{series}?to={}", START + 300_000)).json();
    assert_eq!((&open["unknown_before"], &open["stored"]), (&json!(floor), &told["stored"]));
}
