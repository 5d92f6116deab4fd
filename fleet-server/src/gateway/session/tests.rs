use std::time::Duration;

use lamplighter_protocol::LamppostNumber;
use lamplighter_protocol::limits::{GATEWAY_BYTES, GATEWAY_PUBLISHES, MAX_PAYLOAD_BYTES};
use proptest::prelude::*;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    LastWill, Publish, Subscribe, SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};

use super::*;
use crate::clock;
use crate::gateway::limits::Rate;

/// A session and its clocks.
struct Bench {
    session: Session,
    now: Now,
}

const NOT_AFTER: UtcMillis = UtcMillis(10_000_000);

impl Bench {
    fn with(limits: Limits) -> Self {
        let identity = Identity {
            number: LamppostNumber::new("DF3637").unwrap(),
            certificate_serial: "01".to_owned(),
            not_before: UtcMillis(0),
            not_after: NOT_AFTER,
        };
        let now = Now { monotonic: clock::monotonic(), wall: UtcMillis(1000) };
        Self { session: Session::new(Arc::new(identity), Arc::new(limits), now), now }
    }

    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn logged_in(keep_alive_s: u16) -> Self {
        Self::new().log_in(keep_alive_s)
    }

    fn log_in(mut self, keep_alive_s: u16) -> Self {
        let connect = Connect { keep_alive: keep_alive_s, ..Connect::new("DF3637") };
        assert_eq!(self.packet(Incoming::Connect(connect)), [Effect::Admit]);
        let connack = Effect::Send(Outgoing::ConnAck(ConnectReturnCode::Success));
        assert_eq!(self.step(Event::Admitted(Ok(()))), [connack]);
        self
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.session.step(event, self.now)
    }

    fn packet(&mut self, packet: Incoming) -> Vec<Effect> {
        self.step(Event::Packet(packet))
    }

    fn publish(&mut self, packet_id: u16, bytes: usize) -> Vec<Effect> {
        self.packet(publish(packet_id, bytes))
    }

    fn appended(&mut self, epoch: u64, sequence: u64) {
        assert_eq!(self.step(Event::Appended(Ticket { epoch, sequence })), []);
    }

    fn committed(&mut self, epoch: u64, below: u64) -> Vec<Effect> {
        self.step(Event::Committed(Commit { epoch, below }))
    }

    fn subscribe(&mut self, filter: &str, qos: QoS) -> Vec<Effect> {
        let mut subscribe = Subscribe::new(filter, qos);
        subscribe.pkid = 3;
        self.packet(Incoming::Subscribe(subscribe))
    }

    fn position(&mut self) -> Vec<Effect> {
        self.step(Event::Downlink(Leaf::Position, Bytes::from_static(b"position")))
    }

    fn passes(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.now.wall = self.now.wall.plus_ms(i64::try_from(time.as_millis()).unwrap());
    }

    fn deadline_in(&self) -> Duration {
        self.session.deadline(self.now).unwrap().saturating_duration_since(self.now.monotonic)
    }

    fn reading(&self) -> Reading {
        self.session.reading(self.now)
    }
}

fn publish(packet_id: u16, bytes: usize) -> Incoming {
    let mut publish = Publish::new("lampposts/DF3637/up/samples", QoS::AtLeastOnce, vec![0; bytes]);
    publish.pkid = packet_id;
    Incoming::Publish(publish)
}

fn puback(packet_id: u16) -> Effect {
    Effect::Send(Outgoing::PubAck(packet_id))
}

fn refused(code: ConnectReturnCode, reason: Reason) -> [Effect; 2] {
    [Effect::Send(Outgoing::ConnAck(code)), Effect::Close(reason)]
}

