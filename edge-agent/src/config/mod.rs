//! The agent's configuration: one file, read and checked as a whole before a bus is touched or a connection opened.
//!
//! What a file says wrong is told all at once, each problem with its line, column and remedy ([`ConfigError`]); an
//! unknown key is a problem, for a misspelt key would otherwise be a default that nobody chose. Each module here owns
//! one table of the file: its type, its defaults, and its help, which `config print` writes above every value.
//!
//! This room opens no other file than the configuration and, when asked, the machine's serial number: whether
//! certificates and buses are there is found out by those who use them.

mod bus;
mod description;
mod device;
mod grid;
mod hardware;
mod health;
mod outbox;
mod pkcs11;
mod print;
mod problem;
mod reader;
mod sensor;
mod server;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lamplighter_protocol::LamppostNumber;
use toml::Spanned;
use toml::de::DeTable;

pub use self::bus::{BusConfig, BusKind};
pub use self::description::AGENT_PROPERTIES;
pub use self::device::{AGENT_DEVICE, DeviceConfig};
pub use self::hardware::{HardwareError, hardware_serial};
pub use self::health::HealthConfig;
pub use self::outbox::OutboxConfig;
pub use self::pkcs11::TokenUri;
pub use self::problem::{Problem, Problems};
pub use self::sensor::Sensor;
pub use self::server::ServerConfig;

use crate::status::socket_path;

use self::print::{Printer, quoted, quoted_path};
use self::problem::Gathering;
use self::reader::{Section, keys};
use self::value::{named, path, text, whole};

/// What one agent is to do. Parsed and checked whole: its parts fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The lamppost that this agent is on.
    pub lamppost: LamppostNumber,
    /// Which configuration this is: the hello reports it. Counts up with every change that the fleet makes.
    pub generation: u64,
    /// What the outbox is bound to besides the number (D14); none: the machine's own ([`hardware_serial`]).
    pub hardware_serial: Option<String>,
    /// The folder of everything that the agent keeps.
    pub state_dir: PathBuf,
    /// How to reach the server.
    pub server: ServerConfig,
    /// How much is kept, and how soon it is on disk.
    pub outbox: OutboxConfig,
    /// When the agent observes itself.
    pub health: HealthConfig,
    /// The buses, in the order of the file.
    pub buses: Vec<BusConfig>,
    /// The devices, in the order of the file.
    pub devices: Vec<DeviceConfig>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read; the source says why.
    #[error("the configuration file {} cannot be read; check the path and the rights to it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no configuration of ours.
    #[error("{} has more than {MAX_BYTES} bytes; no configuration is that long: check the path", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// What it says cannot be done; one problem a line.
    #[error("{0}")]
    Invalid(Problems),
}

/// The longest configuration file, in bytes: 64 devices with every key explained take half of it.
pub const MAX_BYTES: u64 = 64 * 1024;

/// The longest path of a Unix socket, in bytes: the 108 of `sun_path` with the zero at its end (unix(7)).
const MAX_SOCKET_PATH_BYTES: usize = 107;

keys! {
    /// The official number of the lamppost that this agent is on. The certificate must carry the same.
    LAMPPOST = "lamppost";
    /// The folder of everything that the agent keeps: records that the server does not hold yet, the status socket.
    STATE_DIR = "state_dir";
    /// Which configuration this is, counted up with every change; the server is told.
    GENERATION = "generation";
    /// Serial number of the hardware, to which the kept records are bound. Left out: the machine's own.
    HARDWARE_SERIAL = "hardware_serial";
    /// How to reach the fleet server, and as whom.
    SERVER = "server";
    /// How much is kept on the lamppost, and how soon it is on disk.
    OUTBOX = "outbox";
    /// How often the agent observes itself.
    HEALTH = "health";
    /// A bus that devices are on. There may be any number of them.
    BUS = "bus";
    /// A device on one of the buses. There may be up to 63 of them.
    DEVICE = "device";
}

/// Where a service's state belongs (file-hierarchy(7), /var/lib).
const DEFAULT_STATE_DIR: &str = "/var/lib/lamplighter";

