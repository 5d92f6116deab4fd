//! The shell around the session: one `rumqttc` client for each connection.

mod hearing;
mod refused;
mod sending;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, Nonce, Topic, UtcMillis, limits};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::session::{Session, Speaker};
use crate::clock::{Clock, ClockTrust, Now};
use crate::config::ServerConfig;
use crate::identity::{Badge, Login, PairError, Which};
use crate::meter::Meter;
use crate::outbox::{Outbox, OutboxClosed, OutboxError, chain};
use crate::status::ConnectionStatus;
use crate::tls::{self, TlsError};

/// Longest time by which a lamppost holds back what it has just read, so that the lampposts of a city, which all
/// read on the same ticks, do not all send in the same instant. Each has its own share of it, by a hash of its number.
const SPREAD_MS: u64 = 100;

/// Longest time for TCP, TLS and CONNACK together, in seconds.
const CONNECT_TIMEOUT_S: u64 = 20;

/// The way to the server. It ends only when it is told to, or with the outbox.
#[derive(Debug)]
pub struct Uplink {
    lamppost: LamppostNumber,
    server: ServerConfig,
    badge: Badge,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    /// What the clock said last.
    seen: Now,
    status: watch::Sender<ConnectionStatus>,
    session: Session,
    started: Instant,
    /// Records acknowledged in this life.
    acknowledged: u64,
    acknowledgements: Meter,
    /// When this task last had its turn.
    turned: Duration,
    /// When the status was last told what is to be sent, and how much that was.
    told: (Duration, u64),
}

/// How often this task has its turn at least, while anything is in flight.
const TURN_EVERY: Duration = Duration::from_millis(100);

/// A turn that lasts longer than this, or begins so late, is a stall of the agent: its disk was slow, or its thread or the
/// whole machine stood still.
const STALL: Duration = Duration::from_millis(200);

/// So long a connection with the current certificate goes on, if it always has something under way, before one with the new
/// certificate is made in its place.
const LEAVE_WITHIN: Duration = Duration::from_mins(1);

/// How one connection ended that did not fail.
enum Left {
    /// The agent is stopping.
    Stopped,
    /// A new certificate is to be tried.
    ToTryAnother,
}

