//! The gateway: what lampposts connect to, and the only part of the server that faces the network on the MQTT port.
//!
//! It takes publishes from lampposts that prove who they are, journals the bytes, and acknowledges them once they are
//! on disk (D5). It speaks MQTT 3.1.1, `QoS` 1, for exactly this purpose, and is no broker: nothing is routed from
//! one client to another, retained, or remembered after a connection.
//!
//! What it guarantees:
//! - PUBACK means: on disk. A cut journal closes the connections whose publishes it forgot (D15).
//! - A lamppost speaks on its own `up`, listens on its own `down`; the certificate says who it is, admission whether
//!   it may; at every login, also by TLS resumption, and until the certificate ends.
//! - No client makes another wait: each connection is a task of its own, every buffer and rate has a bound, and a
//!   stranger who says nothing takes neither the accept loop nor the place of a lamppost.
//! - What is refused closes the connection, is counted by reason, and logged at a bounded rate without payloads.
//! - Whose certificate is revoked is thrown out once [`Sessions::revoke`] is told so.
//!
//! Who has no certificate yet comes to the same port to enrol, over HTTP: it is told apart by what it names in TLS (ALPN)
//! or by its first byte. What is served there is handed in; how much of it, and for how long, is bounded here.
//!
//! Departments log in on it as well, without a certificate, with a name and a key: they are handed over to the feeds. Who has
//! a lamppost's certificate is a lamppost.
//!
//! It knows nothing of what payloads mean: that is for ingest, which reads what the journal committed.

mod admission;
pub(crate) mod codec;
mod connection;
mod door;
mod handshake;
mod http;
mod identity;
mod limits;
mod log;
mod metrics;
mod networks;
mod pace;
mod probe;
mod reason;
mod refusals;
pub mod session;
mod sessions;
mod subscriptions;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::connection::Connection;
use self::door::{Door, Kept, Places};
use self::handshake::Opened;
use self::identity::Shown;
use crate::ca::Present;
use crate::clock;
use crate::feeds::{Arriving, Feeds};
use crate::journal::JournalHandle;

pub use admission::{Admission, Admitted, Admitting, Refusal};
pub use codec::{CodecError, Incoming, Outgoing, read as read_packet};
pub(crate) use connection::{FAREWELL, now, send};
pub(crate) use door::Opening;
pub use http::Caller;
pub use identity::Identity;
pub use limits::{Limits, Rate};
pub(crate) use log::RefusalLog;
pub use metrics::{GatewayMetrics, HandshakeOutcome, HttpEnding};
pub(crate) use networks::Networks;
pub(crate) use pace::Pace;
pub use probe::{Probe, Stuck, Way};
pub use reason::Reason;
pub use refusals::{Refusals, Refused};
#[cfg(test)]
pub(crate) use sessions::{Listener, log_in};
pub use sessions::{Receipt, Sent, SessionInfo, Sessions};
pub use subscriptions::{Granted, Subscriptions};

