//! Bosch BME280: air temperature, relative humidity and pressure over I2C.
//!
//! One call, one measurement: forced mode, so that the chip sleeps (and does not heat itself) between readings.
//!
//! Source: BME280 data sheet, Bosch Sensortec BST-BME280-DS001-10, revision 1.1, May 2015; "section" means a section
//! of it. Golden values of the temperature and pressure formulas, which the BME280 shares with the BMP280, are those
//! of the BMP280 data sheet, BST-BMP280-DS001, section 3.12.
//!
//! Not implemented: SPI, normal mode, the IIR filter, measuring fewer than all three quantities.

#[warn(clippy::indexing_slicing)]
mod conversion;
#[warn(clippy::indexing_slicing)]
mod driver;
mod error;
#[cfg(any(test, feature = "models"))]
pub mod model;
mod registers;
#[cfg(test)]
mod tests;

pub use driver::{Address, Bme280, Measurement};
pub use error::Error;
