//! Why a BME280 gave no measurement.

use crate::ErrorKind;

/// Why there is no chip, or no measurement. `E` is the bus's own error.
///
/// After any of these, call [`Bme280::identify`](super::Bme280::identify) again: the chip may be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The bus refused or failed.
    #[error("I2C transfer failed: {0:?}")]
    Bus(E),
    /// The chip id is not that of a BME280.
    #[error("chip id is 0x{found:02X}, that of a BME280 is 0x60")]
    WrongChip {
        /// What register 0xD0 reads.
        found: u8,
    },
    /// The settings of [`Bme280::identify`](super::Bme280::identify) are gone: the chip lost power or was exchanged
    /// for another BME280, whose calibration is not the one held.
    #[error("register 0xF2 reads 0x{found:02X}: the chip restarted or was exchanged since it was identified")]
    Restarted {
        /// What register 0xF2 reads.
        found: u8,
    },
    /// A whole block reads 0x00 or 0xFF: nobody drove the line, or the chip is dead.
    #[error("every register from 0x{register:02X} reads 0x{byte:02X}")]
    Blank {
        /// First register of the block.
        register: u8,
        /// The byte that all of it reads.
        byte: u8,
    },
    /// The chip stayed busy past the longest time that its datasheet allows.
    #[error("chip still busy past its longest time, status 0x{status:02X}")]
    NotReady {
        /// What register 0xF3 reads.
        status: u8,
    },
    /// All data registers hold their reset values: no conversion took place.
    #[error("data registers hold their reset values")]
    NotMeasured,
    /// The datasheet's own arithmetic overflows: calibration and data cannot belong to one working chip.
    #[error("compensation overflows: calibration and data do not belong to one working chip")]
    Uncomputable,
}

impl<E> Error<E> {
    /// What a caller has to tell apart.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(_) => ErrorKind::Bus,
            Self::WrongChip { .. } | Self::Restarted { .. } => ErrorKind::Identity,
            Self::Blank { .. } | Self::NotReady { .. } | Self::NotMeasured | Self::Uncomputable => {
                ErrorKind::SensorFault
            }
        }
    }
}
