//! `[[bus]]`: the buses that devices hang on.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::print::{Printer, quoted, quoted_path};
use super::reader::{Found, Section, keys};
use super::value::{path, text, whole, word};

/// A bus that devices hang on. Each has a thread of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusConfig {
    /// What devices and the status call it.
    pub name: String,
    /// What it is.
    pub kind: BusKind,
}

/// What a bus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusKind {
    /// I2C: several devices, told apart by address.
    I2c {
        /// `/dev/i2c-1`
        path: PathBuf,
    },
    /// A serial line: one device.
    Serial {
        /// `/dev/ttyS1`
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
}

/// What tells the kinds of buses apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wiring {
    I2c,
    Serial,
}

impl Wiring {
    const WORDS: [(&'static str, Self); 2] = [("i2c", Self::I2c), ("serial", Self::Serial)];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::I2c => "i2c",
            Self::Serial => "serial",
        }
    }
}

keys! {
    /// What the devices below call this bus. Each bus has a name of its own.
    NAME = "name";
    /// What it is: i2c (several devices, told apart by address) or serial (one device).
    KIND = "kind";
    /// Its device file. On a machine with several ports prefer a name that does not change, such as one below
    /// /dev/serial/by-path.
    PATH = "path";
    /// Bits per second of a serial line.
    BAUD = "baud";
}

/// What a PMS5003 speaks, and most instruments on a serial line.
const DEFAULT_BAUD: i64 = 9600;

impl BusConfig {
    pub(super) fn print(&self, to: &mut Printer) {
        to.key(&NAME, quoted(&self.name));
        to.key(&KIND, quoted(self.kind.wiring().as_str()));
        to.key(&PATH, quoted_path(self.kind.path()));
        match &self.kind {
            BusKind::I2c { .. } => {}
            BusKind::Serial { baud, .. } => to.key(&BAUD, baud),
        }
    }
}

impl BusKind {
    /// Its device file.
    pub fn path(&self) -> &Path {
        match self {
            Self::I2c { path } | Self::Serial { path, .. } => path,
        }
    }

    /// The word of the configuration and the status: `i2c`, `serial`.
    pub fn as_str(&self) -> &'static str {
        self.wiring().as_str()
    }

    fn wiring(&self) -> Wiring {
        match self {
            Self::I2c { .. } => Wiring::I2c,
            Self::Serial { .. } => Wiring::Serial,
        }
    }
}

/// A bus as it was read: as much of it as is right.
#[derive(Debug)]
pub(super) struct BusRead<'a> {
    section: Section<'a>,
    pub(super) name: Option<Found<String>>,
    pub(super) wiring: Option<Wiring>,
    path: Option<Found<PathBuf>>,
    kind: Option<BusKind>,
}

impl<'a> BusRead<'a> {
    pub(super) fn read(mut section: Section<'a>, folder: &Path) -> Self {
        let name = section.required(&NAME, |value| text(value, 32));
        let kind = section.required(&KIND, |value| word(value, "kind of bus", &Wiring::WORDS));
        let path = section.required(&PATH, |value| path(value, folder));
        let wiring = kind.map(Spanned::into_inner);
        let baud = match wiring {
            Some(Wiring::I2c) => {
                section.without(&BAUD, "a bus of kind i2c has no baud");
                None
            }
            // A bus of an unknown kind may well have a baud: one mistake is told once.
            Some(Wiring::Serial) | None => {
                section.or(&BAUD, DEFAULT_BAUD, |value| whole(value, 300..=4_000_000))
            }
        };
        let kind = match (wiring, &path, baud) {
            (Some(Wiring::I2c), Some(path), _) => Some(BusKind::I2c { path: path.get_ref().clone() }),
            (Some(Wiring::Serial), Some(path), Some(baud)) => Some(BusKind::Serial {
                path: path.get_ref().clone(),
                baud: u32::try_from(baud.into_inner()).unwrap_or(u32::MAX),
            }),
            (Some(Wiring::I2c | Wiring::Serial) | None, ..) => None,
        };
        Self { section, name, wiring, path, kind }
    }
}

/// Checks the buses against one another and against what devices are on; `used` says which of them are, or nothing
/// if a device's bus is not known, for it might be any.
pub(super) fn finish(buses: Vec<BusRead<'_>>, used: Option<&[bool]>) -> Option<Vec<BusConfig>> {
    for (place, bus) in buses.iter().enumerate() {
        let earlier = buses.get(..place).unwrap_or_default();
        if let Some(name) = &bus.name
            && let Some(first) = earlier
                .iter()
                .filter_map(|other| other.name.as_ref())
                .find(|other| other.get_ref() == name.get_ref())
        {
            let line = bus.section.line(&first.span());
            let message = format!("the bus in line {line} has this name; give this one another");
            bus.section.refuse(&name.span(), &NAME, message);
        }
        if let Some(path) = &bus.path
            && let Some(first) = earlier
                .iter()
                .filter_map(|other| other.path.as_ref())
                .find(|other| other.get_ref() == path.get_ref())
        {
            let line = bus.section.line(&first.span());
            let message = format!("the bus in line {line} has this path; put the devices of both on one bus");
            bus.section.refuse(&path.span(), &PATH, message);
        }
        if used.is_some_and(|used| used.get(place) == Some(&false)) {
            bus.section.refuse_whole("no device is on this bus; name it in a [[device]], or remove it");
        }
    }
    let complete = |bus: BusRead<'_>| {
        bus.section.finish();
        Some(BusConfig { name: bus.name?.into_inner(), kind: bus.kind? })
    };
    // Every bus is finished, also those after one that is not complete.
    buses.into_iter().map(complete).collect::<Vec<_>>().into_iter().collect()
}
