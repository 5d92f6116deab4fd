//! What surrounds a lamppost's instruments, and which of them are broken.

use std::sync::Arc;
use std::time::Duration;

use edge_agent::clock::Clock;
use sensor_drivers::bme280::model::Fault as ChipFault;
use sensor_drivers::pms5003::model::Fault as ParticlesFault;

use crate::world::faults::{Fault, Faults};
use crate::world::{Truth, World};

/// The world around one lamppost, by the clock that its agent follows. Clones share the clock.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What is true.
    pub world: World,
    /// What is broken.
    pub faults: Faults,
    /// Tells lampposts apart in the faults, counted from 0.
    pub lamppost: u32,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// What an instrument is to show at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The time that models are given: they take intervals from it.
    pub(super) now: Duration,
    pub(super) truth: Truth,
    pub(super) chip: ChipFault,
    pub(super) particles: ParticlesFault,
}

impl Scene {
    pub(super) fn look(&self) -> Moment {
        let now = self.clock.now();
        let (chip, particles) = match self.faults.at(self.lamppost, now.wall).map(|window| window.fault) {
            None => (ChipFault::None, ParticlesFault::None),
            Some(Fault::Chip(fault)) => (fault, ParticlesFault::None),
            Some(Fault::Particles(fault)) => (ChipFault::None, fault),
        };
        Moment { now: now.monotonic, truth: self.world.at(now.wall), chip, particles }
    }
}
