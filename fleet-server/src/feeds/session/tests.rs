//! What a department's client may say, and what it is answered.

use lamplighter_protocol::Theme::{Air, Weather};
use lamplighter_protocol::UtcMillis;
use rumqttc::mqttbytes::v4::{LastWill, Publish, SubscribeFilter, Unsubscribe};

use super::super::{AccessKey, AccessKeyId};
use super::*;
use crate::clock;

const WALL: UtcMillis = UtcMillis(1_760_000_000_000);

fn at(start: Instant, seconds: i64) -> Now {
    let passed = Duration::from_secs(u64::try_from(seconds).unwrap());
    Now { monotonic: start + passed, wall: WALL.plus_ms(seconds * 1000) }
}

fn access(grants: &[&str], until: Option<UtcMillis>) -> Access {
    let key = AccessKey { id: AccessKeyId(1), digest: [1; 32], until };
    let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
    Access {
        department: "parks".parse().unwrap(),
        keys: vec![key],
        certificates: vec!["4a01".to_owned()],
        grants,
    }
}

fn connect(shape: impl FnOnce(&mut Connect)) -> Event {
    let mut connect = Connect::new("a client");
    connect.set_login("parks", "secret");
    shape(&mut connect);
    Event::Packet(Incoming::Connect(connect))
}

fn waiting(start: Instant) -> Session {
    Session::new(Arc::new(FeedLimits::default()), None, start)
}

fn listening(start: Instant, grants: &[&str], until: Option<UtcMillis>, keep_alive_s: u16) -> Session {
    let mut session = waiting(start);
    let effects = session.step(connect(|connect| connect.keep_alive = keep_alive_s), at(start, 0));
    let credentials = Credentials::Key { name: "parks".to_owned(), key: "secret".to_owned() };
    assert_eq!(effects, [Effect::Admit(credentials)]);
    let admitted = Event::Admitted(Ok((Arc::new(access(grants, until)), Proof::Key(AccessKeyId(1)))));
    let effects = session.step(admitted, at(start, 0));
    assert_eq!(effects, [Effect::Send(Outgoing::ConnAck(ConnectReturnCode::Success))]);
    session
}

fn subscribe(session: &mut Session, filters: &[&str], now: Now) -> Vec<Effect> {
    let filters = filters.iter().map(|path| SubscribeFilter::new((*path).to_owned(), QoS::ExactlyOnce));
    let mut subscribe = Subscribe::new_many(filters);
    subscribe.pkid = 7;
    session.step(Event::Packet(Incoming::Subscribe(subscribe)), now)
}

fn topic(theme: lamplighter_protocol::Theme, lamppost: &str) -> Topic {
    let name = super::super::topic::tests::series("d/pm1");
    Topic::new(theme, None, &lamppost.parse().unwrap(), &name)
}

#[test]
fn a_login_out_of_order_is_refused_by_the_code_of_the_standard() {
    let start = clock::monotonic();
    let refused = |event: Event| waiting(start).step(event, at(start, 0));
    let code = |code| Some(Outgoing::ConnAck(code));
    let will = LastWill::new("a", "b", QoS::AtMostOnce, false);
    let publish = Publish::new("a", QoS::AtMostOnce, "b");
    for (event, answer, ending) in [
        (connect(|it| it.login = None), code(ConnectReturnCode::NotAuthorized), Ending::NoLogin),
        (connect(|it| it.last_will = Some(will)), code(ConnectReturnCode::NotAuthorized), Ending::Will),
        (connect(|it| it.client_id = "x".repeat(65)), code(ConnectReturnCode::BadClientId), Ending::ClientId),
        (
            connect(|it| it.client_id = "a\0".to_owned()),
            code(ConnectReturnCode::BadClientId),
            Ending::ClientId,
        ),
        (
            connect(|it| (it.client_id, it.clean_session) = (String::new(), false)),
            code(ConnectReturnCode::BadClientId),
            Ending::ClientId,
        ),
        (Event::Packet(Incoming::ConnectVersion5), Some(Outgoing::ConnAckVersion5), Ending::Version5),
        (
            Event::Packet(Incoming::ConnectOtherVersion),
            code(ConnectReturnCode::RefusedProtocolVersion),
            Ending::OtherVersion,
        ),
        (Event::Packet(Incoming::PingReq), None, Ending::NotConnect),
        (Event::Packet(Incoming::Publish(publish)), None, Ending::NotConnect),
        (Event::Ended(Ending::Malformed), None, Ending::Malformed),
    ] {
        let effects: Vec<_> = answer.map(Effect::Send).into_iter().chain([Effect::Close(ending)]).collect();
        assert_eq!(refused(event), effects);
    }
    let mut session = waiting(start);
    let nameless = connect(|it| it.client_id = String::new());
    assert!(matches!(&session.step(nameless, at(start, 0))[..], [Effect::Admit(_)]));
    let effects = session.step(Event::Admitted(Err(Ending::BadLogin)), at(start, 0));
    let answer = Outgoing::ConnAck(ConnectReturnCode::BadUserNamePassword);
    assert_eq!(effects, [Effect::Send(answer), Effect::Close(Ending::BadLogin)]);
    assert_eq!(session.step(Event::Tick, at(start, 100)), [], "closed is closed");
}

