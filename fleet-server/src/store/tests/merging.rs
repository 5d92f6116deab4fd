//! Rule D13, and what is the latest.

use lamplighter_protocol::{Reason, Statistic, UtcMillis};

use super::{bad, content, good, one_series};
use crate::store::{Inserted, Merge, Point};

#[test]
fn the_latest_goes_by_time_and_not_by_arrival() {
    let (mut tail, id) = one_series(Statistic::Mean);
    assert_eq!(tail.latest(id), None);
    assert_eq!(tail.insert(id, good(100, 1.0)), Inserted::Stored { latest: true });
    assert_eq!(tail.insert(id, good(50, 2.0)), Inserted::Stored { latest: false });
    assert_eq!(tail.latest(id), Some(good(100, 1.0)));
    assert_eq!(tail.insert(id, good(100, 3.0)), Inserted::Merged(Merge::Replaced));
    assert_eq!(tail.latest(id), Some(good(100, 3.0)));
    assert_eq!(tail.insert(id, bad(100)), Inserted::Merged(Merge::Kept));
    assert_eq!(tail.latest(id), Some(good(100, 3.0)));
    assert_eq!(tail.insert(id, bad(200)), Inserted::Stored { latest: true });
    assert_eq!(tail.latest(id), Some(bad(200)));
}

#[test]
fn merging_prefers_quality_then_a_value_then_the_greater_then_the_lower_reason() {
    let point = |value, reason| Point { time: UtcMillis(7), value, reason };
    let ascending = [
        point(None, Reason::SENSOR_FAULT),
        point(None, Reason::NO_ANSWER),
        point(None, Reason::WARMING_UP),
        point(None, Reason::OUT_OF_RANGE),
        point(Some(-3.0), Reason::OUT_OF_RANGE),
        point(Some(90.0), Reason::WARMING_UP),
        point(Some(90.0), Reason::CLOCK_UNSURE),
        point(None, Reason::GOOD),
        point(Some(-9.0), Reason::GOOD),
        point(Some(-8.0), Reason::GOOD),
    ];
    for (place, worse) in ascending.iter().enumerate() {
        for better in &ascending[place..] {
            for (first, second) in [(worse, better), (better, worse)] {
                let (mut tail, id) = one_series(Statistic::Mean);
                tail.insert(id, *first);
                tail.insert(id, *second);
                assert_eq!(content(&tail, id), [*better], "{first:?} then {second:?}");
            }
        }
    }
}

#[test]
fn a_value_that_is_no_number_is_stored_as_none() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (mut tail, id) = one_series(Statistic::Mean);
        tail.insert(id, good(5, value));
        let stored = Point { time: UtcMillis(5), value: None, reason: Reason::GOOD };
        assert_eq!(content(&tail, id), [stored]);
        assert_eq!(tail.latest(id), Some(stored));
    }
}
