//! The kinds of sensors: what a configuration may name, and what it has to know of each.

use super::bus::Wiring;

/// The kinds of sensors that the agent has a driver for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensor {
    /// Temperature, humidity and pressure, on I2C.
    Bme280 {
        /// 7-bit address: 0x76 or 0x77.
        address: u8,
    },
    /// Particles, on a serial line.
    Pms5003,
}

impl Sensor {
    /// The word of the configuration, and the model of the description: `bme280`.
    pub fn model(self) -> &'static str {
        self.kind().word()
    }

    /// The observed properties, in the order of the series in the device's description.
    pub fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Bme280 { .. } => &["air_temperature", "relative_humidity", "barometric_pressure"],
            Self::Pms5003 => &["pm1", "pm2_5", "pm10"],
        }
    }

    fn kind(self) -> SensorKind {
        match self {
            Self::Bme280 { .. } => SensorKind::Bme280,
            Self::Pms5003 => SensorKind::Pms5003,
        }
    }
}

/// A kind of sensor, before it is known which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SensorKind {
    Bme280,
    Pms5003,
}

impl SensorKind {
    /// The words of the configuration.
    pub(super) const WORDS: [(&'static str, Self); 2] =
        [("bme280", Self::Bme280), ("pms5003", Self::Pms5003)];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bme280 => "bme280",
            Self::Pms5003 => "pms5003",
        }
    }

    /// The kind of bus that it hangs on.
    pub(super) fn wiring(self) -> Wiring {
        match self {
            Self::Bme280 => Wiring::I2c,
            Self::Pms5003 => Wiring::Serial,
        }
    }

    /// The shortest period at which it has something new to say.
    pub(super) fn least_period_ms(self) -> u32 {
        match self {
            // A measurement takes 46.1 ms at most with our oversampling (BST-BME280-DS001, 9.1), and has to be done
            // within a quarter of the period to count for its tick.
            Self::Bme280 => 250,
            // It sends a frame every 200 to 800 ms while the air changes (PMS5003 series data manual V2.3).
            Self::Pms5003 => 1000,
        }
    }

    /// How long after it is switched on its readings are not to be relied on.
    pub(super) fn warm_up_ms(self) -> u32 {
        match self {
            Self::Bme280 => 0,
            // Stable 30 s after the fan starts (the same manual, circuit attentions, 4).
            Self::Pms5003 => 30_000,
        }
    }
}
