//! A lamppost as its agent sees it: two buses, two instruments, a configuration.
//!
//! | bus | device | sensor |
//! | --- | --- | --- |
//! | `i2c-env`, simulated in the process | `weather-1` | BME280 at 0x76 |
//! | `air`, a pseudo-terminal | `air-1` | PMS5003 |

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_agent::bus::I2cOpener;
use edge_agent::config::{
    BusConfig, BusKind, Config, DeviceConfig, HealthConfig, OutboxConfig, Sensor, ServerConfig,
};
use lamplighter_protocol::{DeviceName, Grid, LamppostNumber};

use super::Scene;
use super::i2c::{self, RigOpener, SimulatedI2c};
use super::serial::{SerialInstruments, SerialRigError};

/// The device on the I2C bus.
pub const WEATHER: &str = "weather-1";
/// The device on the serial line.
pub const AIR: &str = "air-1";

/// The six series of a lamppost: device and observed property.
pub const SERIES: [(&str, &str); 6] = [
    (WEATHER, "air_temperature"),
    (WEATHER, "relative_humidity"),
    (WEATHER, "barometric_pressure"),
    (AIR, "pm1"),
    (AIR, "pm2_5"),
    (AIR, "pm10"),
];

/// What a lamppost is to be, besides its surroundings.
#[derive(Clone, Debug)]
pub struct LamppostPlan {
    /// Its number.
    pub number: LamppostNumber,
    /// The folder of everything that its agent keeps.
    pub state_dir: PathBuf,
    /// Where the gateway is.
    pub server: ServerAddress,
    /// The folder of its certificate: `NUMBER.pem`, `NUMBER.key`, `ca.pem`.
    pub certificates: PathBuf,
    /// Milliseconds from reading to reading of each sensor, in phase with the minute.
    pub every_ms: u32,
    /// How much is kept on it.
    pub outbox: OutboxConfig,
}

/// Where a gateway listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Not `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT, such as 127.0.0.1:8883")]
pub struct NoServerAddress(String);

/// What an agent is built of, for a lamppost that is simulated.
pub struct RigLamppost {
    /// Its configuration.
    pub config: Config,
    /// Hands out its I2C bus.
    pub opener: Arc<dyn I2cOpener>,
}

/// The shortest time from frame to frame of a PMS5003.
const LEAST_PARTICLES_MS: u32 = 1_000;

/// How often the agent observes itself, unless its sensors are read more seldom.
const HEALTH_MS: u32 = 10_000;

/// The serial number of the hardware that a simulated lamppost has.
pub fn hardware_serial(number: &LamppostNumber) -> String {
    format!("rig-{number}")
}

impl RigLamppost {
    /// Wires a lamppost. Its PMS5003 is one of `instruments`, and there for as long as these are.
    ///
    /// # Errors
    /// [`SerialRigError`].
    pub fn wire(
        plan: &LamppostPlan,
        scene: &Scene,
        instruments: &mut SerialInstruments,
    ) -> Result<Self, SerialRigError> {
        let air = instruments.plug_in_pms5003(scene.clone())?;
        let opener = RigOpener::new(SimulatedI2c::new(scene.clone()));
        Ok(Self { config: config(plan, air), opener: Arc::new(opener) })
    }
}

impl LamppostPlan {
    /// PEM file of the lamppost's certificate.
    pub fn certificate_file(&self) -> PathBuf {
        self.certificates.join(format!("{}.pem", self.number))
    }

    /// PEM file of that certificate's key.
    pub fn key_file(&self) -> PathBuf {
        self.certificates.join(format!("{}.key", self.number))
    }

    /// PEM file of the fleet's certificate authority.
    pub fn ca_file(&self) -> PathBuf {
        self.certificates.join("ca.pem")
    }
}

impl std::str::FromStr for ServerAddress {
    type Err = NoServerAddress;
    fn from_str(text: &str) -> Result<Self, NoServerAddress> {
        let refused = || NoServerAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().map_err(|_| refused())?;
        if host.is_empty() || port == 0 { Err(refused()) } else { Ok(Self { host: host.to_owned(), port }) }
    }
}

impl std::fmt::Debug for RigLamppost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RigLamppost").field("config", &self.config).finish_non_exhaustive()
    }
}

fn config(plan: &LamppostPlan, air: PathBuf) -> Config {
    let in_phase = |period_ms| Grid { period_ms, phase_ms: 0 };
    let bus = |name: &str, kind| BusConfig { name: name.to_owned(), kind };
    let device = |name: &str, bus, sensor, period_ms| DeviceConfig {
        name: DeviceName::new(name).expect("the name of a device here is a name"),
        bus,
        sensor,
        grid: in_phase(period_ms),
        // The models settle at once.
        warm_up: Duration::ZERO,
    };
    Config {
        lamppost: plan.number.clone(),
        generation: 1,
        hardware_serial: Some(hardware_serial(&plan.number)),
        state_dir: plan.state_dir.clone(),
        server: ServerConfig {
            host: plan.server.host.clone(),
            port: plan.server.port,
            ca_file: plan.ca_file(),
            certificate_file: plan.certificate_file(),
            key_file: plan.key_file(),
            pkcs11: None,
            keep_alive: Duration::from_secs(30),
        },
        outbox: plan.outbox.clone(),
        health: HealthConfig { grid: in_phase(plan.every_ms.max(HEALTH_MS)) },
        buses: vec![
            bus("i2c-env", BusKind::I2c { path: Path::new(i2c::PATH).to_owned() }),
            bus("air", BusKind::Serial { path: air, baud: 9600 }),
        ],
        devices: vec![
            device(WEATHER, 0, Sensor::Bme280 { address: i2c::ADDRESS }, plan.every_ms),
            device(AIR, 1, Sensor::Pms5003, plan.every_ms.max(LEAST_PARTICLES_MS)),
        ],
    }
}
