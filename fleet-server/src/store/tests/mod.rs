//! Tests of the store, and what they have in common.

mod bound;
mod identity;
mod merging;
mod properties;
mod reading;
mod room;
mod shares;

use lamplighter_protocol::{Decimal, Grid, Reason, SeriesName, Statistic, UtcMillis};

use super::{Point, SeriesId, SeriesKey, SeriesMeta, Tail, TailOptions};

const FOREVER: (UtcMillis, UtcMillis) = (UtcMillis(i64::MIN), UtcMillis(i64::MAX));
const DAY: i64 = 86_400_000;

/// All that a series holds, read page by page.
fn content(tail: &Tail, id: SeriesId) -> Vec<Point> {
    let mut points = Vec::new();
    let mut next = Some(tail.floor(id));
    while let Some(from) = next {
        let page = tail.range(id, from, FOREVER.1, 700).unwrap();
        points.extend(page.points);
        next = page.next;
    }
    points
}

fn one_series(statistic: Statistic) -> (Tail, SeriesId) {
    let mut tail = Tail::new(TailOptions::default());
    let id = tail.series(meta("DF3637", "air_temperature", statistic)).unwrap();
    (tail, id)
}

fn meta(lamppost: &str, property: &str, statistic: Statistic) -> SeriesMeta {
    let name = SeriesName {
        device: "weather-1".parse().unwrap(),
        property: property.parse().unwrap(),
        channel: None,
    };
    SeriesMeta {
        key: SeriesKey { lamppost: lamppost.parse().unwrap(), name },
        unit: "Cel".to_owned(),
        statistic,
        resolution: Decimal::ONE,
        grid: Some(Grid { period_ms: 1_000, phase_ms: 0 }),
    }
}

fn good(time: i64, value: f64) -> Point {
    Point { time: UtcMillis(time), value: Some(value), reason: Reason::GOOD }
}

fn bad(time: i64) -> Point {
    Point { time: UtcMillis(time), value: None, reason: Reason::NO_ANSWER }
}
