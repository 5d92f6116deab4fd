//! Departments on the lampposts' port: what they hear, what they may not, and that nobody waits for them.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use lamplighter_protocol::{Catalogue, Grid, Reason, SeriesName, Statistic, UtcMillis};
use prometheus_client::registry::Registry;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, Client, until};
use crate::feeds::{Access, AccessKey, AccessKeyId, Directory, Ending, FeedLimits, FeedMetrics, Feeds};
use crate::gateway::{GatewayOptions, Limits, Sessions};
use crate::ingest::{Ingest, IngestMetrics};
use crate::journal::Lag;
use crate::live::{LiveHub, LiveMetrics, LiveObservation, LiveOptions, LiveSeries};
use crate::roll::{Roll, Sources};
use crate::store::{Point, SeriesKey, SeriesMeta, Tail, TailOptions};

const TOPIC: &str = "highway/weather/-/DF1/air_temperature";

/// A gateway with feeds, an encoder that follows a hub, and two departments: weather hears weather, parks all of DF2.
struct City {
    bench: Bench,
    live: LiveHub,
    live_metrics: LiveMetrics,
    store: Arc<RwLock<Tail>>,
    directory: watch::Sender<Arc<Directory>>,
    metrics: FeedMetrics,
    _encoder: JoinSet<()>,
}

impl City {
    async fn start(feed_limits: FeedLimits, limits: Limits) -> Self {
        let directory = watch::Sender::new(Arc::new(Self::directory("highway/weather/#")));
        let metrics = FeedMetrics::default();
        let feeds = Feeds::new(feed_limits, directory.subscribe(), metrics.clone());
        let live_options = LiveOptions { pause: Duration::ZERO, ring: 10_000, ..LiveOptions::default() };
        let live_metrics = LiveMetrics::default();
        let live = LiveHub::new(live_options, live_metrics.clone()).unwrap();
        let store = Arc::new(RwLock::new(Tail::new(TailOptions::default())));
        let roll = Roll::new(Sources {
            sessions: Sessions::default(),
            ingest: Arc::new(RwLock::new(Ingest::new(Catalogue::built_in(), IngestMetrics::default()))),
            store: Arc::clone(&store),
            lag: Lag::default(),
        });
        let encoder = feeds.encoder(&live, Arc::clone(&store), roll, Catalogue::built_in());
        let mut encoding = JoinSet::new();
        encoding.spawn(encoder.run(CancellationToken::new()));
        let options = GatewayOptions { limits, feeds: Some(feeds), ..GatewayOptions::default() };
        let bench = Bench::with_options(options).await;
        let city = Self { bench, live, live_metrics, store, directory, metrics, _encoder: encoding };
        city.keep("DF1", UtcMillis(1), 0.5);
        city
    }

    /// Puts an observation into the store, and tells nobody.
    fn keep(&self, lamppost: &str, time: UtcMillis, value: f64) {
        let meta = SeriesMeta {
            key: SeriesKey { lamppost: lamppost.parse().unwrap(), name: name() },
            unit: "Cel".to_owned(),
            statistic: Statistic::Mean,
            resolution: "0.01".parse().unwrap(),
            grid: None::<Grid>,
        };
        let mut tail = self.store.write().unwrap();
        let id = tail.series(meta).unwrap();
        tail.insert(id, Point { time, value: Some(value), reason: Reason::GOOD });
    }

    fn directory(weather: &str) -> Directory {
        let access = |name: &str, grant: &str| Access {
            department: name.parse().unwrap(),
            keys: vec![AccessKey {
                id: AccessKeyId(1),
                digest: AccessKey::digest_of(format!("key of {name}").as_bytes()),
                until: None,
            }],
            certificates: vec![if name == "weather" { "0a" } else { "0b" }.to_owned()],
            grants: vec![grant.parse().unwrap()],
        };
        Directory::new([access("weather", weather), access("parks", "highway/+/+/DF2/#")])
    }

    fn observe(&self, lamppost: &str, value: f64) {
        let series = LiveSeries { name: name(), unit: "Cel".to_owned(), period_ms: None };
        self.live.publish(LiveObservation {
            lamppost: Arc::new(lamppost.parse().unwrap()),
            series: Arc::new(series),
            time: UtcMillis(1_760_000_000_000),
            value: Some(value),
            reason: Reason::GOOD,
            received: UtcMillis(1_760_000_000_100),
        });
    }

    /// A client that has shown no certificate, and no key yet.
    async fn stranger(&self) -> Client {
        Client::open(&self.bench, self.bench.authority.anonymous_tls()).await.unwrap()
    }