/// Why the uplink ended.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The outbox ended: what is read could not be kept.
    #[error("the outbox ended")]
    Outbox(#[from] OutboxError),
    /// The outbox ended: its handle answers no more.
    #[error(transparent)]
    OutboxClosed(#[from] OutboxClosed),
}

/// Why one connection ended. Every one of them is tried again.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error("no randomness from the operating system")]
    Random(#[from] getrandom::Error),
    #[error("{0}")]
    Connection(String),
    #[error("the server refuses to let this lamppost listen")]
    NotSubscribed,
    #[error("the server acknowledged nothing for too long")]
    Silent,
    #[error("the MQTT client takes nothing more")]
    ClientFull,
    #[error(transparent)]
    Ended(#[from] UplinkError),
}

impl From<OutboxError> for LinkError {
    fn from(error: OutboxError) -> Self {
        Self::Ended(error.into())
    }
}

impl From<OutboxClosed> for LinkError {
    fn from(error: OutboxClosed) -> Self {
        Self::Ended(error.into())
    }
}

impl Uplink {
    /// Prepares the way; nothing is connected yet. `status` is told what happens.
    pub(crate) fn new(
        lamppost: LamppostNumber,
        (server, badge): (ServerConfig, Badge),
        speaker: Speaker,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
        status: watch::Sender<ConnectionStatus>,
    ) -> Self {
        let session = Session::new(speaker, outbox.state().borrow().clone());
        status.send_modify(|status| status.server = format!("{}:{}", server.host, server.port));
        Self {
            lamppost,
            server,
            badge,
            outbox,
            seen: clock.now(),
            clock,
            status,
            session,
            started: Instant::now(),
            acknowledged: 0,
            acknowledgements: Meter::over(Duration::from_mins(1)),
            turned: Duration::ZERO,
            told: (Duration::ZERO, 0),
        }
    }

    /// Connects, and connects again, until `stop`.
    ///
    /// # Errors
    /// [`UplinkError`] when the outbox ends. Everything else is tried again.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), UplinkError> {
        let mut backoff = Backoff::default();
        loop {
            let outcome = self.connection(&stop, &mut backoff).await;
            self.session.disconnected();
            let error = match outcome {
                Ok(Left::Stopped) => return Ok(()),
                Ok(Left::ToTryAnother) => continue,
                Err(LinkError::Ended(error)) => return Err(error),
                Err(error) => error,
            };
            let wait = backoff.wait(random_u32());
            let text = chain(&error);
            tracing::warn!(error = %text, retry_in_ms = wait.as_millis(), "not connected to {}", self.status.borrow().server);
            let now = self.wall();
            self.status.send_modify(|status| {
                if status.connected || status.since_ms.is_none() {
                    status.since_ms = Some(now.0);
                }
                status.connected = false;
                status.last_error = Some(text);
                status.in_flight_records = 0;
                status.retry_in_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            });
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
                () = self.badge.changed() => {}
            }
        }
    }

    async fn connection(
        &mut self,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<Left, LinkError> {
        let (client, mut events, which) = tokio::select! {
            () = stop.cancelled() => return Ok(Left::Stopped),
            client = self.client() => client?,
        };
        let connected = tokio::select! {
            () = stop.cancelled() => return Ok(Left::Stopped),
            event = events.poll() => event,
        };
        let login = connected.as_ref().map_or_else(refused::login, |_| Login::Worked);
        self.badge.tell(which, login);
        if connected.as_ref().is_err_and(refused::is_overload) {
            backoff.overloaded();
        }
        connected.map_err(|error| LinkError::Connection(chain(&error)))?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        self.session.outbox_changed(self.outbox.state().borrow().clone());
        self.session.connected(Nonce(nonce), self.now());
        self.wall();
        client
            .try_subscribe(Topic::down_filter(&self.lamppost), QoS::AtLeastOnce)
            .map_err(|_| LinkError::ClientFull)?;
        tracing::info!("connected to {}", self.status.borrow().server);
        let now = self.wall();
        self.status.send_modify(|status| {
            status.connected = true;
            status.since_ms = Some(now.0);
            status.retry_in_ms = None;
        });
        self.converse(&client, &mut events, which, stop, backoff).await
    }

    async fn converse(
        &mut self,
        client: &AsyncClient,
        events: &mut EventLoop,
        which: Which,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<Left, LinkError> {
        let spread = self.spread();
        let mut changes = self.outbox.state();
        self.turn();
        let mut idle_until = self.pump(client).await?;
        let mut leave_by = None;
        loop {
            // The future lives until it is done: cut off in mid-flush it would leave bytes behind.
            let mut event = pin!(events.poll());
            let event = loop {
                let leave = leave_by
                    .map(|by| if self.session.awaits_acknowledgement() { by } else { Duration::ZERO });
                tokio::select! {
                    event = &mut event => break event,
                    () = stop.cancelled() => {
                        client.try_disconnect().map_err(|_| LinkError::ClientFull)?;
                        say_goodbye(event).await;
                        return Ok(Left::Stopped);
                    }
                    () = self.badge.changed(), if leave_by.is_none() => {
                        if self.badge.wants_trial() && which == Which::Current {
                            leave_by = Some(self.now() + LEAVE_WITHIN);
                        }
                    }
                    () = tokio::time::sleep_until(self.started + leave.unwrap_or_default()), if leave.is_some() => {
                        client.try_disconnect().map_err(|_| LinkError::ClientFull)?;
                        say_goodbye(event).await;
                        return Ok(Left::ToTryAnother);
                    }
                    news = changes.changed() => {
                        news.map_err(|_| LinkError::Ended(OutboxClosed.into()))?;
                        self.turn();
                        self.session.outbox_changed(changes.borrow_and_update().clone());
                        idle_until = idle_until.min(self.now() + spread);
                    }
                    () = tokio::time::sleep_until(self.started + self.turned + TURN_EVERY),
                        if self.session.awaits_acknowledgement() => self.turn(),
                    () = tokio::time::sleep_until(self.started + idle_until) => {
                        self.turn();
                        idle_until = self.pump(client).await?;
                    }
                }
            };
            self.turn();
            match event.map_err(|error| LinkError::Connection(chain(&error)))? {
                Event::Incoming(Packet::PubAck(_)) => {
                    self.acknowledged();
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    if self.incoming(&publish).await? {
                        backoff.reset();
                    }
                }
                Event::Incoming(Packet::SubAck(ack)) => {
                    if !ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                        return Err(LinkError::NotSubscribed);
                    }
                    continue;
                }
                Event::Incoming(_) | Event::Outgoing(_) => continue,
            }
            idle_until = self.pump(client).await?;
        }
    }

    /// Reads certificates and key anew, so that others serve from the next connection on.
    async fn client(&mut self) -> Result<(AsyncClient, EventLoop, Which), LinkError> {
        let mut options = MqttOptions::new(self.lamppost.as_str(), &self.server.host, self.server.port);
        let roots = self.badge.roots()?;
        let (pair, which) = self.badge.pair()?;
        self.badge.unlock(&pair).await?;
        let tls = tls::trusting(roots, Some(&pair), Arc::clone(&self.clock))?;
        options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(tls))));
        options.set_keep_alive(self.server.keep_alive);
        options.set_clean_session(true);
        options.set_max_packet_size(limits::MAX_PACKET_BYTES, limits::MAX_PACKET_BYTES);
        // Room for the window, the subscription and the goodbye: the client never has to hold anything back.
        let publishes = limits::WINDOW_PUBLISHES + 4;
        options.set_inflight(u16::try_from(publishes).unwrap_or(u16::MAX));
        let (client, mut events) = AsyncClient::new(options, publishes);
        let mut network = events.network_options();
        network.set_connection_timeout(CONNECT_TIMEOUT_S);
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        Ok((client, events, which))
    }

    /// What the clock says. If it has learnt the time meanwhile (D3), the times that the status tells move with it.
    fn wall(&mut self) -> UtcMillis {
        let now = self.clock.now();
        self.session.clock_is(now.trust);
        let before = std::mem::replace(&mut self.seen, now);
        if before.trust == ClockTrust::Unknown && now.trust != ClockTrust::Unknown {
            let lived = now.monotonic.saturating_sub(before.monotonic);
            let shift_ms = now.wall.since_ms(before.wall.plus(lived));
            self.status.send_modify(|status| {
                let told =
                    [&mut status.since_ms, &mut status.last_acknowledgement_ms, &mut status.last_position_ms];
                for time in told.into_iter().flatten() {
                    *time = time.saturating_add(shift_ms);
                }
            });
        }
        now.wall
    }

    fn spread(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        self.lamppost.hash(&mut hasher);
        Duration::from_millis(hasher.finish() % SPREAD_MS)
    }

    /// This task has its turn, or is at its end. What it has not seen since the last one is a stall if it was longer than
    /// it should have been; with nothing in flight nobody waits for its turns.
    fn turn(&mut self) {
        let now = self.now();
        let last = std::mem::replace(&mut self.turned, now);
        if now.saturating_sub(last) > STALL && self.session.awaits_acknowledgement() {
            self.session.stalled(last..now);
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Two rounds let the DISCONNECT out; a server that does not read is not waited for.
async fn say_goodbye(event: impl Future<Output = Result<Event, ConnectionError>>) {
    let goodbye = tokio::time::timeout(Duration::from_millis(500), event).await;
    tracing::debug!(?goodbye, "disconnected");
}

fn random_u32() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