/// What the gateway grants, and whom it tells what it does not.
#[derive(Clone, Debug, Default)]
pub struct GatewayOptions {
    /// To one client, and to all together.
    pub limits: Limits,
    /// Counts what is refused.
    pub refusals: Refusals,
    /// What it serves by HTTP, to clients with a certificate and without ([`Caller`], an extension of each request).
    /// Nothing by default.
    pub http: Router,
    /// Whom it hands over who logs in by a department's certificate or without one: departments. Nobody by default, and they
    /// are turned away.
    pub feeds: Option<Feeds>,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The listener does not say where it listens.
    #[error("the listener for lampposts does not know its address")]
    Address(#[source] io::Error),
}

/// A gateway that has its port, and serves nobody yet.
pub struct Gateway {
    listener: TcpListener,
    address: SocketAddr,
    context: Arc<Context>,
}

/// What all connections share.
struct Context {
    door: Door,
    limits: Arc<Limits>,
    tls: Present<rustls::ServerConfig>,
    http: Router,
    feeds: Option<Feeds>,
    journal: JournalHandle,
    admission: Arc<dyn Admission>,
    sessions: Sessions,
    metrics: GatewayMetrics,
    log: RefusalLog,
}

/// How long the loop rests when no connection can be accepted: the cause (no file descriptor is free) does not pass
/// by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a connection may need past the grace time of a stop: its last words.
const LAST_WORDS: Duration = Duration::from_secs(3);

impl Gateway {
    /// A gateway on a port that is taken already: it is taken before the journal is read, so that a port in use
    /// shows at once; who connects before [`Self::run`] waits in the kernel's queue.
    ///
    /// `tls` has to verify client certificates by the fleet's CA; chain and purpose are not looked at again here, the
    /// end of the validity is. Who shows none may ask for something by HTTP, and may not log in.
    ///
    /// # Errors
    /// [`GatewayError::Address`].
    pub fn new(
        listener: TcpListener,
        options: GatewayOptions,
        tls: impl Into<Present<rustls::ServerConfig>>,
        journal: JournalHandle,
        admission: Arc<dyn Admission>,
        sessions: Sessions,
        metrics: GatewayMetrics,
    ) -> Result<Self, GatewayError> {
        let GatewayOptions { limits, http, refusals, feeds } = options;
        let address = listener.local_addr().map_err(GatewayError::Address)?;
        let context = Context {
            door: Door::new(&limits),
            tls: tls.into(),
            http,
            feeds,
            journal,
            admission,
            sessions,
            metrics,
            log: RefusalLog::new(refusals),
            limits: Arc::new(limits),
        };
        Ok(Self { listener, address, context: Arc::new(context) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves lampposts until `cancel`; then accepts no more, lets connections see the commits that they wait for
    /// ([`Limits::stop`]), and closes them all.
    pub async fn run(self, cancel: CancellationToken) {
        let Self { listener, context, .. } = self;
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => note_panic(ended),
                accepted = listener.accept() => match accepted {
                    Ok((tcp, peer)) => {
                        // Never waits: the next one is accepted at once, whatever this one does.
                        match context.door.places(peer, clock::monotonic()) {
                            Ok(places) => {
                                tasks.spawn(serve(Arc::clone(&context), tcp, peer, places, cancel.clone()));
                            }
                            Err(reason) => turn_away(&context, peer, reason),
                        }
                    }
                    Err(error) => {
                        context.metrics.accept_failures.inc();
                        tracing::warn!(%error, "cannot accept a connection; are enough file descriptors allowed?");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                note_panic(ended);
            }
        };
        if tokio::time::timeout(context.limits.stop + LAST_WORDS, all).await.is_err() {
            tracing::warn!(connections = tasks.len(), "connections did not end in time and are cut");
            tasks.shutdown().await;
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

fn turn_away(context: &Context, peer: SocketAddr, reason: Reason) {
    context.metrics.count(reason);
    context.log.refused_stranger(peer, reason.label(), clock::monotonic());
}

/// Counts something for as long as it lives, however it ends.
struct Counted(prometheus_client::metrics::gauge::Gauge);

impl Counted {
    fn new(gauge: &prometheus_client::metrics::gauge::Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One connection, from its first byte to its last.
async fn serve(
    context: Arc<Context>,
    tcp: TcpStream,
    peer: SocketAddr,
    places: Places,
    cancel: CancellationToken,
) {
    let _counted = Counted::new(&context.metrics.connections);
    let Places { connection: _connection, opening } = places;
    let in_turn = tokio::select! {
        () = cancel.cancelled() => return,
        in_turn = door::in_turn(&context, &tcp, peer) => in_turn,
    };
    match in_turn {
        Ok(()) => {}
        Err(Kept::Counted) => return,
        Err(Kept::Forgiven) => return opening.forgive(),
    }
    let opened = tokio::select! {
        () = cancel.cancelled() => return,
        opened = handshake::open(&context, tcp, peer) => opened,
    };
    let (stream, identity, begun) = match opened {
        None => return,
        // It keeps its place among those that are not logged in to its end.
        Some(Opened::Http { stream, shown, begun }) => {
            let (lamppost, certificate) = match shown {
                Some(Shown::Lamppost(identity)) => (Some(identity), None),
                Some(Shown::Department(identity)) => (None, Some(identity)),
                None => (None, None),
            };
            let caller = Caller { peer, certificate: lamppost };
            let upgraded = http::serve(&context, stream, begun, caller, &cancel).await;
            let (Some(stream), Some(feeds)) = (upgraded, &context.feeds) else { return };
            let (bytes, since) = (BytesMut::new(), clock::monotonic());
            let arriving = Arriving { peer, certificate, bytes, since, opening };
            return listen(&context, feeds, stream, arriving, &cancel).await;
        }
        Some(Opened::Department { stream, feeds, certificate, begun }) => {
            let (bytes, since) = (begun.bytes, begun.since.monotonic);
            let arriving = Arriving { peer, certificate, bytes, since, opening };
            return listen(&context, &feeds, stream, arriving, &cancel).await;
        }
        Some(Opened::Mqtt { stream, identity, begun }) => (stream, identity, begun),
    };
    let number = identity.number.clone();
    let connection = Connection::new(Arc::clone(&context), identity, peer, Some(opening), begun);
    let reason = connection.run(stream, &cancel).await;
    context.metrics.count(reason);
    if reason == Reason::Revoked {
        tracing::warn!(lamppost = %number, %peer, "a lamppost is thrown out: its certificate is revoked");
    } else if reason.is_refusal() {
        context.log.refused(&number, peer, reason.label(), clock::monotonic());
    } else {
        tracing::debug!(lamppost = %number, %peer, reason = reason.label(), "a connection ended");
    }
}

/// Serves a department to its end.
async fn listen(
    context: &Context,
    feeds: &Feeds,
    stream: impl AsyncRead + AsyncWrite + Send,
    arriving: Arriving,
    cancel: &CancellationToken,
) {
    let peer = arriving.peer;
    let ending = feeds.serve(stream, arriving, cancel).await;
    if ending.is_refusal() {
        context.log.refused_stranger(peer, ending.label(), crate::clock::monotonic());
    }
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // One connection is lost, the others go on; it is our own bug all the same.
        tracing::error!(%error, "the task of a connection panicked");
    }
}

#[cfg(test)]
mod tests;
