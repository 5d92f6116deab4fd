//! The tail against a model, whatever comes in whatever order.

use std::collections::BTreeMap;

use lamplighter_protocol::{Quality, Reason, Statistic, UtcMillis};
use proptest::prelude::*;

use super::{DAY, content, meta, one_series};
use crate::store::{Inserted, Point, SeriesId, Tail, TailOptions};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (points, shuffled) in prop::collection::vec(any_point(), 0..2_500)
            .prop_flat_map(|points| (Just(points.clone()), Just(points).prop_shuffle()))
    ) {
        let model = model_of(&points);
        for order in [points, shuffled] {
            let (mut tail, id) = one_series(Statistic::Mean);
            for point in &order {
                tail.insert(id, *point);
            }
            prop_assert_eq!(&content(&tail, id), &model);
            prop_assert_eq!(tail.latest(id), model.last().copied());
            prop_assert_eq!(tail.size().observations, model.len());
            prop_assert_eq!((tail.size(), tail.oldest()), tail.walked());
            let tally = tail.tally();
            let verdicts = tally.stored + tally.merged_kept + tally.merged_replaced;
            prop_assert_eq!(verdicts, order.len() as u64);
        }
    }

    #[test]
    fn eviction_keeps_the_bound_and_loses_nothing_above_the_floor(
        max_observations in 1_usize..400,
        inserts in prop::collection::vec((0_usize..5, any_point()), 1..1_500),
    ) {
        let mut tail = Tail::new(TailOptions { max_observations, ..TailOptions::default() });
        let ids: Vec<SeriesId> = (0..5)
            .map(|one| tail.series(meta(&format!("DF{one}"), "pm1", Statistic::Mean)).unwrap())
            .collect();
        let mut all: Vec<Vec<Point>> = vec![Vec::new(); ids.len()];
        for (which, point) in inserts {
            let (id, before) = (ids[which], tail.floor(ids[which]));
            let inserted = tail.insert(id, point);
            all[which].push(point);
            prop_assert!(tail.size().observations <= max_observations);
            prop_assert_eq!((tail.size(), tail.oldest()), tail.walked());
            prop_assert!(tail.floor(id) >= before, "a floor never goes down");
            if inserted == Inserted::OlderThanTail {
                prop_assert!(point.time < before);
            }
        }
        let mut held = 0;
        for (id, points) in ids.iter().zip(&all) {
            let model = model_of(points);
            let floor = tail.floor(*id);
            let above: Vec<Point> = model.iter().filter(|point| point.time >= floor).copied().collect();
            prop_assert_eq!(&content(&tail, *id), &above);
            prop_assert_eq!(tail.latest(*id), model.last().copied());
            held += above.len();
        }
        prop_assert_eq!(tail.size().observations, held);
        prop_assert_eq!(tail.tally().stored - tail.tally().evicted, held as u64);
    }
}

/// Times that often collide, that fill blocks, and that lie further apart than a block spans.
pub(super) fn any_point() -> impl Strategy<Value = Point> {
    let time = prop_oneof![0_i64..60, -3_000_i64..3_000, (-4_i64..4).prop_map(|season| season * 100 * DAY)];
    let value = prop::option::weighted(0.8, (-4_i32..4).prop_map(f64::from));
    let reason = prop::sample::select(vec![
        Reason::GOOD,
        Reason::OUT_OF_RANGE,
        Reason::CLOCK_UNSURE,
        Reason::NO_ANSWER,
        Reason(200),
    ]);
    (time, value, reason).prop_map(|(time, value, reason)| Point { time: UtcMillis(time), value, reason })
}

/// D13, written down a second time: the greatest of each time by quality, value, and reason.
fn model_of(points: &[Point]) -> Vec<Point> {
    let rank = |point: &Point| {
        let quality = match point.reason.quality() {
            Quality::Good => 2,
            Quality::Uncertain => 1,
            Quality::Bad => 0,
        };
        // Values of the model are small whole numbers.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let value = point.value.map(|value| value as i32);
        (quality, value, std::cmp::Reverse(point.reason))
    };
    let mut model: BTreeMap<UtcMillis, Point> = BTreeMap::new();
    for point in points {
        let held = model.entry(point.time).or_insert(*point);
        if rank(point) > rank(held) {
            *held = *point;
        }
    }
    model.into_values().collect()
}
