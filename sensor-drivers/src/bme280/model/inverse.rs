//! From the world to codes: which code does the chip's own formula turn into this value?
//!
//! The formulas of section 4.2.3 have no closed inverse once their shifts are taken seriously; they are monotonic in
//! the code, so the code is found by bisection, and the nearest of its neighbours is taken.

use crate::bme280::conversion::{Calibration, Codes, FineTemperature};
use crate::bme280::registers::{SKIPPED_16_BIT, SKIPPED_20_BIT};
use crate::quantity::RelativeHumidity;

/// What surrounds the chip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Environment {
    pub(super) celsius: f64,
    pub(super) percent_rh: f64,
    pub(super) hectopascals: f64,
}

/// How many of the 20 bits temperature and pressure have; none if they are not measured (sections 3.4.2, 3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolution {
    pub(super) temperature_bits: Option<u8>,
    pub(super) pressure_bits: Option<u8>,
    pub(super) measures_humidity: bool,
}

/// The codes that a chip of this calibration has in this environment. Outside of its range it has the code nearest
/// to it.
pub(super) fn codes(calibration: &Calibration, environment: Environment, resolution: Resolution) -> Codes {
    let temperature = temperature_code(calibration, environment, resolution.temperature_bits.unwrap_or(20));
    // Pressure and humidity follow from the temperature that the chip reports, rounding included.
    let fine = calibration.fine_temperature(temperature);
    let pressure = resolution.pressure_bits.map(|bits| pressure_code(calibration, environment, fine, bits));
    let humidity = resolution.measures_humidity.then(|| humidity_code(calibration, environment, fine));
    Codes {
        temperature: resolution.temperature_bits.map_or(SKIPPED_20_BIT, |_| temperature),
        pressure: pressure.unwrap_or(SKIPPED_20_BIT),
        humidity: humidity.unwrap_or(SKIPPED_16_BIT),
    }
}

fn temperature_code(calibration: &Calibration, environment: Environment, bits: u8) -> u32 {
    // t_fine, not the result: one step of 0.01 °C covers many codes.
    let celsius = |code| f64::from(calibration.fine_temperature(code).0) / 5_120.0;
    nearest(bits, 20, SKIPPED_20_BIT, environment.celsius, |code| Some(celsius(code)))
}

fn pressure_code(
    calibration: &Calibration,
    environment: Environment,
    fine: FineTemperature,
    bits: u8,
) -> u32 {
    // Pressure falls as the code rises, hence both signs.
    let negated = |code| calibration.pressure(code, fine).map(|pressure| -pressure.as_hectopascals());
    nearest(bits, 20, SKIPPED_20_BIT, -environment.hectopascals, negated)
}

fn humidity_code(calibration: &Calibration, environment: Environment, fine: FineTemperature) -> u16 {
    let percent = |code: u32| {
        let code = u16::try_from(code).ok()?;
        calibration.humidity(code, fine).map(RelativeHumidity::as_percent)
    };
    let code = nearest(16, 16, u32::from(SKIPPED_16_BIT), environment.percent_rh, percent);
    u16::try_from(code).unwrap_or(u16::MAX)
}

/// The code, of those that only use the upper `bits` of `width`, whose value is nearest to `target`; never
/// `skipped`, which would read as "not measured". `value` rises with the code, and has none past its upper end.
fn nearest(bits: u8, width: u8, skipped: u32, target: f64, value: impl Fn(u32) -> Option<f64>) -> u32 {
    let shift = width - bits;
    let last = (1_u32 << bits) - 1;
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low + (high - low) / 2;
        if value(middle << shift).is_none_or(|value| value >= target) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let distance = |code: u32| value(code).map_or(f64::INFINITY, |value| (value - target).abs());
    (low.saturating_sub(2)..=low.saturating_add(2).min(last))
        .map(|index| index << shift)
        .filter(|code| *code != skipped)
        .min_by(|one, other| distance(*one).total_cmp(&distance(*other)))
        .unwrap_or(0)
}
