//! Where people connect: the loopback of this machine, and nowhere else.
//!
//! A connection is plain TCP, which is why it may not leave the machine. Their number is bounded, and one on which
//! no byte has moved for a while is closed: a client that never finishes its request, or never reads its answer,
//! gives its place back.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// The people's port, bound and not yet served.
#[derive(Debug)]
pub struct PeopleListener {
    tcp: TcpListener,
    address: SocketAddr,
}

/// Why the people's port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address can be reached from other machines.
    #[error(
        "people are served without encryption, so only on this machine: {address} is not a loopback address; take \
         127.0.0.1:{port} or [::1]:{port}, and reach it from elsewhere through an SSH tunnel", port = .address.port()
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Somebody else has the port.
    #[error("port {port} of {ip} is in use: end what uses it, or choose another port", port = .address.port(), ip = .address.ip())]
    InUse {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The port cannot be had for another reason.
    #[error("cannot listen for people on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Takes the people's port; port 0 takes a free one.
///
/// # Errors
/// [`BindError`].
pub async fn bind(address: SocketAddr) -> Result<PeopleListener, BindError> {
    if !address.ip().is_loopback() {
        return Err(BindError::NotLoopback { address });
    }
    let listen = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            return BindError::InUse { address };
        }
        BindError::Listen { address, source }
    };
    let tcp = TcpListener::bind(address).await.map_err(listen)?;
    let bound = tcp.local_addr().map_err(listen)?;
    Ok(PeopleListener { tcp, address: bound })
}

impl PeopleListener {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The same port, with bounds on its connections.
    pub(super) fn limited(self, connections: usize, idle: Duration) -> LimitedListener {
        let places = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        LimitedListener { tcp: self.tcp, places, idle }
    }
}

/// Accepts as many connections as there are places; more wait in the operating system's queue.
#[derive(Debug)]
pub(super) struct LimitedListener {
    tcp: TcpListener,
    places: Arc<Semaphore>,
    idle: Duration,
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore of connections is never closed");
        // TcpListener as axum's Listener: it logs and retries what fails.
        let (tcp, peer) = Listener::accept(&mut self.tcp).await;
        // Events of a feed are small and must not wait for company; without it they are only slower.
        drop(tcp.set_nodelay(true));
        (Connection::new(tcp, place, self.idle), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection that ends when no byte has moved in either direction for a while.
#[derive(Debug)]
pub(super) struct Connection {
    tcp: TcpStream,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(tcp: TcpStream, place: OwnedSemaphorePermit, idle: Duration) -> Self {
        Self { tcp, idle, silence: Box::pin(tokio::time::sleep(idle)), _place: place }
    }

    /// The outcome of a read or write: one that is done begins a new silence, one that waits ends with the silence.
    fn watched<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            let until = Instant::now() + self.idle;
            self.silence.as_mut().reset(until);
            return outcome;
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tcp).poll_read(context, buffer);
        self.watched(outcome, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.watched(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.watched(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
