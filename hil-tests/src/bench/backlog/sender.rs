//! A lamppost of the benchmark: the agent's own session and MQTT client, and instead of buses and a disk full of
//! samples a [`Day`] in memory.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use edge_agent::clock::{Clock as _, SystemClock};
use edge_agent::config::ServerConfig;
use edge_agent::outbox::{OutboxOptions, OutboxState, Random, SteppedOutbox, SystemDisk};
use edge_agent::uplink::{Next, Session, Speaker, client_config};
use lamplighter_protocol::{LamppostNumber, Leaf, Log, Nonce, Pieces, Position, Topic, UtcMillis, limits};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::day::{self, Day, PERIOD_MS};

/// As the agent: lampposts that all read on the same ticks do not all send in the same instant.
const SPREAD_MS: u64 = 100;

/// What all senders tell of themselves.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Records that are acknowledged.
    pub(super) acknowledged: AtomicU64,
    /// Records that were read since.
    pub(super) live: AtomicU64,
}

/// One lamppost. It begins with a backlog, and goes on reading.
pub(super) struct Sender {
    number: LamppostNumber,
    server: ServerConfig,
    day: Arc<Day>,
    progress: Arc<Progress>,
    session: Session,
    /// A real outbox, which holds the opening of the run. Its samples are those of the day.
    outbox: SteppedOutbox,
    state: OutboxState,
    /// Records of the backlog.
    backlog: u64,
    clock: SystemClock,
    started: Instant,
}

impl Sender {
    /// Opens the outbox of a lamppost that has read this day so far, below `directory`.
    pub(super) fn new(
        number: LamppostNumber,
        server: ServerConfig,
        day: Arc<Day>,
        progress: Arc<Progress>,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let hardware_serial = format!("bench-{number}");
        let options = OutboxOptions {
            directory: directory.join(number.as_str()),
            lamppost: number.clone(),
            hardware_serial: hardware_serial.clone(),
            max_bytes: 1 << 20,
            segment_bytes: OutboxOptions::segment_bytes_of(1 << 20),
            max_age: Duration::MAX,
            sync_every: Duration::ZERO,
        };
        let (disk, clock) = (Arc::new(SystemDisk), SystemClock::believed());
        let mut outbox =
            SteppedOutbox::open(disk, Random::system(), options, &day::description()?, || clock.now())?;
        let state = outbox.state();
        let speaker = Speaker { agent_version: "bench".to_owned(), hardware_serial, generation: 1 };
        let session = Session::new(speaker, state.clone());
        let started = Instant::now();
        Ok(Self { number, server, day, progress, session, outbox, state, backlog: 0, clock, started })
    }

    /// Connects, and sends what was read before `back` beside what is read from then on, until `stop`.
    pub(super) async fn run(mut self, back: UtcMillis, stop: CancellationToken) -> anyhow::Result<()> {
        self.backlog = self.day.records_before(back);
        self.read_to(self.backlog);
        let (client, mut events) = self.client()?;
        events.poll().await.with_context(|| format!("{} cannot connect", self.number))?;
        // As random as a nonce has to be: there is one connection in this run.
        let nonce = Nonce(self.state.run.0);
        self.session.connected(nonce, self.started.elapsed());
        client.try_subscribe(Topic::down_filter(&self.number), QoS::AtLeastOnce)?;
        let mut idle_until = self.pump(&client)?;
        let mut next_tick = Instant::now();
        loop {
            // The future lives until it is done: cut off in mid-flush it would leave bytes behind.
            let mut event = pin!(events.poll());
            let event = loop {
                tokio::select! {
                    event = &mut event => break event,
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep_until(next_tick) => {
                        let wall = self.clock.now().wall;
                        let end = self.day.records_before(wall.plus_ms(1));
                        self.read_to(end);
                        next_tick = self.next_tick(wall);
                        idle_until = self.pump(&client)?;
                    }
                    () = tokio::time::sleep_until(idle_until) => idle_until = self.pump(&client)?,
                }
            };
            match event.with_context(|| format!("{} has lost its connection", self.number))? {
                Event::Incoming(Packet::PubAck(_)) => {
                    let records = self.session.acknowledged(self.started.elapsed());
                    self.progress.acknowledged.fetch_add(records, Ordering::Relaxed);
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let position = Position::decode(&publish.payload)?;
                    self.session.position(&position, self.started.elapsed());
                }
                Event::Incoming(_) | Event::Outgoing(_) => continue,
            }
            idle_until = self.pump(&client)?;
        }
    }