#[test]
fn who_says_nothing_in_time_is_closed() {
    let start = clock::monotonic();
    let mut session = waiting(start);
    assert_eq!(session.deadline(at(start, 0)), Some(start + Duration::from_secs(10)));
    assert_eq!(session.step(Event::Tick, at(start, 9)), []);
    assert_eq!(session.step(Event::Tick, at(start, 10)), [Effect::Close(Ending::NoConnect)]);
    let mut session = listening(start, &[], None, 20);
    assert_eq!(
        session.step(Event::Packet(Incoming::PingReq), at(start, 10)),
        [Effect::Send(Outgoing::PingResp)]
    );
    assert_eq!(session.step(Event::Tick, at(start, 39)), []);
    assert_eq!(session.step(Event::Tick, at(start, 40)), [Effect::Close(Ending::KeepAlive)]);
    // Who promises less than we ask for, or nothing, is bound by our own.
    let idle = FeedLimits::default().idle;
    for keep_alive_s in [0, u16::MAX] {
        let session = listening(start, &[], None, keep_alive_s);
        assert_eq!(session.deadline(at(start, 0)), Some(start + idle));
    }
}

#[test]
fn a_filter_is_granted_where_it_overlaps_a_grant_and_what_is_told_is_what_is_granted() {
    let start = clock::monotonic();
    let mut session = listening(start, &["highway/air/#", "highway/+/+/DF7/#"], None, 0);
    let asked = [
        "highway/#",
        "#",
        "+/air/#",
        "highway/weather/+/DF7/+",
        MISSED,
        "highway/weather/Kwun Tong/DF8/#",
        "$SYS/#",
        "$share/group/highway/#",
        "highway/a/#/b",
        "other/#",
        "",
    ];
    let effects = subscribe(&mut session, &asked, at(start, 0));
    let (one, none) = (SubscribeReasonCode::Success(QoS::AtLeastOnce), SubscribeReasonCode::Failure);
    let missed = SubscribeReasonCode::Success(QoS::AtMostOnce);
    let codes = vec![one, one, one, one, missed, none, none, none, none, none, none];
    let filter = |text: &str| text.parse::<Filter>().unwrap();
    let subscribed = |text| Effect::Subscribed(filter(text), Qos::AtLeastOnce);
    let refused = std::iter::repeat_with(|| Effect::RefusedFilter).take(6);
    let expected = refused.chain([
        Effect::Send(Outgoing::SubAck(7, codes)),
        subscribed("highway/#"),
        subscribed("highway/#"),
        subscribed("highway/air/#"),
        subscribed("highway/weather/+/DF7/+"),
    ]);
    assert_eq!(effects, expected.collect::<Vec<_>>());

    let wants = |session: &Session, theme, lamppost| session.wants(&topic(theme, lamppost), Privacy::Public);
    assert_eq!(wants(&session, Air, "DF1"), Some(Qos::AtLeastOnce));
    assert_eq!(wants(&session, Weather, "DF7"), Some(Qos::AtLeastOnce));
    assert_eq!(wants(&session, Weather, "DF8"), None, "asked for, not granted");
    assert_eq!(session.wants(&topic(Air, "DF1"), Privacy::Restricted), None, "no grant names the property");

    let directory = Directory::new([access(&["highway/weather/#"], None)]);
    assert_eq!(session.step(Event::Directory(Arc::new(directory)), at(start, 1)), []);
    assert_eq!(wants(&session, Air, "DF1"), None, "withdrawn");
    assert_eq!(wants(&session, Weather, "DF8"), Some(Qos::AtLeastOnce), "granted since");
    let mut unsubscribe = Unsubscribe::new("#");
    unsubscribe.pkid = 9;
    let effects = session.step(Event::Packet(Incoming::Unsubscribe(unsubscribe)), at(start, 1));
    assert_eq!(effects, [Effect::Unsubscribed(filter("highway/#")), Effect::Send(Outgoing::UnsubAck(9))]);
    assert_eq!(wants(&session, Weather, "DF8"), None);
}