#[test]
fn a_login_that_is_not_in_order_is_refused_in_the_words_of_its_standard() {
    let connect = |shape: fn(&mut Connect)| {
        let mut connect = Connect::new("DF3637");
        shape(&mut connect);
        Bench::new().packet(Incoming::Connect(connect))
    };
    assert_eq!(connect(|_| ()), [Effect::Admit]);
    assert_eq!(
        connect(|connect| connect.client_id = "DF3638".to_owned()),
        refused(ConnectReturnCode::BadClientId, Reason::ClientId)
    );
    assert_eq!(
        connect(|connect| connect.last_will =
            Some(LastWill::new("lampposts/DF3637/up/events", "gone", QoS::AtLeastOnce, false))),
        refused(ConnectReturnCode::NotAuthorized, Reason::Will)
    );
    assert_eq!(
        Bench::new().packet(Incoming::ConnectOtherVersion),
        refused(ConnectReturnCode::RefusedProtocolVersion, Reason::OtherVersion)
    );
    assert_eq!(
        Bench::new().packet(Incoming::ConnectVersion5),
        [Effect::Send(Outgoing::ConnAckVersion5), Effect::Close(Reason::Version5)]
    );
    assert_eq!(Bench::new().publish(1, 1), [Effect::Close(Reason::NotConnect)]);
}

#[test]
fn a_refused_admission_is_told() {
    for (reason, code) in [
        (Reason::NotAdmitted(Refusal::Revoked), ConnectReturnCode::NotAuthorized),
        (Reason::NotAdmitted(Refusal::Retired), ConnectReturnCode::NotAuthorized),
        (Reason::NotAdmitted(Refusal::Unavailable), ConnectReturnCode::ServiceUnavailable),
        (Reason::TakeoversTooOften, ConnectReturnCode::ServiceUnavailable),
        (Reason::OlderCertificate, ConnectReturnCode::NotAuthorized),
    ] {
        let mut bench = Bench::new();
        bench.packet(Incoming::Connect(Connect::new("DF3637")));
        assert_eq!(bench.reading(), Reading::Held);
        assert_eq!(bench.step(Event::Admitted(Err(reason))), refused(code, reason));
    }
}

#[test]
fn who_does_not_connect_in_time_is_closed() {
    let mut bench = Bench::new();
    assert_eq!(bench.deadline_in(), Duration::from_secs(10));
    bench.passes(Duration::from_secs(9));
    assert_eq!(bench.step(Event::Tick), []);
    bench.passes(Duration::from_secs(1));
    assert_eq!(bench.step(Event::Tick), [Effect::Close(Reason::NoConnect)]);
}

#[test]
fn a_publish_is_acknowledged_after_its_commit_and_in_order() {
    let mut bench = Bench::logged_in(30);
    let draft = Draft {
        received: UtcMillis(1000),
        lamppost: LamppostNumber::new("DF3637").unwrap(),
        leaf: Leaf::Frames(lamplighter_protocol::Log::Samples),
        payload: Bytes::from_static(&[0, 0, 0]),
    };
    assert_eq!(bench.publish(11, 3), [Effect::Append(draft)]);
    bench.publish(12, 3);
    bench.publish(13, 3);
    assert_eq!(bench.committed(0, 100), [], "what has no ticket is not committed");
    bench.appended(0, 100);
    bench.appended(0, 101);
    assert_eq!(bench.committed(0, 100), []);
    assert_eq!(bench.packet(Incoming::PingReq), [Effect::Send(Outgoing::PingResp)]);
    assert_eq!(bench.committed(0, 102), [puback(11), puback(12)]);
    bench.appended(0, 105);
    assert_eq!(bench.committed(0, 105), []);
    assert_eq!(bench.committed(0, 106), [puback(13)]);
}

#[test]
fn a_cut_journal_closes_those_whose_publishes_it_forgot_and_nobody_else() {
    let mut waits = Bench::logged_in(30);
    waits.publish(11, 3);
    waits.appended(0, 100);
    assert_eq!(waits.committed(1, 200), [Effect::Close(Reason::JournalCut)]);
    assert_eq!(waits.publish(12, 3), []);

    let mut waits_for_nothing = Bench::logged_in(30);
    waits_for_nothing.publish(11, 3);
    waits_for_nothing.appended(0, 100);
    assert_eq!(waits_for_nothing.committed(0, 101), [puback(11)]);
    assert_eq!(waits_for_nothing.committed(1, 101), []);
    waits_for_nothing.publish(12, 3);
    waits_for_nothing.appended(1, 101);
    assert_eq!(waits_for_nothing.committed(1, 102), [puback(12)]);
}

