//! The machine's I2C buses: `/dev/i2c-N`, by the `I2C_RDWR` transfer of the kernel's `i2c-dev`.
//!
//! `linux-embedded-hal` has an adapter of its own, which drops the number of messages that the kernel says were done:
//! "0 of 2" becomes success with an untouched buffer, and a chip that is not there measures zeros. Here a transfer
//! is a success only if every message was done. Besides, each message carries its address (no second and third call
//! for each change of chip), and neighbours of one direction are merged into one message: the flag that would say
//! "no start between these" is ignored by several adapters.

use std::fmt;
use std::io;
use std::path::Path;

use embedded_hal::i2c::{ErrorType, I2c, Operation, SevenBitAddress};
use linux_embedded_hal::i2cdev::core::{I2CMessage, I2CTransfer};
use linux_embedded_hal::i2cdev::linux::{LinuxI2CBus, LinuxI2CMessage};

use super::{I2cBus, I2cError, I2cOpener};

/// Most messages of one transfer: `I2C_RDWR_IOCTL_MAX_MSGS` of the kernel's `i2c-dev.h`.
const MAX_MESSAGES: usize = 42;

/// Most bytes of one message: what `i2cdev_ioctl_rdwr` of the kernel's `i2c-dev.c` accepts.
const MAX_MESSAGE_BYTES: usize = 8192;

/// One message of a transfer: it begins with a start (or repeated start) and the address.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Filled by the chip.
    Read(&'a mut [u8]),
    /// Sent to the chip.
    Write(&'a [u8]),
}

/// The one system call. Two implementations: [`Ioctl`], and scripted ones in tests, for adapters fail in ways that
/// no healthy machine shows.
pub trait Transfer {
    /// Does these messages without a stop in between, and says how many were done.
    ///
    /// # Errors
    /// What the system says.
    fn transfer(&mut self, address: u8, messages: &mut [Message<'_>]) -> io::Result<u32>;
}

/// The kernel.
#[derive(Debug)]
pub struct Ioctl(LinuxI2CBus);

/// An open I2C bus of the machine. See the module for what it guarantees.
#[derive(Debug)]
pub struct LinuxI2c<T = Ioctl> {
    transfer: T,
}

/// Opens the machine's I2C buses.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinuxI2cOpener;

impl LinuxI2c {
    /// Opens `/dev/i2c-N`.
    ///
    /// # Errors
    /// [`I2cError::Open`].
    pub fn open(path: &Path) -> Result<Self, I2cError> {
        let open = |error| I2cError::Open { path: path.to_owned(), source: io::Error::from(error) };
        LinuxI2CBus::new(path).map(Ioctl).map(Self::over).map_err(open)
    }
}

impl<T: Transfer> LinuxI2c<T> {
    /// A bus over this system call.
    pub const fn over(transfer: T) -> Self {
        Self { transfer }
    }
}

impl I2cOpener for LinuxI2cOpener {
    fn open(&self, path: &Path) -> Result<Box<dyn I2cBus>, I2cError> {
        Ok(Box::new(LinuxI2c::open(path)?))
    }
}

impl fmt::Debug for dyn I2cOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("I2cOpener")
    }
}

impl Transfer for Ioctl {
    fn transfer(&mut self, address: u8, messages: &mut [Message<'_>]) -> io::Result<u32> {
        let mut messages: Vec<LinuxI2CMessage<'_>> = messages
            .iter_mut()
            .map(|message| match message {
                Message::Read(buffer) => LinuxI2CMessage::read(buffer),
                Message::Write(bytes) => LinuxI2CMessage::write(bytes),
            })
            .map(|message| message.with_address(u16::from(address)))
            .collect();
        self.0.transfer(&mut messages).map_err(io::Error::from)
    }
}

impl<T> ErrorType for LinuxI2c<T> {
    type Error = I2cError;
}

impl<T: Transfer> I2c for LinuxI2c<T> {
    fn transaction(
        &mut self,
        address: SevenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        if operations.is_empty() {
            return Ok(());
        }
        let mut merged: Vec<Merged> = operations.chunk_by(same_direction).map(Merged::of).collect();
        let longest = merged.iter().map(|run| run.bytes.len()).max().unwrap_or(0);
        if merged.len() > MAX_MESSAGES || longest > MAX_MESSAGE_BYTES {
            return Err(I2cError::TooLarge { messages: merged.len(), bytes: longest });
        }
        let mut messages: Vec<Message<'_>> = merged.iter_mut().map(Merged::message).collect();
        let done = self.transfer.transfer(address, &mut messages).map_err(I2cError::from_transfer)?;
        if usize::try_from(done) != Ok(messages.len()) {
            let asked = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            return Err(I2cError::Incomplete { done, asked });
        }
        for (run, read) in operations.chunk_by_mut(same_direction).zip(&merged) {
            hand_out(&read.bytes, run);
        }
        Ok(())
    }
}

/// Neighbouring operations of one direction, as one message.
struct Merged {
    reads: bool,
    bytes: Vec<u8>,
}

impl Merged {
    fn of(run: &[Operation<'_>]) -> Self {
        let mut merged = Self { reads: false, bytes: Vec::new() };
        for operation in run {
            match operation {
                Operation::Write(bytes) => merged.bytes.extend_from_slice(bytes),
                Operation::Read(buffer) => {
                    merged.reads = true;
                    merged.bytes.resize(merged.bytes.len() + buffer.len(), 0);
                }
            }
        }
        merged
    }

    fn message(&mut self) -> Message<'_> {
        if self.reads { Message::Read(&mut self.bytes) } else { Message::Write(&self.bytes) }
    }
}

fn same_direction(one: &Operation<'_>, next: &Operation<'_>) -> bool {
    matches!(one, Operation::Read(_)) == matches!(next, Operation::Read(_))
}

/// Gives each operation of a merged read its part.
fn hand_out(mut read: &[u8], run: &mut [Operation<'_>]) {
    for operation in run {
        if let Operation::Read(buffer) = operation {
            let (part, rest) = read.split_at(buffer.len().min(read.len()));
            buffer.copy_from_slice(part);
            read = rest;
        }
    }
}
