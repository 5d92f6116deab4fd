//! How much the tail holds, and what goes when it is full.

use std::time::Duration;

use lamplighter_protocol::{Statistic, UtcMillis};

use super::{FOREVER, content, good, meta, one_series};
use crate::clock;
use crate::store::{
    AggregateError, Inserted, Merge, OlderThanTail, SeriesId, SeriesMeta, StoreMetrics, Tail, TailOptions,
};
use crate::store::{block, series};

#[test]
fn what_is_older_than_the_tail_is_named_and_never_an_empty_answer() {
    let mut tail = Tail::new(TailOptions { max_observations: 100, ..TailOptions::default() });
    let id = tail.series(meta("DF1", "air_temperature", Statistic::Mean)).unwrap();
    let quiet = tail.series(meta("DF1", "relative_humidity", Statistic::Mean)).unwrap();
    tail.insert(quiet, good(3, 1.0));
    let late = tail.series(meta("DF3", "air_temperature", Statistic::Mean)).unwrap();
    for time in 0..100 {
        tail.insert(id, good(time, 1.0));
    }
    let floor = tail.floor(id);
    assert!(floor > UtcMillis(0));
    assert_eq!(tail.insert(id, good(floor.0 - 1, 1.0)), Inserted::OlderThanTail);
    let before = UtcMillis(floor.0 - 1);
    assert_eq!(tail.range(id, before, FOREVER.1, 10), Err(OlderThanTail { floor }));
    assert_eq!(
        tail.aggregate(id, before, FOREVER.1, 10),
        Err(AggregateError::OlderThanTail(OlderThanTail { floor }))
    );
    assert_eq!(tail.range(id, floor, FOREVER.1, 1).unwrap().points, [good(floor.0, 1.0)]);
    assert!(tail.aggregate(id, floor, FOREVER.1, 10).is_ok());

    // The only observation of the quiet one is gone from the tail: it is still the latest, and still merged.
    assert_eq!(tail.floor(quiet), UtcMillis(4));
    assert_eq!(tail.latest(quiet), Some(good(3, 1.0)));
    assert_eq!(tail.insert(quiet, good(3, 0.5)), Inserted::Merged(Merge::Kept));
    assert_eq!(tail.insert(quiet, good(3, 2.0)), Inserted::Merged(Merge::Replaced));
    assert_eq!(tail.latest(quiet), Some(good(3, 2.0)));
    assert_eq!(tail.insert(quiet, good(2, 2.0)), Inserted::OlderThanTail);
    assert_eq!(tail.insert(quiet, good(4, 2.0)), Inserted::Stored { latest: true });

    // Where nothing was evicted nothing is missing.
    assert_eq!(tail.floor(late), FOREVER.0);
    assert_eq!(tail.insert(late, good(1, 1.0)), Inserted::Stored { latest: true });
}

#[test]
fn a_full_tail_lets_its_oldest_sixteenth_go() {
    // Many short series and few long ones: so many observations that the cut is an estimate.
    for (series, ticks, within) in [(4_000, 40, 2_500), (20, 8_000, 0)] {
        let bound = series * ticks;
        let mut tail = Tail::new(TailOptions { max_observations: bound, ..TailOptions::default() });
        let ids: Vec<SeriesId> = (0..series)
            .map(|one| tail.series(meta(&format!("DF{one}"), "pm1", Statistic::Mean)).unwrap())
            .collect();
        // Every series is read at a phase of its own, so that times are spread.
        let time = |place: usize, tick: usize| i64::try_from(tick * series + place).unwrap();
        let ahead = bound - within;
        for one in 0..bound {
            tail.insert(ids[one % series], good(time(one % series, one / series), 1.0));
            assert_eq!(tail.tally().evicted > 0, one >= ahead, "{one}");
        }
        let mut one = bound;
        while one <= ahead + within {
            tail.insert(ids[one % series], good(time(one % series, one / series), 1.0));
            one += 1;
        }
        let evicted = usize::try_from(tail.tally().evicted).unwrap();
        assert_eq!(tail.size().observations, one - evicted);
        assert!(evicted * 18 > bound && evicted * 14 < bound, "{evicted} of {bound}");
        let floors = ids.iter().map(|id| tail.floor(*id));
        let (least, greatest) = (floors.clone().min().unwrap(), floors.max().unwrap());
        assert!(greatest.since_ms(least) < i64::try_from(series).unwrap(), "all are cut at one time");
    }
}

