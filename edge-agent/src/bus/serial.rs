//! Serial lines: 8 data bits, no parity, one stop bit, opened for this process alone.
//!
//! A line is used from the bus thread that owns it and blocks that thread; inside, a runtime of its own waits for
//! bytes and for deadlines. The deadlines are real time, whatever clock the agent samples by: how long an instrument
//! takes to answer does not depend on what day it is.
//!
//! A port that was unplugged reads nothing for ever (`Ok(0)`), or fails. Both are [`SerialError::Gone`]: whoever gets
//! it closes the port, waits, and opens it again. Reading on would spin.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};
use tokio_serial::{ClearBuffer, SerialPort as _, SerialStream};

/// Why a serial line failed.
#[derive(Debug, thiserror::Error)]
pub enum SerialError {
    /// The port could not be opened.
    #[error(
        "cannot open the serial port {path}: check that it is there, and that the agent alone may use it"
    )]
    Open {
        /// Its device file.
        path: PathBuf,
        /// What the system said.
        source: tokio_serial::Error,
    },
    /// The machinery that waits for bytes could not be made: the process is out of file descriptors.
    #[error("cannot wait for the serial port {path}")]
    Runtime {
        /// Its device file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The other end is gone: the port reads nothing where it should wait, or fails.
    #[error("the serial port is gone")]
    Gone {
        /// What the system said; none: it read nothing.
        source: Option<io::Error>,
    },
}

/// An open serial line.
#[derive(Debug)]
pub struct SerialLine {
    // Before the runtime, which has to outlive it: fields are dropped in this order.
    wire: Wire,
    runtime: Runtime,
}

/// What an exchange on a [`SerialLine`] talks over.
#[derive(Debug)]
pub struct Wire(pub(super) SerialStream);

impl SerialLine {
    /// Opens the port at this many bits per second.
    ///
    /// # Errors
    /// [`SerialError::Open`], also if another process has it; [`SerialError::Runtime`].
    pub fn open(path: &Path, baud: u32) -> Result<Self, SerialError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| SerialError::Runtime { path: path.to_owned(), source })?;
        let within = runtime.enter();
        // The builder's defaults are 8N1 without flow control, exclusive.
        let stream = SerialStream::open(&tokio_serial::new(path.to_string_lossy(), baud))
            .map_err(|source| SerialError::Open { path: path.to_owned(), source })?;
        drop(within);
        Ok(Self { wire: Wire(stream), runtime })
    }

    /// Talks over the line for at most this long; none: the time was over first.
    ///
    /// # Errors
    /// What the exchange returns.
    pub fn exchange<T, E>(
        &mut self,
        at_most: Duration,
        talk: impl AsyncFnOnce(&mut Wire) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let wire = &mut self.wire;
        self.runtime.block_on(async { tokio::time::timeout(at_most, talk(wire)).await.ok() }).transpose()
    }
}

impl Wire {
    /// Waits for bytes and takes what has arrived: at least one, at most what fits. Cancel-safe.
    ///
    /// # Errors
    /// [`SerialError::Gone`].
    pub async fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a [u8], SerialError> {
        // Not the stream's `readable` and `try_read`: these leave it marked as readable, and the next wait spins.
        let mut unfilled = ReadBuf::new(buffer);
        std::future::poll_fn(|context| Pin::new(&mut self.0).poll_read(context, &mut unfilled))
            .await
            .map_err(gone)?;
        let length = unfilled.filled().len();
        if length == 0 {
            return Err(SerialError::Gone { source: None });
        }
        Ok(buffer.get(..length).unwrap_or_default())
    }

    /// Sends all of these bytes. Not cancel-safe: a part may have been sent.
    ///
    /// # Errors
    /// [`SerialError::Gone`].
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), SerialError> {
        while !bytes.is_empty() {
            let written = std::future::poll_fn(|context| Pin::new(&mut self.0).poll_write(context, bytes))
                .await
                .map_err(gone)?;
            if written == 0 {
                return Err(SerialError::Gone { source: None });
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Forgets what has arrived and was not read.
    ///
    /// # Errors
    /// [`SerialError::Gone`].
    pub fn forget_received(&mut self) -> Result<(), SerialError> {
        self.0.clear(ClearBuffer::Input).map_err(|error| gone(error.into()))
    }
}

fn gone(error: io::Error) -> SerialError {
    SerialError::Gone { source: Some(error) }
}
