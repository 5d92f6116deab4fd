//! Whose observations go when the tail is full: of who holds more than the fair share.

use lamplighter_protocol::{Statistic, UtcMillis};
use proptest::prelude::*;

use super::properties::any_point;
use super::{FOREVER, content, good, meta};
use crate::store::{Inserted, SeriesId, Tail, TailOptions};

#[test]
fn a_flooding_lamppost_takes_nothing_from_the_others() {
    // The flood is more than 65,536 observations, so that its cut is an estimate.
    const BOUND: usize = 160_000;
    const AHEAD_MS: i64 = 240_000;
    let mut tail = Tail::new(TailOptions { max_observations: BOUND, ..TailOptions::default() });
    let ordinary: Vec<SeriesId> = (0..50)
        .flat_map(|number| ["pm1", "pm10"].map(|property| (format!("DF{number}"), property)))
        .map(|(number, property)| tail.series(meta(&number, property, Statistic::Mean)).unwrap())
        .collect();
    let flood: Vec<SeriesId> = (0..64)
        .map(|one| tail.series(meta("DF99", &format!("made_up_{one}"), Statistic::Mean)).unwrap())
        .collect();
    let mut evictions = 0;
    for second in 0..60 {
        for id in &ordinary {
            tail.insert(*id, good(second * 1_000, 1.0));
        }
        for tick in 0..100 {
            for id in &flood {
                let before = tail.tally().evicted;
                tail.insert(*id, good(second * 1_000 + AHEAD_MS + tick * 10, 1.0));
                evictions += u64::from(tail.tally().evicted > before);
            }
        }
        assert!(tail.size().observations <= BOUND);
    }
    for id in &ordinary {
        assert_eq!(tail.floor(*id), FOREVER.0);
        assert_eq!(content(&tail, *id), (0..60).map(|one| good(one * 1_000, 1.0)).collect::<Vec<_>>());
    }
    let newest = good(59_000 + AHEAD_MS + 990, 1.0);
    assert!(flood.iter().all(|id| tail.latest(*id) == Some(newest)));
    let evicted = tail.tally().evicted;
    assert!(evicted > 200_000 && evicted / evictions > BOUND as u64 / 18, "{evicted} in {evictions} goes");
    assert!(tail.size().observations * 15 >= BOUND * 14);
}

#[test]
fn who_floods_with_old_times_loses_them_and_nobody_else_does() {
    let mut tail = Tail::new(TailOptions { max_observations: 320, ..TailOptions::default() });
    let ordinary = tail.series(meta("DF1", "pm1", Statistic::Mean)).unwrap();
    let flood = tail.series(meta("DF2", "pm1", Statistic::Mean)).unwrap();
    for time in 0..100 {
        tail.insert(ordinary, good(time, 1.0));
    }
    for time in 1..2_000 {
        tail.insert(flood, good(-time, 1.0));
    }
    assert_eq!(content(&tail, ordinary).len(), 100);
    assert_eq!(tail.latest(flood), Some(good(-1, 1.0)));
    assert!(content(&tail, flood).len() >= 200);
}

#[test]
fn a_lamppost_that_is_back_gets_its_share_of_a_tail_that_others_have_filled() {
    let mut tail = Tail::new(TailOptions { max_observations: 1_600, ..TailOptions::default() });
    let filling = tail.series(meta("DF1", "pm1", Statistic::Mean)).unwrap();
    for time in 0..5_000 {
        tail.insert(filling, good(time, 1.0));
    }
    let back = tail.series(meta("DF2", "pm1", Statistic::Mean)).unwrap();
    // Its backlog is older than all that is held.
    for time in -700..0 {
        assert_eq!(tail.insert(back, good(time, 1.0)), Inserted::Stored { latest: true });
    }
    assert_eq!(content(&tail, back).len(), 700);
    assert!(content(&tail, filling).len() >= 800);
}

#[test]
fn lampposts_with_equal_shares_are_cut_at_one_time() {
    let mut tail = Tail::new(TailOptions { max_observations: 640, ..TailOptions::default() });
    let ids: Vec<SeriesId> = (0..4)
        .map(|number| tail.series(meta(&format!("DF{number}"), "pm1", Statistic::Mean)).unwrap())
        .collect();
    for time in 0..161 {
        for id in &ids {
            tail.insert(*id, good(time, 1.0));
        }
    }
    let floors: Vec<UtcMillis> = ids.iter().map(|id| tail.floor(*id)).collect();
    // The 641st makes 41 go, and what is of one time goes together.
    assert_eq!(floors, [UtcMillis(11); 4]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn within_its_share_nobody_loses_anything_while_another_has_more(
        bound in 1_usize..300,
        inserts in prop::collection::vec((any_lamppost(), any_point()), 1..1_500),
    ) {
        let mut tail = Tail::new(TailOptions { max_observations: bound, ..TailOptions::default() });
        let ids = [0, 1, 2, 3, 4]
            .map(|one| tail.series(meta(&format!("DF{one}"), "pm1", Statistic::Mean)).unwrap());
        let mut held = [0_usize; 5];
        for (which, point) in inserts {
            let evicted = tail.tally().evicted;
            if matches!(tail.insert(ids[which], point), Inserted::Stored { .. }) {
                held[which] += 1;
            }
            if tail.tally().evicted == evicted {
                continue;
            }
            let share = (bound / held.iter().filter(|&&one| one > 0).count()).max(1);
            let above: usize = held.iter().map(|one| one.saturating_sub(share)).sum();
            let excess = held.iter().sum::<usize>() - (bound - bound / 16);
            let left = ids.map(|id| content(&tail, id).len());
            let still_above = left.iter().any(|&one| one > share);
            for (before, after) in held.into_iter().zip(left) {
                if before <= share && (still_above || above >= excess) {
                    prop_assert_eq!(after, before, "{:?} became {:?}", held, left);
                }
                prop_assert!(after >= before.min(share) || above < excess, "{:?} became {:?}", held, left);
            }
            held = left;
        }
    }
}

/// Mostly the first one.
fn any_lamppost() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0_usize), 2 => 0_usize..5]
}