#[test]
fn a_lamppost_speaks_for_itself_alone_and_only_so_as_is_agreed() {
    let publish = |shape: fn(&mut Publish)| {
        let mut publish = Publish::new("lampposts/DF3637/up/samples", QoS::AtLeastOnce, vec![1]);
        publish.pkid = 1;
        shape(&mut publish);
        Bench::logged_in(30).packet(Incoming::Publish(publish))
    };
    for leaf in ["hello", "description", "samples", "events"] {
        let mut bench = Bench::logged_in(30);
        let mut publish = Publish::new(format!("lampposts/DF3637/up/{leaf}"), QoS::AtLeastOnce, vec![1]);
        publish.pkid = 1;
        assert!(matches!(bench.packet(Incoming::Publish(publish))[..], [Effect::Append(_)]), "{leaf}");
    }
    let topic = |topic: &str| {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, vec![1]);
        publish.pkid = 1;
        Bench::logged_in(30).packet(Incoming::Publish(publish))
    };
    for foreign in
        ["lampposts/DF3638/up/samples", "lampposts/DF36377/up/samples", "lampposts/+/up/samples", "$SYS", ""]
    {
        assert_eq!(topic(foreign), [Effect::Close(Reason::ForeignTopic)], "{foreign}");
    }
    for unknown in ["lampposts/DF3637/up/other", "lampposts/DF3637/down/position", "lampposts/DF3637/"] {
        assert_eq!(topic(unknown), [Effect::Close(Reason::UnknownTopic)], "{unknown}");
    }
    assert_eq!(publish(|publish| publish.qos = QoS::AtMostOnce), [Effect::Close(Reason::Qos)]);
    assert_eq!(publish(|publish| publish.qos = QoS::ExactlyOnce), [Effect::Close(Reason::Qos)]);
    assert_eq!(publish(|publish| publish.retain = true), [Effect::Close(Reason::Retained)]);
    let long = |publish: &mut Publish| publish.payload = vec![0; MAX_PAYLOAD_BYTES + 1].into();
    assert_eq!(publish(long), [Effect::Close(Reason::TooLong)]);
    let mut bench = Bench::logged_in(30);
    assert_eq!(bench.packet(Incoming::Foreign), [Effect::Close(Reason::ForeignPacket)]);
    let mut bench = Bench::logged_in(30);
    assert_eq!(bench.packet(Incoming::PubAck(1)), [Effect::Close(Reason::UnknownAcknowledgement)]);
    for second in [Incoming::Connect(Connect::new("DF3637")), Incoming::ConnectVersion5] {
        assert_eq!(Bench::logged_in(30).packet(second), [Effect::Close(Reason::SecondConnect)]);
    }
    assert_eq!(Bench::logged_in(30).packet(Incoming::Disconnect), [Effect::Close(Reason::Disconnected)]);
}

#[test]
fn foreign_filters_are_refused_by_suback_and_the_session_goes_on() {
    let mut bench = Bench::logged_in(30);
    let filters = ["lampposts/DF3637/down/#", "lampposts/DF3638/down/#", "#"]
        .map(|path| SubscribeFilter::new(path.to_owned(), QoS::ExactlyOnce));
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = 9;
    let effects = bench.packet(Incoming::Subscribe(subscribe));
    let codes = vec![
        SubscribeReasonCode::Success(QoS::AtLeastOnce),
        SubscribeReasonCode::Failure,
        SubscribeReasonCode::Failure,
    ];
    assert_eq!(effects[..2], [Effect::RefusedFilter, Effect::RefusedFilter]);
    assert_eq!(effects[2], Effect::Send(Outgoing::SubAck(9, codes)));
    assert!(matches!(effects[3..], [Effect::Subscribed(subscriptions)] if subscriptions.any()));
    assert_eq!(bench.packet(Incoming::PingReq), [Effect::Send(Outgoing::PingResp)]);
}

