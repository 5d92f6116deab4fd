//! Packets from bytes and back: MQTT 3.1.1 by `rumqttc`'s codec, with the checks that it leaves out.
//!
//! Added here, by clause of the standard: flags of the fixed header (2.2.2), packet ids of zero (2.3.1), the protocol's
//! name and level before anything that depends on them (3.1.2), bodies of packets that have none, UNSUBSCRIBE without
//! a filter (3.10.3); and what `strict` names. Stricter than the standard: a password has to be UTF-8, for the library reads
//! it as a text.

mod strict;

use bytes::{BufMut as _, Bytes, BytesMut};
use lamplighter_protocol::{LamppostNumber, Leaf, Topic, limits};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
    UnsubAck, Unsubscribe,
};
use rumqttc::mqttbytes::{self, QoS};

/// A whole packet from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A CONNECT of MQTT 3.1.1.
    Connect(Connect),
    /// A CONNECT of MQTT 5.
    ConnectVersion5,
    /// A CONNECT of MQTT 3.1, or of no version that there is.
    ConnectOtherVersion,
    /// A message.
    Publish(Publish),
    /// The message of this packet id has arrived.
    PubAck(u16),
    /// The client wants to listen.
    Subscribe(Subscribe),
    /// The client listens no more.
    Unsubscribe(Unsubscribe),
    /// The client is there, and asks whether we are.
    PingReq,
    /// The client says goodbye.
    Disconnect,
    /// What only a server sends, or only who uses `QoS` 2.
    Foreign,
}

/// A packet to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// The answer to a CONNECT.
    ConnAck(ConnectReturnCode),
    /// MQTT 5's own way to say that its version is not spoken here.
    ConnAckVersion5,
    /// The message of this packet id is on disk.
    PubAck(u16),
    /// The answer to the SUBSCRIBE of this packet id, a code for each of its filters.
    SubAck(u16, Vec<SubscribeReasonCode>),
    /// The answer to the UNSUBSCRIBE of this packet id.
    UnsubAck(u16),
    /// The answer to a ping.
    PingResp,
    /// A message. The packet id is 0 if and only if it goes at `QoS` 0.
    Publish {
        /// To whom.
        lamppost: LamppostNumber,
        /// To which of its topics.
        leaf: Leaf,
        /// What its PUBACK names.
        packet_id: u16,
        /// The bytes.
        payload: Bytes,
    },
}

/// Bytes that are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A packet longer than one may be; none of it but its length has been looked at.
    #[error("a packet is longer than {} bytes", limits::MAX_PACKET_BYTES)]
    TooLong,
    /// Bytes that are no packet, or one that the standard forbids.
    #[error("a packet breaks the rules of MQTT 3.1.1")]
    Malformed,
}

