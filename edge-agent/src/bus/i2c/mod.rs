//! I2C buses: what the agent asks of one, and the machine's own.
//!
//! Drivers speak `embedded-hal`. What this room adds is that failures are told apart by what helps against them
//! ([`I2cError`]), and that nothing is believed which was not transferred ([`LinuxI2c`]).

mod error;
mod linux;
#[cfg(test)]
mod tests;

use std::path::Path;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

pub use error::I2cError;
pub use linux::{Ioctl, LinuxI2c, LinuxI2cOpener, Message, Transfer};

/// An I2C bus that the agent can drive from a thread of its own. Calls may block.
pub trait I2cBus: I2c<Error = I2cError> + Send {}

impl<T: I2c<Error = I2cError> + Send> I2cBus for T {}

/// Where I2C buses come from. Two implementations: the machine's ([`LinuxI2cOpener`]), and the rig's in `hil-tests`.
pub trait I2cOpener: Send + Sync {
    /// Opens the bus at `path`, at the start and again after it failed.
    ///
    /// # Errors
    /// [`I2cError::Open`] if there is none or it may not be opened.
    fn open(&self, path: &Path) -> Result<Box<dyn I2cBus>, I2cError>;

    /// What drivers wait by while a chip works: real time, unless the chips live in another one.
    fn delay(&self) -> Box<dyn DelayNs + Send> {
        Box::new(linux_embedded_hal::Delay)
    }
}
