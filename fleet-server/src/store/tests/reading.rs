//! Ranges and aggregates.

use lamplighter_protocol::{Reason, Statistic, UtcMillis};

use super::{FOREVER, bad, content, good, one_series};
use crate::store::{AggregateError, Bucket, Inserted, MAX_BUCKETS, MAX_PAGE, Point, RangePage};

#[test]
fn pages_of_a_range_follow_each_other_to_its_end() {
    let (mut tail, id) = one_series(Statistic::Mean);
    for time in 0..2_000 {
        tail.insert(id, good(time * 10, 1.0));
    }
    let (from, to) = (UtcMillis(95), UtcMillis(15_000));
    let mut next = Some(from);
    let mut times = Vec::new();
    while let Some(begin) = next {
        let page = tail.range(id, begin, to, 300).unwrap();
        assert!(page.points.len() <= 300);
        times.extend(page.points.iter().map(|point| point.time.0));
        next = page.next;
    }
    assert_eq!(times, (10..1_500).map(|time| time * 10).collect::<Vec<i64>>());
    let nothing = RangePage { points: Vec::new(), next: None };
    assert_eq!(tail.range(id, UtcMillis(15_000), UtcMillis(95), 10), Ok(nothing.clone()), "backwards");
    assert_eq!(tail.range(id, UtcMillis(20_000), UtcMillis(30_000), 10), Ok(nothing), "behind the end");
}

#[test]
fn a_page_has_at_least_one_point_and_at_most_its_bound() {
    let (mut tail, id) = one_series(Statistic::Mean);
    for time in 0..=i64::try_from(MAX_PAGE).unwrap() {
        tail.insert(id, good(time, 1.0));
    }
    let page = |limit| tail.range(id, FOREVER.0, FOREVER.1, limit).unwrap();
    assert_eq!((page(0).points.len(), page(0).next), (1, Some(UtcMillis(1))));
    assert_eq!(page(usize::MAX).points.len(), MAX_PAGE);
    assert_eq!(page(usize::MAX).next, Some(UtcMillis(i64::try_from(MAX_PAGE).unwrap())));
}

#[test]
fn buckets_begin_at_whole_steps_on_both_sides_of_1970() {
    let (mut tail, id) = one_series(Statistic::Mean);
    for (time, value) in [(-2_001, 1.0), (-2_000, 2.0), (-1, 4.0), (0, 8.0), (1_999, 10.0), (9_000, 3.0)] {
        tail.insert(id, good(time, value));
    }
    let buckets = tail.aggregate(id, FOREVER.0, FOREVER.1, 2_000).unwrap();
    let found: Vec<(i64, i64, f64)> =
        buckets.iter().map(|one| (one.start.0, one.end.0, one.value.unwrap())).collect();
    assert_eq!(
        found,
        [(-4_000, -2_000, 1.0), (-2_000, 0, 3.0), (0, 2_000, 9.0), (8_000, 10_000, 3.0)],
        "and the gap stays a gap"
    );
    let clipped = tail.aggregate(id, UtcMillis(-1), UtcMillis(1_999), 2_000).unwrap();
    let found: Vec<(i64, u32)> = clipped.iter().map(|one| (one.start.0, one.good)).collect();
    assert_eq!(found, [(-2_000, 1), (0, 1)]);
}

#[test]
fn only_good_and_uncertain_values_are_summed_up_and_all_are_counted() {
    let (mut tail, id) = one_series(Statistic::Mean);
    let uncertain = |time, value| Point { time: UtcMillis(time), value, reason: Reason::OUT_OF_RANGE };
    tail.insert(id, good(0, 10.0));
    tail.insert(id, uncertain(1, Some(20.0)));
    tail.insert(id, uncertain(2, None));
    tail.insert(id, bad(3));
    tail.insert(id, Point { value: Some(-7_999.0), ..bad(4) });
    tail.insert(id, bad(60_000));
    let bucket = |start, value: Option<f64>, counts: (u32, u32, u32)| Bucket {
        start: UtcMillis(start),
        end: UtcMillis(start + 60_000),
        value,
        minimum: value.map(|_| 10.0),
        maximum: value.map(|_| 20.0),
        good: counts.0,
        uncertain: counts.1,
        bad: counts.2,
    };
    let expected = [bucket(0, Some(15.0), (1, 2, 2)), bucket(60_000, None, (0, 0, 1))];
    assert_eq!(tail.aggregate(id, FOREVER.0, FOREVER.1, 60_000).unwrap(), expected);
}