    /// A client that shows a certificate, and has not logged in.
    async fn certified(&self, name: &str, serial: u8) -> Client {
        let tls = self.bench.authority.department_tls(name, serial, 2099);
        Client::open(&self.bench, tls).await.unwrap()
    }

    async fn department(&self, name: &str) -> Client {
        let mut client = self.stranger().await;
        client.send(Packet::Connect(login(name))).await;
        client.expect(&Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
        client
    }

    async fn ended(&self, ending: Ending, count: u64) {
        let ended = || self.metrics.ended(ending);
        until(|| ended() == count, || format!("{}: {}", ending.label(), ended())).await;
    }
}

/// The greater the value, the later.
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn time_of(value: f64) -> UtcMillis {
    UtcMillis(value as i64)
}

fn name() -> SeriesName {
    SeriesName {
        device: "weather-1".parse().unwrap(),
        property: "air_temperature".parse().unwrap(),
        channel: None,
    }
}

fn login(name: &str) -> Connect {
    let mut connect = Connect::new("a client");
    connect.set_login(name, format!("key of {name}"));
    connect
}

async fn subscribe(client: &mut Client, filter: &str, qos: QoS) -> SubscribeReasonCode {
    let mut subscribe = Subscribe::new(filter, qos);
    subscribe.pkid = 7;
    client.send(Packet::Subscribe(subscribe)).await;
    match client.read().await {
        Some(Packet::SubAck(SubAck { pkid: 7, return_codes })) if return_codes.len() == 1 => return_codes[0],
        other => panic!("{other:?} instead of a SUBACK"),
    }
}

/// Topic, value, retained, and the packet id.
async fn hear(client: &mut Client) -> (String, f64, bool, u16) {
    match client.read().await {
        Some(Packet::Publish(Publish { topic, payload, retain, pkid, .. })) => {
            let json: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            (topic, json["value"].as_f64().unwrap_or(f64::NAN), retain, pkid)
        }
        other => panic!("{other:?} instead of a message"),
    }
}

fn heard(topic: &str, value: f64, retain: bool, packet_id: u16) -> (String, f64, bool, u16) {
    (topic.to_owned(), value, retain, packet_id)
}

#[tokio::test]
async fn a_department_hears_what_was_latest_before_the_start_and_what_comes_and_nothing_of_anothers() {
    let city = City::start(FeedLimits::default(), Limits::default()).await;
    let (mut weather, mut parks) = (city.department("weather").await, city.department("parks").await);
    let (once, never) = (SubscribeReasonCode::Success(QoS::AtLeastOnce), SubscribeReasonCode::Failure);
    assert_eq!(subscribe(&mut weather, "highway/#", QoS::AtLeastOnce).await, once);
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 0.5, true, 1));
    assert_eq!(subscribe(&mut parks, "highway/+/+/DF1/#", QoS::AtMostOnce).await, never);
    let at_most_once = SubscribeReasonCode::Success(QoS::AtMostOnce);
    assert_eq!(subscribe(&mut parks, "#", QoS::AtMostOnce).await, at_most_once);
    city.observe("DF1", 1.5);
    city.observe("DF2", 2.5);
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 1.5, false, 2));
    weather.send(Packet::PubAck(PubAck::new(1))).await;
    weather.send(Packet::PubAck(PubAck::new(2))).await;
    let of_df2 = "highway/weather/-/DF2/air_temperature";
    assert_eq!(hear(&mut weather).await.0, of_df2);
    assert_eq!(hear(&mut parks).await, heard(of_df2, 2.5, false, 0), "of DF1 nothing");
    parks.ping().await;
    city.ended(Ending::ForeignFilter, 1).await;

    // Who has a certificate is a lamppost, whatever it says besides.
    let mut lamppost = city.bench.client("DF1").await;
    let mut connect = login("weather");
    connect.client_id = "DF1".to_owned();
    lamppost.send(Packet::Connect(connect)).await;
    lamppost.expect(&Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    let mut subscribe = Subscribe::new("highway/#", QoS::AtMostOnce);
    subscribe.pkid = 7;
    lamppost.send(Packet::Subscribe(subscribe)).await;
    lamppost.expect(&Packet::SubAck(SubAck::new(7, vec![never]))).await;
}

