//! The physical world: what is true at one lamppost at any time. A pure function of time: nothing here reads a clock,
//! so that every process, at whatever speed its clock runs, sees the same world, and what was stored can be compared
//! with it afterwards.
//!
//! It replays recordings (`data/README.md` says whose):
//! - **Temperature and humidity**: the minute of the recorded day that has the same time of day, UTC. A value holds for
//!   its whole minute, so that whoever reads on the minute sees exactly the recorded row.
//! - **Pressure**: the same minute, shifted to the site's height, see [`pressure`].
//! - **Particles**: the hour of the recorded year that has the same month, day and hour; 29 February is 28 February
//!   again. Where the station had no value, the last one it had. What it reported below zero (an artefact of its
//!   method in clean air) is zero. PM1 was not recorded: it is taken to be [`PM1_OF_PM2_5`] of PM2.5. Values are whole
//!   µg/m³, as a PMS5003 reports them.
//!
//! [`Variation`] makes lampposts differ a little from one another; without it all see the recordings as they are.
//! [`told`] puts something else in place of all this at one lamppost; whoever holds it applies it, the world knows none.

pub(crate) mod dice;
pub mod faults;
pub mod pressure;
mod recordings;
#[cfg(test)]
mod tests;
pub mod told;
mod variation;

use std::sync::Arc;

use lamplighter_protocol::UtcMillis;

pub use recordings::{RecordingError, Recordings};
pub use variation::Variation;

use self::pressure::standard_pressure_hpa;
use self::variation::Deviation;

/// The part of PM2.5 that is PM1. An assumption: at kerbsides most of the fine mass is exhaust, below 1 µm.
pub const PM1_OF_PM2_5: f64 = 0.7;

/// Metres above sea level of the sensors of an exact replay: Kowloon Bay is reclaimed land some 5 m above the sea, and
/// a sensor hangs 4 m above the road.
pub const STREET_HEIGHT_M: f64 = 9.0;

/// The world around one lamppost.
#[derive(Clone, Debug)]
pub struct World {
    recordings: Arc<Recordings>,
    variation: Variation,
    /// What the recorded pressure is multiplied by.
    pressure_ratio: f64,
}

/// Where a lamppost's sensors hang.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Metres above sea level.
    pub height_m: f64,
}

/// What is true at one time and place. Each in the unit of the catalogue's property of this name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// °C.
    pub air_temperature: f64,
    /// %.
    pub relative_humidity: f64,
    /// hPa, at the site's height.
    pub barometric_pressure: f64,
    /// µg/m³.
    pub pm1: u16,
    /// µg/m³.
    pub pm2_5: u16,
    /// µg/m³.
    pub pm10: u16,
}

impl Site {
    /// The one site of an exact replay.
    pub const STREET: Self = Self { height_m: STREET_HEIGHT_M };
}

impl World {
    /// The world at a site.
    pub fn new(recordings: Arc<Recordings>, site: Site, variation: Variation) -> Self {
        let pressure_ratio = standard_pressure_hpa(site.height_m) / recordings.mean_pressure_hpa();
        Self { recordings, variation, pressure_ratio }
    }

    /// What is true at `time`.
    pub fn at(&self, time: UtcMillis) -> Truth {
        let weather = self.recordings.weather(time);
        let particles = self.recordings.particles(time);
        let Deviation { celsius, percent, particles_factor } = self.variation.at(time);
        let micrograms = |recorded: f64| whole(recorded.max(0.0) * particles_factor);
        Truth {
            air_temperature: weather.celsius + celsius,
            relative_humidity: (weather.percent + percent).clamp(0.0, 100.0),
            barometric_pressure: weather.hectopascals * self.pressure_ratio,
            pm1: micrograms(particles.pm2_5 * PM1_OF_PM2_5),
            pm2_5: micrograms(particles.pm2_5),
            pm10: micrograms(particles.pm10),
        }
    }
}

impl Truth {
    /// The value of a property of the catalogue; none if the world does not have it.
    pub fn value(&self, property: &str) -> Option<f64> {
        match property {
            "air_temperature" => Some(self.air_temperature),
            "relative_humidity" => Some(self.relative_humidity),
            "barometric_pressure" => Some(self.barometric_pressure),
            "pm1" => Some(f64::from(self.pm1)),
            "pm2_5" => Some(f64::from(self.pm2_5)),
            "pm10" => Some(f64::from(self.pm10)),
            _ => None,
        }
    }

    /// Replaces the value of a property, as far as its instrument's steps allow; one that the world does not have stays
    /// unset.
    pub(crate) fn set(&mut self, property: &str, value: f64) {
        match property {
            "air_temperature" => self.air_temperature = value,
            "relative_humidity" => self.relative_humidity = value,
            "barometric_pressure" => self.barometric_pressure = value,
            "pm1" => self.pm1 = whole(value),
            "pm2_5" => self.pm2_5 = whole(value),
            "pm10" => self.pm10 = whole(value),
            _ => {}
        }
    }
}

/// Rounded to whole µg/m³.
fn whole(micrograms: f64) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range on this line, and a cast of a float saturates"
    )]
    let rounded = micrograms.round().clamp(0.0, f64::from(u16::MAX)) as u16;
    rounded
}
