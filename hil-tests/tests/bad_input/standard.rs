//! MQTT 3.1.1, statement by statement, as far as it concerns what the gateway claims to speak: logins, publishes at `QoS` 1,
//! subscriptions, pings. Bytes in, bytes out; the numbers are those of the standard.

use std::time::Duration;

use hil_tests::fleet::{ServerProcess, monotonic};

use super::commands::binaries;
use super::connection::{Connection, Packet, packet, text};
use super::hostile::connect;
use super::lamppost::{Lamppost, certified};

/// Whose connections these are.
const OWN: &str = "DF3637";
/// Its CONNECT, as it should be, and the yes to it.
const YES: [u8; 4] = [0x20, 2, 0, 0];

fn stage(folder: &tempfile::TempDir) -> (ServerProcess, Lamppost) {
    let server = ServerProcess::start(&binaries(), folder.path()).unwrap();
    let [lamppost] = certified(&server, [OWN]);
    (server, lamppost)
}

fn in_order() -> Vec<u8> {
    connect(0x02, &[OWN])
}

/// All that the gateway says to these bytes until it closes.
fn said_to(server: &ServerProcess, lamppost: &Lamppost, bytes: &[u8]) -> Vec<u8> {
    let mut connection = lamppost.call(server);
    connection.send(bytes).ok();
    connection.bytes_until_closed()
}

/// The same body with another first byte, or with other fields.
fn body(of: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = of[2..].to_vec();
    change(&mut body);
    packet(of[0], &body)
}

#[test]
fn logins_are_answered_as_the_standard_says() {
    let folder = tempfile::tempdir().unwrap();
    let (server, lamppost) = stage(&folder);
    let plain = in_order();
    let will = ["DF3637", "w", "m"];
    let cases: &[(&str, Vec<u8>, &[u8])] = &[
        ("3.1.0-1: the first packet is a CONNECT", vec![0xc0, 0], &[]),
        ("3.1.0-1: nor is it a SUBSCRIBE", packet(0x82, &[0, 1, 0, 1, b'a', 0]), &[]),
        ("3.1.0-2: a second CONNECT", [plain.clone(), plain.clone()].concat(), &YES),
        ("3.1.2-1: another protocol's name", body(&plain, |body| body[2] = b'm'), &[]),
        ("3.1.2-2: an unacceptable level", body(&plain, |body| body[6] = 6), &[0x20, 2, 0, 1]),
        ("3.1.2-2: MQTT 3.1", packet(0x10, b"\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a"), &[0x20, 2, 0, 1]),
        ("MQTT 5, in its own words", body(&plain, |body| body[6] = 5), &[0x20, 3, 0, 0x84, 0]),
        ("3.1.2-3: the reserved flag", connect(0x03, &[OWN]), &[]),
        ("3.1.2-11: a QoS of no will", connect(0x0a, &[OWN]), &[]),
        ("3.1.2-14: a will at QoS 3", connect(0x1e, &will), &[]),
        ("3.1.2-15: no will, and it is to be retained", connect(0x22, &[OWN]), &[]),
        ("3.1.2-22: a password without a user name", connect(0x42, &[OWN, "p"]), &[]),
        ("3.1.3-1: a field that is not there", connect(0x82, &[OWN]), &[]),
        ("3.1.3-3: no client id at all", packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c"), &[]),
        (
            "3.1.3-4: a client id that is not UTF-8",
            packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\xff"),
            &[],
        ),
        ("3.1.3-8: a client id of no length, and a session to keep", connect(0x00, &[""]), &[0x20, 2, 0, 2]),
        ("3.1.3-9: a client id of no length", connect(0x02, &[""]), &[0x20, 2, 0, 2]),
        ("3.1.4-1: something behind the last field", connect(0x02, &[OWN, "x"]), &[]),
        ("2.2.2-2: flags of the fixed header", packet(0x11, &plain[2..]), &[]),
        ("2.2.3: a remaining length of five bytes", vec![0x10, 0x80, 0x80, 0x80, 0x80, 1], &[]),
    ];
    for (statement, bytes, answer) in cases {
        assert_eq!(said_to(&server, &lamppost, bytes), *answer, "{statement}");
    }
    // 3.2.2-2: there is no session, asked for or not; 3.1.3-10, 3.1.2-19: names and passwords are let be.
    for login in [in_order(), connect(0x00, &[OWN]), connect(0xc2, &[OWN, "user", "password"])] {
        let mut connection = lamppost.call(&server);
        connection.send(&login).unwrap();
        assert_eq!(connection.answer(0x20), Ok(Packet::Other(0x20, vec![0, 0])));
    }
}

#[test]
fn what_a_client_may_not_send_closes_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let (server, lamppost) = stage(&folder);
    let topic = text("lampposts/DF3637/up/hello");
    let publish = |first, id: &[u8]| packet(first, &[&topic[..], id].concat());
    let filter = |option| [&[0, 1][..], &text("lampposts/DF3637/down/#"), &[option]].concat();
    let cases: &[(&str, Vec<u8>)] = &[
        ("3.3.1-4: PUBLISH at QoS 3", publish(0x36, &[0, 1])),
        ("3.3.1-2: PUBLISH at QoS 0 with DUP", publish(0x38, &[])),
        ("2.3.1-1: PUBLISH with packet id 0", publish(0x32, &[0, 0])),
        ("3.3.2-2: PUBLISH on a wildcard", packet(0x32, &[&text("lampposts/#")[..], &[0, 1]].concat())),
        ("4.7.3-1: PUBLISH on a topic without a character", packet(0x32, &[0, 0, 0, 1])),
        ("1.5.3-1: PUBLISH on what is not UTF-8", packet(0x32, &[0, 2, 0xc3, 0x28, 0, 1])),
        ("1.5.3-2: PUBLISH on a topic with NUL", packet(0x32, &[&text("a\0b")[..], &[0, 1]].concat())),
        ("3.8.1-1: SUBSCRIBE without its flags", packet(0x80, &filter(1))),
        ("3.8.3-3: SUBSCRIBE without a filter", packet(0x82, &[0, 1])),
        ("3.8.3-4: SUBSCRIBE at QoS 3", packet(0x82, &filter(3))),
        ("3.8.3-4: SUBSCRIBE with reserved bits", packet(0x82, &filter(0x11))),
        ("4.7.3-1: SUBSCRIBE to a filter without a character", packet(0x82, &[0, 1, 0, 0, 1])),
        ("2.3.1-1: SUBSCRIBE with packet id 0", packet(0x82, &[&[0, 0][..], &filter(1)[2..]].concat())),
        ("3.10.1-1: UNSUBSCRIBE without its flags", packet(0xa0, &filter(1))),
        ("3.10.3-2: UNSUBSCRIBE without a filter", packet(0xa2, &[0, 1])),
        ("4.7.3-1: UNSUBSCRIBE from a filter without a character", packet(0xa2, &[0, 1, 0, 0])),
        ("3.14.1-1: DISCONNECT with flags", vec![0xe1, 0]),
        ("2.2.2-2: PINGREQ with flags", vec![0xc1, 0]),
        ("2.2.1: the reserved type 0", vec![0x00, 0]),
        ("2.2.1: the reserved type 15", vec![0xf0, 0]),
        ("4.8.0-1: a packet of servers", vec![0x20, 2, 0, 0]),
        ("an acknowledgement of nothing", vec![0x40, 2, 0, 1]),
    ];
    for (statement, bytes) in cases {
        assert_eq!(said_to(&server, &lamppost, &[in_order(), bytes.clone()].concat()), YES, "{statement}");
    }
}

