//! `[[device]]`: the devices of the lamppost, each on a bus, each read on a grid.

use std::time::Duration;

use lamplighter_protocol::{DeviceName, Grid, limits};
use toml::Spanned;
use toml::de::DeValue;

use super::bus::{BusRead, Wiring};
use super::grid;
use super::print::{Printer, quoted};
use super::reader::{Found, Key, Parsed, Section, closest, keys, shown};
use super::sensor::{Sensor, SensorKind};
use super::value::{named, seconds, shown_seconds, text, whole, word};

/// A device that is read on a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// Unique on the lamppost, and not [`AGENT_DEVICE`].
    pub name: DeviceName,
    /// Place of its bus in [`Config::buses`](super::Config::buses).
    pub bus: usize,
    /// What it is; of a kind that its bus can carry.
    pub sensor: Sensor,
    /// When it is read.
    pub grid: Grid,
    /// How long after it is switched on its readings are uncertain (warming up).
    pub warm_up: Duration,
}

/// The name of the device that stands for the agent itself.
pub const AGENT_DEVICE: &str = "agent";

/// The agent itself is a device of the description too.
const MOST_DEVICES: usize = limits::MAX_DEVICES - 1;

keys! {
    /// The device's name on this lamppost; its series are called by it (weather-1/air_temperature). It should
    /// outlive an exchange of the sensor: a new name is a new series.
    NAME = "name";
    /// The name of the bus that it is on.
    BUS = "bus";
    /// What it is: bme280 (temperature, humidity and pressure, on i2c) or pms5003 (particles, on serial).
    SENSOR = "sensor";
    /// Its address on an i2c bus. A bme280 answers at 0x76 (SDO low) or 0x77 (SDO high).
    ADDRESS = "address";
    /// Seconds from one reading to the next; fractions to the millisecond are allowed. Readings are taken when the
    /// time since 1970-01-01T00:00:00Z is a multiple of it, so that those of all lampposts belong together.
    EVERY_S = "every_s";
    /// Seconds by which readings come after that multiple; less than every_s.
    PHASE_S = "phase_s";
    /// Seconds after the sensor is switched on in which its readings are marked uncertain (warming up), 0 to 3600.
    WARM_UP_S = "warm_up_s";
}

const GRID: (&Key, &Key) = (&EVERY_S, &PHASE_S);
const LONGEST_WARM_UP_MS: u32 = 3_600_000;

/// The devices as they were read, and what they say about the buses.
#[derive(Debug)]
pub(super) struct DevicesRead {
    /// None if a device is not right.
    pub(super) devices: Option<Vec<DeviceConfig>>,
    /// For each bus whether a device is on it; none if a device's bus is not known, for it might be any.
    pub(super) used: Option<Vec<bool>>,
}

/// Reads the devices, against the buses and against one another.
pub(super) fn read(sections: Vec<Section<'_>>, buses: &[BusRead<'_>]) -> DevicesRead {
    if let Some(surplus) = sections.get(MOST_DEVICES) {
        surplus.refuse_whole(format!("a lamppost has at most {MOST_DEVICES} devices; remove some"));
    }
    let mut reads: Vec<DeviceRead<'_>> = Vec::new();
    for section in sections {
        let read = DeviceRead::read(section, buses);
        read.compare(&reads);
        reads.push(read);
    }
    let mut used = Some(vec![false; buses.len()]);
    for read in &reads {
        match (&read.bus, &mut used) {
            (Some(bus), Some(used)) => used[*bus.get_ref()] = true,
            (None, _) | (_, None) => used = None,
        }
    }
    // Every device is finished, also those after one that is not complete.
    let devices: Vec<Option<DeviceConfig>> = reads.into_iter().map(DeviceRead::finish).collect();
    DevicesRead { devices: devices.into_iter().collect(), used }
}

impl DeviceConfig {
    pub(super) fn print(&self, bus: &str, to: &mut Printer) {
        to.key(&NAME, quoted(self.name.as_str()));
        to.key(&BUS, quoted(bus));
        to.key(&SENSOR, quoted(self.sensor.model()));
        match self.sensor {
            Sensor::Bme280 { address } => to.key(&ADDRESS, format_args!("{address:#04x}")),
            Sensor::Pms5003 => {}
        }
        grid::print(self.grid, GRID, to);
        to.key(&WARM_UP_S, shown_seconds(u32::try_from(self.warm_up.as_millis()).unwrap_or(u32::MAX)));
    }
}

/// A device as it was read: as much of it as is right.
#[derive(Debug)]
struct DeviceRead<'a> {
    section: Section<'a>,
    name: Option<Found<DeviceName>>,
    bus: Option<Found<usize>>,
    kind: Option<SensorKind>,
    sensor: Option<Sensor>,
    /// Where it answers, if its sensor has an address.
    address: Option<Found<u8>>,
    grid: Option<Grid>,
    warm_up: Option<Duration>,
}

