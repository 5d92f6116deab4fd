//! From chips to ticks: each bus is read by a thread of its own, on the grids of its devices.
//!
//! **Guarantees.** A stuck chip stalls its own bus and nothing else. Every tick that a bus thread lives through on time
//! becomes one record: of values, or of the reasons why there are none; ticks that passed while the bus was busy are
//! missed, and counted. Times of a device strictly increase within a run, whatever the clock does. A chip is identified
//! at the start and after each failure before anything it says is believed.
//!
//! **Leaves to others**: what a value is worth (`quality`), keeping it (`outbox`), what to do when a thread ends before
//! its time ([`Ended`]).

mod ended;
pub mod i2c;
mod instrument;
mod link;
mod own;
mod pace;
mod schedule;
pub mod serial;
mod sink;
mod task;
#[cfg(test)]
mod tests;
mod threads;

use std::fmt;
use std::io;
use std::sync::Arc;

use lamplighter_protocol::{Catalogue, Description, Property, Series};
use sensor_drivers::bme280::Address;

pub use ended::Ended;
pub use i2c::{I2cBus, I2cError, I2cOpener, LinuxI2c, LinuxI2cOpener};
pub use own::CountBacklog;
pub use sink::{Closed, Sink};
pub use threads::{BusThreads, ThreadEnd};

use self::instrument::{Bme280, Instrument, Pms5003};
use self::link::{I2cAt, Link, SerialAt};
use self::own::OwnTask;
use self::serial::SerialLine;
use self::task::{BusTask, Device};
use self::threads::Starting;
use crate::clock::{Clock, Now, Stop};
use crate::config::{BusConfig, BusKind, Config, DeviceConfig, Sensor};
use crate::health::Health;

/// What the bus tasks are connected to.
pub struct BusPorts<S> {
    /// Where I2C buses come from.
    pub opener: Arc<dyn I2cOpener>,
    /// What they sample by.
    pub clock: Arc<dyn Clock>,
    /// When the run opened, by this clock: the ticks from then on are theirs.
    pub opened: Now,
    /// Where ticks go.
    pub sink: S,
    /// What the agent observes as its backlog.
    pub count_backlog: CountBacklog,
    /// Ends the threads. A thread that is blocked in a bus ends once the bus lets it go.
    pub stop: Stop,
    /// What the threads count.
    pub health: Arc<Health>,
}

/// Everything that samples on this lamppost, built and not yet started.
pub struct BusTasks<S> {
    tasks: Vec<(String, Task)>,
    own: OwnTask,
    clock: Arc<dyn Clock>,
    opened: Now,
    sink: S,
    stop: Stop,
    health: Arc<Health>,
}

enum Task {
    I2c(BusTask<I2cAt>),
    Serial(BusTask<SerialAt>),
}

impl<S: Sink + Clone + 'static> BusTasks<S> {
    /// One task for each bus, and one for the agent's own device. Opens nothing yet.
    pub fn build(config: &Config, catalogue: &Catalogue, ports: BusPorts<S>) -> Self {
        let BusPorts { opener, clock, opened, sink, count_backlog, stop, health } = ports;
        let described = Described { config, description: config.description(catalogue), catalogue };
        let task = |(place, bus): (usize, &BusConfig)| (bus.name.clone(), task(&described, place, &opener));
        let own_place = config.devices.len();
        let own = OwnTask {
            place: own_place,
            grid: config.health.grid,
            properties: described.properties(own_place),
            count_backlog,
        };
        let tasks = config.buses.iter().enumerate().map(task).collect();
        Self { tasks, own, clock, opened, sink, stop, health }
    }

    /// Starts the threads. All of them have entered the clock before the first one starts, so that a stepped clock does
    /// not move on before the last one is there.
    ///
    /// # Errors
    /// What the system says if it has no more threads; those already started are told to stop.
    pub fn start(self) -> io::Result<BusThreads> {
        let Self { tasks, own, clock, opened, sink, stop, health } = self;
        let mut starting = Starting::new(&clock, stop, tasks.len() + 1);
        for (name, task) in tasks {
            let (sink, health) = (sink.clone(), Arc::clone(&health));
            starting.spawn(name, move |clock, stop| match task {
                Task::I2c(task) => task.run(opened, clock, stop, &sink, &health),
                Task::Serial(task) => task.run(opened, clock, stop, &sink, &health),
            })?;
        }
        starting
            .spawn("agent".to_owned(), move |clock, stop| own.run(opened, clock, stop, &sink, &health))?;
        Ok(starting.finish())
    }
}

impl<S> fmt::Debug for BusTasks<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tasks.iter().map(|(name, _)| name)).finish()
    }
}

impl<S> fmt::Debug for BusPorts<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusPorts").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// A configuration and what its devices observe.
struct Described<'a> {
    config: &'a Config,
    description: Description,
    catalogue: &'a Catalogue,
}

impl Described<'_> {
    /// What the series of the device at this place observe: the catalogue's properties with the description's
    /// resolutions, for these are what values are written in (D4).
    fn properties(&self, place: usize) -> Vec<Property> {
        let series = self.description.devices.get(place).map_or(&[][..], |device| &device.series);
        let property = |one: &Series| {
            let named =
                self.catalogue.get(&one.property).expect("the description was made from this catalogue");
            Property { resolution: one.resolution, ..named.clone() }
        };
        series.iter().map(property).collect()
    }

    /// The devices of a bus whose instrument is of the bus's kind.
    fn devices<B>(
        &self,
        bus: usize,
        instrument: impl Fn(&DeviceConfig) -> Option<Box<dyn Instrument<B>>>,
    ) -> Vec<Device<B>> {
        let on_bus = self.config.devices.iter().enumerate().filter(|(_, device)| device.bus == bus);
        let built = on_bus.filter_map(|(place, device)| {
            let properties = self.properties(place);
            Some(Device { place, grid: device.grid, instrument: instrument(device)?, properties })
        });
        built.collect()
    }
}

fn task(described: &Described<'_>, bus: usize, opener: &Arc<dyn I2cOpener>) -> Task {
    match &described.config.buses[bus].kind {
        BusKind::I2c { path } => {
            let at = I2cAt { opener: Arc::clone(opener), path: path.clone() };
            let devices = described.devices(bus, |device| on_i2c(device, opener.as_ref()));
            Task::I2c(BusTask { bus, link: Link::new(at), devices })
        }
        BusKind::Serial { path, baud } => {
            let at = SerialAt { path: path.clone(), baud: *baud };
            Task::Serial(BusTask { bus, link: Link::new(at), devices: described.devices(bus, on_serial) })
        }
    }
}

/// The configuration has checked that a sensor is on a bus of its kind.
fn on_i2c(device: &DeviceConfig, opener: &dyn I2cOpener) -> Option<Box<dyn Instrument<Box<dyn I2cBus>>>> {
    match device.sensor {
        Sensor::Bme280 { address } => {
            let secondary = address == Address::Secondary.get();
            let address = if secondary { Address::Secondary } else { Address::Primary };
            Some(Box::new(Bme280::new(address, device.warm_up, opener.delay())))
        }
        Sensor::Pms5003 => None,
    }
}

fn on_serial(device: &DeviceConfig) -> Option<Box<dyn Instrument<SerialLine>>> {
    match device.sensor {
        Sensor::Pms5003 => Some(Box::new(Pms5003::new(device.warm_up))),
        Sensor::Bme280 { .. } => None,
    }
}
