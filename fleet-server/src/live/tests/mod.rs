//! The hub: what feeds tell, from where on, and what they cost.

mod concurrent;
mod model;
mod waiting;
mod words;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lamplighter_protocol::{Reason, SeriesName, UtcMillis};

use super::ring::Change;
use super::*;

/// A hub without a pause, and what it counts.
fn hub_of(ring: usize, event: usize) -> (LiveHub, LiveMetrics) {
    let metrics = LiveMetrics::default();
    let options = LiveOptions { ring, event, lag: event, pause: Duration::ZERO };
    (LiveHub::of_life(1, options, metrics.clone()), metrics)
}

fn hub() -> LiveHub {
    hub_of(1_000, 100).0
}

#[test]
fn a_client_that_is_some_events_behind_is_told_every_observation_in_their_order() {
    let options = LiveOptions { ring: 1_000, event: 2, lag: 5, pause: Duration::ZERO };
    let hub = LiveHub::of_life(1, options, LiveMetrics::default());
    let mut feed = hub.subscribe(only("DF1"), None);
    for time in 1..=5 {
        hub.publish(observation("DF1", time));
    }
    assert_eq!(observed(&mut feed), [at("DF1", 1), at("DF1", 2)]);
    assert_eq!(observed(&mut feed), [at("DF1", 3), at("DF1", 4)]);
    assert_eq!(observed(&mut feed), [at("DF1", 5)]);
    for time in 6..=11 {
        hub.publish(observation("DF1", time));
    }
    assert_eq!(observed(&mut feed), [at("DF1", 11)], "six wait, and five is the most");
}

/// What a feed has to say by now.
fn told(feed: &mut LiveFeed) -> Option<LiveEvent> {
    feed.next().now_or_never().flatten()
}

fn changes(feed: &mut LiveFeed) -> LiveChanges {
    match told(feed) {
        Some(LiveEvent::Changes(changes)) => changes,
        other => panic!("{other:?} instead of changes"),
    }
}

/// Of the next event: lampposts, and times of their observations.
fn observed(feed: &mut LiveFeed) -> Vec<(String, i64)> {
    let changes = changes(feed);
    changes.observations.iter().map(|one| (one.lamppost.to_string(), one.time.0)).collect()
}

fn at(lamppost: &str, time: i64) -> (String, i64) {
    (lamppost.to_owned(), time)
}

fn series(property: &str) -> Arc<LiveSeries> {
    let name = SeriesName {
        device: "weather-1".parse().unwrap(),
        property: property.parse().unwrap(),
        channel: None,
    };
    Arc::new(LiveSeries { name, unit: "Cel".to_owned(), period_ms: Some(1000) })
}

fn observation_of(lamppost: &str, property: &str, time: i64) -> LiveObservation {
    LiveObservation {
        lamppost: Arc::new(lamppost.parse().unwrap()),
        series: series(property),
        time: UtcMillis(time),
        value: Some(16.1),
        reason: Reason::GOOD,
        received: UtcMillis(time + 250),
    }
}

fn observation(lamppost: &str, time: i64) -> LiveObservation {
    observation_of(lamppost, "air_temperature", time)
}

fn state(lamppost: &str, status: Status) -> LamppostState {
    LamppostState {
        lamppost: lamppost.parse().unwrap(),
        status,
        since: Some(UtcMillis(5)),
        quality: None,
        bad: 0,
        uncertain: 0,
        last_observation: None,
    }
}

fn id(sequence: u64) -> EventId {
    EventId { life: 1, sequence }
}

fn only(lamppost: &str) -> LiveFilter {
    LiveFilter { lamppost: Some(lamppost.parse().unwrap()), ..LiveFilter::default() }
}

fn reset(sequence: u64, reason: ResetReason) -> LiveEvent {
    LiveEvent::Reset { id: id(sequence), reason }
}

#[test]
fn a_feed_tells_what_is_published_after_it_was_opened_in_order() {
    let hub = hub();
    hub.publish(observation("DF1", 0));
    let mut one = hub.subscribe(LiveFilter::default(), None);
    hub.publish(observation("DF2", 1));
    let mut other = hub.subscribe(LiveFilter::default(), None);
    hub.publish(observation("DF1", 2));
    assert_eq!(observed(&mut one), [at("DF2", 1), at("DF1", 2)]);
    hub.publish(observation("DF1", 3));
    assert_eq!(observed(&mut one), [at("DF1", 3)]);
    assert_eq!(observed(&mut other), [at("DF1", 2), at("DF1", 3)]);
    assert_eq!((told(&mut one), told(&mut other)), (None, None));
}

