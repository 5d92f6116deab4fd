//! How the agent's buses and sensors fare: counted by the bus tasks, read by the status socket and by the agent's own
//! observations.
//!
//! The counters are atomics, so that a bus task never waits for whoever looks. A snapshot is therefore not of one
//! instant: a tick may be counted whose time is not shown yet.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use lamplighter_protocol::UtcMillis;

use crate::config::{BusConfig, BusKind, Config};
use crate::status::{BusStatus, SensorStatus};

/// Counters of all buses and devices of one agent.
#[derive(Debug)]
pub struct Health {
    buses: Vec<BusHealth>,
    sensors: Vec<SensorHealth>,
    /// Of the agent's own device.
    missed_by_agent: AtomicU64,
}

/// One bus.
#[derive(Debug)]
pub(crate) struct BusHealth {
    name: String,
    kind: &'static str,
    path: String,
    open: AtomicBool,
    /// How often it was opened.
    openings: AtomicU64,
    trouble: Trouble,
}

/// One sensor.
#[derive(Debug)]
pub(crate) struct SensorHealth {
    name: String,
    sensor: &'static str,
    bus: String,
    identified: AtomicBool,
    /// Milliseconds; [`NEVER`] before the first.
    last_tick: AtomicI64,
    last_values: AtomicU64,
    read: AtomicU64,
    missed: AtomicU64,
    bad: AtomicU64,
    trouble: Trouble,
}

const NEVER: i64 = i64::MIN;

/// What failed last, and whether it still does.
#[derive(Debug, Default)]
struct Trouble {
    lasts: AtomicBool,
    last_error: Mutex<Option<String>>,
}

impl Health {
    /// Counters at zero for everything that is configured.
    pub fn new(config: &Config) -> Self {
        let bus_name = |place: usize| config.buses.get(place).map(|bus| bus.name.clone()).unwrap_or_default();
        let sensors = config.devices.iter().map(|device| SensorHealth {
            name: device.name.to_string(),
            sensor: device.sensor.model(),
            bus: bus_name(device.bus),
            identified: AtomicBool::new(false),
            last_tick: AtomicI64::new(NEVER),
            last_values: AtomicU64::new(0),
            read: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            trouble: Trouble::default(),
        });
        Self {
            buses: config.buses.iter().map(BusHealth::new).collect(),
            sensors: sensors.collect(),
            missed_by_agent: AtomicU64::new(0),
        }
    }

    /// Each bus, in the order of the configuration.
    pub fn buses(&self) -> Vec<BusStatus> {
        self.buses.iter().map(BusHealth::status).collect()
    }

    /// Each sensor, in the order of the configuration.
    pub fn sensors(&self) -> Vec<SensorStatus> {
        self.sensors.iter().map(SensorHealth::status).collect()
    }

    /// Ticks at which a device was not read, since the start; the agent's own device is one of them.
    pub fn missed_ticks(&self) -> u64 {
        let missed = self.sensors.iter().map(|sensor| sensor.missed.load(Relaxed)).sum::<u64>();
        missed + self.missed_by_agent.load(Relaxed)
    }

    /// The bus at this place of the configuration.
    pub(crate) fn bus(&self, place: usize) -> &BusHealth {
        &self.buses[place]
    }

    /// The sensor at this place of the configuration.
    pub(crate) fn sensor(&self, place: usize) -> &SensorHealth {
        &self.sensors[place]
    }

    pub(crate) fn agent_missed(&self, ticks: u64) {
        self.missed_by_agent.fetch_add(ticks, Relaxed);
    }
}

impl BusHealth {
    fn new(config: &BusConfig) -> Self {
        let (kind, path) = match &config.kind {
            BusKind::I2c { path } => ("i2c", path),
            BusKind::Serial { path, .. } => ("serial", path),
        };
        Self {
            name: config.name.clone(),
            kind,
            path: path.display().to_string(),
            open: AtomicBool::new(false),
            openings: AtomicU64::new(0),
            trouble: Trouble::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// It was opened, for the first time or again.
    pub(crate) fn opened(&self) {
        self.open.store(true, Relaxed);
        self.openings.fetch_add(1, Relaxed);
        self.trouble.ended();
    }

    /// It was closed because of `why`, or could not be opened. True if that is news.
    pub(crate) fn failed(&self, why: &str) -> bool {
        self.open.store(false, Relaxed);
        self.trouble.began(why)
    }

    fn status(&self) -> BusStatus {
        BusStatus {
            name: self.name.clone(),
            kind: self.kind.to_owned(),
            path: self.path.clone(),
            open: self.open.load(Relaxed),
            reopened: self.openings.load(Relaxed).saturating_sub(1),
            last_error: self.trouble.last_error(),
        }
    }
}

impl SensorHealth {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A tick has a record of `time`, in which so many series have a value.
    pub(crate) fn recorded(&self, time: UtcMillis, values: usize) {
        self.last_tick.store(time.0, Relaxed);
        self.last_values.store(values as u64, Relaxed);
        self.read.fetch_add(1, Relaxed);
        if values == 0 {
            self.bad.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn missed(&self, ticks: u64) {
        self.missed.fetch_add(ticks, Relaxed);
    }

    pub(crate) fn identified(&self, identified: bool) {
        self.identified.store(identified, Relaxed);
    }

    /// It gave no reading because of `why`. True if that is news.
    pub(crate) fn failed(&self, why: &str) -> bool {
        self.trouble.began(why)
    }

    /// It gave a reading. True if it had failed before.
    pub(crate) fn worked(&self) -> bool {
        self.trouble.ended()
    }

    fn status(&self) -> SensorStatus {
        SensorStatus {
            name: self.name.clone(),
            sensor: self.sensor.to_owned(),
            bus: self.bus.clone(),
            identified: self.identified.load(Relaxed),
            last_tick_ms: Some(self.last_tick.load(Relaxed)).filter(|time| *time != NEVER),
            last_values: self.last_values.load(Relaxed),
            read: self.read.load(Relaxed),
            missed: self.missed.load(Relaxed),
            bad: self.bad.load(Relaxed),
            last_error: self.trouble.last_error(),
        }
    }
}

impl Trouble {
    fn began(&self, why: &str) -> bool {
        let lasted = self.lasts.swap(true, Relaxed);
        let mut last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if lasted && last_error.as_deref() == Some(why) {
            return false;
        }
        *last_error = Some(why.to_owned());
        true
    }

    fn ended(&self) -> bool {
        self.lasts.swap(false, Relaxed)
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Resident memory of this process in KiB (`VmRSS` in proc(5)); none where the system does not say.
pub(crate) fn resident_kib() -> Option<u64> {
    parse_resident_kib(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once_and_again_after_it_ended_or_changed() {
        let trouble = Trouble::default();
        assert!(trouble.began("no chip acknowledged"));
        assert!(!trouble.began("no chip acknowledged"));
        assert!(trouble.began("the bus timed out"));
        assert!(trouble.ended() && !trouble.ended());
        assert_eq!(trouble.last_error().as_deref(), Some("the bus timed out"));
        assert!(trouble.began("the bus timed out"));
    }

    #[test]
    fn resident_memory_is_what_the_system_says() {
        let status = "Name:\tedge-agent\nVmHWM:\t    9000 kB\nVmRSS:\t    7412 kB\nThreads:\t4\n";
        assert_eq!(parse_resident_kib(status), Some(7412));
        assert_eq!(parse_resident_kib("Name:\tkthreadd\n"), None);
        assert_eq!(parse_resident_kib("VmRSS:\t 12 MB\n"), None);
        assert!(resident_kib().is_some_and(|kib| kib > 500));
    }
}
