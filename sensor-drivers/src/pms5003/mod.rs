//! Plantower PMS5003: mass concentration and number of particles, over a serial line (9600 baud, 8N1).
//!
//! A pure parser: bytes in, frames out. It opens no port, keeps no time, and finds its place again by itself after
//! noise, cut frames and a late start.
//!
//! Source: "PMS5003 series data manual", Plantower, V2.3, 2016-06-01; "appendix" means an appendix of it. What the
//! manual leaves open is said where it matters: it calls the last word of a frame reserved, and is silent on the
//! replies to mode commands.
//!
//! Not implemented: the SET and RESET pins, the variants with formaldehyde or humidity (PMS5003S, PMS5003ST), whose
//! frames have other lengths or meanings.

#[warn(clippy::indexing_slicing)]
mod conversion;
#[warn(clippy::indexing_slicing)]
mod driver;
mod error;
mod frame;
#[cfg(any(test, feature = "models"))]
pub mod model;
#[cfg(test)]
mod tests;

pub use conversion::{Frame, MassConcentrations, ParticleCounts};
pub use driver::{Command, Counters, FrameParser};
pub use error::Error;