#[test]
fn memory_is_given_back_when_observations_go() {
    const DAY: i64 = 86_400_000;
    let bound = 20_000;
    // Full blocks that lose most of what they hold, and times so far apart that each takes a block.
    for (series, ticks, apart) in [(40_usize, 500_i64, 1_000), (1, 20_000, 100 * DAY)] {
        let mut tail = Tail::new(TailOptions { max_observations: bound, ..TailOptions::default() });
        // Of one lamppost: those of others would keep their share.
        let ids: Vec<SeriesId> = (0..series)
            .map(|one| tail.series(meta("DF3637", &format!("pm{one}"), Statistic::Mean)).unwrap())
            .collect();
        for tick in 0..ticks {
            for id in &ids {
                tail.insert(*id, good(tick * apart, 1.0));
            }
        }
        assert_eq!(tail.size().observations, bound);
        let newer = tail.series(meta("DF3637", "air_temperature", Statistic::Mean)).unwrap();
        for tick in 0..200_000 {
            tail.insert(newer, good(ticks * apart + tick, 1.0));
            if tick == 18_000 {
                let size = tail.size();
                assert!(size.observations <= bound);
                let held: usize = ids.iter().map(|id| content(&tail, *id).len()).sum();
                assert!((1..1_500).contains(&held), "the older ones are nearly gone: {held}");
                assert!(size.bytes < bound * 25, "{series} series: {size:?}");
            }
        }
        assert!(tail.size().bytes < bound * 16, "{series} series: {:?}", tail.size());
        assert!(tail.size().observations >= bound - bound / 16 - 1);
    }
}

#[test]
fn whatever_the_order_of_arrival_blocks_are_well_filled() {
    let ascending: Vec<i64> = (0..20_000).collect();
    let descending = ascending.iter().rev().copied().collect();
    // Live data runs ahead while a backlog drains (D6).
    let backlog = (10_000..20_000).zip(0..10_000).flat_map(|(live, late)| [live, late]).collect();
    let gap = (0..5_000).chain(15_000..20_000).chain(5_000..15_000).collect();
    // 7,919 has no divisor in common with 20,000: each time comes once.
    let scattered = ascending.iter().map(|one| one * 7_919 % 20_000).collect();
    for (name, order) in [
        ("ascending", ascending),
        ("descending", descending),
        ("backlog", backlog),
        ("gap", gap),
        ("scattered", scattered),
    ] {
        let (mut tail, id) = one_series(Statistic::Mean);
        for time in order {
            tail.insert(id, good(time * 1_000, 1.0));
        }
        let times: Vec<i64> = content(&tail, id).iter().map(|point| point.time.0 / 1_000).collect();
        assert_eq!(times, (0..20_000).collect::<Vec<i64>>(), "{name}");
        let size = tail.size();
        assert!(size.bytes < size.observations * 27, "{name}: {size:?}");
    }
}

#[test]
fn in_order_observations_take_thirteen_bytes_each() {
    let (mut tail, id) = one_series(Statistic::Mean);
    for time in 0..100_000 {
        tail.insert(id, good(time * 1_000, 20.0));
    }
    let size = tail.size();
    assert!((1_300_000..1_350_000).contains(&size.bytes), "{size:?}");
}