#[test]
fn downlinks_have_ids_of_their_own_and_a_bound() {
    let mut bench = Bench::logged_in(30);
    assert_eq!(bench.position(), [], "nobody listens");
    bench.subscribe("lampposts/DF3637/down/#", QoS::AtLeastOnce);
    let id = |effects: &[Effect]| match effects {
        [Effect::Send(Outgoing::Publish { packet_id, .. })] => *packet_id,
        other => panic!("{other:?}"),
    };
    for expected in 1..=16 {
        assert!(bench.session.takes_downlinks());
        assert_eq!(id(&bench.position()), expected);
    }
    assert!(!bench.session.takes_downlinks());
    assert_eq!(bench.packet(Incoming::PubAck(7)), []);
    assert!(bench.session.takes_downlinks());
    assert_eq!(id(&bench.position()), 17);
    let mut unsubscribe = Unsubscribe::new("lampposts/DF3637/down/#");
    unsubscribe.pkid = 4;
    let effects = bench.packet(Incoming::Unsubscribe(unsubscribe));
    assert_eq!(effects[1], Effect::Send(Outgoing::UnsubAck(4)));
    assert_eq!(bench.position(), []);
    bench.subscribe("lampposts/DF3637/down/position", QoS::AtMostOnce);
    assert_eq!(id(&bench.position()), 0);
}

#[test]
fn silence_is_measured_by_the_clients_promise_and_by_our_bound() {
    for (keep_alive_s, idle) in [(30, 45), (0, 1200), (600, 900), (900, 1200), (65_535, 1200)] {
        let mut bench = Bench::logged_in(keep_alive_s);
        let idle = Duration::from_secs(idle);
        assert_eq!(bench.deadline_in(), idle);
        bench.passes(idle.saturating_sub(Duration::from_millis(1)));
        assert_eq!(bench.step(Event::Tick), []);
        bench.subscribe("lampposts/DF3637/down/#", QoS::AtLeastOnce);
        bench.passes(Duration::from_secs(1));
        bench.position();
        assert_eq!(
            bench.deadline_in(),
            idle.saturating_sub(Duration::from_secs(1)),
            "what we send is no sign of life"
        );
        bench.passes(idle);
        assert_eq!(bench.step(Event::Tick), [Effect::Close(Reason::KeepAlive)]);
    }
}

#[test]
fn a_whole_window_and_the_ping_behind_it_are_read_without_a_commit() {
    let mut bench = Bench::logged_in(30);
    for packet_id in 1..=8 {
        bench.publish(packet_id, GATEWAY_BYTES / 8);
    }
    assert_eq!(bench.reading(), Reading::Open);
    assert_eq!(bench.packet(Incoming::PingReq), [Effect::Send(Outgoing::PingResp)]);
    bench.publish(9, 1);
    assert_eq!(bench.reading(), Reading::Held);
    // While we do not listen, silence is not the client's.
    bench.passes(Duration::from_hours(1));
    assert_eq!(bench.step(Event::Tick), []);
    bench.appended(0, 0);
    assert_eq!(bench.committed(0, 1), [puback(1)]);
    assert_eq!(bench.reading(), Reading::Open);
    assert_eq!(bench.deadline_in(), Duration::from_secs(45));
}

#[test]
fn publishes_without_bytes_are_bounded_too() {
    let mut bench = Bench::logged_in(30);
    let taken = (1..).take_while(|packet_id| {
        let open = bench.reading() == Reading::Open;
        if open {
            bench.publish(*packet_id, 0);
        }
        open
    });
    assert_eq!(taken.count(), GATEWAY_PUBLISHES + 1);
}

