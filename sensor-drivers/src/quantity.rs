//! The quantities that drivers return, in the finest step that their parts have, so that nothing is rounded away.
//!
//! Arithmetic is left out on purpose: a caller converts to its own resolution once, and counts there.

/// Temperature in steps of 0.01 °C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CentiCelsius(i32);

/// Pressure in steps of 1/256 Pa (unsigned fixed point Q24.8), up to 16,777,215 Pa.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pascals(u32);

/// Relative humidity in steps of 1/1024 % (unsigned fixed point Q22.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativeHumidity(u32);

/// Mass concentration of particles in steps of 1 µg/m³.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicrogramsPerCubicMetre(u16);

/// Number of particles in 0.1 litre of air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticlesPerDecilitre(u16);

impl CentiCelsius {
    /// From hundredths of a degree Celsius.
    pub const fn new(centi_celsius: i32) -> Self {
        Self(centi_celsius)
    }

    /// Hundredths of a degree Celsius, exact.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// Degrees Celsius.
    pub fn as_celsius(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Pascals {
    /// From 1/256 Pa.
    pub const fn from_q24_8(pascals_q24_8: u32) -> Self {
        Self(pascals_q24_8)
    }

    /// In 1/256 Pa, exact.
    pub const fn to_q24_8(self) -> u32 {
        self.0
    }

    /// Pascals; exact, because a `f64` holds every value.
    pub fn as_pascals(self) -> f64 {
        f64::from(self.0) / 256.0
    }

    /// Hectopascals.
    pub fn as_hectopascals(self) -> f64 {
        f64::from(self.0) / 25_600.0
    }
}

impl RelativeHumidity {
    /// From 1/1024 %.
    pub const fn from_q22_10(percent_q22_10: u32) -> Self {
        Self(percent_q22_10)
    }

    /// In 1/1024 %, exact.
    pub const fn to_q22_10(self) -> u32 {
        self.0
    }

    /// Percent of saturation over water; exact, because a `f64` holds every value.
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 1024.0
    }
}

impl MicrogramsPerCubicMetre {
    /// From micrograms per cubic metre.
    pub const fn new(micrograms_per_cubic_metre: u16) -> Self {
        Self(micrograms_per_cubic_metre)
    }

    /// Micrograms per cubic metre, exact.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl ParticlesPerDecilitre {
    /// From particles in 0.1 litre.
    pub const fn new(particles_per_decilitre: u16) -> Self {
        Self(particles_per_decilitre)
    }

    /// Particles in 0.1 litre, exact.
    pub const fn get(self) -> u16 {
        self.0
    }
}
