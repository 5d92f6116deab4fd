//! Where people connect: the loopback of this machine, and nowhere else.
//!
//! A connection is plain TCP, which is why it may not leave the machine. Their number is bounded, and one on which
//! no byte has moved for a while is closed: a client that never finishes its request, or never reads its answer,
//! gives its place back. So does one that takes its answer byte by byte.

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

/// What a client that has to be waited for takes before its connection would be idle, unless it takes all there is.
const PACE: usize = 64 * 1024;

/// A connection that ends when no byte has moved in either direction for a while, or less than [`PACE`] while the client
/// had to be waited for.
#[derive(Debug)]
pub(super) struct Connection {
    tcp: TcpStream,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// While a write waits, and until all is written: the bytes that the client has taken of the next [`PACE`].
    taken: Option<usize>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(tcp: TcpStream, place: OwnedSemaphorePermit, idle: Duration) -> Self {
        Self { tcp, idle, silence: Box::pin(tokio::time::sleep(idle)), taken: None, _place: place }
    }

    /// The outcome of a read: one that is done begins a new silence, unless the client has to be waited for.
    fn read(&mut self, outcome: Poll<io::Result<()>>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if outcome.is_pending() {
            return self.waits(context);
        }
        if self.taken.is_none() {
            self.begin_silence();
        }
        outcome
    }

    /// The outcome of a write: one that is done begins a new silence, after one that waited only at its pace.
    fn written(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = &outcome else {
            self.taken.get_or_insert(0);
            return self.waits(context);
        };
        match (self.taken, written) {
            (None, _) => self.begin_silence(),
            (Some(taken), Ok(more)) if taken + more >= PACE => {
                self.taken = Some(0);
                self.begin_silence();
            }
            (Some(taken), Ok(more)) => self.taken = Some(taken + more),
            (Some(_), Err(_)) => {}
        }
        outcome
    }

    /// All that there was is written.
    fn flushed(&mut self) {
        if self.taken.take().is_some() {
            self.begin_silence();
        }
    }

    fn begin_silence(&mut self) {
        let until = Instant::now() + self.idle;
        self.silence.as_mut().reset(until);
    }

    /// What waits ends with the silence.
    fn waits<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
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
        self.read(outcome, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.written(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tcp).poll_flush(context);
        if outcome.is_ready() {
            self.flushed();
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;

    use super::*;

    const IDLE: Duration = Duration::from_millis(800);

    /// Whether a client gets all of some bytes that takes so many of them every ten milliseconds, through sockets that
    /// hold so many.
    async fn is_served(bytes: usize, at_once: usize, held: u32) -> bool {
        let listener = TcpSocket::new_v4().unwrap();
        listener.set_send_buffer_size(held).unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(held).unwrap();
        let mut client = client.connect(listener.local_addr().unwrap()).await.unwrap();
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let mut connection = Connection::new(listener.accept().await.unwrap().0, place, IDLE);
        let client = async move {
            let mut taken = vec![0; at_once];
            let mut all = 0;
            while let Ok(count @ 1..) = client.read(&mut taken).await {
                all += count;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            all == bytes
        };
        let server = async move {
            connection.write_all(&vec![b'x'; bytes]).await?;
            connection.flush().await
        };
        let (all, outcome) = tokio::join!(client, server);
        assert_eq!(all, outcome.is_ok(), "{outcome:?}");
        all
    }

    #[tokio::test]
    async fn a_client_that_takes_its_answer_byte_by_byte_is_let_go() {
        assert!(
            !is_served(256 * 1024, 512, 4 * 1024).await,
            "50 KB a second, and 64 KiB are asked for in 0.8"
        );
    }

    #[tokio::test]
    async fn a_slow_client_that_keeps_the_pace_is_served_and_so_is_one_of_a_short_answer() {
        assert!(is_served(4 * 1024 * 1024, 64 * 1024, 64 * 1024).await, "some MB a second");
        assert!(is_served(16 * 1024, 2 * 1024, 4 * 1024).await, "all there is");
    }
}
