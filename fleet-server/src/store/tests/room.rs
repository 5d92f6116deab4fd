//! Of many lampposts room is made little by little: the bound is kept all the time, and a copy goes on as the original does.

use std::convert::Infallible;

use lamplighter_protocol::Statistic;
use proptest::prelude::*;

use super::{content, good, meta};
use crate::checkpoint::wire::part::Body;
use crate::store::{SeriesId, Tail, TailOptions, TailRestore};

const LAMPPOSTS: usize = 100;
const BOUND: usize = 6_400;

fn lamppost(at: usize) -> String {
    format!("DF{at}")
}

fn insert(tail: &mut Tail, at: usize, time: i64) {
    let id = tail.series(meta(&lamppost(at), "pm1", Statistic::Mean)).unwrap();
    tail.insert(id, good(time, 1.0));
}

fn copy_of(tail: &Tail) -> Tail {
    copy_within(tail, BOUND)
}

fn copy_within(tail: &Tail, max_observations: usize) -> Tail {
    let mut restore = TailRestore::new(TailOptions { max_observations, ..TailOptions::default() });
    let handed_on = tail.snapshot().parts(|part| {
        if let Body::Tail(tail) = part {
            restore.tail(tail).unwrap();
        } else if let Body::Series(series) = part {
            restore.series(series).unwrap();
        } else if let Body::Block(block) = part {
            restore.block(block).unwrap();
        } else {
            panic!("{part:?} is no part of a tail");
        }
        Ok::<(), Infallible>(())
    });
    handed_on.unwrap();
    restore.finish().unwrap()
}

/// All but what is oldest: that is looked for when room has been made, and a copy that is put together meanwhile knows it
/// already.
fn told(tail: &Tail) -> impl PartialEq + std::fmt::Debug + use<> {
    let series: Vec<_> = (0..LAMPPOSTS)
        .filter_map(|at| tail.find(&meta(&lamppost(at), "pm1", Statistic::Mean).key))
        .map(|id: SeriesId| (id, content(tail, id), tail.floor(id), tail.latest(id)))
        .collect();
    (series, tail.tally(), tail.size().observations)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_copy_that_is_taken_while_room_is_made_goes_on_as_the_original_does(
        inserts in prop::collection::vec((0..LAMPPOSTS, -50..50_i64), 200..1_200),
        copies in prop::collection::vec(0..1_200_usize, 0..6),
        flood in any::<bool>(),
    ) {
        let mut tail = Tail::new(TailOptions { max_observations: BOUND, ..TailOptions::default() });
        // Nearly full, of equal lampposts or of one that holds much more than its share.
        for tick in 0..i64::try_from(BOUND / LAMPPOSTS - 2).unwrap() {
            for at in 0..LAMPPOSTS {
                insert(&mut tail, if flood && at % 4 > 0 { 7 } else { at }, tick * 100 + i64::try_from(at).unwrap());
            }
        }
        prop_assert_eq!(tail.tally().evicted, 0);
        let mut copied = copy_of(&tail);
        for (place, (at, ahead)) in inserts.into_iter().enumerate() {
            let time = 6_300 + i64::try_from(place).unwrap() + ahead * 40;
            if copies.contains(&place) {
                copied = copy_of(&copied);
            }
            for tail in [&mut tail, &mut copied] {
                insert(tail, at, time);
                prop_assert!(tail.size().observations <= BOUND);
            }
            if place % 50 == 0 {
                prop_assert_eq!(tail.size(), tail.walked().0);
            }
        }
        prop_assert_eq!(told(&copied), told(&tail));
    }
}

#[test]
fn of_many_lampposts_few_are_visited_at_once() {
    let mut tail = Tail::new(TailOptions { max_observations: BOUND, ..TailOptions::default() });
    let mut most = 0;
    for tick in 0..200 {
        for at in 0..LAMPPOSTS {
            let before = tail.tally().evicted;
            insert(&mut tail, at, tick * 100 + i64::try_from(at).unwrap());
            most = most.max(tail.tally().evicted - before);
            assert!(tail.size().observations <= BOUND);
        }
    }
    assert!(tail.tally().evicted > 13_000, "{:?}", tail.tally());
    assert!(most < 20, "{most} at once, of some 400 that go each time");
}

#[test]
fn a_copy_that_may_hold_less_keeps_its_bound_however_far_room_was_made() {
    let mut tail = Tail::new(TailOptions { max_observations: BOUND, ..TailOptions::default() });
    for tick in 0..70 {
        // The last that becomes known has nothing that is old.
        insert(&mut tail, if tick > 0 { LAMPPOSTS } else { 0 }, 1_000_000 + tick);
        for at in 0..LAMPPOSTS {
            insert(&mut tail, at, tick * 100 + i64::try_from(at).unwrap());
            if tick > 60 {
                let copy = copy_within(&tail, BOUND / 2);
                assert!(copy.size().observations <= BOUND / 2, "{tick} {at}");
            }
        }
    }
    assert!(tail.tally().evicted > 0);
}