impl Config {
    /// Reads and checks a file. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let folder = absolute.parent().unwrap_or(&absolute);
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse_in(text, path, folder),
            Err(error) => {
                let (readable, _) = bytes.split_at(error.valid_up_to());
                let readable = String::from_utf8_lossy(readable);
                let problems = Gathering::new(&readable);
                problems.add(
                    &(readable.len()..readable.len()),
                    "",
                    "this is not UTF-8; save the file as UTF-8 text",
                );
                Err(ConfigError::Invalid(problems.into_problems(path)))
            }
        }
    }

    /// Checks a text that came from `origin`. Relative paths in it start at the origin's folder.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong in it, [`ConfigError::TooLong`].
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        Self::parse_in(text, origin, origin.parent().unwrap_or(Path::new("")))
    }

    /// The configuration as a file: every key below its help, with the value in force. Read again, it is the same.
    pub fn commented(&self) -> String {
        let mut to = Printer::new();
        to.key(&LAMPPOST, quoted(self.lamppost.as_str()));
        to.key(&STATE_DIR, quoted_path(&self.state_dir));
        to.key(&GENERATION, self.generation);
        match &self.hardware_serial {
            Some(serial) => to.key(&HARDWARE_SERIAL, quoted(serial)),
            None => to.unset(&HARDWARE_SERIAL, quoted("10000000a1b2c3d4")),
        }
        to.table(&SERVER);
        self.server.print(&mut to);
        to.table(&OUTBOX);
        self.outbox.print(&mut to);
        to.table(&HEALTH);
        self.health.print(&mut to);
        for (place, bus) in self.buses.iter().enumerate() {
            to.table_of_list(&BUS, place);
            bus.print(&mut to);
        }
        for (place, device) in self.devices.iter().enumerate() {
            to.table_of_list(&DEVICE, place);
            device.print(self.buses.get(device.bus).map_or("", |bus| &bus.name), &mut to);
        }
        to.into_text()
    }

    fn parse_in(text: &str, origin: &Path, folder: &Path) -> Result<Self, ConfigError> {
        if text.len() as u64 > MAX_BYTES {
            return Err(ConfigError::TooLong { path: origin.to_owned() });
        }
        let problems = Gathering::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().unwrap_or(0..0);
            problems.add(&at, "", format!("this is not TOML: {}; correct the line", error.message()));
        }
        // What a broken text was mended to says nothing about what was meant.
        let config = if errors.is_empty() { read(&problems, table.get_ref(), folder) } else { None };
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            Some(_) | None => Err(ConfigError::Invalid(problems.into_problems(origin))),
        }
    }
}

fn read<'a>(problems: &'a Gathering<'a>, table: &'a DeTable<'a>, folder: &Path) -> Option<Config> {
    let mut root = Section::root(problems, table);
    let lamppost = root.required(&LAMPPOST, named::<LamppostNumber>);
    let state_dir = root.or(&STATE_DIR, DEFAULT_STATE_DIR.into(), |value| {
        let state_dir = path(value, folder)?;
        let bytes = socket_path(&state_dir).as_os_str().len();
        if bytes > MAX_SOCKET_PATH_BYTES {
            return Err(format!(
                "the path of the status socket in this folder has {bytes} bytes, and the system allows \
                 {MAX_SOCKET_PATH_BYTES}; choose a folder with a shorter path"
            ));
        }
        Ok(state_dir)
    });
    let generation = root.or(&GENERATION, 1, |value| whole(value, 1..=i64::MAX));
    // A hello carries no more than 64 bytes of it.
    let hardware_serial = root.maybe(&HARDWARE_SERIAL, |value| text(value, 64));
    let server = root.required_table(&SERVER).map(|section| ServerConfig::read(section, folder));
    let outbox = root.table(&OUTBOX).map_or_else(|| Some(OutboxConfig::default()), OutboxConfig::read);
    let health = root.table(&HEALTH).map_or_else(|| Some(HealthConfig::default()), HealthConfig::read);
    let buses: Vec<_> =
        root.tables(&BUS).into_iter().map(|section| bus::BusRead::read(section, folder)).collect();
    let devices = device::read(root.tables(&DEVICE), &buses);
    let buses = bus::finish(buses, devices.used.as_deref());
    root.finish();
    Some(Config {
        lamppost: lamppost?.into_inner(),
        generation: generation?.into_inner().unsigned_abs(),
        hardware_serial: hardware_serial.map(Spanned::into_inner),
        state_dir: state_dir?.into_inner(),
        server: server??,
        outbox: outbox?,
        health: health?,
        buses: buses?,
        devices: devices.devices?,
    })
}
