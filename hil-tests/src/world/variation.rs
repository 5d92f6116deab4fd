//! How one lamppost's surroundings differ from the recordings.

use std::f64::consts::TAU;

use lamplighter_protocol::UtcMillis;

use super::dice::part;

/// How a lamppost's surroundings differ from the recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variation {
    /// Not at all.
    None,
    /// A little: each lamppost by an offset of its own that slowly swings. Temperature by at most
    /// [`CELSIUS`](Self::CELSIUS), humidity by at most [`PERCENT`](Self::PERCENT) (and never out of 0 to 100),
    /// particles by at most a factor of [`PARTICLES_FACTOR`](Self::PARTICLES_FACTOR) either way. Pressure differs by
    /// the site's height alone.
    Natural {
        /// The same seed is the same city.
        seed: u64,
        /// Tells lampposts apart.
        lamppost: u32,
    },
}

/// By how much the world differs at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Deviation {
    /// Added to the temperature.
    pub(super) celsius: f64,
    /// Added to the humidity.
    pub(super) percent: f64,
    /// Multiplies masses of particles.
    pub(super) particles_factor: f64,
}

/// What of a swing never changes; the rest comes and goes.
const STEADY: f64 = 0.6;

impl Variation {
    /// Largest difference of temperature, °C.
    pub const CELSIUS: f64 = 0.8;
    /// Largest difference of humidity, %.
    pub const PERCENT: f64 = 3.0;
    /// Largest factor of particles; the smallest is its inverse.
    pub const PARTICLES_FACTOR: f64 = 1.25;

    pub(super) fn at(self, time: UtcMillis) -> Deviation {
        match self {
            Self::None => Deviation { celsius: 0.0, percent: 0.0, particles_factor: 1.0 },
            Self::Natural { seed, lamppost } => {
                let swing = |what| swing(seed, lamppost, what, time);
                Deviation {
                    celsius: Self::CELSIUS * swing(0),
                    percent: Self::PERCENT * swing(1),
                    particles_factor: Self::PARTICLES_FACTOR.powf(swing(2)),
                }
            }
        }
    }
}

/// From -1 to 1: a steady part, and a sine whose period is from one to four hours.
fn swing(seed: u64, lamppost: u32, what: u64, time: UtcMillis) -> f64 {
    let drawn = |place| part([seed, u64::from(lamppost), what, place]);
    let period_ms = 3_600_000.0 * (1.0 + 3.0 * drawn(1));
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ms, the year 287396")]
    let turns = time.0 as f64 / period_ms + drawn(2);
    STEADY * (2.0 * drawn(0) - 1.0) + (1.0 - STEADY) * (TAU * turns.fract()).sin()
}
