//! What subscribers are sent, over a shelf that is written by hand; and against a model.

use std::collections::BTreeMap;

use lamplighter_protocol::{Privacy, Reason, Theme};
use proptest::prelude::*;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Packet;

use super::super::Topic;
use super::super::message::Told;
use super::super::topic::tests::series;
use super::*;

const NOW: UtcMillis = UtcMillis(1_760_000_000_000);

/// A subscriber that takes all that it is sent.
struct Subscriber {
    delivery: Delivery,
    filters: Vec<(Filter, Qos)>,
    granted: Filter,
}

/// Series, value, retained.
type Heard = (usize, i64, bool);

fn message(series_at: usize, value: i64) -> Arc<Message> {
    let (lamppost, name) = (format!("DF{series_at}").parse().unwrap(), series("d/pm1"));
    let theme = if series_at.is_multiple_of(2) { Theme::Air } else { Theme::Weather };
    let told = Told {
        lamppost: &lamppost,
        name: &name,
        unit: "1",
        time: NOW,
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        value: Some(value as f64),
        reason: Reason::GOOD,
        received: None,
    };
    let topic = Arc::new(Topic::new(theme, None, &lamppost, &name));
    Arc::new(Message::new(series_at, topic, Privacy::Public, &told))
}

fn filter(text: &str) -> Filter {
    text.parse().unwrap()
}

impl Subscriber {
    fn new(shelf: &Shelf, lag: usize, in_flight: u16) -> Self {
        let delivery = Delivery::new(shelf.clone(), lag, in_flight, NOW);
        Self { delivery, filters: Vec::new(), granted: filter("highway/#") }
    }

    fn subscribe(&mut self, text: &str, qos: Qos) {
        self.filters.push((filter(text), qos));
        self.delivery.subscribed(filter(text), qos);
    }

    /// One filling: packets as another library reads them.
    fn fill(&mut self) -> (Vec<rumqttc::mqttbytes::v4::Publish>, Filled) {
        let mut out = BytesMut::new();
        let (filters, grant) = (&self.filters, &self.granted);
        let granted = |message: &Message| grant.matches(&message.topic);
        let wants = |message: &Message| {
            let matching = filters.iter().filter(|(filter, _)| filter.matches(&message.topic));
            matching.map(|(_, qos)| *qos).max().filter(|_| granted(message))
        };
        let filled = self.delivery.fill(&wants, &granted, NOW, &mut out);
        let mut publishes = Vec::new();
        while !out.is_empty() {
            let Ok(Packet::Publish(publish)) = Packet::read(&mut out, 1 << 20) else { panic!("no publish") };
            publishes.push(publish);
        }
        (publishes, filled)
    }

    /// All that there is now, acknowledged at once; and what was missed.
    fn hear(&mut self) -> (Vec<Heard>, u64) {
        let (mut heard, mut missed) = (Vec::new(), 0);
        loop {
            let (publishes, filled) = self.fill();
            for publish in publishes {
                if publish.qos == QoS::AtLeastOnce {
                    self.delivery.acknowledged(publish.pkid).unwrap();
                }
                let json: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
                if publish.topic == MISSED {
                    missed += json["missed"].as_u64().unwrap();
                    continue;
                }
                let series = json["lamppost"].as_str().unwrap()[2..].parse().unwrap();
                #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
                heard.push((series, json["value"].as_f64().unwrap() as i64, publish.retain));
            }
            if filled.state == Filling::Idle {
                return (heard, missed);
            }
        }
    }
}

#[test]
fn who_subscribes_is_told_what_is_latest_and_then_what_is_new() {
    let shelf = Shelf::new(100);
    shelf.replace([message(1, 10), message(2, 20)].into_iter());
    shelf.push(vec![message(1, 11)], 0);
    let mut subscriber = Subscriber::new(&shelf, 50, 10);
    assert_eq!(subscriber.hear(), (vec![], 0), "nothing before a subscription");
    subscriber.subscribe("highway/#", Qos::AtMostOnce);
    shelf.push(vec![message(2, 21), message(3, 30)], 0);
    let (mut heard, missed) = subscriber.hear();
    heard.sort_unstable();
    // What came after the subscription comes as new, and is not retained besides.
    assert_eq!((heard, missed), (vec![(1, 11, true), (2, 21, false), (3, 30, false)], 0));
    subscriber.subscribe("highway/#", Qos::AtMostOnce);
    assert_eq!(subscriber.hear().0, [(1, 11, true), (2, 21, true), (3, 30, true)], "asked for again");
}