#[test]
fn what_a_client_may_send_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (server, lamppost) = stage(&folder);
    let mut connection = logged_in(&server, &lamppost);
    let topic = text("lampposts/DF3637/up/hello");
    let publish = |first: u8, id: u8| packet(first, &[&topic[..], &[0, id], b"x"].concat());
    // 3.3.4-1, 3.4: each publish has its PUBACK, also one that comes again; 4.6.0-2: in their order.
    connection.send(&[publish(0x32, 1), publish(0x32, 2), publish(0x3a, 2)].concat()).unwrap();
    for id in [1, 2, 2] {
        assert_eq!(connection.packet(), Ok(Packet::Acknowledgement(id)));
    }
    // 3.8.4-5, 3.9.3-1: a code for each filter, in their order; QoS 2 becomes 1 (3.8.4-6).
    let own = text("lampposts/DF3637/down/#");
    let filters = [&[0, 9][..], &own, &[0], &text("#"), &[1], &own, &[2]].concat();
    connection.send(&packet(0x82, &filters)).unwrap();
    assert_eq!(connection.packet(), Ok(Packet::Other(0x90, vec![0, 9, 0, 0x80, 1])));
    // 3.10.4-4, 3.10.4-5: also for what was never asked for.
    connection.send(&packet(0xa2, &[&[0, 10][..], &text("never")].concat())).unwrap();
    assert_eq!(connection.packet(), Ok(Packet::Other(0xb0, vec![0, 10])));
    // 3.12.4-1
    connection.ping();
    // 3.14.4-1
    connection.send(&[0xe0, 0]).unwrap();
    connection.wait_until_closed();
}

#[test]
fn who_is_silent_for_one_and_a_half_times_its_keep_alive_is_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let (server, lamppost) = stage(&folder);
    // 3.1.2-24, with a keep-alive of 2 s.
    let mut connection = lamppost.call(&server);
    connection.send(&body(&in_order(), |body| body[9] = 2)).unwrap();
    assert_eq!(connection.answer(0x20), Ok(Packet::Other(0x20, vec![0, 0])));
    let began = monotonic();
    connection.wait_until_closed();
    let took = began.elapsed();
    assert!((Duration::from_millis(2_900)..Duration::from_secs(10)).contains(&took), "{took:?}");
    // 3.1.2-10 (not normative): 0 promises nothing.
    let mut connection = lamppost.call(&server);
    connection.send(&body(&in_order(), |body| body[9] = 0)).unwrap();
    assert_eq!(connection.answer(0x20), Ok(Packet::Other(0x20, vec![0, 0])));
    connection.wait_for_at_most(Duration::from_secs(4));
    assert_eq!(connection.packet(), Err(super::connection::End::Silent));
}

#[test]
fn a_newer_connection_of_the_same_client_id_ends_the_older() {
    let folder = tempfile::tempdir().unwrap();
    let (server, lamppost) = stage(&folder);
    // 3.1.4-2
    let mut older = logged_in(&server, &lamppost);
    let mut newer = logged_in(&server, &lamppost);
    older.wait_until_closed();
    newer.ping();
}

fn logged_in(server: &ServerProcess, lamppost: &Lamppost) -> Connection {
    let mut connection = lamppost.call(server);
    connection.send(&in_order()).unwrap();
    assert_eq!(connection.answer(0x20), Ok(Packet::Other(0x20, vec![0, 0])));
    connection
}
