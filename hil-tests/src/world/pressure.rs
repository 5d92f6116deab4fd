//! Pressure at the street's height.
//!
//! The recording station stands about 700 m above the sea. What is kept of its pressure is how it changes over the
//! day, in proportion; its level is replaced by that of the standard atmosphere at the street:
//!
//! ```text
//! p_street(t) = p_recorded(t) × p0(h) / mean(p_recorded)
//! p0(h)       = 1013.25 hPa × (1 - 2.25577e-5 × h)^5.25588        h: metres above sea level (geopotential)
//! ```
//!
//! where the mean is over the 1440 rows of the recorded day, in their order, so that the replayed day's mean is the
//! standard pressure p0(h).

/// Pressure of the standard atmosphere (ICAO Doc 7488, ISO 2533) at a height above sea level, within its lowest layer
/// (up to 11 km): hPa.
pub fn standard_pressure_hpa(height_m: f64) -> f64 {
    1013.25 * (1.0 - 2.255_77e-5 * height_m).powf(5.255_88)
}
