//! Which series there are.

use lamplighter_protocol::{Grid, LamppostNumber, Statistic};

use super::{good, meta};
use crate::store::{SeriesLatest, SeriesMeta, Tail, TailOptions, TooManySeries};

#[test]
fn a_series_keeps_its_id_and_takes_over_what_is_said_of_it() {
    let mut tail = Tail::new(TailOptions::default());
    let first = tail.series(meta("DF1", "air_temperature", Statistic::Mean)).unwrap();
    let other = tail.series(meta("DF2", "air_temperature", Statistic::Mean)).unwrap();
    let grid = Some(Grid { period_ms: 500, phase_ms: 0 });
    let finer = SeriesMeta { grid, ..meta("DF1", "air_temperature", Statistic::Mean) };
    assert_eq!(tail.series(finer.clone()), Ok(first));
    assert_ne!(first, other);
    assert_eq!(tail.meta(first), &finer);
    assert_eq!(tail.find(&finer.key), Some(first));
    assert_eq!(tail.find(&meta("DF1", "pm10", Statistic::Mean).key), None);
    assert_eq!(tail.find(&meta("DF3", "pm10", Statistic::Mean).key), None);
}

#[test]
fn series_are_listed_by_lamppost_and_name() {
    let mut tail = Tail::new(TailOptions::default());
    for (lamppost, property) in [("DF2", "pm1"), ("DF1", "pm2_5"), ("DF1", "pm1"), ("DF1", "pm10")] {
        let id = tail.series(meta(lamppost, property, Statistic::Mean)).unwrap();
        tail.insert(id, good(1, 5.0));
    }
    let described = tail.series(meta("DF1", "wind_speed", Statistic::Mean)).unwrap();
    let names = |one: SeriesLatest<'_>| format!("{} {}", one.meta.key.lamppost, one.meta.key.name.property);
    let listed: Vec<String> = tail.all().map(names).collect();
    assert_eq!(listed, ["DF1 pm1", "DF1 pm10", "DF1 pm2_5", "DF1 wind_speed", "DF2 pm1"]);

    let lamppost = LamppostNumber::new("DF1").unwrap();
    let of_lamppost = tail.latest_of_lamppost(&lamppost);
    let with_latest = of_lamppost.map(|one| (one.id, one.latest.is_some())).collect::<Vec<_>>();
    let ids = tail.of_lamppost(&lamppost);
    assert_eq!(with_latest, ids.iter().map(|&id| (id, id != described)).collect::<Vec<_>>());
    assert!(tail.of_lamppost(&LamppostNumber::new("DF3").unwrap()).is_empty());
}

#[test]
fn made_up_series_are_refused_past_the_bound_and_known_ones_go_on() {
    let mut tail = Tail::new(TailOptions { max_series: 2, ..TailOptions::default() });
    let one = tail.series(meta("DF1", "pm1", Statistic::Mean)).unwrap();
    tail.series(meta("DF1", "pm10", Statistic::Mean)).unwrap();
    for lamppost in ["DF1", "DF2"] {
        let refused = tail.series(meta(lamppost, "pm2_5", Statistic::Mean));
        assert_eq!(refused, Err(TooManySeries::OfFleet { limit: 2 }));
    }
    assert_eq!(tail.series(meta("DF1", "pm1", Statistic::Mean)), Ok(one));
    assert_eq!(tail.of_lamppost(&LamppostNumber::new("DF1").unwrap()).len(), 2);
    assert_eq!(tail.all().count(), 2);
}

#[test]
fn a_lamppost_that_makes_up_names_leaves_place_for_the_others() {
    let limits = TailOptions { max_series: 5, max_series_per_lamppost: 3, ..TailOptions::default() };
    let mut tail = Tail::new(limits);
    let made_up = |one: usize| meta("DF1", &format!("made_up_{one}"), Statistic::Mean);
    let known: Vec<_> = (0..3).map(|one| tail.series(made_up(one)).unwrap()).collect();
    for one in 3..100 {
        assert_eq!(tail.series(made_up(one)), Err(TooManySeries::OfLamppost { limit: 3 }));
    }
    assert_eq!(tail.series(made_up(2)), Ok(known[2]));
    for property in ["pm1", "pm10"] {
        tail.series(meta("DF2", property, Statistic::Mean)).unwrap();
    }
    // Where both bounds are reached it is the lamppost's own that is named.
    assert_eq!(tail.series(made_up(100)), Err(TooManySeries::OfLamppost { limit: 3 }));
    let refused = tail.series(meta("DF2", "pm2_5", Statistic::Mean));
    assert_eq!(refused, Err(TooManySeries::OfFleet { limit: 5 }));
    assert_eq!(tail.size().series, 5);
}
