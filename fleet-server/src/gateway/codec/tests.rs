use proptest::prelude::*;
use rumqttc::mqttbytes::v4::SubscribeFilter;

use super::*;

fn bytes_of(packet: &Packet) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    packet.write(&mut buffer, usize::MAX).unwrap();
    buffer.to_vec()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Incoming>, CodecError> {
    let mut buffer = BytesMut::from(bytes);
    let mut packets = Vec::new();
    while let Some(packet) = read(&mut buffer)? {
        let over = matches!(packet, Incoming::ConnectVersion5 | Incoming::ConnectOtherVersion);
        packets.push(packet);
        if over {
            break;
        }
    }
    Ok(packets)
}

fn connect(name: &[u8], level: u8) -> Vec<u8> {
    let mut body = vec![0, u8::try_from(name.len()).unwrap()];
    body.extend(name);
    body.extend([level, 2, 0, 30, 0, 1, b'A']);
    let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    packet
}

fn publish(payload: Vec<u8>) -> Packet {
    let mut publish = Publish::new("lampposts/A/up/samples", QoS::AtLeastOnce, payload);
    publish.pkid = 7;
    Packet::Publish(publish)
}

#[test]
fn versions_are_told_apart_before_anything_that_depends_on_them_is_read() {
    assert!(matches!(read_all(&connect(b"MQTT", 4)).unwrap()[..], [Incoming::Connect(_)]));
    assert_eq!(read_all(&connect(b"MQTT", 5)), Ok(vec![Incoming::ConnectVersion5]));
    assert_eq!(read_all(&connect(b"MQTT", 3)), Ok(vec![Incoming::ConnectOtherVersion]));
    assert_eq!(read_all(&connect(b"MQIsdp", 3)), Ok(vec![Incoming::ConnectOtherVersion]));
    assert_eq!(read_all(&connect(b"HTTP", 4)), Err(CodecError::Malformed));
    assert_eq!(read_all(&[0x10, 3, 0, 4, b'M']), Err(CodecError::Malformed));
}

