//! Chips and instruments of a lamppost: registers to quantities, frames to quantities.
//!
//! **Does**: names every register and frame field after its datasheet, checks that the part is the one it should
//! be, and turns what it says into quantities with a unit, or into the reason why there is none.
//!
//! **Does not**: open a bus or a port, keep time, retry, judge whether a value is plausible for its place, or know
//! the agent. A driver reports what the part says; quality is decided by who calls it.
//!
//! **Its IO** lives in the caller: I2C drivers borrow any [`embedded_hal::i2c::I2c`] and
//! [`embedded_hal::delay::DelayNs`] for the length of one call, so that several chips share a bus; serial
//! instruments are pure parsers that are fed bytes and hand back frames.
//!
//! Every driver has the same five parts in the same order, one file each: register map (or frame layout), error,
//! pure conversion, driver, vectors (`tests.rs`). With feature `models` a sixth, the model: what the part itself
//! would say when the world is so. Without that feature the crate's own code needs neither `std` nor an allocator.
//!
//! | part | measures | bus | source |
//! | --- | --- | --- | --- |
//! | [`bme280`] | air temperature, relative humidity, pressure | I2C 0x76, 0x77 | Bosch BST-BME280-DS001-10 |
//! | [`pms5003`] | PM1.0, PM2.5, PM10, particle counts | serial 9600 8N1 | Plantower PMS5003 data manual V2.3 |
#![cfg_attr(not(any(test, feature = "models")), no_std)]

pub mod bme280;
mod error;
#[cfg(any(test, feature = "models"))]
pub mod model;
pub mod pms5003;
pub mod quantity;

pub use bme280::Bme280;
pub use error::ErrorKind;
pub use pms5003::FrameParser;
pub use quantity::{CentiCelsius, MicrogramsPerCubicMetre, ParticlesPerDecilitre, Pascals, RelativeHumidity};