#[test]
fn each_property_is_summed_up_by_its_own_statistic() {
    for (statistic, expected, extremes) in [
        (Statistic::Mean, 120.0, Some((-10.0, 350.0))),
        (Statistic::VectorMean, 359.896, None),
        (Statistic::EnergyMean, 350.0 - 10.0 * 3f64.log10(), Some((-10.0, 350.0))),
        (Statistic::Sum, 360.0, Some((-10.0, 350.0))),
        (Statistic::Last, 20.0, Some((-10.0, 350.0))),
        (Statistic::Maximum, 350.0, Some((-10.0, 350.0))),
    ] {
        let (mut tail, id) = one_series(statistic);
        let values = [350.0, -10.0, 20.0];
        // The last by time arrives first.
        for (time, value) in values.into_iter().enumerate().rev() {
            tail.insert(id, good(i64::try_from(time).unwrap(), value));
        }
        let buckets = tail.aggregate(id, FOREVER.0, FOREVER.1, 1_000).unwrap();
        let found = buckets[0].value.unwrap();
        assert!((found - expected).abs() < 1e-2, "{statistic:?}: {found} is not {expected}");
        assert_eq!(buckets[0].minimum.zip(buckets[0].maximum), extremes, "{statistic:?}");
    }
}

#[test]
fn hours_of_the_recorded_wind_come_back_as_vector_means() {
    let (mut tail, id) = one_series(Statistic::VectorMean);
    let mut rows =
        csv::Reader::from_reader(include_str!("../../../../hil-tests/data/met-minute.csv").as_bytes());
    // The day begins at 2018-10-18T07:00:00Z, one row a minute.
    let begin = 1_539_846_000_000;
    for (minute, row) in rows.records().enumerate() {
        let direction = row.unwrap()[5].parse().unwrap();
        tail.insert(id, good(begin + i64::try_from(minute).unwrap() * 60_000, direction));
    }
    let four = tail.aggregate(id, UtcMillis(begin), UtcMillis(begin + 240_000), 3_600_000).unwrap();
    assert!((four[0].value.unwrap() - 349.0).abs() < 0.5, "{four:?}");
    let hours = tail.aggregate(id, FOREVER.0, FOREVER.1, 3_600_000).unwrap();
    assert_eq!(hours.len(), 24);
    assert!(
        hours.iter().all(|hour| hour.good == 60 && hour.value.is_some_and(|one| (0.0..360.0).contains(&one)))
    );
}

#[test]
fn an_aggregate_without_a_step_or_with_too_many_buckets_is_refused() {
    let (mut tail, id) = one_series(Statistic::Mean);
    for step_ms in [0, -1, i64::MIN] {
        assert_eq!(tail.aggregate(id, FOREVER.0, FOREVER.1, step_ms), Err(AggregateError::Step { step_ms }));
    }
    let most = i64::try_from(MAX_BUCKETS).unwrap();
    for time in 0..most {
        tail.insert(id, good(time * 10, 1.0));
    }
    assert_eq!(tail.aggregate(id, FOREVER.0, FOREVER.1, 10).unwrap().len(), MAX_BUCKETS);
    tail.insert(id, good(most * 10, 1.0));
    let refused = AggregateError::TooManyBuckets { step_ms: 10, limit: MAX_BUCKETS };
    assert_eq!(tail.aggregate(id, FOREVER.0, FOREVER.1, 10), Err(refused));
    assert_eq!(tail.aggregate(id, FOREVER.0, FOREVER.1, i64::MAX).unwrap().len(), 1);
}

#[test]
fn times_at_the_ends_of_the_range_do_no_harm() {
    let (mut tail, id) = one_series(Statistic::Mean);
    for time in [i64::MAX, i64::MIN, 0, i64::MAX - 1, i64::MIN + 1] {
        assert!(matches!(tail.insert(id, good(time, 1.0)), Inserted::Stored { .. }));
    }
    let times: Vec<i64> = content(&tail, id).iter().map(|point| point.time.0).collect();
    assert_eq!(times, [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1], "the end itself is exclusive");
    assert_eq!(tail.latest(id), Some(good(i64::MAX, 1.0)));
    for step_ms in [1, 7, 86_400_000, i64::MAX] {
        let buckets = tail.aggregate(id, FOREVER.0, FOREVER.1, step_ms).unwrap();
        assert_eq!(buckets.iter().map(|one| one.good).sum::<u32>(), 4);
    }
}
