//! A lamppost in the test's process: buses with models on them, and a collector in place of the outbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use embedded_hal::i2c::{ErrorType, I2c, Operation};
use lamplighter_protocol::{Catalogue, Grid, Reason, Tick, UtcMillis};
use sensor_drivers::bme280::model::Bme280Model;
use sensor_drivers::model::ModelBus;

use super::stepped::SteppedClock;
use crate::bus::{BusPorts, BusTasks, BusThreads, Closed, I2cBus, I2cError, I2cOpener, Sink, ThreadEnd};
use crate::clock::{Clock, ClockTrust, Now, Stop};
use crate::config::{
    BusConfig, BusKind, Config, DeviceConfig, HealthConfig, OutboxConfig, Sensor, ServerConfig,
};
use crate::health::Health;

/// A chip whose environment and faults the test holds.
pub(super) type Chip = Arc<Mutex<Bme280Model>>;

pub(super) const ADDRESS: u8 = 0x76;
/// 2026-01-01T00:00:00Z, a tick of every grid here.
pub(super) const START: UtcMillis = UtcMillis(1_767_225_600_000);
pub(super) const MINUTE: Grid = Grid { period_ms: 60_000, phase_ms: 0 };

/// The I2C buses of a lamppost, by path.
#[derive(Clone, Default)]
pub(super) struct Buses(Arc<Mutex<BTreeMap<PathBuf, RigBus>>>);

/// One of them. Clones share it.
#[derive(Clone)]
pub(super) struct RigBus {
    pub(super) chips: Arc<Mutex<ModelBus>>,
    state: Arc<(Mutex<BusState>, Condvar)>,
}

#[derive(Default)]
struct BusState {
    fails: Option<fn() -> I2cError>,
    stuck: bool,
    transfers: u64,
    openings: u64,
}

impl Buses {
    pub(super) fn add(&self, path: &str) -> RigBus {
        let bus = RigBus { chips: Arc::default(), state: Arc::default() };
        self.0.lock().unwrap().insert(path.into(), bus.clone());
        bus
    }

    pub(super) fn remove(&self, path: &str) {
        self.0.lock().unwrap().remove(Path::new(path));
    }

    pub(super) fn restore(&self, path: &str, bus: &RigBus) {
        self.0.lock().unwrap().insert(path.into(), bus.clone());
    }
}

impl I2cOpener for Buses {
    fn open(&self, path: &Path) -> Result<Box<dyn I2cBus>, I2cError> {
        let gone = || I2cError::Open { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() };
        let bus = self.0.lock().unwrap().get(path).cloned().ok_or_else(gone)?;
        bus.state.0.lock().unwrap().openings += 1;
        Ok(Box::new(bus))
    }
}

impl RigBus {
    pub(super) fn with_chip(self) -> (Self, Chip) {
        let chip = Chip::default();
        self.attach(ADDRESS, &chip);
        (self, chip)
    }

    pub(super) fn attach(&self, address: u8, chip: &Chip) {
        self.chips.lock().unwrap().attach(address, Box::new(Arc::clone(chip)));
    }

    pub(super) fn fail(&self, error: Option<fn() -> I2cError>) {
        self.state.0.lock().unwrap().fails = error;
    }

    /// Every transfer blocks until it is unstuck.
    pub(super) fn set_stuck(&self, stuck: bool) {
        self.state.0.lock().unwrap().stuck = stuck;
        self.state.1.notify_all();
    }

    pub(super) fn openings(&self) -> u64 {
        self.state.0.lock().unwrap().openings
    }

    pub(super) fn transfers(&self) -> u64 {
        self.state.0.lock().unwrap().transfers
    }
}

impl ErrorType for RigBus {
    type Error = I2cError;
}

impl I2c for RigBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        let mut state = self.state.0.lock().unwrap();
        state.transfers += 1;
        let state = self.state.1.wait_while(state, |state| state.stuck).unwrap();
        if let Some(error) = state.fails {
            return Err(error());
        }
        self.chips.lock().unwrap().transaction(address, operations).map_err(|_| I2cError::NoAcknowledge)
    }
}

/// Keeps every tick.
#[derive(Clone, Default)]
pub(super) struct Collector(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    ticks: Vec<Tick>,
    closed: bool,
}

impl Sink for Collector {
    fn put(&self, tick: Tick, _: ClockTrust) -> Result<(), Closed> {
        let mut collected = self.0.0.lock().unwrap();
        if collected.closed {
            return Err(Closed);
        }
        collected.ticks.push(tick);
        self.0.1.notify_all();
        Ok(())
    }
}

impl Collector {
    pub(super) fn close(&self) {
        self.0.0.lock().unwrap().closed = true;
    }

    /// The ticks of a device since the last call.
    pub(super) fn take(&self, device: usize) -> Vec<Tick> {
        self.0.0.lock().unwrap().ticks.extract_if(.., |tick| tick.device == device).collect()
    }

