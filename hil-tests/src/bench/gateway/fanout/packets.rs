//! MQTT packets as a subscriber at `QoS` 0 gets them, taken apart without a copy: a hundred thousand come in each second, on a
//! machine that is shared with who sends them.

/// What a subscriber is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// A message.
    Publish { topic: &'a [u8], payload: &'a [u8] },
    /// The answer to its subscription: the code of its only filter.
    Subscribed(u8),
}

/// What no subscriber of one filter at `QoS` 0 is told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packet that begins with {0:#04x} is not what a subscriber at QoS 0 is told")]
pub(super) struct Unexpected(u8);

const SUBACK: u8 = 0x90;
const PUBLISH: u8 = 0x30;
/// The flags of a PUBLISH without that of a retained message; at `QoS` 0 none of them is set (3.3.1).
const FLAGS: u8 = 0x0e;

/// The first packet, and all bytes after it; none if it is not whole.
pub(super) fn first(bytes: &[u8]) -> Result<Option<(Packet<'_>, &[u8])>, Unexpected> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, rest)) = remaining_length(kind, rest)? else { return Ok(None) };
    let Some((body, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let packet = match kind & 0xf0 {
        PUBLISH if kind & FLAGS == 0 => {
            let Some((&[high, low], body)) = body.split_first_chunk() else { return Err(Unexpected(kind)) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some((topic, payload)) = body.split_at_checked(length) else { return Err(Unexpected(kind)) };
            Packet::Publish { topic, payload }
        }
        SUBACK => match body {
            [_, _, code] => Packet::Subscribed(*code),
            _ => return Err(Unexpected(kind)),
        },
        _ => return Err(Unexpected(kind)),
    };
    Ok(Some((packet, rest)))
}

/// The remaining length (2.2.3), and what follows it; none if it is not whole.
fn remaining_length(kind: u8, bytes: &[u8]) -> Result<Option<(usize, &[u8])>, Unexpected> {
    let mut length = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(bytes.get(place + 1..).map(|rest| (length, rest)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Unexpected(kind)) }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rumqttc::mqttbytes::QoS;
    use rumqttc::mqttbytes::v4::{PubAck, Publish, SubAck, SubscribeReasonCode};

    use super::*;

    fn publish(payload: usize, retain: bool) -> BytesMut {
        let mut bytes = BytesMut::new();
        let mut publish = Publish::new("highway/noise", QoS::AtMostOnce, vec![b'x'; payload]);
        publish.retain = retain;
        publish.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_another_codec_writes_is_read_wherever_it_is_cut() {
        let sizes =
            [(0, false), (100, true), (112, false), (113, true), (300, false), (20_000, false), (1, true)];
        let packets = sizes.map(|(size, retain)| publish(size, retain));
        let stream = packets.concat();
        for cut in 0..=stream.len() {
            let (mut rest, mut whole, mut at) = (&stream[..cut], 0, 0);
            while let Some((packet, after)) = first(rest).unwrap() {
                let payload = vec![b'x'; sizes[whole].0];
                assert_eq!(packet, Packet::Publish { topic: b"highway/noise", payload: &payload });
                (rest, at, whole) = (after, at + packets[whole].len(), whole + 1);
            }
            assert!(at + rest.len() == cut && packets.get(whole).is_none_or(|next| at + next.len() > cut));
        }
    }

    #[test]
    fn a_subscription_is_answered_and_all_else_is_unexpected() {
        let mut bytes = BytesMut::new();
        SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtMostOnce)]).write(&mut bytes).unwrap();
        assert_eq!(first(&bytes), Ok(Some((Packet::Subscribed(0), &[][..]))));
        bytes.clear();
        PubAck::new(1).write(&mut bytes).unwrap();
        assert_eq!(first(&bytes), Err(Unexpected(0x40)));
        bytes.clear();
        let mut publish = Publish::new("highway/noise", QoS::AtLeastOnce, "x");
        publish.pkid = 1;
        publish.write(&mut bytes).unwrap();
        assert_eq!(first(&bytes), Err(Unexpected(0x32)));
        assert_eq!(first(&[PUBLISH, 0xff, 0xff, 0xff, 0xff, 0x01]), Err(Unexpected(PUBLISH)));
        assert_eq!(first(&[PUBLISH, 3, 0, 9, b'x']), Err(Unexpected(PUBLISH)));
    }
}
