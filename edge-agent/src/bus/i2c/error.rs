//! What goes wrong on an I2C bus.

use std::io;
use std::path::PathBuf;

use embedded_hal::i2c::{Error, ErrorKind, NoAcknowledgeSource};

/// Why a transaction, or opening a bus, failed. After any of these nothing that was read is to be believed.
#[derive(Debug, thiserror::Error)]
pub enum I2cError {
    /// The bus could not be opened.
    #[error(
        "cannot open the I2C bus {path}: check that it is enabled, and that the agent's group may use it"
    )]
    Open {
        /// Its device file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody acknowledged: there is no chip at the address, or it is too busy.
    #[error("no chip acknowledged")]
    NoAcknowledge,
    /// The transaction took too long: a chip holds the clock, or the adapter hangs.
    #[error("the bus timed out")]
    Timeout,
    /// Another controller holds the bus, or won it.
    #[error("the bus is busy")]
    Busy,
    /// The adapter is no longer there. What is open never comes back; it has to be closed so that the adapter can.
    #[error("the bus adapter is gone")]
    Gone,
    /// The adapter reported success and did only a part.
    #[error("only {done} of {asked} messages of the transfer were done")]
    Incomplete {
        /// Messages done.
        done: u32,
        /// Messages asked for.
        asked: u32,
    },
    /// The transaction does not fit into one transfer, and cannot be cut without a stop in between.
    #[error(
        "a transaction of {messages} messages, the longest of {bytes} bytes, does not fit into one transfer"
    )]
    TooLarge {
        /// Messages, after neighbours of one direction were merged.
        messages: usize,
        /// Bytes of the longest.
        bytes: usize,
    },
    /// The adapter failed in some other way.
    #[error("the transfer failed")]
    Bus(#[source] io::Error),
}

/// Error numbers of Linux (`errno-base.h`, `errno.h`; the same on x86 and Arm) and what I2C adapters mean by them
/// (kernel documentation, `i2c/fault-codes`).
mod errno {
    pub(super) const ENOENT: i32 = 2;
    /// "There is no device responding, so the address phase of a transfer didn't get an ACK."
    pub(super) const ENXIO: i32 = 6;
    /// "Lost arbitration."
    pub(super) const EAGAIN: i32 = 11;
    /// "The bus was busy for longer than allowed."
    pub(super) const EBUSY: i32 = 16;
    /// The adapter was unplugged.
    pub(super) const ENODEV: i32 = 19;
    /// "An operation took too much time, and was aborted before it completed."
    pub(super) const ETIMEDOUT: i32 = 110;
    /// What several adapters (of Raspberry Pis among them) say for a missing acknowledge.
    pub(super) const EREMOTEIO: i32 = 121;
}

impl I2cError {
    /// What the system said about a transfer.
    pub fn from_transfer(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno::ENXIO | errno::EREMOTEIO) => Self::NoAcknowledge,
            Some(errno::ETIMEDOUT) => Self::Timeout,
            Some(errno::EAGAIN | errno::EBUSY) => Self::Busy,
            Some(errno::ENODEV | errno::ENOENT) => Self::Gone,
            Some(_) | None => Self::Bus(error),
        }
    }
}

impl Error for I2cError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAcknowledge => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::Busy => ErrorKind::ArbitrationLoss,
            Self::Bus(_) => ErrorKind::Bus,
            Self::Open { .. }
            | Self::Timeout
            | Self::Gone
            | Self::Incomplete { .. }
            | Self::TooLarge { .. } => ErrorKind::Other,
        }
    }
}
