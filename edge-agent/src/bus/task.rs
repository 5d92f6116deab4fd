//! One bus: a thread of its own that reads each device at its ticks, one after the other.
//!
//! A call to the bus may block for seconds; it stalls the devices of this bus and no others. Every tick that the thread
//! lives through on time becomes a record: with values, or, if the device or the bus failed, without and with the
//! reason. Ticks that passed while the bus was busy are missed, and counted.

use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{Grid, Observation, Property, Tick, UtcMillis, whole_ms};

use super::ended::Ended;
use super::instrument::{Again, Failure, Instrument};
use super::link::{Attempt, Link, Opener};
use super::pace::{Pace, Step};
use super::schedule::{phenomenon_time, tolerance};
use super::sink::Sink;
use crate::clock::{Clock, ClockTrust, Now, Stop};
use crate::health::{BusHealth, Health, SensorHealth};
use crate::quality::{Absence, Reading, judge};

/// How often a device is tried for one tick.
const MOST_ATTEMPTS: u32 = 3;

/// Reads the devices of one bus.
pub(super) struct BusTask<O: Opener> {
    /// Place of the bus in the configuration.
    pub(super) bus: usize,
    pub(super) link: Link<O>,
    pub(super) devices: Vec<Device<O::Bus>>,
}

/// A device on the bus.
pub(super) struct Device<B> {
    /// Its place in the configuration, hence in the description.
    pub(super) place: usize,
    pub(super) grid: Grid,
    pub(super) instrument: Box<dyn Instrument<B>>,
    /// What its series observe, each with the resolution of the description.
    pub(super) properties: Vec<Property>,
}

/// What became of a tick.
type Read = Result<Vec<Reading>, Absence>;

impl<O: Opener> BusTask<O> {
    /// Reads what is due since the run opened until the process stops, or nothing more can be read in this run.
    pub(super) fn run(
        mut self,
        opened: Now,
        clock: Arc<dyn Clock>,
        stop: Stop,
        sink: &dyn Sink,
        health: &Health,
    ) -> Result<(), Ended> {
        let mut pace = Pace::new(self.devices.iter().map(|device| device.grid), opened, clock, stop);
        let bus = health.bus(self.bus);
        loop {
            self.open_if_due(pace.now().monotonic, bus, health);
            let (on_bus, tick, missed) = match pace.next(self.link.opens_at())? {
                Step::Read { place, tick, missed } => (place, tick, missed),
                Step::Wake => continue,
                Step::Stop => return Ok(()),
            };
            let Some(device) = self.devices.get_mut(on_bus) else { continue };
            let sensor = health.sensor(device.place);
            let read = device.read(&mut self.link, &pace, tick, bus, sensor);
            let done = pace.now();
            let time = match read {
                Ok(_) => phenomenon_time(device.grid, tick, done.wall),
                // That nothing was there to be read is an observation of the tick itself.
                Err(_) => tick,
            };
            let tick_read = device.tick(time, read, done.trust);
            let with_value = tick_read.observations.iter().filter(|one| one.value.is_some()).count();
            sink.put(tick_read, done.trust)?;
            sensor.recorded(time, with_value);
            sensor.missed(missed + pace.answered(on_bus, tick, time, done));
        }
    }

    fn open_if_due(&mut self, now: Duration, bus: &BusHealth, health: &Health) {
        match self.link.open_if_due(now) {
            Attempt::None => {}
            Attempt::Failed(why) => {
                if bus.failed(&why) {
                    tracing::warn!(bus = bus.name(), why, "the bus does not open");
                }
            }
            Attempt::Opened => {
                bus.opened();
                tracing::info!(bus = bus.name(), "the bus is open");
                for device in &mut self.devices {
                    let sensor = health.sensor(device.place);
                    let Some(open) = self.link.bus() else { return };
                    if let Err(failure) = device.instrument.opened(open, now) {
                        device.note(&failure, sensor);
                        close_if_failed(&mut self.link, &failure, now, bus);
                    } else {
                        sensor.identified(device.instrument.is_identified());
                    }
                }
            }
        }
    }
}

impl<B> Device<B> {
    /// Reads for a tick, again at once where that may help and the tick can still be kept.
    fn read<O: Opener<Bus = B>>(
        &mut self,
        link: &mut Link<O>,
        pace: &Pace,
        tick: UtcMillis,
        bus: &BusHealth,
        sensor: &SensorHealth,
    ) -> Read {
        let in_time = whole_ms(tolerance(self.grid));
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(open) = link.bus() else {
                sensor.identified(false);
                return Err(Absence::NoAnswer);
            };
            let failure = match self.instrument.read(open, pace.now().monotonic) {
                Ok(readings) => {
                    link.worked();
                    sensor.identified(self.instrument.is_identified());
                    if sensor.worked() {
                        tracing::info!(sensor = sensor.name(), "the sensor is read again");
                    }
                    return Ok(readings);
                }
                Err(failure) => failure,
            };
            let now = pace.now();
            self.note(&failure, sensor);
            close_if_failed(link, &failure, now.monotonic, bus);
            let may_help = failure.again == Again::AtOnce && attempt < MOST_ATTEMPTS;
            if !may_help || now.wall.since_ms(tick) > in_time {
                return Err(failure.absence);
            }
        }
    }

    fn note(&self, failure: &Failure, sensor: &SensorHealth) {
        // Once for each kind of failure, not once for each tick.
        if sensor.failed(&failure.why) {
            tracing::warn!(sensor = sensor.name(), why = failure.why, "the sensor gives no reading");
        }
        sensor.identified(self.instrument.is_identified());
    }

    fn tick(&self, time: UtcMillis, read: Read, trust: ClockTrust) -> Tick {
        let readings = match read {
            Ok(readings) => readings,
            Err(absence) => vec![Reading::Absent(absence); self.properties.len()],
        };
        Tick { device: self.place, time, observations: observations(&self.properties, &readings, trust) }
    }
}

/// Judges readings, one for each property.
pub(super) fn observations(
    properties: &[Property],
    readings: &[Reading],
    trust: ClockTrust,
) -> Vec<Observation> {
    let judged = properties.iter().zip(readings).enumerate();
    judged
        .map(|(series, (property, reading))| {
            let (value, reason) = judge(property, *reading, trust);
            Observation { series, value, reason }
        })
        .collect()
}

fn close_if_failed<O: Opener>(link: &mut Link<O>, failure: &Failure, now: Duration, bus: &BusHealth) {
    if link.failed(failure.blame, now) {
        bus.failed(&failure.why);
        tracing::warn!(bus = bus.name(), why = failure.why, "the bus failed and is closed");
    }
}
