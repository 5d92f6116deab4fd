//! Why a frame of a PMS5003 gave no values.

use crate::ErrorKind;

/// Why a frame gave no values. The parser has gone on past it: what follows may be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The check code is wrong: bytes were lost, added or changed on the line.
    #[error("check code is 0x{found:04X}, the sum is 0x{expected:04X}")]
    CheckCode {
        /// Sum of the bytes before the check code.
        expected: u16,
        /// The check code itself.
        found: u16,
    },
    /// All twelve measured words are 0x0000 or 0xFFFF. Outdoor air is never without a single particle: the laser or
    /// the fan does not run.
    #[error("every measured word reads 0x{word:04X}")]
    Blank {
        /// What all of them read.
        word: u16,
    },
    /// The instrument itself reports a fault.
    #[error("instrument reports error 0x{code:02X}")]
    Reported {
        /// Low byte of "data 13".
        code: u8,
    },
}

impl Error {
    /// What a caller has to tell apart.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::CheckCode { .. } => ErrorKind::Bus,
            Self::Blank { .. } | Self::Reported { .. } => ErrorKind::SensorFault,
        }
    }
}