#[test]
fn of_filters_that_overlap_the_best_quality_counts_and_one_that_comes_again_replaces_itself() {
    let start = clock::monotonic();
    let ask = |session: &mut Session, asked: &[(&str, QoS)]| {
        let filters = asked.iter().map(|(path, qos)| SubscribeFilter::new((*path).to_owned(), *qos));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = 7;
        session.step(Event::Packet(Incoming::Subscribe(subscribe)), at(start, 0));
    };
    let (all, air) = (("highway/#", QoS::AtMostOnce), ("highway/air/#", QoS::AtLeastOnce));
    for asked in [[all, air], [air, all]] {
        let mut session = listening(start, &["highway/#"], None, 0);
        ask(&mut session, &asked);
        let wants = |session: &Session, theme| session.wants(&topic(theme, "DF1"), Privacy::Public);
        assert_eq!(wants(&session, Air), Some(Qos::AtLeastOnce));
        assert_eq!(wants(&session, Weather), Some(Qos::AtMostOnce));
        ask(&mut session, &[("highway/air/#", QoS::AtMostOnce)]);
        assert_eq!(wants(&session, Air), Some(Qos::AtMostOnce), "3.8.4-3");
    }
}

#[test]
fn a_key_that_ends_and_a_department_that_goes_end_the_connection() {
    let start = clock::monotonic();
    let mut session = listening(start, &["highway/#"], Some(WALL.plus_ms(5_000)), 0);
    assert_eq!(session.deadline(at(start, 0)), Some(start + Duration::from_secs(5)));
    assert_eq!(session.step(Event::Tick, at(start, 4)), []);
    assert_eq!(session.step(Event::Tick, at(start, 5)), [Effect::Close(Ending::KeyEnded)]);
    for directory in [
        Directory::default(),
        Directory::new([access(&["highway/#"], Some(WALL))]),
        Directory::new([Access { keys: Vec::new(), ..access(&["highway/#"], None) }]),
    ] {
        let mut session = listening(start, &["highway/#"], None, 0);
        let effects = session.step(Event::Directory(Arc::new(directory)), at(start, 1));
        assert_eq!(effects, [Effect::Close(Ending::KeyEnded)]);
    }
}

