//! An I2C bus within the process: a model of a BME280 on it, in the air that the world has.
//!
//! The bus is as fast as the process: nothing is paced. A bus that the agent closed and opens again is the same bus,
//! with the chip as it was.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use edge_agent::bus::{I2cBus, I2cError, I2cOpener};
use edge_agent::clock::Clock;
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{ErrorType, I2c, Operation};
use sensor_drivers::bme280::Address;
use sensor_drivers::bme280::model::{Bme280Model, Fault};
use sensor_drivers::model::ModelBus;

use super::Scene;

/// The path by which an agent's configuration names the bus.
pub const PATH: &str = "rig:i2c-env";

/// Where the BME280 answers.
pub const ADDRESS: u8 = Address::Primary.get();

/// A simulated I2C bus. Clones are the same bus.
#[derive(Clone)]
pub struct SimulatedI2c(Arc<Mutex<Wired>>);

/// Opens the simulated bus of one lamppost by its [`PATH`], and no other.
#[derive(Clone, Debug)]
pub struct RigOpener {
    bus: SimulatedI2c,
}

struct Wired {
    bus: ModelBus,
    chip: Arc<Mutex<Bme280Model>>,
    scene: Scene,
}

impl SimulatedI2c {
    /// A bus with a chip that has just been given power.
    pub fn new(scene: Scene) -> Self {
        let chip = Arc::new(Mutex::new(Bme280Model::new()));
        let mut bus = ModelBus::new();
        bus.attach(ADDRESS, Box::new(Arc::clone(&chip)));
        Self(Arc::new(Mutex::new(Wired { bus, chip, scene })))
    }
}

impl RigOpener {
    /// Hands out this bus.
    pub fn new(bus: SimulatedI2c) -> Self {
        Self { bus }
    }
}

impl I2cOpener for RigOpener {
    fn open(&self, path: &Path) -> Result<Box<dyn I2cBus>, I2cError> {
        if path != Path::new(PATH) {
            let source = io::Error::new(io::ErrorKind::NotFound, format!("this rig has {PATH} and no other"));
            return Err(I2cError::Open { path: PathBuf::from(path), source });
        }
        Ok(Box::new(self.bus.clone()))
    }

    fn delay(&self) -> Box<dyn DelayNs + Send> {
        let wired = self.bus.0.lock().unwrap_or_else(PoisonError::into_inner);
        Box::new(ClockDelay(Arc::clone(&wired.scene.clock)))
    }
}

/// Waits as long as the rig's clock says that a chip's work takes.
struct ClockDelay(Arc<dyn Clock>);

impl DelayNs for ClockDelay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.pause(Duration::from_nanos(ns.into()));
    }
}

impl ErrorType for SimulatedI2c {
    type Error = I2cError;
}

impl I2c for SimulatedI2c {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        let mut wired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wired.show_the_world();
        // Both of the model's errors say that nobody acknowledged.
        wired.bus.transaction(address, operations).map_err(|_| I2cError::NoAcknowledge)
    }
}

impl Wired {
    fn show_the_world(&mut self) {
        let moment = self.scene.look();
        self.bus.set_now(moment.now);
        let mut chip = self.chip.lock().unwrap_or_else(PoisonError::into_inner);
        let truth = moment.truth;
        chip.set_environment(truth.air_temperature, truth.relative_humidity, truth.barometric_pressure);
        let before = chip.fault();
        if before == moment.chip {
            return;
        }
        // Setting `Absent` to anything else gives the chip power anew: only what changes is set.
        chip.set_fault(moment.chip);
        let (lamppost, sensor) = (self.scene.lamppost, "bme280");
        match moment.chip {
            Fault::None => tracing::info!(lamppost, sensor, fault = ?before, "the fault is over"),
            Fault::Absent
            | Fault::WrongId(_)
            | Fault::AllZero
            | Fault::AllOnes
            | Fault::Stuck
            | Fault::Frozen => tracing::info!(lamppost, sensor, fault = ?moment.chip, "a fault begins"),
        }
    }
}

impl fmt::Debug for SimulatedI2c {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedI2c").field("path", &PATH).finish_non_exhaustive()
    }
}
