//! One connection of a lamppost: TLS 1.3, and MQTT 3.1.1 by `rumqttc`'s codec, one message in each write. No client library:
//! the machine is shared with the server, and a library's tasks and queues would cost more than what is measured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use lamplighter_protocol::{Leaf, Nonce, Topic, limits};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error, QoS};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::caller::call;
use super::lamppost::{Lamppost, Readings};
use super::schedule::Due;

/// What a client promises to say something within: longer than any measurement has it idle.
pub(super) const KEEP_ALIVE_S: u16 = 1200;

/// Room that a read is given.
const READ_BYTES: usize = 1024;

/// A lamppost's connection, logged in.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Publishes without a PUBACK, oldest first.
    in_flight: VecDeque<Sent>,
    packet_id: u16,
    nonce: Nonce,
    /// Hellos and frames sent.
    count: u64,
}

/// A publish that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    packet_id: u16,
    /// When it was to be sent.
    pub(super) due: Instant,
}

impl Connection {
    /// Connects, logs in and subscribes.
    pub(super) async fn open(lamppost: &mut Lamppost, gateway: SocketAddr) -> anyhow::Result<Self> {
        let tcp = call(lamppost.caller(), gateway).await?;
        let name = ServerName::from(gateway.ip());
        let stream = TlsConnector::from(Arc::clone(&lamppost.tls)).connect(name, tcp).await.context("TLS")?;
        let mut connection = Self {
            stream,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            in_flight: VecDeque::new(),
            packet_id: 0,
            nonce: lamppost.connects(),
            count: 0,
        };
        let mut connect = Connect::new(lamppost.number.as_str());
        connect.keep_alive = KEEP_ALIVE_S;
        let answer = connection.ask(Packet::Connect(connect)).await?;
        let expected = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
        ensure!(answer == expected, "the login is answered by {answer:?}");
        let mut subscribe = Subscribe::new(Topic::down_filter(&lamppost.number), QoS::AtLeastOnce);
        subscribe.pkid = 1;
        let answer = connection.ask(Packet::Subscribe(subscribe)).await?;
        let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        let expected = Packet::SubAck(SubAck::new(1, vec![granted]));
        ensure!(answer == expected, "the subscription is answered by {answer:?}");
        Ok(connection)
    }

    /// Whether TLS took up an earlier session.
    pub(super) fn is_resumed(&self) -> bool {
        self.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// How many publishes are not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Says hello and what frames are written in, and waits until both are acknowledged.
    pub(super) async fn introduce(&mut self, lamppost: &Lamppost, readings: &Readings) -> anyhow::Result<()> {
        self.count += 1;
        let hello = lamppost.hello(self.nonce, self.count);
        let now = Instant::now();
        let topic = |leaf| Topic::new(lamppost.number.clone(), leaf).to_string();
        self.publish(topic(Leaf::Hello), hello.into(), now).await?;
        self.publish(topic(Leaf::Description), readings.description.clone(), now).await?;
        self.drain(|_| ()).await
    }

    /// Sends the lamppost's next tick, which is read when it is due.
    pub(super) async fn tick(
        &mut self,
        lamppost: &mut Lamppost,
        readings: &Readings,
        due: Due,
    ) -> anyhow::Result<()> {
        self.count += 1;
        let frame = lamppost.tick(due.wall, readings, self.nonce, self.count);
        self.publish(lamppost.samples_topic().to_owned(), frame.into(), due.at).await
    }

    /// Waits until all is acknowledged.
    pub(super) async fn drain(&mut self, mut acknowledged: impl FnMut(Sent)) -> anyhow::Result<()> {
        while !self.in_flight.is_empty() {
            self.read().await?;
            self.take(&mut acknowledged).await?;
        }
        Ok(())
    }

    /// Reads what has come. May be cut off at any time.
    pub(super) async fn read(&mut self) -> anyhow::Result<()> {
        self.incoming.reserve(READ_BYTES);
        ensure!(self.stream.read_buf(&mut self.incoming).await? > 0, "the server closed the connection");
        Ok(())
    }

    /// Takes in what was read: acknowledgements, which have to come in the order of the publishes, and what the server says,
    /// which is acknowledged.
    pub(super) async fn take(&mut self, acknowledged: &mut impl FnMut(Sent)) -> anyhow::Result<()> {
        while let Some(packet) = self.packet()? {
            if let Packet::PubAck(PubAck { pkid: found }) = packet {
                let oldest = self.in_flight.pop_front().context("an acknowledgement of nothing")?;
                let expected = oldest.packet_id;
                ensure!(expected == found, "{found} is acknowledged, and {expected} was to be");
                acknowledged(oldest);
            } else if let Packet::Publish(publish) = packet {
                PubAck::new(publish.pkid).write(&mut self.outgoing)?;
            } else {
                bail!("the server says {packet:?}");
            }
        }
        if self.outgoing.is_empty() { Ok(()) } else { self.flush().await }
    }

    /// Publishes messages, topic and payload, in one write: at `QoS` 0, and to be retained.
    pub(super) async fn publish_retained(
        &mut self,
        messages: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<()> {
        for (topic, payload) in messages {
            let mut publish = Publish::new(topic, QoS::AtMostOnce, payload);
            publish.retain = true;
            publish.write(&mut self.outgoing)?;
        }
        self.flush().await
    }

    /// So many publishes of the lamppost's next ticks, each as bytes, and the stream that takes them: for who does not keep to
    /// the rules of acknowledgements.
    pub(super) fn into_parts(
        mut self,
        lamppost: &mut Lamppost,
        readings: &Readings,
        ticks: usize,
        due: Due,
    ) -> anyhow::Result<(TlsStream<TcpStream>, Vec<Bytes>)> {
        let mut publishes = Vec::with_capacity(ticks);
        for _ in 0..ticks {
            self.count += 1;
            let frame = lamppost.tick(due.wall, readings, self.nonce, self.count);
            self.put(lamppost.samples_topic().to_owned(), frame.into(), due.at)?;
            publishes.push(self.outgoing.split().freeze());
        }
        Ok((self.stream, publishes))
    }

    async fn publish(&mut self, topic: String, payload: Bytes, due: Instant) -> anyhow::Result<()> {
        self.put(topic, payload, due)?;
        self.flush().await
    }

    fn put(&mut self, topic: String, payload: Bytes, due: Instant) -> anyhow::Result<()> {
        ensure!(self.in_flight.len() < usize::from(u16::MAX) - 1, "all packet ids are in flight");
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        let mut publish = Publish::from_bytes(topic, QoS::AtLeastOnce, payload);
        publish.pkid = self.packet_id;
        publish.write(&mut self.outgoing)?;
        self.in_flight.push_back(Sent { packet_id: self.packet_id, due });
        Ok(())
    }

    async fn ask(&mut self, packet: Packet) -> anyhow::Result<Packet> {
        packet.write(&mut self.outgoing, limits::MAX_PACKET_BYTES)?;
        self.flush().await?;
        loop {
            self.read().await?;
            if let Some(packet) = self.packet()? {
                return Ok(packet);
            }
        }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.outgoing).await?;
        self.stream.flush().await?;
        self.outgoing.clear();
        Ok(())
    }

    fn packet(&mut self) -> anyhow::Result<Option<Packet>> {
        match Packet::read(&mut self.incoming, limits::MAX_PACKET_BYTES) {
            Ok(packet) => Ok(Some(packet)),
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => bail!("the server sent what is no packet: {error}"),
        }
    }
}