    /// Waits until a device has so many ticks, and takes them.
    pub(super) fn wait_for(&self, device: usize, count: usize) -> Vec<Tick> {
        let few = |collected: &mut Collected| {
            collected.ticks.iter().filter(|tick| tick.device == device).count() < count
        };
        let collected = self.0.0.lock().unwrap();
        let (collected, waited) =
            self.0.1.wait_timeout_while(collected, Duration::from_secs(30), few).unwrap();
        assert!(!waited.timed_out(), "device {device} has fewer than {count} ticks: {:?}", collected.ticks);
        drop(collected);
        self.take(device)
    }
}

/// A lamppost whose sampling threads run.
pub(super) struct Lamppost {
    pub(super) collector: Collector,
    pub(super) health: Arc<Health>,
    pub(super) stop: Stop,
    threads: Option<BusThreads>,
}

impl Lamppost {
    pub(super) fn start(config: &Config, buses: &Buses, clock: &Arc<impl Clock + 'static>) -> Self {
        Self::start_opened(config, buses, clock, clock.now())
    }

    /// One whose run has opened before.
    pub(super) fn start_opened(
        config: &Config,
        buses: &Buses,
        clock: &Arc<impl Clock + 'static>,
        opened: Now,
    ) -> Self {
        let (collector, stop) = (Collector::default(), Stop::new());
        let health = Arc::new(Health::new(config));
        let ports = BusPorts {
            opener: Arc::new(buses.clone()),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            opened,
            sink: collector.clone(),
            count_backlog: Box::new(|| 42),
            stop: stop.clone(),
            health: Arc::clone(&health),
        };
        let threads = BusTasks::build(config, &Catalogue::built_in(), ports).start().unwrap();
        Self { collector, health, stop, threads: Some(threads) }
    }

    /// Stops the threads and says how they ended.
    pub(super) fn stop(mut self) -> Vec<ThreadEnd> {
        self.stop.raise();
        self.threads.take().unwrap().join()
    }

    /// Waits until a thread ends.
    pub(super) fn next_end(&mut self) -> ThreadEnd {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.threads.as_mut().unwrap().next_end()).expect("a thread is there")
    }
}

impl Drop for Lamppost {
    fn drop(&mut self) {
        self.stop.raise();
    }
}

/// A lamppost with a BME280 on a bus, its agent's own device once a day, and a stepped clock.
pub(super) struct OneChip {
    pub(super) buses: Buses,
    pub(super) bus: RigBus,
    pub(super) chip: Chip,
    pub(super) clock: Arc<SteppedClock>,
    pub(super) lamppost: Lamppost,
}

impl OneChip {
    /// Before the first tick is read.
    pub(super) fn on(grid: Grid) -> Self {
        let buses = Buses::default();
        let (bus, chip) = buses.add("/dev/i2c-1").with_chip();
        let config = config(vec![i2c_bus("/dev/i2c-1")], vec![bme280("weather-1", 0, grid)]);
        let clock = Arc::new(SteppedClock::starting_at(START.plus_ms(1)));
        let lamppost = Lamppost::start(&config, &buses, &clock);
        Self { buses, bus, chip, clock, lamppost }
    }

    /// Everything up to the tick at this minute (of [`MINUTE`]), and the ticks read meanwhile.
    pub(super) fn up_to_minute(&self, minute: u64) -> Vec<Tick> {
        self.clock.run_until(Duration::from_mins(minute));
        self.lamppost.collector.take(0)
    }
}

pub(super) fn config(buses: Vec<BusConfig>, devices: Vec<DeviceConfig>) -> Config {
    let server = ServerConfig {
        host: "localhost".to_owned(),
        port: 8883,
        ca_file: PathBuf::new(),
        certificate_file: PathBuf::new(),
        key_file: PathBuf::new(),
        pkcs11: None,
        keep_alive: Duration::from_secs(30),
    };
    Config {
        lamppost: "DF3637".parse().unwrap(),
        generation: 1,
        hardware_serial: None,
        state_dir: PathBuf::new(),
        server,
        outbox: OutboxConfig::default(),
        health: HealthConfig { grid: Grid { period_ms: 86_400_000, phase_ms: 0 } },
        buses,
        devices,
    }
}

pub(super) fn i2c_bus(path: &str) -> BusConfig {
    BusConfig { name: path.rsplit('/').next().unwrap().to_owned(), kind: BusKind::I2c { path: path.into() } }
}

pub(super) fn bme280(name: &str, bus: usize, grid: Grid) -> DeviceConfig {
    let sensor = Sensor::Bme280 { address: ADDRESS };
    DeviceConfig { name: name.parse().unwrap(), bus, sensor, grid, warm_up: Duration::ZERO }
}

/// The reasons of a tick, all of whose values must be absent.
pub(super) fn absent(tick: &Tick) -> Vec<Reason> {
    assert!(tick.observations.iter().all(|one| one.value.is_none()), "{tick:?}");
    tick.observations.iter().map(|one| one.reason).collect()
}

/// The values of a tick, all of which must be there, for this reason.
pub(super) fn values(tick: &Tick, reason: Reason) -> Vec<i64> {
    assert!(tick.observations.iter().all(|one| one.reason == reason), "{tick:?}");
    tick.observations.iter().map(|one| one.value.expect("there is a value")).collect()
}