impl<'a> DeviceRead<'a> {
    fn read(mut section: Section<'a>, buses: &[BusRead<'_>]) -> Self {
        let name = section.required(&NAME, name);
        let bus =
            section.required(&BUS, |value| text(value, 32)).and_then(|bus| find_bus(&section, &bus, buses));
        let kind = section
            .required(&SENSOR, |value| word(value, "kind of sensor", &SensorKind::WORDS))
            .map(Spanned::into_inner);
        let bus = bus.filter(|bus| kind.is_none_or(|kind| fits(&section, kind, bus, buses)));
        let address = match kind {
            Some(SensorKind::Bme280) => section.required(&ADDRESS, bme280_address),
            Some(SensorKind::Pms5003) => {
                section.without(&ADDRESS, "a pms5003 has no address");
                None
            }
            None => {
                section.tolerate(&ADDRESS);
                None
            }
        };
        let grid = grid::read(&mut section, GRID, kind.map_or(1, SensorKind::least_period_ms), None);
        let default = kind.map_or(0, SensorKind::warm_up_ms);
        let warm_up = section.or(&WARM_UP_S, default, |value| seconds(value, 0..=LONGEST_WARM_UP_MS));
        let sensor = match (kind, &address) {
            (Some(SensorKind::Bme280), Some(address)) => Some(Sensor::Bme280 { address: *address.get_ref() }),
            (Some(SensorKind::Pms5003), _) => Some(Sensor::Pms5003),
            (Some(SensorKind::Bme280) | None, _) => None,
        };
        let warm_up = warm_up.map(|ms| Duration::from_millis(ms.into_inner().into()));
        Self { section, name, bus, kind, sensor, address, grid, warm_up }
    }
    /// Checks it against the devices before it.
    fn compare(&self, earlier: &[Self]) {
        if let Some(name) = &self.name
            && let Some(first) = earlier
                .iter()
                .filter_map(|other| other.name.as_ref())
                .find(|other| other.get_ref() == name.get_ref())
        {
            let line = self.section.line(&first.span());
            let message = format!("the device in line {line} has this name; give this one another");
            self.section.refuse(&name.span(), &NAME, message);
        }
        let (Some(bus), Some(kind)) = (&self.bus, self.kind) else { return };
        let mut neighbours = earlier.iter().filter_map(|other| {
            let on = other.bus.as_ref().filter(|on| on.get_ref() == bus.get_ref())?;
            Some((self.section.line(&on.span()), other.address.as_ref()))
        });
        match kind.wiring() {
            Wiring::Serial => {
                if let Some((line, _)) = neighbours.next() {
                    let message = format!(
                        "the device in line {line} is on this serial bus; give each a bus of its own"
                    );
                    self.section.refuse(&bus.span(), &BUS, message);
                }
            }
            Wiring::I2c => {
                let Some(address) = &self.address else { return };
                let same = |other: &Found<u8>| other.get_ref() == address.get_ref();
                if let Some((_, Some(first))) = neighbours.find(|(_, other)| other.is_some_and(same)) {
                    let message = format!(
                        "the device in line {} has this address on the same bus; wire one of them to another address",
                        self.section.line(&first.span())
                    );
                    self.section.refuse(&address.span(), &ADDRESS, message);
                }
            }
        }
    }

    /// None if a part of it is not right.
    fn finish(self) -> Option<DeviceConfig> {
        self.section.finish();
        Some(DeviceConfig {
            name: self.name?.into_inner(),
            bus: self.bus?.into_inner(),
            sensor: self.sensor?,
            grid: self.grid?,
            warm_up: self.warm_up?,
        })
    }
}

fn name(value: &DeValue<'_>) -> Parsed<DeviceName> {
    let name: DeviceName = named(value)?;
    if name.as_str() == AGENT_DEVICE {
        return Err(format!("{AGENT_DEVICE} is the name of the agent itself; choose another"));
    }
    Ok(name)
}

fn bme280_address(value: &DeValue<'_>) -> Parsed<u8> {
    let address = whole(value, i64::MIN..=i64::MAX)?;
    match address {
        0x76 => Ok(0x76),
        0x77 => Ok(0x77),
        _ => Err(format!("a bme280 does not answer at {address:#04x}; choose 0x76 or 0x77")),
    }
}

/// The place of the bus of this name. An unknown one is a problem, unless a bus has no
/// readable name, or that of another: it may be that one.
fn find_bus(section: &Section<'_>, name: &Found<String>, buses: &[BusRead<'_>]) -> Option<Found<usize>> {
    let named = |bus: &BusRead<'_>| bus.name.as_ref().is_some_and(|other| other.get_ref() == name.get_ref());
    if let Some(place) = buses.iter().position(named) {
        return Some(Spanned::new(name.span(), place));
    }
    let mut known: Vec<&str> =
        buses.iter().filter_map(|bus| bus.name.as_ref()).map(|name| name.get_ref().as_str()).collect();
    known.sort_unstable();
    known.dedup();
    if known.len() == buses.len() {
        let remedy = closest(name.get_ref(), &known).map_or_else(
            || {
                if known.is_empty() {
                    "add a [[bus]]".to_owned()
                } else {
                    format!("choose {}", known.join(" or "))
                }
            },
            |near| format!("did you mean {near}?"),
        );
        section.refuse(
            &name.span(),
            &BUS,
            format!("no bus is named \"{}\"; {remedy}", shown(name.get_ref())),
        );
    }
    None
}

/// Whether a sensor of this kind can be on the bus. The device of a bus that it cannot be on counts as on none.
fn fits(section: &Section<'_>, kind: SensorKind, bus: &Found<usize>, buses: &[BusRead<'_>]) -> bool {
    let wiring = buses.get(*bus.get_ref()).and_then(|bus| bus.wiring);
    let Some(wiring) = wiring.filter(|wiring| *wiring != kind.wiring()) else { return true };
    let (is, needs) = (wiring.as_str(), kind.wiring().as_str());
    let message =
        format!("this bus is of kind {is}, a {} needs one of kind {needs}; name such a bus", kind.word());
    section.refuse(&bus.span(), &BUS, message);
    false
}
