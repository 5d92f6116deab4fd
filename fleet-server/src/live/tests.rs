use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, Reason, UtcMillis};

use super::*;

#[tokio::test]
async fn every_feed_gets_what_is_published_after_it_was_opened_in_order() {
    let hub = LiveHub::default();
    hub.publish(observation("DF1", 0));
    let mut one = hub.subscribe();
    hub.publish(observation("DF1", 1));
    let mut other = hub.subscribe();
    hub.publish(observation("DF2", 2));
    assert_eq!(one.next().await, Some(LiveEvent::Observation(observation("DF1", 1))));
    assert_eq!(one.next().await, Some(LiveEvent::Observation(observation("DF2", 2))));
    assert_eq!(other.next().await, Some(LiveEvent::Observation(observation("DF2", 2))));
}

#[tokio::test]
async fn a_feed_of_one_lamppost_gets_nothing_of_others() {
    let hub = LiveHub::default();
    let mut feed = hub.subscribe_to(LamppostNumber::new("DF2").unwrap());
    for (lamppost, time) in [("DF1", 1), ("DF2", 2), ("DF1", 3), ("DF2", 4)] {
        hub.publish(observation(lamppost, time));
    }
    assert_eq!(times(&mut feed, 2).await, [2, 4]);
}

#[tokio::test]
async fn a_slow_client_is_told_what_it_missed_and_goes_on_with_the_newest() {
    let (hub, metrics) = hub_of(3);
    let mut slow = hub.subscribe();
    let mut quick = hub.subscribe();
    let mut narrow = hub.subscribe_to(LamppostNumber::new("DF2").unwrap());
    hub.publish(observation("DF2", 0));
    assert_eq!(times(&mut quick, 1).await, [0]);
    for time in 1..=5 {
        hub.publish(observation("DF1", time));
        assert_eq!(times(&mut quick, 1).await, [time]);
    }
    assert_eq!(slow.next().await, Some(LiveEvent::Missed(3)));
    assert_eq!(times(&mut slow, 3).await, [3, 4, 5]);
    assert_eq!(times(&mut narrow, 1).await, [0], "what it did not ask for did not crowd it out");
    hub.publish(observation("DF1", 6));
    assert_eq!(times(&mut slow, 1).await, [6], "it is told once");
    assert_eq!((metrics.missed.get(), metrics.published.get()), (3, 7));
}

#[tokio::test]
async fn nothing_is_made_for_a_fleet_that_nobody_watches() {
    let (hub, metrics) = hub_of(3);
    hub.publish_with(|| unreachable!("there is no feed"));
    drop(hub.subscribe());
    hub.publish_with(|| unreachable!("the feed is gone"));
    assert_eq!((hub.feeds(), metrics.feeds.get(), metrics.published.get()), (0, 0, 0));
    let _feed = hub.subscribe();
    assert_eq!((hub.feeds(), metrics.feeds.get()), (1, 1));
}

#[tokio::test]
async fn a_waiting_client_wakes_for_an_observation() {
    let hub = LiveHub::default();
    let mut feed = hub.subscribe();
    let publish = async {
        tokio::task::yield_now().await;
        hub.publish(observation("DF1", 1));
    };
    let ((), event) = tokio::join!(publish, feed.next());
    assert_eq!(event, Some(LiveEvent::Observation(observation("DF1", 1))));
}

#[tokio::test]
async fn giving_up_a_wait_loses_nothing() {
    let hub = LiveHub::default();
    let mut feed = hub.subscribe();
    for time in 0..10 {
        tokio::select! {
            biased;
            _ = feed.next() => panic!("nothing was published"),
            () = std::future::ready(()) => {}
        }
        hub.publish(observation("DF1", time));
        assert_eq!(times(&mut feed, 1).await, [time]);
    }
}

#[tokio::test]
async fn a_closed_hub_ends_its_feeds_after_what_waited() {
    let hub = LiveHub::default();
    let mut feed = hub.subscribe();
    let mut waiting = hub.subscribe_to(LamppostNumber::new("DF9").unwrap());
    hub.publish(observation("DF1", 1));
    let close = async {
        tokio::task::yield_now().await;
        hub.close();
    };
    let ((), end) = tokio::join!(close, waiting.next());
    assert_eq!(end, None);
    hub.publish(observation("DF1", 2));
    assert_eq!(times(&mut feed, 1).await, [1]);
    assert_eq!(feed.next().await, None);
    assert_eq!(hub.subscribe().next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_observation_is_either_read_or_counted_as_missed() {
    const PUBLISHED: u64 = 20_000;
    let (hub, metrics) = hub_of(16);
    let mut feed = hub.subscribe();
    let publisher = std::thread::spawn(move || {
        for time in 0..PUBLISHED {
            hub.publish(observation("DF1", i64::try_from(time).unwrap()));
        }
        hub.close();
    });
    let (mut read, mut missed, mut last) = (0, 0, -1);
    while let Some(event) = feed.next().await {
        match event {
            LiveEvent::Observation(observation) => {
                assert!(observation.time.0 > last, "in order");
                last = observation.time.0;
                read += 1;
            }
            LiveEvent::Missed(count) => missed += count,
        }
    }
    publisher.join().unwrap();
    assert_eq!(read + missed, PUBLISHED);
    assert_eq!(metrics.missed.get(), missed);
}

#[test]
fn an_observation_is_json_with_unit_time_quality_and_reason_by_name() {
    let good = serde_json::to_value(&*observation("DF3637", 1_539_846_000_000)).unwrap();
    let expected = serde_json::json!({
        "lamppost": "DF3637", "series": "weather-1/air_temperature", "time_ms": 1_539_846_000_000_i64,
        "value": 16.1, "unit": "Cel", "quality": "good", "reason": "good", "received_ms": 1_539_846_000_250_i64,
    });
    assert_eq!(good, expected);
    let mut bad = LiveObservation::clone(&observation("DF3637", 0));
    (bad.value, bad.reason, bad.quality) = (None, Reason::NO_ANSWER, Reason::NO_ANSWER.quality());
    let bad = serde_json::to_value(&bad).unwrap();
    assert_eq!(
        (&bad["value"], &bad["quality"], &bad["reason"]),
        (&serde_json::Value::Null, &"bad".into(), &"no-answer".into())
    );
}

fn hub_of(queue: usize) -> (LiveHub, LiveMetrics) {
    let metrics = LiveMetrics::default();
    (LiveHub::new(LiveOptions { queue }, metrics.clone()), metrics)
}

/// Times of the next observations, which follow without a gap.
async fn times(feed: &mut LiveFeed, count: usize) -> Vec<i64> {
    let mut times = Vec::new();
    while times.len() < count {
        match feed.next().await {
            Some(LiveEvent::Observation(observation)) => times.push(observation.time.0),
            other => panic!("{other:?} instead of an observation"),
        }
    }
    times
}

fn observation(lamppost: &str, time: i64) -> Arc<LiveObservation> {
    let series = SeriesName {
        device: "weather-1".parse().unwrap(),
        property: "air_temperature".parse().unwrap(),
        channel: None,
    };
    Arc::new(LiveObservation {
        lamppost: lamppost.parse().unwrap(),
        series,
        time: UtcMillis(time),
        value: Some(16.1),
        unit: "Cel".to_owned(),
        quality: Reason::GOOD.quality(),
        reason: Reason::GOOD,
        received: UtcMillis(time + 250),
    })
}