#[test]
fn who_is_too_fast_is_read_later_and_not_closed() {
    let second = Duration::from_secs(1);
    let packets = Rate { amount: 10, per: second, burst: 5 };
    let mut bench = Bench::with(Limits { packets, ..Limits::default() }).log_in(30);
    for _ in 0..5 {
        assert_eq!(bench.packet(Incoming::PingReq), [Effect::Send(Outgoing::PingResp)]);
    }
    assert_eq!(bench.packet(Incoming::PingReq).last(), Some(&Effect::Throttled));
    assert_eq!(bench.reading(), Reading::From(bench.now.monotonic + second / 10));
    assert_eq!(bench.deadline_in(), second / 10);
    bench.passes(second / 10);
    assert_eq!(bench.reading(), Reading::Open);

    let bytes = Rate { amount: 1000, per: second, burst: 1000 };
    let mut bench = Bench::with(Limits { bytes, ..Limits::default() }).log_in(30);
    assert_eq!(bench.publish(1, 31_000).last(), Some(&Effect::Throttled));
    assert_eq!(bench.reading(), Reading::From(bench.now.monotonic + 30 * second));
    bench.passes(74 * second);
    assert_eq!(bench.step(Event::Tick), [], "the pause is not the client's silence");
    bench.passes(second);
    assert_eq!(bench.step(Event::Tick), [Effect::Close(Reason::KeepAlive)]);
}

#[test]
fn a_certificate_that_ends_ends_the_connection() {
    let mut bench = Bench::logged_in(0);
    bench.now.wall = NOT_AFTER;
    assert_eq!(bench.deadline_in(), Duration::from_millis(1));
    bench.publish(1, 1);
    bench.appended(0, 0);
    bench.now.wall = NOT_AFTER.plus_ms(1);
    assert_eq!(bench.committed(0, 1), [Effect::Close(Reason::Expired)]);
    let mut resumed = Bench::new();
    resumed.now.wall = NOT_AFTER.plus_ms(1);
    let effects = resumed.packet(Incoming::Connect(Connect::new("DF3637")));
    assert_eq!(effects.last(), Some(&Effect::Close(Reason::Expired)));
}

#[test]
fn a_stop_waits_for_the_last_commits_and_not_for_ever() {
    assert_eq!(Bench::logged_in(30).step(Event::Stop), [Effect::Close(Reason::Stopping)]);
    assert_eq!(Bench::new().step(Event::Stop), [Effect::Close(Reason::Stopping)]);

    let mut bench = Bench::logged_in(30);
    bench.publish(1, 1);
    bench.appended(0, 0);
    assert_eq!(bench.step(Event::Stop), []);
    assert_eq!(bench.reading(), Reading::Held);
    assert_eq!(bench.committed(0, 1), [puback(1), Effect::Close(Reason::Stopping)]);

    let mut bench = Bench::logged_in(30);
    bench.publish(1, 1);
    assert_eq!(bench.step(Event::Stop), []);
    assert_eq!(bench.deadline_in(), Duration::from_secs(2));
    bench.passes(Duration::from_secs(2));
    assert_eq!(bench.step(Event::Tick), [Effect::Close(Reason::Stopping)]);
}

/// What may happen to a session, in the rough.
#[derive(Clone, Debug)]
enum Move {
    Publish(u16),
    BadPublish,
    Ping,
    Subscribe,
    Position,
    /// The journal queues the oldest append that waits.
    Queue,
    /// The journal commits up to this share of what is queued.
    Commit(u8),
    /// The disk fails: what is queued and not committed is forgotten.
    Fail,
    Wait(u16),
    Stop,
    End,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        10 => (1u16..20).prop_map(Move::Publish),
        1 => Just(Move::BadPublish),
        2 => Just(Move::Ping),
        1 => Just(Move::Subscribe),
        1 => Just(Move::Position),
        10 => Just(Move::Queue),
        6 => any::<u8>().prop_map(Move::Commit),
        1 => Just(Move::Fail),
        2 => (0u16..2000).prop_map(Move::Wait),
        1 => Just(Move::Stop),
        1 => Just(Move::End),
    ];
    prop::collection::vec(one, 0..120)
}

