//! Models of parts, for rigs and tests: what the registers and frames say when the world is so.
//!
//! A model **never reads a clock**: world time is handed to it with every call, monotonic, as the time since the
//! world began. The same calls therefore give the same bytes, in any process, at any speed. How bytes reach a model
//! (in this process, a character device, a pty) is the rig's matter; [`ModelBus`] is the in-process way.

mod bus;
#[cfg(test)]
mod tests;
mod time;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use bus::{ModelBus, ModelBusError};
pub use time::ModelTime;

/// What a target does with what the controller sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Ack {
    /// Every byte was acknowledged.
    Acknowledged,
    /// Nobody answers at this address.
    AddressRefused,
    /// The address was acknowledged, a byte after it was not.
    DataRefused,
}

/// A chip on an I2C bus. A stop or a repeated start ends each call.
pub trait I2cTarget {
    /// Takes what the controller writes after the address. Empty: the controller only probes the address.
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack;

    /// Fills `buffer` with what the controller reads. Untouched unless acknowledged.
    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack;
}

/// An instrument on a serial line. Bytes only: the rig paces them at the line's rate.
pub trait SerialTarget {
    /// Takes what the host sends.
    fn receive(&mut self, now: Duration, bytes: &[u8]);

    /// Hands over what the instrument has sent since the last call.
    fn transmit(&mut self, now: Duration) -> Vec<u8>;

    /// When [`transmit`](Self::transmit) next has something to hand over, if nothing is received before. May lie in
    /// the past: then it has something now.
    fn next_at(&self) -> Option<Duration>;
}

/// A shared model: one handle goes to the bus, the other stays with whoever sets environment and faults.
impl<T: I2cTarget> I2cTarget for Arc<Mutex<T>> {
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack {
        self.lock().unwrap_or_else(PoisonError::into_inner).write(now, bytes)
    }

    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(now, buffer)
    }
}

/// A shared model: one handle goes to the line, the other stays with whoever sets environment and faults.
impl<T: SerialTarget> SerialTarget for Arc<Mutex<T>> {
    fn receive(&mut self, now: Duration, bytes: &[u8]) {
        self.lock().unwrap_or_else(PoisonError::into_inner).receive(now, bytes);
    }

    fn transmit(&mut self, now: Duration) -> Vec<u8> {
        self.lock().unwrap_or_else(PoisonError::into_inner).transmit(now)
    }

    fn next_at(&self) -> Option<Duration> {
        self.lock().unwrap_or_else(PoisonError::into_inner).next_at()
    }
}