#[test]
fn what_is_said_of_memory_matches_what_is_counted() {
    let names = ["air_temperature", "relative_humidity", "barometric_pressure", "pm1", "pm2_5", "pm10"];
    for (lampposts, ticks) in [(200_usize, 1_usize), (200, 60), (20, 2_000)] {
        let mut tail = Tail::new(TailOptions::default());
        for lamppost in 0..lampposts {
            for name in names {
                let id = tail.series(meta(&format!("DF{lamppost:04}"), name, Statistic::Mean)).unwrap();
                for tick in 0..ticks {
                    tail.insert(id, good(i64::try_from(tick).unwrap() * 1_000, 20.0));
                }
            }
        }
        // Arrays grow by doubling, from 8 for bytes and 4 for the rest, up to a block of 512.
        let block =
            |points: usize| 12 * points.next_power_of_two().max(4) + points.next_power_of_two().max(8);
        let blocks = ticks.div_ceil(512);
        let arrays = ticks / 512 * block(512) + if ticks % 512 > 0 { block(ticks % 512) } else { 0 };
        let deque = blocks.next_power_of_two().max(4) * size_of::<block::Block>();
        let texts = "DF0000".len() + "weather-1".len() + "barometric_pressure".len() + "Cel".len();
        let series = size_of::<series::Series>() + size_of::<SeriesMeta>() + texts + arrays + deque;
        let expected = lampposts * (series * names.len() + 150);
        let bytes = tail.size().bytes;
        assert!(bytes * 10 > expected * 8 && bytes * 10 < expected * 12, "{bytes} is not about {expected}");
        assert_eq!(tail.size().series, lampposts * names.len());
        assert_eq!(tail.size().observations, lampposts * names.len() * ticks);
    }
}

#[test]
fn what_is_counted_is_what_a_walk_finds_also_when_series_are_described_anew() {
    let mut tail = Tail::new(TailOptions { max_observations: 5_000, ..TailOptions::default() });
    for tick in 0..600 {
        for lamppost in 0..10 {
            for property in ["pm1", "pm10"] {
                let unit = "u".repeat((tick + lamppost) % 40);
                let meta = meta(&format!("DF{lamppost}"), property, Statistic::Mean);
                let id = tail.series(SeriesMeta { unit, ..meta }).unwrap();
                tail.insert(id, good(i64::try_from(tick * 7_919 % 600).unwrap(), 1.0));
            }
        }
        assert_eq!((tail.size(), tail.oldest()), tail.walked(), "{tick}");
    }
    assert!(tail.tally().evicted > 0);
}

#[test]
fn to_take_the_figures_of_a_tail_does_not_take_longer_the_more_it_holds() {
    let mut tail = Tail::new(TailOptions::default());
    for lamppost in 0..20_000 {
        let id = tail.series(meta(&format!("DF{lamppost}"), "pm1", Statistic::Mean)).unwrap();
        tail.insert(id, good(lamppost, 1.0));
    }
    let metrics = StoreMetrics::default();
    let (begun, mut taken) = (clock::monotonic(), 0);
    // Walked, each takes a millisecond and more.
    while taken < 20_000 && clock::monotonic().duration_since(begun) < Duration::from_secs(5) {
        metrics.observe(&tail);
        taken += 1;
    }
    assert_eq!(taken, 20_000);
}

#[test]
fn metrics_say_what_the_tail_holds_and_what_has_happened() {
    let mut tail = Tail::new(TailOptions { max_observations: 32, ..TailOptions::default() });
    let id = tail.series(meta("DF1", "pm1", Statistic::Mean)).unwrap();
    for time in 0..33 {
        tail.insert(id, good(time, 1.0));
    }
    tail.insert(id, good(32, 2.0));
    tail.insert(id, good(32, 1.0));
    tail.insert(id, good(0, 1.0));
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = StoreMetrics::default();
    metrics.register(&mut registry);
    metrics.observe(&tail);
    metrics.observe(&tail);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "lamplighter_store_series 1",
        "lamplighter_store_observations 30",
        "lamplighter_store_oldest_ms 3",
        &format!("lamplighter_store_bytes {}", tail.size().bytes),
        "lamplighter_store_stored_total 33",
        "lamplighter_store_merged_kept_total 1",
        "lamplighter_store_merged_replaced_total 1",
        "lamplighter_store_older_than_tail_total 1",
        "lamplighter_store_evicted_total 3",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
    }
}