#[test]
fn what_breaks_the_standard_is_malformed() {
    for (name, bytes) in [
        ("the reserved type 0", &[0x00, 0][..]),
        ("the reserved type 15", &[0xf0, 0]),
        ("QoS 3", &[0x36, 5, 0, 1, b'a', 0, 1]),
        ("PINGREQ with flags", &[0xc1, 0]),
        ("PINGREQ with a body", &[0xc0, 1, 0]),
        ("DISCONNECT with a body", &[0xe0, 1, 0]),
        ("SUBSCRIBE without its flags", &[0x80, 6, 0, 1, 0, 1, b'a', 1]),
        ("SUBSCRIBE without filters", &[0x82, 2, 0, 1]),
        ("SUBSCRIBE with packet id 0", &[0x82, 6, 0, 0, 0, 1, b'a', 1]),
        ("UNSUBSCRIBE without filters", &[0xa2, 2, 0, 1]),
        ("UNSUBSCRIBE whose filter ends past the packet", &[0xa2, 5, 0, 1, 0, 9, b'a']),
        ("UNSUBSCRIBE too short for an id", &[0xa2, 1, 0]),
        ("PUBACK with packet id 0", &[0x40, 2, 0, 0]),
        ("PUBACK with a tail", &[0x40, 3, 0, 1, 0]),
        ("PUBLISH with packet id 0", &[0x32, 5, 0, 1, b'a', 0, 0]),
        ("PUBLISH with packet id 0 and DUP", &[0x3a, 5, 0, 1, b'a', 0, 0]),
        ("PUBLISH at QoS 0 that comes again (MQTT-3.3.1-2)", &[0x38, 3, 0, 1, b'a']),
        ("PUBLISH on a topic with NUL (MQTT-1.5.3-2)", &[0x32, 7, 0, 3, b'a', 0, b'b', 0, 1]),
        ("PUBLISH on a topic without a character (MQTT-4.7.3-1)", &[0x32, 4, 0, 0, 0, 1]),
        ("PUBLISH on a filter (MQTT-3.3.2-2)", &[0x32, 6, 0, 2, b'a', b'#', 0, 1]),
        ("PUBLISH on half a surrogate pair (MQTT-1.5.3-1)", &[0x32, 7, 0, 3, 0xed, 0xa0, 0x80, 0, 1]),
        ("PUBLISH whose topic ends past the packet", &[0x32, 3, 0, 9, b'a']),
        ("SUBSCRIBE with reserved options (MQTT-3.8.3-4)", &[0x82, 6, 0, 1, 0, 1, b'a', 5]),
        ("SUBSCRIBE at QoS 3 (MQTT-3.8.3-4)", &[0x82, 6, 0, 1, 0, 1, b'a', 3]),
        ("SUBSCRIBE without a character (MQTT-4.7.3-1)", &[0x82, 9, 0, 1, 0, 1, b'a', 0, 0, 0, 0]),
        ("SUBSCRIBE with NUL", &[0x82, 6, 0, 1, 0, 1, 0, 1]),
        ("UNSUBSCRIBE without its flags (MQTT-3.10.1-1)", &[0xa0, 5, 0, 1, 0, 1, b'a']),
        ("UNSUBSCRIBE without a character (MQTT-4.7.3-1)", &[0xa2, 7, 0, 1, 0, 0, 0, 1, b'a']),
        ("UNSUBSCRIBE with NUL", &[0xa2, 5, 0, 1, 0, 1, 0]),
        ("CONNECT with flags in its header (MQTT-2.2.2-2)", &[0x11, 0]),
        ("PUBLISH whose topic is not UTF-8", &[0x32, 5, 0, 1, 0xff, 0, 1]),
        ("a length of five bytes", &[0x30, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        assert_eq!(read_all(bytes), Err(CodecError::Malformed), "{name}");
    }
}

#[test]
fn a_connect_that_breaks_the_standard_is_malformed() {
    let with = |flags: u8, rest: &[u8]| {
        let mut body = b"\x00\x04MQTT\x04\x00\x00\x1e\x00\x01A".to_vec();
        body[7] = flags;
        body.extend(rest);
        let mut packet = vec![0x10, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        read_all(&packet)
    };
    let (will, user, password) = (&b"\x00\x01w\x00\x01m"[..], &b"\x00\x01u"[..], &b"\x00\x01p"[..]);
    for (name, flags, rest) in [
        ("as it should be", 0x02, &[][..]),
        ("a will", 0x06, will),
        ("a will, a user name and a password", 0xee, &[will, user, password].concat()),
        ("a user name without a password", 0x82, user),
    ] {
        assert!(matches!(with(flags, rest).as_deref(), Ok([Incoming::Connect(_)])), "{name}");
    }
    for (name, flags, rest) in [
        ("the reserved flag (MQTT-3.1.2-3)", 0x03, &[][..]),
        ("the will's QoS without a will (MQTT-3.1.2-13)", 0x0a, &[]),
        ("a will that is retained, and none (MQTT-3.1.2-15)", 0x22, &[]),
        ("the will's QoS is 3 (MQTT-3.1.2-14)", 0x1e, will),
        ("a password without a user name (MQTT-3.1.2-22)", 0x42, password),
        ("a user name that is not there (MQTT-3.1.2-19)", 0x82, &[]),
        ("something behind the last field", 0x02, user),
        ("a will on a topic without a character (MQTT-4.7.3-1)", 0x06, b"\x00\x00\x00\x01m"),
        ("a will on a topic with NUL", 0x06, b"\x00\x01\x00\x00\x01m"),
        ("a user name with NUL", 0x82, b"\x00\x01\x00"),
    ] {
        assert_eq!(with(flags, rest), Err(CodecError::Malformed), "{name}");
    }
    let null_in_id = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x1e\x00\x01\x00";
    assert_eq!(read_all(null_in_id), Err(CodecError::Malformed), "a client id with NUL");
}

#[test]
fn the_limit_is_judged_by_the_length_alone() {
    let mut header = BytesMut::from(&[0x32][..]);
    let mut length = limits::MAX_PACKET_BYTES + 1;
    while length > 0 {
        let more = if length > 127 { 0x80 } else { 0 };
        header.put_u8(u8::try_from(length % 128).unwrap() | more);
        length /= 128;
    }
    assert_eq!(read(&mut header), Err(CodecError::TooLong));
    let largest = bytes_of(&publish(vec![0; limits::MAX_PAYLOAD_BYTES]));
    assert!(matches!(read_all(&largest).unwrap()[..], [Incoming::Publish(_)]));
}

#[test]
fn a_payload_does_not_keep_the_read_buffer_alive() {
    let mut buffer = BytesMut::with_capacity(4096);
    buffer.extend_from_slice(&bytes_of(&publish(vec![1, 2, 3])));
    let base = buffer.as_ptr();
    let Ok(Some(Incoming::Publish(publish))) = read(&mut buffer) else { panic!("it is a publish") };
    buffer.reserve(4096);
    assert_eq!(buffer.as_ptr(), base, "the buffer is used again because nothing points into it");
    assert_eq!(publish.payload[..], [1, 2, 3]);
}

#[test]
fn answers_have_the_bytes_of_the_standards() {
    let bytes = |packet: &Outgoing| {
        let mut buffer = BytesMut::new();
        write(packet, &mut buffer);
        buffer.to_vec()
    };
    assert_eq!(bytes(&Outgoing::ConnAck(ConnectReturnCode::Success)), [0x20, 2, 0, 0]);
    assert_eq!(bytes(&Outgoing::ConnAck(ConnectReturnCode::NotAuthorized)), [0x20, 2, 0, 5]);
    assert_eq!(bytes(&Outgoing::ConnAckVersion5), [0x20, 3, 0, 0x84, 0]);
    assert_eq!(bytes(&Outgoing::PubAck(0x0102)), [0x40, 2, 1, 2]);
    let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce), SubscribeReasonCode::Failure];
    assert_eq!(bytes(&Outgoing::SubAck(3, codes)), [0x90, 4, 0, 3, 1, 0x80]);
    assert_eq!(bytes(&Outgoing::UnsubAck(3)), [0xb0, 2, 0, 3]);
    assert_eq!(bytes(&Outgoing::PingResp), [0xd0, 0]);
    for (packet_id, first) in [(0, 0x30), (9, 0x32)] {
        let publish = Outgoing::Publish {
            lamppost: LamppostNumber::new("A").unwrap(),
            leaf: Leaf::Position,
            packet_id,
            payload: Bytes::from_static(b"p"),
        };
        let bytes = bytes(&publish);
        assert_eq!(bytes[0], first);
        assert_eq!(bytes[4..29], b"lampposts/A/down/position"[..]);
    }
}

fn some_packet() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        payload.prop_map(|payload| bytes_of(&publish(payload))),
        Just(bytes_of(&Packet::Connect(Connect::new("A")))),
        prop::collection::vec("[a-z/#+]{1,9}", 1..4).prop_map(|paths| {
            let filters = paths.into_iter().map(|path| SubscribeFilter::new(path, QoS::AtLeastOnce));
            let mut subscribe = Subscribe::new_many(filters);
            subscribe.pkid = 5;
            bytes_of(&Packet::Subscribe(subscribe))
        }),
        "[a-z/]{1,9}".prop_map(|path| {
            let mut unsubscribe = Unsubscribe::new(path);
            unsubscribe.pkid = 6;
            bytes_of(&Packet::Unsubscribe(unsubscribe))
        }),
        Just(bytes_of(&Packet::PingReq)),
        Just(bytes_of(&Packet::Disconnect)),
        (1u16..).prop_map(|pkid| bytes_of(&Packet::PubAck(PubAck::new(pkid)))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes).ok();
    }

    #[test]
    fn random_bodies_of_every_type_never_panic(first in any::<u8>(), body in prop::collection::vec(0u8..8, 0..100)) {
        let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        read_all(&packet).ok();
    }

    #[test]
    fn mutated_packets_never_panic(
        packets in prop::collection::vec(some_packet(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = packets.concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(&bytes).ok();
    }

    #[test]
    fn packets_come_out_the_same_however_the_bytes_are_cut(
        packets in prop::collection::vec(some_packet(), 1..4),
        cuts in prop::collection::vec(1usize..50, 0..20),
    ) {
        let bytes = packets.concat();
        let whole = read_all(&bytes).unwrap();
        let (mut rest, mut cuts) = (&bytes[..], cuts.into_iter());
        let (mut buffer, mut read_so_far) = (BytesMut::new(), Vec::new());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            while let Some(packet) = read(&mut buffer).unwrap() {
                read_so_far.push(packet);
            }
        }
        prop_assert_eq!(read_so_far, whole);
    }
}
