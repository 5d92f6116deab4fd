//! An observation as departments get it: encoded once, sent to many.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use lamplighter_protocol::{
    ChannelName, DeviceName, LamppostNumber, Privacy, PropertyName, Reason, SeriesName, UtcMillis,
};
use serde::Serialize;

use super::Topic;
use crate::web::Timestamp;

/// A message, ready but for what differs from one subscriber to the next: flags and packet id.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The place of its series among those that feeds know.
    pub(super) series: usize,
    pub(super) topic: Arc<Topic>,
    pub(super) privacy: Privacy,
    /// Of the observation.
    pub(super) time: UtcMillis,
    /// A PUBLISH packet from its topic on, without the packet id (3.3.2).
    body: Bytes,
}

/// Flags of a PUBLISH (3.3.1).
const PUBLISH: u8 = 0x30;
const AT_LEAST_ONCE: u8 = 0x02;
const RETAIN: u8 = 0x01;

/// What an observation is told with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) lamppost: &'a LamppostNumber,
    pub(super) name: &'a SeriesName,
    pub(super) unit: &'a str,
    pub(super) time: UtcMillis,
    pub(super) value: Option<f64>,
    pub(super) reason: Reason,
    /// None: it was received before anybody listened; the store remembers the value alone.
    pub(super) received: Option<UtcMillis>,
}

/// In the words of the API.
#[derive(Serialize)]
struct Document<'a> {
    lamppost: &'a LamppostNumber,
    device: &'a DeviceName,
    property: &'a PropertyName,
    channel: Option<&'a ChannelName>,
    time: Timestamp,
    value: Option<f64>,
    unit: &'a str,
    quality: &'static str,
    reason: String,
    received: Option<Timestamp>,
}

impl Message {
    pub(super) fn new(series: usize, topic: Arc<Topic>, privacy: Privacy, told: &Told<'_>) -> Self {
        let Told { lamppost, name, unit, time, value, reason, received } = *told;
        let document = Document {
            lamppost,
            device: &name.device,
            property: &name.property,
            channel: name.channel.as_ref(),
            time: Timestamp(time),
            value,
            unit,
            quality: reason.quality().as_str(),
            reason: reason.name(),
            received: received.map(Timestamp),
        };
        let json = serde_json::to_vec(&document).expect("what is sent has only text keys");
        let body = body_of(topic.as_str(), &json);
        Self { series, topic, privacy, time, body }
    }

    /// The same message on another topic.
    pub(super) fn moved(&self, topic: Arc<Topic>) -> Self {
        let payload = self.body.get(2 + self.topic.as_str().len()..).unwrap_or_default();
        let body = body_of(topic.as_str(), payload);
        Self { series: self.series, topic, privacy: self.privacy, time: self.time, body }
    }

    /// Appends the packet; one with a packet id goes at `QoS` 1.
    pub(super) fn write(&self, packet_id: Option<u16>, kind: Kind, out: &mut BytesMut) {
        write(&self.body, packet_id, kind, out);
    }
}

/// Whether a message is told because it is new, or because somebody has just subscribed (3.3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Live,
    Retained,
}

/// Appends a PUBLISH of whatever.
pub(super) fn write_text(topic: &str, payload: &[u8], out: &mut BytesMut) {
    write(&body_of(topic, payload), None, Kind::Live, out);
}

fn body_of(topic: &str, payload: &[u8]) -> Bytes {
    let length = u16::try_from(topic.len()).expect("topics of feeds are some hundred bytes");
    let mut body = BytesMut::with_capacity(2 + topic.len() + payload.len());
    body.put_u16(length);
    body.put_slice(topic.as_bytes());
    body.put_slice(payload);
    body.freeze()
}

fn write(body: &[u8], packet_id: Option<u16>, kind: Kind, out: &mut BytesMut) {
    let retain = if kind == Kind::Retained { RETAIN } else { 0 };
    let qos = if packet_id.is_some() { AT_LEAST_ONCE } else { 0 };
    let id_bytes = if packet_id.is_some() { 2 } else { 0 };
    out.reserve(1 + 4 + id_bytes + body.len());
    out.put_u8(PUBLISH | qos | retain);
    let mut length = body.len() + id_bytes;
    // 2.2.3: seven bits a byte, the least first.
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        if length == 0 {
            out.put_u8(low);
            break;
        }
        out.put_u8(low | 0x80);
    }
    let topic = usize::from(u16::from_be_bytes([
        body.first().copied().unwrap_or_default(),
        body.get(1).copied().unwrap_or_default(),
    ]));
    let (topic, payload) = body.split_at((2 + topic).min(body.len()));
    out.put_slice(topic);
    if let Some(packet_id) = packet_id {
        out.put_u16(packet_id);
    }
    out.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::Theme;
    use rumqttc::mqttbytes::QoS;
    use rumqttc::mqttbytes::v4::Packet;

    use super::super::topic::tests::series;
    use super::*;

    fn message(received: Option<UtcMillis>) -> Message {
        let (lamppost, name) = ("DF3637".parse().unwrap(), series("weather-1/air_temperature"));
        let topic = Topic::new(Theme::Weather, Some("Kwun Tong"), &lamppost, &name);
        let told = Told {
            lamppost: &lamppost,
            name: &name,
            unit: "Cel",
            time: UtcMillis(1_782_892_800_250),
            value: Some(27.31),
            reason: Reason::GOOD,
            received,
        };
        Message::new(7, Arc::new(topic), Privacy::Public, &told)
    }

    #[test]
    fn a_message_is_a_packet_that_others_read() {
        for (packet_id, kind) in [
            (None, Kind::Live),
            (Some(1), Kind::Live),
            (None, Kind::Retained),
            (Some(0x1234), Kind::Retained),
        ] {
            let mut out = BytesMut::new();
            message(None).write(packet_id, kind, &mut out);
            let Ok(Packet::Publish(publish)) = Packet::read(&mut out, 1024) else { panic!("no publish") };
            assert_eq!(publish.topic, "highway/weather/Kwun Tong/DF3637/air_temperature");
            let qos = if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            assert_eq!((publish.qos, publish.retain), (qos, kind == Kind::Retained));
            assert_eq!(publish.pkid, packet_id.unwrap_or(0));
            assert!(out.is_empty());
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&publish.payload).unwrap(),
                serde_json::json!({
                    "lamppost": "DF3637", "device": "weather-1", "property": "air_temperature", "channel": null,
                    "time": "2026-07-01T08:00:00.250Z", "value": 27.31, "unit": "Cel", "quality": "good",
                    "reason": "good", "received": null,
                })
            );
        }
    }

    #[test]
    fn a_message_moves_to_another_topic_and_says_the_same() {
        let before = message(Some(UtcMillis(1_782_892_800_500)));
        let lamppost = "DF3637".parse().unwrap();
        let topic = Topic::new(Theme::Weather, None, &lamppost, &series("weather-1/air_temperature"));
        let mut out = BytesMut::new();
        before.moved(Arc::new(topic)).write(None, Kind::Live, &mut out);
        let Ok(Packet::Publish(publish)) = Packet::read(&mut out, 1024) else { panic!("no publish") };
        assert_eq!(publish.topic, "highway/weather/-/DF3637/air_temperature");
        assert!(publish.payload.ends_with(br#""received":"2026-07-01T08:00:00.500Z"}"#));
    }
}