#[test]
fn a_certificate_says_who_it_is_and_a_name_beside_it_has_to_be_the_same() {
    let start = clock::monotonic();
    let shown = Arc::new(DepartmentIdentity {
        department: "parks".parse().unwrap(),
        certificate_serial: "4a01".to_owned(),
        not_after: WALL.plus_ms(5_999),
    });
    let session = || Session::new(Arc::new(FeedLimits::default()), Some(Arc::clone(&shown)), start);
    for login in [None, Some(Login::new("parks", "whatever"))] {
        let effects = session().step(connect(|connect| connect.login = login), at(start, 0));
        assert_eq!(effects, [Effect::Admit(Credentials::Certificate(Arc::clone(&shown)))]);
    }
    for name in ["police", "", "4a01"] {
        let other = connect(|connect| connect.login = Some(Login::new(name, "secret")));
        let answer = Outgoing::ConnAck(ConnectReturnCode::BadUserNamePassword);
        let effects = session().step(other, at(start, 0));
        assert_eq!(effects, [Effect::Send(answer), Effect::Close(Ending::BadLogin)], "{name:?}");
    }

    let listening = || {
        let mut session = session();
        session.step(connect(|connect| connect.login = None), at(start, 0));
        let proof = Proof::Certificate(Arc::clone(&shown));
        let admitted = Event::Admitted(Ok((Arc::new(access(&["highway/#"], None)), proof)));
        session.step(admitted, at(start, 0));
        session
    };
    let mut session = listening();
    assert_eq!(session.deadline(at(start, 0)), Some(start + Duration::from_secs(6)));
    assert_eq!(session.step(Event::Tick, at(start, 5)), []);
    assert_eq!(session.step(Event::Tick, at(start, 6)), [Effect::Close(Ending::CertificateEnded)]);
    for directory in [
        Directory::default(),
        Directory::new([Access { certificates: Vec::new(), ..access(&["highway/#"], None) }]),
    ] {
        let effects = listening().step(Event::Directory(Arc::new(directory)), at(start, 1));
        assert_eq!(effects, [Effect::Close(Ending::CertificateEnded)]);
    }
}

#[test]
fn whatever_a_listener_has_no_business_to_say_ends_the_connection() {
    let start = clock::monotonic();
    let publish = Publish::new("highway/air/-/DF1/pm1", QoS::AtMostOnce, "a lie");
    for (event, ending) in [
        (Event::Packet(Incoming::Publish(publish)), Ending::Publish),
        (connect(|_| ()), Ending::SecondConnect),
        (Event::Packet(Incoming::Foreign), Ending::ForeignPacket),
        (Event::Packet(Incoming::Disconnect), Ending::Disconnected),
        (Event::Admitted(Err(Ending::BadLogin)), Ending::OutOfTurn),
    ] {
        let mut session = listening(start, &["highway/#"], None, 0);
        assert_eq!(session.step(event, at(start, 0)), [Effect::Close(ending)]);
    }
    let mut session = listening(start, &["highway/#"], None, 0);
    assert_eq!(subscribe(&mut session, &["highway/\0/#"], at(start, 0)), [Effect::Close(Ending::Malformed)]);
    let mut session = listening(start, &["highway/#"], None, 0);
    let pings = (0..1_000).map(|_| session.step(Event::Packet(Incoming::PingReq), at(start, 1)));
    let ended = pings.filter(|effects| effects == &[Effect::Close(Ending::TooFast)]).count();
    assert_eq!(ended, 1);
    let mut session = listening(start, &["highway/#"], None, 0);
    for packet_id in 1..1_000 {
        let effects = session.step(Event::Packet(Incoming::PubAck(packet_id)), at(start, 1));
        assert_eq!(effects, [Effect::Acknowledged(packet_id)], "as many as there are messages");
    }
}

#[test]
fn a_connection_has_a_bounded_number_of_filters() {
    let start = clock::monotonic();
    let mut session = listening(start, &["highway/#"], None, 0);
    let filters: Vec<String> = (0..65).map(|of| format!("highway/+/+/DF{of}/#")).collect();
    let asked: Vec<&str> = filters.iter().map(String::as_str).chain(["highway/+/+/DF0/#"]).collect();
    let effects = subscribe(&mut session, &asked, at(start, 0));
    let codes = effects.iter().find_map(|effect| {
        if let Effect::Send(Outgoing::SubAck(_, codes)) = effect { Some(codes.clone()) } else { None }
    });
    let codes = codes.unwrap();
    assert_eq!(codes.iter().filter(|code| **code == SubscribeReasonCode::Failure).count(), 1);
    assert_eq!(codes[64], SubscribeReasonCode::Failure);
    assert_ne!(codes[65], SubscribeReasonCode::Failure, "the same again takes no place");
}

#[test]
fn a_key_does_not_print() {
    let credentials = Credentials::Key { name: "parks".to_owned(), key: "secret".to_owned() };
    assert!(!format!("{:?}", Effect::Admit(credentials)).contains("secret"));
}
