//! Attacks on the lampposts' port, each over real sockets against the shipped server: it is refused in the right words and
//! counted, and a lamppost beside it is acknowledged all the while. `docs/attacks.md` is the table of them all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hil_tests::fleet::{ServerProcess, monotonic, wait_for};

use super::commands::binaries;
use super::connection::{Connection, End, PING, Packet, packet, text};
use super::counters::{counted, wait_for_count};
use super::lamppost::{Lamppost, SAMPLES, certified};
use super::neighbour::Neighbour;
use super::stranger::{Leaving, Stranger};

const PATIENCE: Duration = Duration::from_mins(1);
const REFUSALS: &str = "lamplighter_gateway_refusals_total";
const HANDSHAKES: &str = "lamplighter_gateway_handshakes_total";
const CONNECTIONS: &str = "lamplighter_gateway_connections";
const PROBES: &str = "lamplighter_ingest_probes_total";

fn stage(folder: &tempfile::TempDir) -> (ServerProcess, [Lamppost; 3]) {
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let lampposts = certified(&server, ["DF3637", "DF3638", "DF3639"]);
    (server, lampposts)
}

#[test]
fn ten_thousand_half_open_connections_from_one_address_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, newcomer, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    // As many as this process may have, if that is fewer.
    let most = usize::try_from(rlimit::increase_nofile_limit(u64::MAX).unwrap()).unwrap();
    let count = most.saturating_sub(500).min(10_000);
    let stranger = Stranger::new();
    let half_open: Vec<TcpStream> =
        (0..count).map(|_| stranger.call(server.mqtt(), Leaving::Closes)).collect();
    let turned_away = || {
        let turned_away = counted(server.api(), REFUSALS, "reason=\"too_many_attempts\"");
        (turned_away > 0 || count < 3_072).then_some(turned_away)
    };
    let turned_away = wait_for("some to be turned away", PATIENCE, turned_away).unwrap();
    writeln!(std::io::stderr(), "{count} half-open connections, {turned_away} of them turned away so far")
        .ok();

    let began = monotonic();
    newcomer.log_in(&server).connection.ping();
    writeln!(std::io::stderr(), "beside them a lamppost logged in within {:.1?}", began.elapsed()).ok();
    assert_eq!(counted(server.api(), REFUSALS, "reason=\"too_many_opening\""), 0);
    neighbour.was_served_during("half-open connections");
    drop(half_open);
}

#[test]
fn two_hundred_connections_that_reset_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, ..]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let stranger = Stranger::new();
    for round in 0..200 {
        let mut stream = stranger.call(server.mqtt(), Leaving::Resets);
        if round % 2 == 1 {
            stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
        }
    }
    let all_gone = || (counted(server.api(), CONNECTIONS, "") == 1).then_some(());
    wait_for("all of them to be gone", PATIENCE, all_gone).unwrap();
    assert!(counted(server.api(), HANDSHAKES, "outcome=\"failed\"") > 0);
    assert_eq!(counted(server.api(), "lamplighter_gateway_accept_failures_total", ""), 0);
    neighbour.was_served_during("200 connections that reset");
}

#[test]
fn a_handshake_byte_by_byte_is_cut_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, ..]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let stranger = Stranger::new();
    let mut slow: Vec<TcpStream> = (0..50).map(|_| stranger.call(server.mqtt(), Leaving::Closes)).collect();
    // The head of a record of 512 bytes, and then a byte of it now and then.
    for stream in &mut slow {
        stream.write_all(b"\x16\x03\x01\x02\x00").unwrap();
    }
    let cut = || {
        for stream in &mut slow {
            drop(stream.write_all(b"\x01"));
        }
        (counted(server.api(), HANDSHAKES, "outcome=\"timeout\"") == 50).then_some(())
    };
    wait_for("all of them to be cut", PATIENCE, cut).unwrap();
    neighbour.was_served_during("50 handshakes byte by byte");
}

#[test]
fn headers_that_are_too_long_are_refused_by_their_status() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, other, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let mut asks = other.call(&server);
    let mut head = b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    head.resize(20 * 1024, b'a');
    asks.send(&head).unwrap();
    let answer = String::from_utf8_lossy(&asks.bytes_until_closed()).into_owned();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    neighbour.was_served_during("a head of 20 KiB");
}

#[test]
fn a_packet_of_100_mib_is_refused_by_its_length_and_kept_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, hostile, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let before = memory_kib(&server);
    let mut session = hostile.log_in(&server);
    // PUBLISH, and 104,857,600 as its remaining length.
    session.connection.send(&[0x32, 0x80, 0x80, 0x80, 0x32]).unwrap();
    let block = vec![0x5a; 1024 * 1024];
    let sent = (0..100).take_while(|_| session.connection.send(&block).is_ok()).count();
    session.connection.wait_until_closed();
    wait_for_count(server.api(), REFUSALS, "reason=\"too_long\"", 1);
    let after = memory_kib(&server);
    writeln!(
        std::io::stderr(),
        "{sent} MiB were taken by the sockets; {before} KiB before, {after} KiB after"
    )
    .ok();
    assert!(after < before + 50 * 1024, "{before} KiB before, {after} KiB after");
    neighbour.was_served_during("a packet of 100 MiB");
}

