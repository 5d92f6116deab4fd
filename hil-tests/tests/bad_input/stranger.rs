//! Connections from another address than those of the lampposts: all of 127.0.0.0/8 is this machine.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

/// Where strangers call from.
const FROM: [u8; 4] = [127, 0, 0, 9];

/// Calls a server from there.
pub(crate) struct Stranger(Runtime);

/// How a connection ends when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// In peace.
    Closes,
    /// By RST.
    Resets,
}

impl Stranger {
    pub(crate) fn new() -> Self {
        Self(Builder::new_current_thread().enable_all().build().unwrap())
    }

    /// A TCP connection on which nothing is said yet.
    pub(crate) fn call(&self, to: SocketAddr, leaving: Leaving) -> TcpStream {
        let stream = self.0.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            if leaving == Leaving::Resets {
                socket.set_zero_linger().unwrap();
            }
            socket.bind(SocketAddr::from((FROM, 0))).unwrap();
            socket.connect(to).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }
}