#[test]
fn a_client_that_keeps_up_is_told_every_observation_and_of_each_lamppost_the_latest_state() {
    let (hub, metrics) = hub_of(1_000, 100);
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    for time in 1..=50 {
        hub.publish(observation("DF1", time));
        hub.publish_state(state("DF1", Status::Late));
    }
    let changes = changes(&mut feed);
    assert_eq!(
        changes.observations.iter().map(|one| one.time.0).collect::<Vec<_>>(),
        (1..=50).collect::<Vec<i64>>()
    );
    assert_eq!((changes.states.len(), changes.replaced, metrics.collapsed.get()), (1, 0, 0));
}

#[test]
fn a_client_that_lags_is_told_only_the_latest_of_each_series_and_each_lamppost() {
    let (hub, metrics) = hub_of(1_000, 5);
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    hub.publish(observation("DF1", 1));
    hub.publish_state(state("DF1", Status::Reporting));
    hub.publish(observation("DF2", 1));
    hub.publish_state(state("DF1", Status::Late));
    // The device was given another grid meanwhile: it is the same series.
    let described_anew =
        Arc::new(LiveSeries { period_ms: None, ..LiveSeries::clone(&series("air_temperature")) });
    hub.publish(LiveObservation { series: described_anew, ..observation("DF1", 2) });
    hub.publish(observation_of("DF1", "wind_speed", 2));
    let changes = changes(&mut feed);
    assert_eq!(changes.id, id(6));
    let observations = changes.observations.iter().map(|one| (one.time.0, one.series.period_ms));
    assert_eq!(observations.collect::<Vec<_>>(), [(2, None), (1, Some(1000)), (2, Some(1000))]);
    assert_eq!(changes.states, [Arc::new(state("DF1", Status::Late))]);
    assert_eq!((metrics.published.get(), metrics.collapsed.get(), changes.replaced), (6, 1, 1));
}

#[test]
fn to_a_client_that_lags_the_latest_of_a_series_stands_where_its_first_one_stood() {
    let (hub, _) = hub_of(1_000, 3);
    let mut lags = hub.subscribe(LiveFilter::default(), None);
    let changes = [("DF1", 1), ("DF2", 2), ("DF1", 3), ("DF2", 4), ("DF1", 5)];
    for (lamppost, time) in changes {
        hub.publish(observation(lamppost, time));
    }
    assert_eq!(observed(&mut lags), [at("DF1", 5), at("DF2", 4)]);
    // What is next was published later than all of that.
    hub.publish(observation("DF2", 6));
    assert_eq!(observed(&mut lags), [at("DF2", 6)]);
}

#[test]
fn what_is_left_is_told_without_a_pause_and_without_waiting_for_more() {
    let options = LiveOptions { ring: 1_000, event: 2, lag: 2, pause: Duration::from_mins(1) };
    let hub = LiveHub::of_life(1, options, LiveMetrics::default());
    let mut feed = hub.subscribe(only("DF1"), None);
    let mut begins_anew = hub.subscribe(only("DF1"), None).reset_first(ResetReason::Restarted);
    for (lamppost, time) in [("DF1", 1), ("DF2", 2), ("DF1", 3)] {
        hub.publish(observation(lamppost, time));
    }
    let left = |feed: &mut LiveFeed| feed.left().now_or_never().unwrap();
    assert!(matches!(left(&mut feed), Some(LiveEvent::Changes(changes)) if changes.id == id(3)));
    assert_eq!(left(&mut feed), None);
    hub.publish(observation("DF2", 4));
    assert_eq!(left(&mut feed), None, "it is not wanted");
    assert_eq!(left(&mut begins_anew), Some(reset(4, ResetReason::Restarted)));
    assert_eq!(left(&mut begins_anew), None);
}

#[test]
fn what_finds_no_room_in_an_event_comes_in_the_next_one() {
    let (hub, _) = hub_of(1_000, 2);
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    for (lamppost, time) in [("DF1", 1), ("DF2", 2), ("DF1", 3), ("DF3", 4), ("DF1", 5)] {
        hub.publish(observation(lamppost, time));
    }
    let first = changes(&mut feed);
    assert_eq!((first.id, first.observations[0].time.0, first.observations[1].time.0), (id(3), 3, 2));
    assert_eq!(observed(&mut feed), [at("DF3", 4), at("DF1", 5)]);
}