#[test]
fn what_is_not_granted_is_not_told_whatever_is_asked_for() {
    let shelf = Shelf::new(100);
    shelf.push((0..10).map(|of| message(of, 1)).collect(), 0);
    let mut subscriber = Subscriber::new(&shelf, 50, 10);
    subscriber.granted = filter("highway/air/#");
    subscriber.subscribe("highway/#", Qos::AtLeastOnce);
    shelf.push((0..10).map(|of| message(of, 2)).collect(), 0);
    assert!(subscriber.hear().0.iter().all(|(series, _, _)| series % 2 == 0));
    subscriber.granted = filter("highway/+/+/DF7/#");
    shelf.push((0..10).map(|of| message(of, 3)).collect(), 0);
    assert_eq!(subscriber.hear().0, [(7, 3, false)], "withdrawn and granted in mid-stream");
}

#[test]
fn at_qos_1_no_more_than_the_window_is_on_its_way() {
    let shelf = Shelf::new(100);
    let mut subscriber = Subscriber::new(&shelf, 50, 3);
    subscriber.subscribe("highway/#", Qos::AtLeastOnce);
    shelf.push((0..5).map(|of| message(of, 1)).collect(), 0);
    let (first, filled) = subscriber.fill();
    assert_eq!(first.iter().map(|publish| publish.pkid).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(filled.state, Filling::Window);
    assert_eq!(subscriber.fill().0.len(), 0);
    subscriber.delivery.acknowledged(2).unwrap();
    assert_eq!(subscriber.delivery.acknowledged(2), Err(NotInFlight));
    assert_eq!(subscriber.delivery.acknowledged(4), Err(NotInFlight));
    let (second, _) = subscriber.fill();
    assert_eq!(second.iter().map(|publish| publish.pkid).collect::<Vec<_>>(), [2]);
    for packet_id in [1, 2, 3] {
        subscriber.delivery.acknowledged(packet_id).unwrap();
    }
    assert_eq!(subscriber.fill().0.len(), 1);
    assert_eq!(subscriber.fill().1.state, Filling::Idle);
}

#[test]
fn what_is_retained_is_told_once_to_a_subscription_and_not_to_one_that_is_gone() {
    let shelf = Shelf::new(100);
    shelf.push((0..3).map(|of| message(of, 1)).collect(), 0);
    let mut subscriber = Subscriber::new(&shelf, 50, 1);
    subscriber.subscribe("highway/weather/#", Qos::AtMostOnce);
    assert_eq!(subscriber.hear().0, [(1, 1, true)], "what its filter matches");
    // 3.8.4-3: asked for again before anything was sent, it begins anew.
    subscriber.subscribe("highway/#", Qos::AtMostOnce);
    subscriber.delivery.subscribed(filter("highway/#"), Qos::AtMostOnce);
    assert_eq!(subscriber.hear().0, [(0, 1, true), (1, 1, true), (2, 1, true)]);
    // 3.10.4-2: given up in the middle, nothing more of it is sent.
    subscriber.delivery.subscribed(filter("highway/#"), Qos::AtLeastOnce);
    assert_eq!(subscriber.fill().0.len(), 1, "the window has one place");
    subscriber.delivery.unsubscribed(&filter("highway/#"));
    subscriber.delivery.acknowledged(1).unwrap();
    assert_eq!(subscriber.hear(), (vec![], 0));
}

#[test]
fn who_falls_behind_is_told_the_latest_of_each_series_and_how_many_it_missed() {
    let shelf = Shelf::new(1_000);
    let mut subscriber = Subscriber::new(&shelf, 10, 10);
    subscriber.subscribe("highway/air/#", Qos::AtMostOnce);
    let mut other = Subscriber::new(&shelf, 100, 10);
    other.subscribe("highway/air/#", Qos::AtMostOnce);
    for value in 1..=10 {
        shelf.push((0..4).map(|of| message(of, value)).collect(), 0);
    }
    // Two series of air, ten messages each, of which the last two are told.
    assert_eq!(subscriber.hear(), (vec![(0, 10, false), (2, 10, false)], 18));
    assert_eq!(other.hear().0.len(), 20, "who has the patience is told all of them");
    shelf.push(vec![message(0, 11)], 0);
    assert_eq!(subscriber.hear(), (vec![(0, 11, false)], 0));
}

#[test]
fn what_is_owed_and_whose_newer_waits_among_what_is_new_counts_as_missed() {
    let shelf = Shelf::new(10_000);
    let mut subscriber = Subscriber::new(&shelf, 500, 1);
    subscriber.subscribe("highway/air/#", Qos::AtMostOnce);
    subscriber.subscribe("highway/weather/#", Qos::AtLeastOnce);
    for value in 1..=300 {
        shelf.push(vec![message(1, value), message(3, value)], 0);
    }
    let (first, filled) = subscriber.fill();
    assert_eq!((first.len(), filled.missed), (2, 598), "what it missed, and one; the other one is owed");
    // More than goes out at once lies before what is newer than what is owed.
    shelf.push((0..400).map(|value| message(0, value)).collect(), 0);
    shelf.push(vec![message(3, 301)], 0);
    subscriber.delivery.acknowledged(1).unwrap();
    let (heard, missed) = subscriber.hear();
    assert_eq!((heard.len(), missed), (401, 1));
    assert!(heard.contains(&(3, 301, false)) && !heard.contains(&(3, 300, false)));
}

#[test]
fn a_buffer_is_filled_up_to_its_room_and_the_rest_waits() {
    const ONE: usize = 1_024;
    let shelf = Shelf::new(10_000);
    let all = || (0..1_000).map(|of| message(of, 1)).collect::<Vec<_>>();
    shelf.push(all(), 0);
    let fill = |subscriber: &mut Subscriber| {
        let (publishes, filled) = subscriber.fill();
        assert_eq!(filled.state, Filling::More);
        let bytes: usize = publishes.iter().map(|one| one.topic.len() + one.payload.len()).sum();
        assert_eq!(subscriber.hear().0.len() + publishes.len(), 1_000 + usize::from(filled.missed > 0));
        bytes
    };
    let mut patient = Subscriber::new(&shelf, 5_000, 10);
    patient.subscribe("highway/#", Qos::AtMostOnce);
    assert!(fill(&mut patient) < FILL + ONE, "what is retained");
    let mut slow = Subscriber::new(&shelf, 10, 10);
    slow.subscribe("highway/#", Qos::AtMostOnce);
    slow.hear();
    shelf.push(all(), 0);
    shelf.push(vec![message(0, 2)], 0);
    assert!(fill(&mut slow) < FILL + ONE, "what is owed");
    patient.hear();
    shelf.push(all(), 0);
    assert!(fill(&mut patient) < FILL / 2 + ONE, "what is new");
}

#[test]
fn what_is_owed_is_found_in_its_order_whatever_is_owed_later() {
    let mut owed = Owed::default();
    assert!(owed.add(200) && !owed.add(200));
    assert_eq!(owed.first(), Some(200));
    assert!(owed.add(3));
    assert_eq!(owed.first(), Some(3));
    assert!(owed.remove(3) && !owed.remove(3));
    assert_eq!(owed.first(), Some(200));
    assert!(owed.remove(200));
    assert_eq!(owed.first(), None);
}

#[test]
fn what_was_missed_is_told_from_when_all_was_sent_or_from_what_was_told_before() {
    let shelf = Shelf::new(1_000);
    let mut subscriber = Subscriber::new(&shelf, 10, 1);
    subscriber.subscribe("highway/#", Qos::AtLeastOnce);
    let told = |subscriber: &mut Subscriber, now: UtcMillis| {
        let mut out = BytesMut::new();
        subscriber.delivery.fill(&|_| Some(Qos::AtLeastOnce), &|_| true, now, &mut out);
        let Ok(Packet::Publish(publish)) = Packet::read(&mut out, 1 << 20) else { return None };
        let json: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
        (publish.topic == MISSED).then(|| (json["since"].clone(), json["until"].clone()))
    };
    let at = |ms| serde_json::to_value(Timestamp(NOW.plus_ms(ms))).unwrap();
    let push = |count| shelf.push((0..count).map(|of| message(of, 1)).collect(), 0);
    push(2);
    assert_eq!(told(&mut subscriber, NOW.plus_ms(1_000)), None, "one is sent, and the window is full");
    push(20);
    assert_eq!(told(&mut subscriber, NOW.plus_ms(2_000)), Some((at(0), at(2_000))));
    push(20);
    assert_eq!(told(&mut subscriber, NOW.plus_ms(3_000)), Some((at(2_000), at(3_000))));

    let missed = |count, exact, since, until| {
        let (since, until) = (Timestamp(NOW.plus_ms(since)), Timestamp(NOW.plus_ms(until)));
        Missed { count, exact, since, until, reason: "too_slow" }
    };
    let second = missed(3, true, 1, 2);
    assert_eq!(second.after(Some(missed(2, false, 0, 1))), missed(5, false, 0, 2));
    assert_eq!(second.after(None), second);
}

#[test]
fn what_is_owed_and_overtaken_by_something_newer_counts_as_missed() {
    let shelf = Shelf::new(1_000);
    let mut subscriber = Subscriber::new(&shelf, 1, 1);
    subscriber.subscribe("highway/#", Qos::AtLeastOnce);
    shelf.push(vec![message(0, 1), message(2, 1), message(4, 1)], 0);
    // All three are owed, and one of them has room in the window; meanwhile another comes as new.
    assert_eq!(subscriber.fill().0.len(), 1);
    shelf.push(vec![message(2, 2)], 0);
    subscriber.delivery.acknowledged(1).unwrap();
    assert_eq!(subscriber.fill().0.len(), 1);
    subscriber.delivery.acknowledged(1).unwrap();
    let (heard, missed) = subscriber.hear();
    assert_eq!((heard, missed), (vec![(4, 1, false)], 1));
}

#[test]
fn what_the_ring_ran_over_and_what_never_came_is_told_as_well() {
    let shelf = Shelf::new(8);
    let mut subscriber = Subscriber::new(&shelf, 4, 10);
    subscriber.subscribe("highway/#", Qos::AtMostOnce);
    shelf.replace([message(5, 1)].into_iter());
    for value in 1..=10 {
        shelf.push((0..4).map(|of| message(of, value)).collect(), 0);
    }
    shelf.push(Vec::new(), 100);
    let (heard, missed) = subscriber.hear();
    assert_eq!(heard, (0..4).map(|of| (of, 10, false)).collect::<Vec<_>>());
    assert_eq!(missed, 36 + 100);
    let (publishes, _) = {
        shelf.push(Vec::new(), 7);
        subscriber.fill()
    };
    let json: serde_json::Value = serde_json::from_slice(&publishes[0].payload).unwrap();
    assert_eq!(
        (&publishes[0].topic[..], &json["missed"], &json["exact"], &json["reason"]),
        (MISSED, &serde_json::json!(7), &serde_json::json!(false), &serde_json::json!("server_behind"))
    );
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Push(Vec<usize>),
    Fill,
    Hear,
    Subscribe(usize),
    Acknowledge,
}

const FILTERS: [&str; 4] = ["highway/#", "highway/air/#", "highway/weather/#", "highway/+/+/DF3/#"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(0..8_usize, 0..6).prop_map(Step::Push),
        3 => Just(Step::Fill),
        1 => Just(Step::Hear),
        1 => (0..FILTERS.len()).prop_map(Step::Subscribe),
        2 => Just(Step::Acknowledge),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// However slowly a subscriber reads: of each series nothing older follows something newer, nothing new comes twice,
    /// everything is told or counted, and in the end it knows the latest of all that it asked for.
    #[test]
    fn nothing_is_lost_unsaid_and_nothing_goes_back(
        steps in steps(), lag in 1..30_usize, ring in 1..40_usize, window in 1..4_u16,
    ) {
        let shelf = Shelf::new(ring);
        let mut subscriber = Subscriber::new(&shelf, lag, window);
        let mut latest: BTreeMap<usize, i64> = BTreeMap::new();
        let mut told: BTreeMap<usize, (i64, bool)> = BTreeMap::new();
        let (mut value, mut wanted, mut live, mut missed, mut asked_late) = (0, 0_u64, 0_u64, 0_u64, 0_u64);
        let mut exact = true;
        let mut unacknowledged: Vec<u16> = Vec::new();
        let end = [Step::Hear];
        for step in steps.iter().chain(&end) {
            let fills = match step {
                Step::Push(series) => {
                    let messages: Vec<_> = series.iter().map(|series| {
                        value += 1;
                        latest.insert(*series, value);
                        let message = message(*series, value);
                        let wants = subscriber.filters.iter().any(|(filter, _)| filter.matches(&message.topic));
                        wanted += u64::from(wants);
                        message
                    }).collect();
                    shelf.push(messages, 0);
                    0
                }
                Step::Subscribe(at) => {
                    // What waits already may then be wanted as well.
                    asked_late += shelf.head().0;
                    let qos = if at % 2 == 0 { Qos::AtLeastOnce } else { Qos::AtMostOnce };
                    subscriber.filters.retain(|(filter, _)| filter.as_str() != FILTERS[*at]);
                    subscriber.subscribe(FILTERS[*at], qos);
                    0
                }
                Step::Acknowledge => {
                    if let Some(packet_id) = unacknowledged.pop() {
                        subscriber.delivery.acknowledged(packet_id).unwrap();
                    }
                    0
                }
                Step::Fill => 1,
                Step::Hear => 1_000,
            };
            for _ in 0..fills {
                let (publishes, filled) = subscriber.fill();
                for publish in publishes {
                    if publish.qos == QoS::AtLeastOnce {
                        prop_assert!(!unacknowledged.contains(&publish.pkid));
                        unacknowledged.push(publish.pkid);
                        prop_assert!(unacknowledged.len() <= usize::from(window));
                    }
                    let json: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
                    if publish.topic == MISSED {
                        missed += json["missed"].as_u64().unwrap();
                        exact &= json["exact"] == true;
                        continue;
                    }
                    let series: usize = json["lamppost"].as_str().unwrap()[2..].parse().unwrap();
                    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
                    let value = json["value"].as_f64().unwrap() as i64;
                    if let Some((before, _)) = told.get(&series) {
                        prop_assert!(value >= *before, "series {} goes back from {} to {}", series, before, value);
                        prop_assert!(publish.retain || value > *before, "series {} says {} twice", series, value);
                    }
                    told.insert(series, (value, publish.retain));
                    live += u64::from(!publish.retain);
                }
                if fills > 1 {
                    for packet_id in unacknowledged.drain(..) {
                        subscriber.delivery.acknowledged(packet_id).unwrap();
                    }
                }
                if filled.state == Filling::Idle {
                    break;
                }
            }
        }
        for (series, value) in latest {
            let topic = Arc::clone(&message(series, value).topic);
            if subscriber.filters.iter().any(|(filter, _)| filter.matches(&topic)) {
                prop_assert_eq!(told.get(&series).map(|(value, _)| *value), Some(value), "series {}", series);
            }
        }
        if asked_late == 0 && exact {
            prop_assert_eq!(live + missed, wanted);
        }
        prop_assert!(live + missed + asked_late >= wanted);
    }
}
