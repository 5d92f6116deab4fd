//! Feeds that wait: what wakes them, what ends them, and how often they look.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;

fn hub_with_pause(pause: Duration) -> LiveHub {
    LiveHub::of_life(1, LiveOptions { pause, ..LiveOptions::default() }, LiveMetrics::default())
}

#[tokio::test]
async fn a_waiting_client_wakes_for_a_change() {
    let hub = hub();
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    let publish = async {
        tokio::task::yield_now().await;
        hub.publish_state(state("DF1", Status::Late));
    };
    let ((), event) = tokio::join!(publish, feed.next());
    assert!(matches!(event, Some(LiveEvent::Changes(changes)) if changes.states.len() == 1));
}

#[test]
fn giving_up_a_wait_loses_nothing() {
    let hub = hub();
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    for time in 0..10 {
        assert_eq!(told(&mut feed), None);
        hub.publish(observation("DF1", time));
        assert_eq!(observed(&mut feed), [at("DF1", time)]);
    }
}

#[tokio::test]
async fn many_changes_are_read_in_pieces_and_nothing_is_lost() {
    let (hub, _) = hub_of(65_536, 100);
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    for time in 0..10_000 {
        hub.publish(observation("DF1", time));
    }
    // The first poll gives way to others between two pieces, and is given up.
    assert_eq!(told(&mut feed), None);
    assert!(matches!(feed.next().await, Some(LiveEvent::Changes(changes)) if changes.id == id(10_000)));
}

#[tokio::test]
async fn a_closed_hub_ends_its_feeds_after_what_was_published() {
    let hub = hub();
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    let mut waiting = hub.subscribe(only("DF9"), None);
    hub.publish(observation("DF1", 1));
    let close = async {
        tokio::task::yield_now().await;
        hub.close();
    };
    let ((), end) = tokio::join!(close, waiting.next());
    assert_eq!(end, None);
    hub.publish(observation("DF1", 2));
    assert_eq!(observed(&mut feed), [at("DF1", 1)]);
    assert_eq!(feed.next().await, None);
    assert_eq!(hub.subscribe(LiveFilter::default(), None).next().await, None);
}

#[tokio::test]
async fn the_first_event_comes_at_once_and_the_next_one_not_before_the_pause_is_over() {
    let hub = hub_with_pause(Duration::from_hours(1));
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    hub.publish(observation("DF1", 1));
    assert_eq!(observed(&mut feed), [at("DF1", 1)]);
    hub.publish(observation("DF1", 2));
    assert_eq!(told(&mut feed), None);
}

#[tokio::test]
async fn after_the_pause_all_that_came_meanwhile_is_told_at_once() {
    let pause = Duration::from_millis(50);
    let hub = hub_with_pause(pause);
    let mut feed = hub.subscribe(LiveFilter::default(), None);
    hub.publish(observation("DF1", 1));
    let begun = crate::clock::monotonic();
    assert_eq!(observed(&mut feed), [at("DF1", 1)]);
    hub.publish(observation("DF1", 2));
    hub.publish(observation("DF1", 3));
    let Some(LiveEvent::Changes(changes)) = feed.next().await else { panic!("no changes") };
    assert_eq!(changes.observations.iter().map(|one| one.time.0).collect::<Vec<_>>(), [2, 3]);
    assert!(crate::clock::monotonic().duration_since(begun) >= pause);
}

#[tokio::test]
async fn a_feed_is_not_woken_more_often_than_it_may_look() {
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let hub = hub_with_pause(Duration::from_hours(1));
    let mut feed = hub.subscribe(only("DF9"), None);
    let counted = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&counted));
    let mut next = std::pin::pin!(feed.next());
    for time in 0..100 {
        let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        hub.publish(observation("DF1", time));
    }
    assert_eq!(counted.0.load(Ordering::Relaxed), 1);
}
