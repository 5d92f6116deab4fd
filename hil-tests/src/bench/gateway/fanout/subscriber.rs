//! A department's client: it logs in, subscribes, and counts what it is told.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use lamplighter_protocol::limits;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet as Said, Subscribe};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::departments::{FILTER, Login};
use super::heard::Heard;
use super::packets::{self, Packet};
use crate::bench::feed::Told;
use crate::bench::gateway::caller::call;
use crate::bench::gateway::connection::KEEP_ALIVE_S;
use crate::bench::gateway::schedule::Due;
use crate::city::timestamp;

/// Room for what is read: two records of TLS.
const READ_BYTES: usize = 32 * 1024;

/// Where the server tells what a subscriber has missed.
const MISSED: &[u8] = b"highway/missed";

/// One of the series of a tick. Its age is noted, the others are as old.
const FOLLOWED: &[u8] = b"/noise_level";

/// Callers up to this one are lampposts.
const FIRST_CALLER: u64 = 1 << 20;

/// Who listens, and where.
pub(super) struct Subscriber {
    pub(super) number: u64,
    pub(super) login: Login,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) server: std::net::SocketAddr,
}

#[derive(Deserialize)]
struct Missed {
    missed: u64,
    exact: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    time: &'a str,
}

impl Subscriber {
    /// Listens until it is told to stop. Gives the ages of what it was told while ages were noted.
    pub(super) async fn listen(self, heard: Arc<Heard>) -> anyhow::Result<Vec<Told>> {
        let listened = async {
            let stream = {
                let _place = heard.opening.acquire().await?;
                self.subscribe().await?
            };
            hear(stream, &heard).await
        };
        let listened = listened.await;
        if listened.is_err() {
            heard.failed.store(true, Ordering::Relaxed);
        }
        listened.with_context(|| format!("subscriber {} of {}", self.number, self.login.name))
    }

    /// Logs in, and asks for everything.
    async fn subscribe(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let tcp = call(FIRST_CALLER + self.number, self.server).await?;
        let name = ServerName::from(self.server.ip());
        let mut stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.context("TLS")?;
        let mut connect = Connect::new(format!("desk-{}", self.number));
        connect.keep_alive = KEEP_ALIVE_S;
        connect.set_login(&self.login.name, &self.login.key);
        let mut packet = BytesMut::new();
        connect.write(&mut packet)?;
        stream.write_all(&packet).await?;
        stream.flush().await?;
        let mut answer = BytesMut::zeroed(4);
        stream.read_exact(&mut answer).await.context("the login is not answered")?;
        let answer = Said::read(&mut answer, limits::MAX_PACKET_BYTES)?;
        let expected = Said::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
        ensure!(answer == expected, "the login is answered by {answer:?}");
        let mut subscribe = Subscribe::new(FILTER, QoS::AtMostOnce);
        subscribe.pkid = 1;
        packet.clear();
        subscribe.write(&mut packet)?;
        stream.write_all(&packet).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

async fn hear(mut stream: TlsStream<TcpStream>, heard: &Heard) -> anyhow::Result<Vec<Told>> {
    let mut ages = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut filled = 0;
    let mut stopped = pin!(heard.stop.cancelled());
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        ensure!(!room.is_empty(), "a packet of more than {READ_BYTES} bytes came");
        let read = tokio::select! {
            read = stream.read(room) => read?,
            () = stopped.as_mut() => return Ok(ages),
        };
        ensure!(read > 0, "the server closed the connection");
        filled += read;
        let rest = take(buffer.get(..filled).unwrap_or_default(), heard, &mut ages)?.len();
        buffer.copy_within(filled - rest..filled, 0);
        filled = rest;
    }
}

/// Counts whole packets. Gives what follows them.
fn take<'a>(bytes: &'a [u8], heard: &Heard, ages: &mut Vec<Told>) -> anyhow::Result<&'a [u8]> {
    let now = heard.notes_ages.load(Ordering::Relaxed).then(|| Due::now().wall);
    let (mut rest, mut messages, mut payloads) = (bytes, 0, 0);
    while let Some((packet, after)) = packets::first(rest)? {
        rest = after;
        match packet {
            Packet::Publish { topic: MISSED, payload } => {
                let Missed { missed, exact } = serde_json::from_slice(payload)?;
                heard.missed.fetch_add(missed, Ordering::Relaxed);
                heard.missed_at_most.fetch_or(!exact, Ordering::Relaxed);
            }
            Packet::Publish { topic, payload } => {
                ensure!(topic.starts_with(b"highway/"), "a message of no lamppost: {topic:?}");
                messages += 1;
                payloads += payload.len() as u64;
                if let Some(now) = now.filter(|_| topic.ends_with(FOLLOWED)) {
                    let Message { time } = serde_json::from_slice(payload)?;
                    let time = timestamp::parse(time).with_context(|| format!("no time: {time}"))?;
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
                    ages.push(Told { time, age_ms: now.since_ms(time) as f64 });
                }
            }
            Packet::Subscribed(0) => {
                heard.subscribed.fetch_add(1, Ordering::Relaxed);
            }
            Packet::Subscribed(code) => bail!("the subscription is answered by {code:#04x}"),
        }
    }
    heard.messages.fetch_add(messages, Ordering::Relaxed);
    heard.payloads.fetch_add(payloads, Ordering::Relaxed);
    Ok(rest)
}