#[test]
fn filters_leave_out_other_lampposts_other_properties_or_all_observations() {
    let hub = hub();
    let wind = || WantedObservations::Of("wind_speed".parse().unwrap());
    let filters = [
        LiveFilter::default(),
        only("DF1"),
        LiveFilter { observations: wind(), ..LiveFilter::default() },
        LiveFilter { observations: wind(), ..only("DF1") },
        LiveFilter { observations: WantedObservations::None, ..LiveFilter::default() },
    ];
    let mut feeds = filters.map(|filter| hub.subscribe(filter, None));
    for lamppost in ["DF1", "DF2"] {
        hub.publish(observation_of(lamppost, "air_temperature", 1));
        hub.publish(observation_of(lamppost, "wind_speed", 2));
        hub.publish_state(state(lamppost, Status::Offline));
    }
    let seen = feeds.each_mut().map(|feed| {
        let LiveChanges { observations, states, .. } = changes(feed);
        let observations = observations.iter().map(|one| format!("{}:{}", one.lamppost, one.time.0));
        let states = states.iter().map(|one| one.lamppost.to_string());
        observations.chain(states).collect::<Vec<_>>().join(" ")
    });
    let expected =
        ["DF1:1 DF1:2 DF2:1 DF2:2 DF1 DF2", "DF1:1 DF1:2 DF1", "DF1:2 DF2:2 DF1 DF2", "DF1:2 DF1", "DF1 DF2"];
    assert_eq!(seen, expected);
}

#[test]
fn a_feed_begins_after_any_id_that_the_ring_still_reaches() {
    let (hub, _) = hub_of(3, 100);
    assert_eq!(hub.head(), id(0));
    let mut from_the_begin = hub.subscribe(LiveFilter::default(), Some(id(0)));
    for time in 1..=5 {
        hub.publish(observation("DF1", time));
        assert_eq!(hub.head(), id(u64::try_from(time).unwrap()));
        assert_eq!(observed(&mut from_the_begin), [at("DF1", time)]);
    }
    assert_eq!(told(&mut hub.subscribe(LiveFilter::default(), Some(id(5)))), None);
    let mut all_there_is = hub.subscribe(LiveFilter::default(), Some(id(2)));
    assert_eq!(observed(&mut all_there_is), [at("DF1", 3), at("DF1", 4), at("DF1", 5)]);
    let mut too_late = hub.subscribe(LiveFilter::default(), Some(id(1)));
    assert_eq!(told(&mut too_late), Some(reset(5, ResetReason::TooFarBehind)));
    assert_eq!(told(&mut too_late), None);
}

#[test]
fn an_id_of_another_life_or_of_the_future_begins_anew() {
    let (hub, metrics) = hub_of(3, 100);
    hub.publish(observation("DF1", 1));
    for after in [EventId { life: 2, sequence: 1 }, EventId { life: 2, sequence: 0 }, id(2)] {
        let mut feed = hub.subscribe(LiveFilter::default(), Some(after));
        assert_eq!(told(&mut feed), Some(reset(1, ResetReason::Restarted)), "{after}");
        assert_eq!(told(&mut feed), None);
    }
    let mut feed = hub.subscribe(LiveFilter::default(), None).reset_first(ResetReason::Restarted);
    assert_eq!(told(&mut feed), Some(reset(1, ResetReason::Restarted)));
    let resets = [ResetReason::Restarted, ResetReason::TooFarBehind].map(|reason| metrics.resets(reason));
    assert_eq!(resets, [4, 0]);
    assert_ne!(
        LiveHub::new(LiveOptions::default(), LiveMetrics::default()).unwrap().head().life,
        LiveHub::new(LiveOptions::default(), LiveMetrics::default()).unwrap().head().life
    );
}

#[test]
fn a_client_that_the_ring_has_run_over_begins_anew_and_is_told_once() {
    let (hub, metrics) = hub_of(3, 100);
    let mut slow = hub.subscribe(LiveFilter::default(), None);
    let mut narrow = hub.subscribe(only("DF2"), None);
    for time in 1..=4 {
        hub.publish(observation("DF1", time));
        assert_eq!(told(&mut narrow), None, "what it looked at and did not want is behind it");
    }
    assert_eq!(told(&mut slow), Some(reset(4, ResetReason::TooFarBehind)));
    hub.publish(observation("DF2", 5));
    assert_eq!(observed(&mut slow), [at("DF2", 5)]);
    assert_eq!(observed(&mut narrow), [at("DF2", 5)]);
    assert_eq!(metrics.resets(ResetReason::TooFarBehind), 1);
}

#[test]
fn a_client_that_never_reads_keeps_nothing() {
    let (hub, metrics) = hub_of(4, 100);
    let feed = hub.subscribe(LiveFilter::default(), None);
    let words = series("air_temperature");
    for time in 0..1_000 {
        hub.publish(LiveObservation { series: Arc::clone(&words), ..observation("DF1", time) });
    }
    assert_eq!(Arc::strong_count(&words), 4 + 1);
    assert!(size_of::<Change>() <= 64, "{} bytes: 65,536 of them are some 4 MB", size_of::<Change>());
    assert_eq!(metrics.feeds.get(), 1);
    drop(feed);
    assert_eq!(metrics.feeds.get(), 0);
}
