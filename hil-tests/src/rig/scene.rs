//! What surrounds a lamppost's instruments, and which of them are broken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_agent::clock::Clock;
use sensor_drivers::bme280::model::Fault as ChipFault;
use sensor_drivers::pms5003::model::Fault as ParticlesFault;

use crate::world::faults::{Fault, Faults};
use crate::world::told::{Order, Told};
use crate::world::{Truth, World};

/// The world around one lamppost, by the clock that its agent follows. Clones are the same surroundings: they share
/// the clock, and what is told to one is told to all.
#[derive(Clone, Debug)]
pub struct Scene {
    pub(super) world: World,
    faults: Faults,
    pub(super) lamppost: u32,
    pub(super) clock: Arc<dyn Clock>,
    told: Arc<Mutex<Told>>,
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
    /// This world and these faults, by this clock. `lamppost`, counted from 0, tells lampposts apart in the faults.
    pub fn new(world: World, faults: Faults, lamppost: u32, clock: Arc<dyn Clock>) -> Self {
        Self { world, faults, lamppost, clock, told: Arc::default() }
    }

    /// From the next transaction of each bus on it is so.
    pub fn tell(&self, order: Order) {
        self.told().take(order);
    }

    /// Whether an instrument is broken now.
    pub fn is_broken(&self) -> bool {
        let moment = self.look();
        moment.chip != ChipFault::None || moment.particles != ParticlesFault::None
    }

    /// The clock that the agent follows.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What was told comes before what is drawn, instrument by instrument.
    pub(super) fn look(&self) -> Moment {
        let now = self.clock.now();
        let (chip, particles) = match self.faults.at(self.lamppost, now.wall).map(|window| window.fault) {
            None => (ChipFault::None, ParticlesFault::None),
            Some(Fault::Chip(fault)) => (fault, ParticlesFault::None),
            Some(Fault::Particles(fault)) => (ChipFault::None, fault),
        };
        let told = self.told();
        Moment {
            now: now.monotonic,
            truth: told.truth(self.world.at(now.wall)),
            chip: told.chip().unwrap_or(chip),
            particles: told.particles().unwrap_or(particles),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