/// What the server's process has in memory.
fn memory_kib(server: &ServerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn wildcards_and_shared_subscriptions_are_refused_one_by_one_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, hostile, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let mut session = hostile.log_in(&server);
    let filters = [
        "#",
        "+/+/down/#",
        "lampposts/#",
        "lampposts/+/down/#",
        "lampposts/DF3637/down/#",
        "lampposts/DF3638/up/#",
        "lampposts/DF3638/#",
        "$share/g/lampposts/DF3638/down/#",
        "$share/g/lampposts/+/up/samples",
        "$share//#",
        "$SYS/#",
        "/",
    ];
    let mut body = 9_u16.to_be_bytes().to_vec();
    for filter in filters {
        body.extend(text(filter));
        body.push(1);
    }
    session.connection.send(&packet(0x82, &body)).unwrap();
    let mut refused = vec![0, 9];
    refused.resize(2 + filters.len(), 0x80);
    assert_eq!(session.connection.answer(0x90), Ok(Packet::Other(0x90, refused)));
    wait_for_count(server.api(), REFUSALS, "reason=\"foreign_filter\"", filters.len() as u64);
    session.connection.ping();
    neighbour.was_served_during("wildcards and $share");
}

#[test]
fn client_ids_and_wills_of_others_are_refused_by_their_code() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, hostile, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let ids = ["DF3637", "/", "+", "#", "$SYS", "DF3638/+#$", "", "df3638"];
    for id in ids {
        let mut connection = hostile.call(&server);
        connection.send(&connect(0x02, &[id])).unwrap();
        assert_eq!(connection.answer(0x20), Ok(Packet::Other(0x20, vec![0, 2])), "client id {id:?}");
        connection.wait_until_closed();
    }
    wait_for_count(server.api(), REFUSALS, "reason=\"client_id\"", ids.len() as u64);
    let topics = ["lampposts/DF3637/up/events", "lampposts/DF3638/up/events", "#", "$SYS/x"];
    for topic in topics {
        let mut connection = hostile.call(&server);
        connection.send(&connect(0x06, &["DF3638", topic, "gone"])).unwrap();
        assert_eq!(connection.answer(0x20), Ok(Packet::Other(0x20, vec![0, 5])), "a will on {topic:?}");
        connection.wait_until_closed();
    }
    wait_for_count(server.api(), REFUSALS, "reason=\"will\"", topics.len() as u64);
    neighbour.was_served_during("client ids and wills of others");
}

/// A CONNECT with these flags and fields.
pub(crate) fn connect(flags: u8, fields: &[&str]) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04".to_vec();
    body.extend([flags, 0, 60]);
    for field in fields {
        body.extend(text(field));
    }
    packet(0x10, &body)
}

#[test]
fn topics_of_others_and_with_nul_or_wildcards_close_the_connection_and_nothing_is_journalled() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, hostile, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    for (topic, reason) in [
        ("lampposts/DF3638/up/\0samples", "malformed"),
        ("\0", "malformed"),
        ("lampposts/+/up/samples", "malformed"),
        ("lampposts/DF3637/up/samples", "foreign_topic"),
        ("$SYS/broker", "foreign_topic"),
        ("", "malformed"),
        ("lampposts/DF3638/down/position", "unknown_topic"),
        ("lampposts/DF3638/up/samples/", "unknown_topic"),
    ] {
        let label = format!("reason=\"{reason}\"");
        let before = counted(server.api(), REFUSALS, &label);
        let mut session = hostile.log_in(&server);
        let mut body = text(topic);
        body.extend([0, 7]);
        session.connection.send(&packet(0x32, &body)).unwrap();
        session.connection.wait_until_closed();
        wait_for_count(server.api(), REFUSALS, &label, before + 1);
    }
    assert_eq!(hostile.stored(server.api()), [0; 0]);
    neighbour.was_served_during("topics of others");
}

#[test]
fn a_flood_from_one_lamppost_is_read_more_slowly_and_nobody_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, hostile, _]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let mut flood = hostile.log_in(&server);
    flood.connection.wait_for_at_most(PATIENCE);
    let began = monotonic();
    let payload = vec![0xff; 30 * 1024];
    let mut ids = Vec::new();
    while began.elapsed() < Duration::from_secs(5) {
        for _ in 0..5 {
            flood.connection.send(&PING).unwrap();
        }
        ids.push(flood.connection.publish(SAMPLES, &payload).unwrap());
    }
    assert!(counted(server.api(), "lamplighter_gateway_throttled_total", "") > 0);
    neighbour.was_served_during("a flood from one lamppost");
    // It is not closed for it, and what it sent is on disk.
    assert_eq!(flood.connection.acknowledged(*ids.last().unwrap()), Ok::<(), End>(()));
}

#[test]
fn a_call_for_another_protocol_ends_where_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [beside, ..]) = stage(&folder);
    let neighbour = Neighbour::start(&beside, &server);
    let stranger = Stranger::new();
    for said in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x10\x12\x00\x04MQTT\x04\x02", b"SSH-2.0-x\r\n", &[0xff; 4096]]
    {
        let mut stream = stranger.call(server.mqtt(), Leaving::Closes);
        stream.write_all(said).unwrap();
        // An alert of TLS, or nothing, and the end.
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    wait_for_count(server.api(), HANDSHAKES, "outcome=\"failed\"", 4);
    neighbour.was_served_during("other protocols");
}

#[test]
fn healthz_sends_a_message_through_the_journal_and_says_yes_when_ingest_has_met_it() {
    let folder = tempfile::tempdir().unwrap();
    let (server, [lamppost, ..]) = stage(&folder);
    assert_eq!(counted(server.api(), PROBES, ""), 0);
    assert_eq!(server.api().ask("/healthz").unwrap().0, 200);
    assert_eq!(server.api().ask("/healthz").unwrap().0, 200);
    assert_eq!(counted(server.api(), PROBES, ""), 1, "who asks often is told the same");
    let _session: Connection = lamppost.log_in(&server).connection;
    assert_eq!(counted(server.api(), "lamplighter_gateway_sessions", ""), 1, "it is no lamppost");
    let server = server.restart(hil_tests::fleet::Ending::Kill).unwrap();
    assert_eq!(counted(server.api(), PROBES, ""), 1, "it was on disk");
}