#[tokio::test]
async fn while_nobody_listens_no_message_is_made_and_who_comes_then_hears_what_is_latest() {
    let limits = FeedLimits { linger: Duration::ZERO, ..FeedLimits::default() };
    let city = City::start(limits, Limits::default()).await;
    city.observe("DF1", 1.5);
    assert_eq!((city.live_metrics.feeds.get(), city.metrics.messages.get()), (0, 0));
    for value in [2.5, 3.5] {
        let mut weather = city.department("weather").await;
        city.keep("DF1", time_of(value), value);
        drop(weather);
        until(|| city.live_metrics.feeds.get() == 0, || "the encoder still works".to_owned()).await;
        let made = city.metrics.messages.get();
        city.observe("DF1", 9.5);
        city.keep("DF2", time_of(value), value);
        weather = city.department("weather").await;
        subscribe(&mut weather, "highway/#", QoS::AtMostOnce).await;
        assert_eq!(hear(&mut weather).await, heard(TOPIC, value, true, 0), "and not what was told in vain");
        assert_eq!(hear(&mut weather).await.1.to_bits(), value.to_bits());
        assert_eq!(city.metrics.messages.get(), made + 2);
        city.observe("DF1", value + 100.0);
        assert_eq!(hear(&mut weather).await, heard(TOPIC, value + 100.0, false, 0));
    }
}

#[tokio::test]
async fn when_more_is_observed_than_can_be_told_the_latest_is_read_from_the_store() {
    let city = City::start(FeedLimits::default(), Limits::default()).await;
    let mut weather = city.department("weather").await;
    subscribe(&mut weather, "highway/#", QoS::AtMostOnce).await;
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 0.5, true, 0));
    // All that the hub keeps is another's by the time that the encoder looks: nobody waits in between.
    city.keep("DF1", UtcMillis(2), 1.5);
    city.observe("DF1", 1.5);
    for _ in 0..20_000 {
        city.observe("DF2", 2.5);
    }
    let missed = hear(&mut weather).await;
    assert_eq!(missed.0, "highway/missed");
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 1.5, false, 0));
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_key_get_the_same_answer_and_too_many_get_none() {
    let city = City::start(FeedLimits::default(), Limits::default()).await;
    let mut wrong_key = login("weather");
    wrong_key.set_login("weather", "key of parks");
    for connect in [wrong_key.clone(), login("nobody"), login("Not A Name"), login(" ")] {
        let mut client = city.stranger().await;
        client.send(Packet::Connect(connect)).await;
        client.expect_refused(ConnectReturnCode::BadUserNamePassword).await;
    }
    let mut nameless = city.stranger().await;
    nameless.send(Packet::Connect(Connect::new("a client"))).await;
    nameless.expect_refused(ConnectReturnCode::NotAuthorized).await;
    for _ in 4..20 {
        let mut client = city.stranger().await;
        client.send(Packet::Connect(wrong_key.clone())).await;
        client.expect_refused(ConnectReturnCode::BadUserNamePassword).await;
    }
    for connect in [wrong_key, login("nobody")] {
        let mut client = city.stranger().await;
        client.send(Packet::Connect(connect)).await;
        client.expect_refused(ConnectReturnCode::ServiceUnavailable).await;
    }
    city.ended(Ending::BadLogin, 20).await;
    city.ended(Ending::TooManyFailures, 2).await;
    // Who has the key is let in, whoever else calls from the same network.
    let mut weather = city.department("weather").await;
    weather.ping().await;
    assert_eq!(city.bench.counter("sessions"), 0);
}

#[tokio::test]
async fn a_department_that_shows_its_certificate_needs_no_name_and_key_and_hears_and_may_the_same() {
    let city = City::start(FeedLimits::default(), Limits::default()).await;
    let accepted = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
    let mut weather = city.certified("weather", 0x0a).await;
    weather.send(Packet::Connect(Connect::new("a client"))).await;
    weather.expect(&accepted).await;
    let once = SubscribeReasonCode::Success(QoS::AtLeastOnce);
    assert_eq!(subscribe(&mut weather, "highway/#", QoS::AtLeastOnce).await, once);
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 0.5, true, 1));
    assert_eq!(
        subscribe(&mut weather, "highway/air/#", QoS::AtLeastOnce).await,
        SubscribeReasonCode::Failure,
        "what is another's"
    );
    let mut named = city.certified("weather", 0x0a).await;
    named.send(Packet::Connect(login("weather"))).await;
    named.expect(&accepted).await;
    named.publish(TOPIC, 1, b"a lie").await;
    named.expect_closed().await;
    city.ended(Ending::Publish, 1).await;

    // Somebody else's name, a certificate of which nobody here knows, one of another department, and one that has ended.
    let mut other = city.certified("weather", 0x0a).await;
    other.send(Packet::Connect(login("parks"))).await;
    other.expect_refused(ConnectReturnCode::BadUserNamePassword).await;
    for (name, serial, year) in [("weather", 0x0c, 2099), ("weather", 0x0b, 2099), ("weather", 0x0a, 2025)] {
        let tls = city.bench.authority.department_tls(name, serial, year);
        let mut refused = Client::open(&city.bench, tls).await.unwrap();
        refused.send(Packet::Connect(Connect::new("a client"))).await;
        refused.expect_refused(ConnectReturnCode::NotAuthorized).await;
    }
    city.ended(Ending::BadCertificate, 3).await;

    // It is no lamppost, and speaks for none: its client id is nothing but a client id.
    let mut as_lamppost = city.certified("weather", 0x0a).await;
    as_lamppost.send(Packet::Connect(Connect::new("DF1"))).await;
    as_lamppost.expect(&accepted).await;
    as_lamppost.publish("lampposts/DF1/up/hello", 1, b"a lie").await;
    as_lamppost.expect_closed().await;
    assert_eq!(city.bench.counter("sessions"), 0);
    city.observe("DF1", 1.5);
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 1.5, false, 2), "nobody else is disturbed");
}