/// The journal as the session sees it: what was committed stays, what was not is forgotten by a failure.
#[derive(Default)]
struct ModelJournal {
    epoch: u64,
    below: u64,
    next: u64,
    // Publishes that wait for a ticket, and those that wait for a commit, by their number.
    waiting: Vec<u64>,
    queued: Vec<(u64, Ticket)>,
    committed: Vec<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_happens_a_puback_is_of_a_committed_publish_in_order_and_nothing_follows_the_end(moves in moves()) {
        let mut bench = Bench::logged_in(30);
        let mut journal = ModelJournal::default();
        // Packet ids of all publishes that were taken, in order; how many were acknowledged.
        let (mut taken, mut acknowledged): (Vec<u16>, usize) = (Vec::new(), 0);
        let mut closed = false;
        for one in moves {
            let mut publishing = None;
            let effects = match one {
                Move::Publish(packet_id) if closed || bench.reading() == Reading::Open => {
                    publishing = Some(packet_id);
                    bench.publish(packet_id, 5000)
                }
                Move::BadPublish => {
                    let mut publish = Publish::new("lampposts/OTHER/up/samples", QoS::AtLeastOnce, vec![]);
                    publish.pkid = 1;
                    bench.packet(Incoming::Publish(publish))
                }
                Move::Ping => bench.packet(Incoming::PingReq),
                Move::Subscribe => bench.subscribe("lampposts/DF3637/down/#", QoS::AtLeastOnce),
                Move::Position if closed || bench.session.takes_downlinks() => bench.position(),
                Move::Queue if !journal.waiting.is_empty() => {
                    let publish = journal.waiting.remove(0);
                    let ticket = Ticket { epoch: journal.epoch, sequence: journal.next };
                    journal.next += 1;
                    journal.queued.push((publish, ticket));
                    bench.step(Event::Appended(ticket))
                }
                Move::Commit(share) => {
                    let count = (journal.queued.len() * usize::from(share)).div_ceil(255);
                    for (publish, ticket) in journal.queued.drain(..count) {
                        journal.below = ticket.sequence + 1;
                        journal.committed.push(publish);
                    }
                    bench.committed(journal.epoch, journal.below)
                }
                Move::Fail => {
                    journal.queued.clear();
                    journal.epoch += 1;
                    journal.next = journal.below;
                    bench.committed(journal.epoch, journal.below)
                }
                Move::Wait(ms) => {
                    bench.passes(Duration::from_millis(u64::from(ms)));
                    bench.step(Event::Tick)
                }
                Move::Stop => bench.step(Event::Stop),
                Move::End => bench.step(Event::Ended(Reason::Lost)),
                Move::Publish(_) | Move::Position | Move::Queue => Vec::new(),
            };
            prop_assert!(!closed || effects.is_empty(), "after the end comes nothing: {:?}", effects);
            for (place, effect) in effects.iter().enumerate() {
                match effect {
                    Effect::Append(_) => {
                        journal.waiting.push(taken.len() as u64);
                        taken.push(publishing.unwrap());
                    }
                    Effect::Send(Outgoing::PubAck(packet_id)) => {
                        prop_assert_eq!(Some(packet_id), taken.get(acknowledged), "in the order of the publishes");
                        prop_assert!(journal.committed.contains(&(acknowledged as u64)), "only what is committed");
                        acknowledged += 1;
                    }
                    Effect::Close(_) => {
                        prop_assert_eq!(place + 1, effects.len(), "the last effect");
                        closed = true;
                    }
                    Effect::Admit
                    | Effect::Send(_)
                    | Effect::Subscribed(_)
                    | Effect::RefusedFilter
                    | Effect::Throttled => {}
                }
            }
            prop_assert_eq!(closed, bench.session.deadline(bench.now).is_none());
        }
    }
}