/// Takes the next whole packet out of `buffer`. None: more bytes are needed, and `buffer` has the room for them.
///
/// # Errors
/// [`CodecError`]: then nothing that follows can be read either.
pub fn read(buffer: &mut BytesMut) -> Result<Option<Incoming>, CodecError> {
    let Some(first) = buffer.first().copied() else { return Ok(None) };
    if !flags_allowed(first) {
        return Err(CodecError::Malformed);
    }
    let frame = match mqttbytes::check(buffer.iter(), limits::MAX_PACKET_BYTES) {
        Ok(header) => header.frame_length(),
        Err(mqttbytes::Error::InsufficientBytes(missing)) => {
            buffer.reserve(missing);
            return Ok(None);
        }
        Err(mqttbytes::Error::PayloadSizeLimitExceeded(_)) => return Err(CodecError::TooLong),
        Err(_) => return Err(CodecError::Malformed),
    };
    let body = buffer.get(..frame).and_then(after_remaining_length).ok_or(CodecError::Malformed)?;
    if first >> 4 == CONNECT {
        match body {
            [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => {}
            [0, 4, b'M', b'Q', b'T', b'T', 5, ..] => return Ok(Some(Incoming::ConnectVersion5)),
            [0, 4, b'M', b'Q', b'T', b'T', _, ..] | [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', _, ..] => {
                return Ok(Some(Incoming::ConnectOtherVersion));
            }
            _ => return Err(CodecError::Malformed),
        }
    }
    if strict::breaks_a_rule(first, body) {
        return Err(CodecError::Malformed);
    }
    let packet = Packet::read(buffer, limits::MAX_PACKET_BYTES).map_err(|_| CodecError::Malformed)?;
    incoming(packet, frame).map(Some)
}

/// Appends the packet's bytes to `buffer`.
///
/// # Panics
/// When a payload is longer than MQTT allows, 256 MiB: whoever queues one checks it against our own limit.
pub(crate) fn write(packet: &Outgoing, buffer: &mut BytesMut) {
    let written = match packet {
        Outgoing::ConnAck(code) => ConnAck::new(*code, false).write(buffer),
        Outgoing::ConnAckVersion5 => {
            // MQTT 5, 3.2: no session, reason 0x84 "unsupported protocol version", no properties.
            buffer.put_slice(&[0x20, 3, 0, 0x84, 0]);
            return;
        }
        Outgoing::PubAck(packet_id) => PubAck::new(*packet_id).write(buffer),
        Outgoing::SubAck(packet_id, codes) => SubAck::new(*packet_id, codes.clone()).write(buffer),
        Outgoing::UnsubAck(packet_id) => UnsubAck::new(*packet_id).write(buffer),
        Outgoing::PingResp => {
            buffer.put_slice(&[0xd0, 0]);
            return;
        }
        Outgoing::Publish { lamppost, leaf, packet_id, payload } => {
            let topic = Topic::new(lamppost.clone(), *leaf).to_string();
            let qos = if *packet_id == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            let mut publish = Publish::from_bytes(topic, qos, payload.clone());
            publish.pkid = *packet_id;
            publish.write(buffer)
        }
    };
    written.expect("a packet of ours has an id where it needs one, and a payload within our own limit");
}

const CONNECT: u8 = 1;

/// Table 2.2: reserved flags have their one allowed value. Types 0 and 15 are reserved.
fn flags_allowed(first: u8) -> bool {
    match (first >> 4, first & 0x0f) {
        (3, flags) => flags & 0b0110 != 0b0110,
        (6 | 8 | 10, flags) => flags == 0b0010,
        (1 | 2 | 4 | 5 | 7 | 9 | 11..=14, flags) => flags == 0,
        _ => false,
    }
}

fn after_remaining_length(frame: &[u8]) -> Option<&[u8]> {
    let length = frame.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    frame.get(1 + length..)
}

fn incoming(packet: Packet, frame: usize) -> Result<Incoming, CodecError> {
    let sized = |packet: Incoming, size: usize| {
        if frame == size { Ok(packet) } else { Err(CodecError::Malformed) }
    };
    match packet {
        Packet::Connect(connect) => Ok(Incoming::Connect(connect)),
        Packet::Publish(mut publish) => {
            // A payload of its own: a slice would keep the whole read buffer alive until it is stored.
            publish.payload = Bytes::copy_from_slice(&publish.payload);
            Ok(Incoming::Publish(publish))
        }
        Packet::PubAck(PubAck { pkid }) if pkid != 0 => sized(Incoming::PubAck(pkid), 4),
        Packet::Subscribe(subscribe) if subscribe.pkid != 0 => Ok(Incoming::Subscribe(subscribe)),
        Packet::Unsubscribe(unsubscribe) if unsubscribe.pkid != 0 && !unsubscribe.topics.is_empty() => {
            Ok(Incoming::Unsubscribe(unsubscribe))
        }
        Packet::PubAck(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) => Err(CodecError::Malformed),
        Packet::PingReq => sized(Incoming::PingReq, 2),
        Packet::Disconnect => sized(Incoming::Disconnect, 2),
        Packet::ConnAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::SubAck(_)
        | Packet::UnsubAck(_)
        | Packet::PingResp => Ok(Incoming::Foreign),
    }
}

#[cfg(test)]
mod tests;
