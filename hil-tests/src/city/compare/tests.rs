//! The comparison finds what it is there to find.

use std::sync::Arc;

use lamplighter_protocol::{Grid, UtcMillis};

use super::*;
use crate::rig::lamppost::SERIES;
use crate::world::{Recordings, Site, Variation, World};

/// 2026-03-05T07:00:00Z
const MORNING: UtcMillis = UtcMillis(1_772_694_000_000);

#[test]
fn what_equals_the_truth_is_equal() {
    for (_, property) in SERIES {
        let (series, world) = (series(property), world());
        let report = compare(&series, &day(property), &world);
        assert_eq!(report.mismatches, []);
        assert_eq!((report.compared, report.late), (1440, 0));
        assert!(report.worst < 1e-9, "{property}: {}", report.worst);
    }
}

#[test]
fn a_value_one_step_beside_the_truth_is_wrong() {
    for (property, step) in [
        ("air_temperature", 0.01),
        ("relative_humidity", 0.012),
        ("barometric_pressure", 0.01),
        ("pm2_5", 1.0),
    ] {
        for sign in [1.0, -1.0] {
            let mut observations = day(property);
            let wrong = observations[700].value.unwrap() + sign * step;
            observations[700].value = Some(wrong);
            let report = compare(&series(property), &observations, &world());
            assert_eq!(report.compared, 1440);
            assert!((report.worst - step).abs() < 1e-9);
            let [mismatch] = &report.mismatches[..] else { panic!("{property}: {:?}", report.mismatches) };
            assert_eq!(mismatch.series, format!("KB0001/weather-1/{property}"));
            assert!(
                matches!(mismatch.fault, Fault::Wrong { time, .. } if time == MORNING.plus_ms(700 * 60_000)),
                "{mismatch:?}"
            );
        }
    }
}

#[test]
fn a_tick_without_an_observation_is_a_gap() {
    let mut observations = day("pm10");
    observations.drain(10..13);
    assert_eq!(faults("pm10", &observations), [Fault::Gap { first: minute(10), ticks: 3 }]);
}

#[test]
fn an_observation_that_comes_twice_is_named() {
    let mut observations = day("pm10");
    observations.insert(10, observations[10].clone());
    assert_eq!(faults("pm10", &observations), [Fault::Repeated { time: minute(10) }]);
    observations.swap(20, 21);
    assert!(faults("pm10", &observations).len() >= 2, "out of order");
}

#[test]
fn a_value_that_is_doubted_or_not_there_is_named() {
    let mut observations = day("air_temperature");
    observations[3] = Observed { time: minute(3), value: None, reason: "no-answer".to_owned() };
    observations[5].reason = "clock-unsure".to_owned();
    observations[7].value = Some(f64::NAN);
    let not_good = |place, reason: &str| Fault::NotGood { time: minute(place), reason: reason.to_owned() };
    assert_eq!(
        faults("air_temperature", &observations),
        [not_good(3, "no-answer"), not_good(5, "clock-unsure"), not_good(7, "good")]
    );
}

#[test]
fn a_reading_that_was_late_stands_for_its_tick_and_may_show_the_world_of_any_time_since() {
    // Three minutes of different temperatures.
    let celsius = |place| world().at(minute(place)).air_temperature;
    let far = |one: f64, other: f64| (one - other).abs() > 0.015;
    let differ = |place: &i64| {
        let [one, two, three] = [celsius(*place), celsius(place + 1), celsius(place + 2)];
        far(one, two) && far(two, three) && far(three, one)
    };
    let first = (0..1400).find(differ).unwrap();
    // Read half a minute after each full one; for the second tick so late that the minute was over.
    let series =
        ComparedSeries { grid: Grid { period_ms: 60_000, phase_ms: 30_000 }, ..series("air_temperature") };
    let read = |time: UtcMillis, shown| {
        let value = Some(celsius(shown));
        [Observed { time, value, reason: "good".to_owned() }]
    };
    let before = read(minute(first - 1).plus_ms(30_000), first - 1);
    for (shown, mismatches) in [(first, 0), (first + 1, 0), (first + 2, 1)] {
        let late = read(minute(first + 1).plus_ms(10_000), shown);
        let report = compare(&series, &[before.clone(), late].concat(), &world());
        assert_eq!((report.compared, report.late), (2, 1));
        assert_eq!(report.mismatches.len(), mismatches, "{:?}", report.mismatches);
    }
}

#[test]
fn nothing_at_all_is_a_mismatch() {
    assert_eq!(faults("pm1", &[]), [Fault::Nothing]);
    assert_eq!(faults("wind_speed", &[]), [Fault::UnknownProperty]);
}

#[test]
fn mismatches_read_well() {
    let mismatch = Mismatch {
        series: series("pm1").to_string(),
        fault: Fault::Wrong { time: MORNING, found: 3.0, truth: 4.0 },
    };
    let text = "KB0001/weather-1/pm1 at 2026-03-05T07:00:00.000Z: 3 is stored where 4 was true";
    assert_eq!(mismatch.to_string(), text);
}

fn world() -> World {
    World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None)
}

fn series(property: &str) -> ComparedSeries {
    ComparedSeries {
        lamppost: "KB0001".parse().unwrap(),
        device: "weather-1".to_owned(),
        property: property.to_owned(),
        grid: Grid { period_ms: 60_000, phase_ms: 0 },
    }
}

fn minute(place: i64) -> UtcMillis {
    MORNING.plus_ms(place * 60_000)
}

/// A day as it should be stored.
fn day(property: &str) -> Vec<Observed> {
    let world = world();
    let observed = |place| Observed {
        time: minute(place),
        value: world.at(minute(place)).value(property),
        reason: "good".to_owned(),
    };
    (0..1440).map(observed).collect()
}

fn faults(property: &str, observations: &[Observed]) -> Vec<Fault> {
    let report = compare(&series(property), observations, &world());
    report.mismatches.into_iter().map(|mismatch| mismatch.fault).collect()
}
