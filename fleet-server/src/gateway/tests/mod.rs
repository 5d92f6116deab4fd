//! The gateway over real sockets, real TLS and a real journal.

mod bench;
mod door;
mod feeds;
mod http;
mod probe;

use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::limits::{GATEWAY_BYTES, MAX_PACKET_BYTES};
use lamplighter_protocol::{LamppostNumber, Leaf, Log};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::bench::{Bench, Client, until};
use super::{Limits, Refusal, Sent};

const SAMPLES: &str = "lampposts/DF3637/up/samples";
/// Long enough to log in on a machine under load, and short enough to be waited for.
const SHORT: Duration = Duration::from_secs(1);

fn number(text: &str) -> LamppostNumber {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_publish_is_journalled_under_the_name_of_the_certificate_and_acknowledged() {
    let bench = Bench::start().await;
    let mut lamppost = bench.lamppost("DF3637").await;
    lamppost.publish(SAMPLES, 7, b"a frame").await;
    lamppost.expect_puback(7).await;
    let entry = bench.journalled().await;
    assert_eq!((entry.lamppost, entry.leaf), (number("DF3637"), Leaf::Frames(Log::Samples)));
    assert_eq!(entry.payload, Bytes::from_static(b"a frame"));
    assert_eq!(bench.counter("publishes_total"), 1);
    assert_eq!(bench.counter("publish_bytes_total"), 7);
    assert_eq!(bench.counter("handshakes_total{outcome=\"done\"}"), 1);
    assert_eq!(bench.counter("sessions"), 1);
    drop(lamppost);
    bench.counts("endings_total{reason=\"lost\"}", 1).await;
    bench.counts("connections", 0).await;
    assert_eq!(bench.sessions.count(), 0);
}

#[tokio::test]
async fn no_puback_before_the_commit_and_pings_are_answered_meanwhile() {
    let bench = Bench::start().await;
    let mut lamppost = bench.lamppost("DF3637").await;
    bench.gate.close();
    for packet_id in 1..=3 {
        lamppost.publish(SAMPLES, packet_id, b"a frame").await;
    }
    lamppost.ping().await;
    assert_eq!(bench.counter("acknowledgements_total"), 0);
    bench.gate.open();
    for packet_id in 1..=3 {
        lamppost.expect_puback(packet_id).await;
    }
}

#[tokio::test]
async fn a_ping_behind_a_whole_window_is_answered_while_the_disk_stands_still() {
    let bench = Bench::start().await;
    let mut lamppost = bench.lamppost("DF3637").await;
    bench.gate.close();
    let eighth = vec![0; GATEWAY_BYTES / 8];
    for packet_id in 1..=8 {
        lamppost.publish(SAMPLES, packet_id, &eighth).await;
    }
    lamppost.ping().await;
    // Past the window it is read no further, and nothing is lost.
    lamppost.publish(SAMPLES, 9, &eighth).await;
    lamppost.publish(SAMPLES, 10, &eighth).await;
    bench.counts("publishes_total", 9).await;
    bench.gate.open();
    for packet_id in 1..=10 {
        lamppost.expect_puback(packet_id).await;
    }
}

#[tokio::test]
async fn a_failed_sync_closes_the_connection_without_a_puback_and_the_next_one_is_served() {
    let bench = Bench::start().await;
    let mut lamppost = bench.lamppost("DF3637").await;
    let mut idle = bench.lamppost("DF3638").await;
    bench.gate.fail_once();
    lamppost.publish(SAMPLES, 7, b"a frame").await;
    lamppost.expect_closed().await;
    bench.counts("endings_total{reason=\"journal_cut\"}", 1).await;
    assert_eq!(bench.counter("acknowledgements_total"), 0);
    idle.ping().await;

    let mut again = bench.lamppost("DF3637").await;
    again.publish(SAMPLES, 1, b"a frame").await;
    again.expect_puback(1).await;
    assert_eq!(bench.journalled().await.payload, Bytes::from_static(b"a frame"));
}

#[tokio::test]
async fn who_has_a_foreign_certificate_or_a_nameless_one_does_not_get_past_tls() {
    let bench = Bench::start().await;
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    if let Ok(mut client) = Client::open(&bench, bench.authority.foreign_tls("DF3637")).await {
        client.expect_closed().await;
    }
    bench.counts("handshakes_total{outcome=\"bad_certificate\"}", 1).await;
    let mut nameless = bench.client("not a number").await;
    nameless.expect_closed().await;
    bench.counts("handshakes_total{outcome=\"no_lamppost\"}", 1).await;
    assert_eq!(bench.counter("handshakes_total{outcome=\"done\"}"), 0);
}

#[tokio::test]
async fn who_has_no_certificate_is_told_so_at_its_login_and_closed_if_it_is_silent() {
    let bench = Bench::with(Limits { connect: SHORT, ..Limits::default() }).await;
    for named in [&[][..], &[b"mqtt".to_vec()]] {
        let mut tls = (*bench.authority.anonymous_tls()).clone();
        tls.alpn_protocols = named.to_vec();
        let tls = std::sync::Arc::new(tls);
        let before = bench.counter("handshakes_total{outcome=\"no_certificate\"}");
        let mut client = Client::open(&bench, tls.clone()).await.unwrap();
        client.send(Packet::Connect(Connect::new("DF3637"))).await;
        client.expect_refused(ConnectReturnCode::NotAuthorized).await;
        let mut silent = Client::open(&bench, tls).await.unwrap();
        silent.expect_closed().await;
        bench.counts("handshakes_total{outcome=\"no_certificate\"}", before + 2).await;
    }
    assert_eq!(bench.counter("handshakes_total{outcome=\"done\"}"), 0);
    bench.counts("connections", 0).await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_good_for_no_login() {
    let bench = Bench::start().await;
    for named in [&[][..], &[b"mqtt".to_vec()]] {
        let mut tls = (*bench.authority.ended_tls("DF3637")).clone();
        tls.alpn_protocols = named.to_vec();
        let before = bench.counter("refusals_total{reason=\"expired\"}");
        let mut client = Client::open(&bench, std::sync::Arc::new(tls)).await.unwrap();
        // Without a name the protocol shows by the first byte.
        client.stream.write_all(b"\x10").await.ok();
        client.stream.flush().await.ok();
        client.expect_closed().await;
        bench.counts("refusals_total{reason=\"expired\"}", before + 1).await;
    }
    assert_eq!(bench.sessions.count(), 0);
}

#[tokio::test]
async fn logins_out_of_order_are_refused_by_code() {
    let bench = Bench::start().await;
    let refused = async |connect: Connect, code, reason: &str| {
        let mut client = bench.client("DF3637").await;
        client.send(Packet::Connect(connect)).await;
        client.expect_refused(code).await;
        bench.counts(&format!("refusals_total{{reason=\"{reason}\"}}"), 1).await;
    };
    refused(Connect::new("DF3638"), ConnectReturnCode::BadClientId, "client_id").await;
    let last_will = Some(LastWill::new("lampposts/DF3637/up/events", "gone", QoS::AtLeastOnce, false));
    let will = Connect { last_will, ..Connect::new("DF3637") };
    refused(will, ConnectReturnCode::NotAuthorized, "will").await;
    bench.admission.refuse("DF3637", Refusal::Revoked);
    refused(Connect::new("DF3637"), ConnectReturnCode::NotAuthorized, "revoked").await;
    bench.admission.refuse("DF3637", Refusal::Unavailable);
    refused(Connect::new("DF3637"), ConnectReturnCode::ServiceUnavailable, "registry_unavailable").await;
}

#[tokio::test]
async fn version_5_is_refused_in_its_own_words() {
    let bench = Bench::start().await;
    let mut client = bench.client("DF3637").await;
    // No properties, client id "A": the CONNECT of MQTT 5.
    client.send_bytes(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x1e\x00\x00\x01A").await;
    assert_eq!(client.bytes_until_closed().await, [0x20, 3, 0, 0x84, 0]);
    bench.counts("refusals_total{reason=\"version_5\"}", 1).await;

    let mut client = bench.client("DF3637").await;
    client.send_bytes(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x1e\x00\x01A").await;
    assert_eq!(client.bytes_until_closed().await, [0x20, 2, 0, 1]);
}

#[tokio::test]
async fn a_session_that_is_to_outlive_its_connection_is_told_that_there_is_none() {
    let bench = Bench::start().await;
    let mut client = bench.client("DF3637").await;
    client.send(Packet::Connect(Connect { clean_session: false, ..Connect::new("DF3637") })).await;
    assert!(matches!(client.read().await, Some(Packet::ConnAck(connack)) if !connack.session_present));
}

#[tokio::test]
async fn whatever_breaks_a_rule_closes_that_connection_and_no_other() {
    let bench = Bench::start().await;
    let mut other = bench.lamppost("DF0001").await;
    let publish = |shape: fn(&mut Publish)| {
        let mut publish = Publish::new(SAMPLES, QoS::AtLeastOnce, b"a frame".as_slice());
        publish.pkid = 7;
        shape(&mut publish);
        let mut bytes = bytes::BytesMut::new();
        publish.write(&mut bytes).unwrap();
        bytes.to_vec()
    };
    for (reason, bytes) in [
        ("foreign_topic", publish(|publish| publish.topic = "lampposts/DF0001/up/samples".to_owned())),
        ("unknown_topic", publish(|publish| publish.topic = "lampposts/DF3637/down/command".to_owned())),
        ("qos", publish(|publish| publish.qos = QoS::AtMostOnce)),
        ("qos", publish(|publish| publish.qos = QoS::ExactlyOnce)),
        ("retained", publish(|publish| publish.retain = true)),
        ("too_long", publish(|publish| publish.payload = vec![0; MAX_PACKET_BYTES].into())),
        ("foreign_packet", vec![0x62, 2, 0, 1]),
        ("malformed", vec![0xff, 0xff, 0xff]),
        ("second_connect", b"\x10\x12\x00\x04MQTT\x04\x02\x00\x1e\x00\x06DF3637".to_vec()),
    ] {
        let mut lamppost = bench.lamppost("DF3637").await;
        let before = bench.counter(&format!("refusals_total{{reason=\"{reason}\"}}"));
        lamppost.send_bytes(&bytes).await;
        lamppost.expect_closed().await;
        bench.counts(&format!("refusals_total{{reason=\"{reason}\"}}"), before + 1).await;
        other.ping().await;
    }
    other.publish("lampposts/DF0001/up/samples", 1, b"its own").await;
    other.expect_puback(1).await;
    assert_eq!(bench.journalled().await.payload, Bytes::from_static(b"its own"), "and nothing came before");
}

#[tokio::test]
async fn a_silent_stranger_costs_nobody_anything_and_is_closed_in_time() {
    let limits = Limits { handshake: SHORT, connect: SHORT, ..Limits::default() };
    let bench = Bench::with(limits).await;
    let mut silent = TcpStream::connect(bench.address).await.unwrap();
    let mut says_nothing_after_tls = bench.client("DF0002").await;
    let mut lamppost = bench.lamppost("DF3637").await;
    lamppost.ping().await;
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
    bench.counts("handshakes_total{outcome=\"timeout\"}", 1).await;
    says_nothing_after_tls.expect_closed().await;
    bench.counts("refusals_total{reason=\"no_connect\"}", 1).await;
    lamppost.ping().await;
}

#[tokio::test]
async fn strangers_take_no_places_from_lampposts_that_are_logged_in() {
    let bench = Bench::with(Limits { opening: 1, connections: 3, ..Limits::default() }).await;
    let mut first = bench.lamppost("DF0001").await;
    let silent = TcpStream::connect(bench.address).await.unwrap();
    bench.counts("connections", 2).await;
    let mut turned_away = TcpStream::connect(bench.address).await.unwrap();
    assert_eq!(turned_away.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(bench.counter("refusals_total{reason=\"too_many_opening\"}"), 1);
    first.ping().await;
    drop(silent);
    bench.counts("connections", 1).await;
    let mut held = vec![bench.lamppost("DF0002").await, bench.lamppost("DF0003").await];
    let mut turned_away = TcpStream::connect(bench.address).await.unwrap();
    assert_eq!(turned_away.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(bench.counter("refusals_total{reason=\"too_many_connections\"}"), 1);
    for lamppost in &mut held {
        lamppost.ping().await;
    }
}

#[tokio::test]
async fn who_falls_silent_is_cut_whatever_is_sent_to_it() {
    let bench = Bench::with(Limits { idle: SHORT, ..Limits::default() }).await;
    let mut lamppost = bench.lamppost("DF3637").await;
    lamppost.subscribe("lampposts/DF3637/down/#", QoS::AtMostOnce).await;
    let sender = bench.sessions.clone();
    until(
        || {
            let sent = sender.send(&number("DF3637"), Leaf::Position, Bytes::from_static(b"p"));
            sent == Sent::NotConnected
        },
        || "it is still connected".to_owned(),
    )
    .await;
    bench.counts("endings_total{reason=\"keep_alive\"}", 1).await;
    while lamppost.read().await.is_some() {}
}

#[tokio::test]
async fn the_newer_connection_of_a_lamppost_ends_the_older() {
    let bench = Bench::start().await;
    let mut older = bench.lamppost("DF3637").await;
    let mut newer = bench.lamppost("DF3637").await;
    older.expect_closed().await;
    newer.ping().await;
    bench.counts("endings_total{reason=\"taken_over\"}", 1).await;
    assert_eq!(bench.counter("takeovers_total"), 1);
    let info = bench.sessions.connected(&number("DF3637")).unwrap();
    assert_eq!(info.peer, newer.stream.get_ref().0.local_addr().unwrap());
}

#[tokio::test]
async fn who_is_connected_with_a_revoked_certificate_is_thrown_out_and_comes_in_no_more() {
    let bench = Bench::start().await;
    let tls = bench.authority.lamppost_tls("DF3637");
    let mut stolen = Client::open(&bench, tls.clone()).await.unwrap();
    stolen.log_in("DF3637").await;
    let mut other = bench.lamppost("DF3638").await;
    let serial = bench.sessions.connected(&number("DF3637")).unwrap().certificate_serial;
    assert_eq!(bench.sessions.revoke(vec![(number("DF3637"), serial)]), [number("DF3637")]);
    stolen.expect_closed().await;
    bench.counts("endings_total{reason=\"revoked\"}", 1).await;
    other.ping().await;
    // Admission, asked before, would let it in.
    let mut again = Client::open(&bench, tls).await.unwrap();
    again.send(Packet::Connect(Connect::new("DF3637"))).await;
    again.expect_refused(ConnectReturnCode::NotAuthorized).await;
    bench.counts("refusals_total{reason=\"revoked\"}", 1).await;
    assert_eq!(bench.sessions.count(), 1);
}

#[tokio::test]
async fn a_resumed_tls_session_is_asked_for_again() {
    let bench = Bench::start().await;
    let tls = bench.authority.lamppost_tls("DF3637");
    let mut first = Client::open(&bench, tls.clone()).await.unwrap();
    first.log_in("DF3637").await;
    drop(first);
    bench.admission.refuse("DF3637", Refusal::Revoked);
    let mut second = Client::open(&bench, tls).await.unwrap();
    assert_eq!(second.stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    second.send(Packet::Connect(Connect::new("DF3637"))).await;
    second.expect_refused(ConnectReturnCode::NotAuthorized).await;
}

#[tokio::test]
async fn what_is_sent_down_reaches_who_listens() {
    let bench = Bench::start().await;
    let mut lamppost = bench.lamppost("DF3637").await;
    let send = |leaf, text: &'static str| bench.sessions.send(&number("DF3637"), leaf, Bytes::from(text));
    assert_eq!(send(Leaf::Position, "too early"), Sent::NotSubscribed);
    lamppost.subscribe("lampposts/DF3637/down/#", QoS::AtLeastOnce).await;
    for (leaf, topic, packet_id) in [
        (Leaf::Position, "lampposts/DF3637/down/position", 1),
        (Leaf::Command, "lampposts/DF3637/down/command", 2),
    ] {
        assert_eq!(send(leaf, "words"), Sent::Queued);
        let mut expected = Publish::new(topic, QoS::AtLeastOnce, b"words".as_slice());
        expected.pkid = packet_id;
        lamppost.expect(&Packet::Publish(expected)).await;
        lamppost.send(Packet::PubAck(PubAck::new(packet_id))).await;
    }
    lamppost.ping().await;
    assert!(bench.sessions.connected(&number("DF3637")).unwrap().subscribed);
    let (queued, receipt) = bench.sessions.command(&number("DF3637"), Bytes::from("do it"));
    assert_eq!(queued, Sent::Queued);
    until(|| receipt.is_written(), || "it is not written".to_owned()).await;
    drop(lamppost);
    until(|| !receipt.is_written(), || "its connection lives".to_owned()).await;
}

#[tokio::test]
async fn who_does_not_read_is_cut_and_keeps_nobody_waiting() {
    let bench = Bench::with(Limits { write: SHORT, ..Limits::default() }).await;
    let mut lamppost = bench.lamppost("DF3637").await;
    let mut other = bench.lamppost("DF0001").await;
    lamppost.subscribe("lampposts/DF3637/down/#", QoS::AtMostOnce).await;
    let payload = Bytes::from(vec![0; 32 * 1024]);
    until(
        || {
            let sent = bench.sessions.send(&number("DF3637"), Leaf::Command, payload.clone());
            sent == Sent::NotConnected
        },
        || "it is still connected".to_owned(),
    )
    .await;
    bench.counts("endings_total{reason=\"write_timeout\"}", 1).await;
    other.ping().await;
}

#[tokio::test]
async fn a_stop_lets_the_last_commit_be_seen() {
    let mut bench = Bench::with(Limits { stop: Duration::from_secs(20), ..Limits::default() }).await;
    let mut waits = bench.lamppost("DF3637").await;
    let mut idle = bench.lamppost("DF0001").await;
    let mut silent = TcpStream::connect(bench.address).await.unwrap();
    bench.gate.close();
    waits.publish(SAMPLES, 7, b"a frame").await;
    waits.ping().await;
    bench.stop();
    idle.expect_closed().await;
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
    bench.gate.open();
    waits.expect_puback(7).await;
    waits.expect_closed().await;
    bench.stopped().await;
    assert!(TcpStream::connect(bench.address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_disk_that_stands_still() {
    let mut bench = Bench::with(Limits { stop: SHORT, ..Limits::default() }).await;
    let mut waits = bench.lamppost("DF3637").await;
    bench.gate.close();
    waits.publish(SAMPLES, 7, b"a frame").await;
    waits.ping().await;
    bench.stop();
    waits.expect_closed().await;
    bench.stopped().await;
}