#[tokio::test]
async fn a_departments_certificate_that_is_ended_closes_and_is_refused_also_where_tls_is_resumed() {
    let city = City::start(FeedLimits::default(), Limits::default()).await;
    let tls = city.bench.authority.department_tls("weather", 0x0a, 2099);
    let open = async || {
        let mut client = Client::open(&city.bench, Arc::clone(&tls)).await.unwrap();
        client.send(Packet::Connect(Connect::new("a client"))).await;
        client
    };
    let accepted = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
    let mut first = open().await;
    first.expect(&accepted).await;
    first.ping().await;
    let mut second = open().await;
    second.expect(&accepted).await;
    let resumed = Some(rustls::HandshakeKind::Resumed);
    assert_eq!(second.stream.get_ref().1.handshake_kind(), resumed);
    second.ping().await;

    let mut directory =
        City::directory("highway/weather/#").get(&"weather".parse().unwrap()).unwrap().as_ref().clone();
    directory.certificates.clear();
    city.directory.send_replace(Arc::new(Directory::new([directory])));
    first.expect_closed().await;
    second.expect_closed().await;
    city.ended(Ending::CertificateEnded, 2).await;
    let mut third = open().await;
    assert_eq!(third.stream.get_ref().1.handshake_kind(), resumed);
    third.expect_refused(ConnectReturnCode::NotAuthorized).await;
    let mut by_key = city.department("weather").await;
    by_key.ping().await;
}

#[tokio::test]
async fn what_is_withdrawn_in_mid_stream_is_heard_no_more_and_a_key_that_ends_closes() {
    let city = City::start(FeedLimits::default(), Limits::default()).await;
    let mut weather = city.department("weather").await;
    subscribe(&mut weather, "highway/#", QoS::AtMostOnce).await;
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 0.5, true, 0));
    city.observe("DF1", 1.5);
    assert_eq!(hear(&mut weather).await, heard(TOPIC, 1.5, false, 0));
    city.directory.send_replace(Arc::new(City::directory("highway/+/+/DF9/#")));
    // The answer to a ping comes after the directory was seen, or before: then it is seen at the next one.
    weather.ping().await;
    weather.ping().await;
    city.observe("DF1", 2.5);
    city.observe("DF9", 3.5);
    assert_eq!(hear(&mut weather).await.0, "highway/weather/-/DF9/air_temperature");
    city.directory.send_replace(Arc::default());
    weather.expect_closed().await;
    city.ended(Ending::KeyEnded, 1).await;
}

#[tokio::test]
async fn who_never_reads_is_cut_and_costs_nobody_else_anything() {
    // On a machine that is busy the reader may not be read for a second either.
    let limits = FeedLimits { write: Duration::from_secs(5), ..FeedLimits::default() };
    let city = City::start(limits, Limits::default()).await;
    let mut deaf = city.department("weather").await;
    subscribe(&mut deaf, "highway/#", QoS::AtMostOnce).await;
    let mut reader = city.department("weather").await;
    subscribe(&mut reader, "highway/#", QoS::AtMostOnce).await;
    assert_eq!(hear(&mut reader).await.1.to_bits(), 0.5_f64.to_bits());
    let mut sent = 0_u32;
    while city.metrics.ended(Ending::WriteTimeout) == 0 {
        for _ in 0..500 {
            sent += 1;
            city.observe("DF1", f64::from(sent));
        }
        for value in sent - 499..=sent {
            assert_eq!(hear(&mut reader).await.1.to_bits(), f64::from(value).to_bits(), "none is missing");
        }
    }
    assert_eq!(city.metrics.missed(&"weather".parse().unwrap()), 0);
    reader.ping().await;
}

