//! One lamppost without hardware: models of its instruments, on buses that the real agent opens.
//!
//! - [`i2c`]: an I2C bus within the process, with a BME280 on it; [`i2c::RigOpener`] hands it to the agent.
//! - [`serial`]: a PMS5003 behind a pseudo-terminal, which the agent opens as it opens any serial port.
//! - [`clock`]: the clocks that agents and instruments follow.
//! - [`lamppost`]: both buses and the configuration of an agent that reads them.
//!
//! What an instrument shows is asked of the world anew at each of the bus's transactions ([`Scene`]), at the time
//! that the agent's own clock shows.

pub mod clock;
pub mod i2c;
pub mod lamppost;
mod scene;
pub mod serial;
#[cfg(test)]
mod tests;

pub use lamppost::hardware_serial;
pub use scene::Scene;