    /// So many samples are there now.
    fn read_to(&mut self, end: u64) {
        if let Some(run) = self.state.runs.last_mut().map(Arc::make_mut) {
            let fresh = end.saturating_sub(run.samples.end.max(self.backlog));
            self.progress.live.fetch_add(fresh, Ordering::Relaxed);
            run.samples.on_disk = Pieces::below(end);
            (run.samples.synced_end, run.samples.end) = (end, end);
        }
        self.session.outbox_changed(self.state.clone());
    }

    /// When what is read next is sent.
    fn next_tick(&self, wall: UtcMillis) -> Instant {
        let mut hasher = DefaultHasher::new();
        self.number.hash(&mut hasher);
        let rest = PERIOD_MS - wall.0.rem_euclid(PERIOD_MS);
        Instant::now() + Duration::from_millis(rest.unsigned_abs() + hasher.finish() % SPREAD_MS)
    }

    /// Sends all that the window has room for; returns until when there is nothing to do.
    fn pump(&mut self, client: &AsyncClient) -> anyhow::Result<Instant> {
        loop {
            let now = self.started.elapsed();
            let (place, limit) = match self.session.next(now) {
                Next::Idle { until } => return Ok(self.started + until.min(now + Duration::from_hours(1))),
                Next::GiveUp => anyhow::bail!("{}: nothing was acknowledged for too long", self.number),
                Next::Hello => {
                    if let Some(payload) = self.session.hello(now) {
                        self.publish(client, Leaf::Hello, payload)?;
                    }
                    continue;
                }
                Next::Read(place, limit) => (place, limit),
            };
            let chunk = match place.log {
                Log::Samples => self.day.read(place, limit),
                Log::Events => self.outbox.read(place, limit)?,
            };
            let chunk = chunk.with_context(|| format!("there is no {place:?}"))?;
            let digest = chunk.description;
            if !self.session.is_described(digest) {
                let payload = self.day.description(digest).context("another description")?;
                self.session.describe(digest, payload.len(), now);
                self.publish(client, Leaf::Description, payload)?;
            }
            if let Some(payload) = self.session.frame(chunk, now) {
                self.publish(client, Leaf::Frames(place.log), payload)?;
            }
        }
    }

    fn publish(&self, client: &AsyncClient, leaf: Leaf, payload: Vec<u8>) -> anyhow::Result<()> {
        let topic = Topic::new(self.number.clone(), leaf).to_string();
        Ok(client.try_publish(topic, QoS::AtLeastOnce, false, payload)?)
    }

    fn client(&self) -> anyhow::Result<(AsyncClient, EventLoop)> {
        let mut options = MqttOptions::new(self.number.as_str(), &self.server.host, self.server.port);
        let tls = TlsConfiguration::Rustls(client_config(&self.server, Arc::new(SystemClock::believed()))?);
        options.set_transport(Transport::Tls(tls));
        options.set_keep_alive(self.server.keep_alive);
        options.set_clean_session(true);
        options.set_max_packet_size(limits::MAX_PACKET_BYTES, limits::MAX_PACKET_BYTES);
        let publishes = limits::WINDOW_PUBLISHES + 4;
        options.set_inflight(u16::try_from(publishes)?);
        let (client, mut events) = AsyncClient::new(options, publishes);
        let mut network = events.network_options();
        network.set_connection_timeout(60);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        Ok((client, events))
    }
}