#[tokio::test]
async fn what_a_listener_may_not_do_ends_it_alone() {
    let limits = FeedLimits { connections_of_department: 2, ..FeedLimits::default() };
    let city = City::start(limits, Limits::default()).await;
    let mut other = city.department("weather").await;
    let mut speaker = city.department("weather").await;
    let mut third = city.stranger().await;
    third.send(Packet::Connect(login("weather"))).await;
    third.expect_refused(ConnectReturnCode::ServiceUnavailable).await;
    speaker.publish(TOPIC, 1, b"a lie").await;
    speaker.expect_closed().await;
    city.ended(Ending::Publish, 1).await;
    let mut version_5 = city.stranger().await;
    version_5.send_bytes(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0]).await;
    assert_eq!(version_5.bytes_until_closed().await, [0x20, 3, 0, 0x84, 0]);
    other.send(Packet::PubAck(PubAck::new(9))).await;
    other.expect_closed().await;
    city.ended(Ending::UnknownAcknowledgement, 1).await;
    let text = {
        let mut registry = Registry::default();
        city.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    assert!(text.contains("lamplighter_feeds_connections{department=\"weather\"} 0"), "{text}");
}

#[tokio::test]
async fn over_websocket_a_browser_hears_the_same_for_longer_than_http_may_take() {
    let limits = Limits { http: Duration::from_millis(500), http_requests: 1, ..Limits::default() };
    let city = City::start(FeedLimits::default(), limits).await;
    let client = city.stranger().await;
    hears_over_websocket(&city, client, login("weather")).await;
}

#[tokio::test]
async fn over_websocket_a_department_that_shows_its_certificate_needs_no_name_and_key() {
    let city =
        City::start(FeedLimits::default(), Limits { http: Duration::from_millis(500), ..Limits::default() })
            .await;
    let client = city.certified("weather", 0x0a).await;
    hears_over_websocket(&city, client, Connect::new("a client")).await;
}

/// A client that goes on as a WebSocket, logs in like this, and hears.
async fn hears_over_websocket(city: &City, mut client: Client, connect: Connect) {
    let request = "GET /mqtt HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-protocol: mqtt\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.send_bytes(request.as_bytes()).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    city.bench.counts("http_connections_total{ending=\"done\"}", 1).await;

    let mut bytes = bytes::BytesMut::new();
    Packet::Connect(connect).write(&mut bytes, usize::MAX).unwrap();
    let mut subscribe = Subscribe::new("highway/#", QoS::AtMostOnce);
    subscribe.pkid = 7;
    Packet::Subscribe(subscribe).write(&mut bytes, usize::MAX).unwrap();
    // A packet may span frames, and a frame may begin in the middle of one.
    for some in bytes.chunks(10) {
        let mut frame = vec![0x82, 0x80 | u8::try_from(some.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(some);
        client.send_bytes(&frame).await;
    }
    let mut said = Said::default();
    said.expect(&mut client, &Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))).await;
    let granted = SubscribeReasonCode::Success(QoS::AtMostOnce);
    said.expect(&mut client, &Packet::SubAck(SubAck::new(7, vec![granted]))).await;
    assert!(matches!(said.next(&mut client).await, Packet::Publish(publish) if publish.retain));
    tokio::time::sleep(Duration::from_millis(600)).await;
    city.observe("DF1", 1.5);
    assert!(matches!(said.next(&mut client).await, Packet::Publish(publish) if !publish.retain));
}

/// What was in the frames of a WebSocket.
#[derive(Default)]
struct Said(bytes::BytesMut);

impl Said {
    async fn next(&mut self, client: &mut Client) -> Packet {
        loop {
            if let Ok(packet) = Packet::read(&mut self.0, usize::MAX) {
                return packet;
            }
            assert_eq!(client.stream.read_u8().await.unwrap(), 0x82);
            let length = match client.stream.read_u8().await.unwrap() {
                126 => client.stream.read_u16().await.unwrap(),
                short => u16::from(short),
            };
            let mut payload = vec![0; usize::from(length)];
            client.stream.read_exact(&mut payload).await.unwrap();
            self.0.extend_from_slice(&payload);
        }
    }

    async fn expect(&mut self, client: &mut Client, packet: &Packet) {
        assert_eq!(&self.next(client).await, packet);
    }
}
