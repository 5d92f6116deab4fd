//! Vectors of the BME280; the driver's tests are in `driver`.

mod driver;

use proptest::prelude::*;

use super::conversion::{Calibration, Codes, FineTemperature};
use super::registers as reg;

/// Temperature and pressure: the example of BST-BMP280-DS001, section 3.12. Humidity: ours, no vector is published.
const EXAMPLE: Calibration = Calibration {
    t1: 27_504,
    t2: 26_435,
    t3: -1_000,
    p1: 36_477,
    p2: -10_685,
    p3: 3_024,
    p4: 2_855,
    p5: 140,
    p6: -7,
    p7: 15_500,
    p8: -14_600,
    p9: 6_000,
    h1: 75,
    h2: 370,
    h3: 0,
    h4: 313,
    h5: 50,
    h6: 30,
};
const EXAMPLE_TEMPERATURE: u32 = 519_888;
const EXAMPLE_PRESSURE: u32 = 415_148;

// Conversion: golden values.

#[test]
fn the_datasheet_example_gives_its_temperature_and_pressure() {
    let fine = EXAMPLE.fine_temperature(EXAMPLE_TEMPERATURE);
    assert_eq!(fine, FineTemperature(128_422));
    assert_eq!(fine.celsius().get(), 2_508);
    let pressure = EXAMPLE.pressure(EXAMPLE_PRESSURE, fine).unwrap();
    // Published for floating point: 100653.27 Pa. The 64-bit integers truncate t_fine, which costs 0.016 Pa.
    assert_eq!(pressure.to_q24_8(), 25_767_233);
    assert!((pressure.as_pascals() - 100_653.27).abs() < 0.02, "{pressure:?}");
}

#[test]
fn the_reference_in_double_precision_gives_the_published_pressure() {
    let (fine, celsius) = reference::temperature(&EXAMPLE, EXAMPLE_TEMPERATURE);
    assert!((celsius - 25.08).abs() < 0.005, "{celsius}");
    let pressure = reference::pressure(&EXAMPLE, EXAMPLE_PRESSURE, fine);
    assert!((pressure - 100_653.27).abs() < 0.005, "{pressure}");
}

#[test]
fn temperatures_below_zero_keep_their_sign() {
    // Computed apart from this code, with unbounded integers.
    for (code, centi_celsius) in [(250_000, -6_031), (350_000, -2_847), (400_000, -1_264), (600_000, 5_011)] {
        assert_eq!(EXAMPLE.fine_temperature(code).celsius().get(), centi_celsius, "code {code}");
    }
}

#[test]
fn temperatures_halfway_between_steps_round_up() {
    // t_fine in 1/5120 °C: ±0.025 °C.
    assert_eq!(FineTemperature(128).celsius().get(), 3);
    assert_eq!(FineTemperature(-128).celsius().get(), -2);
}

#[test]
fn humidity_follows_the_code_from_zero_to_saturation() {
    // Computed apart from this code, with unbounded integers, at 25.08 °C.
    let vectors = [
        (0, 0),
        (19_000, 0),
        (20_000, 0),
        (25_000, 28_336),
        (30_000, 57_552),
        (35_000, 86_524),
        (40_000, 102_400),
        (65_535, 102_400),
    ];
    for (code, percent_q22_10) in vectors {
        let humidity = EXAMPLE.humidity(code, FineTemperature(128_422)).unwrap();
        assert_eq!(humidity.to_q22_10(), percent_q22_10, "code {code}");
    }
}

#[test]
fn both_signs_of_the_shared_humidity_nibbles_are_read() {
    let low = [0; reg::CALIB_LOW_LENGTH];
    // H4 = 0xE4 then the low nibble of 0xE5; H5 = 0xE6 then its high nibble.
    let positive = Calibration::from_registers(&low, [0, 0, 0, 0x13, 0x29, 0x03, 0x1E]);
    assert_eq!((positive.h4, positive.h5, positive.h6), (0x139, 0x032, 30));
    let negative = Calibration::from_registers(&low, [0, 0, 0, 0xFF, 0x0E, 0x80, 0xE2]);
    assert_eq!((negative.h4, negative.h5, negative.h6), (-2, -2_048, -30));
}

#[test]
fn words_are_little_endian_in_calibration_and_big_endian_in_data() {
    let mut low = [0; reg::CALIB_LOW_LENGTH];
    low[..6].copy_from_slice(&[0x70, 0x6B, 0x43, 0x67, 0x18, 0xFC]);
    low[25] = 75;
    let calibration = Calibration::from_registers(&low, [0x72, 0x01, 0, 0, 0, 0, 0]);
    assert_eq!((calibration.t1, calibration.t2, calibration.t3), (27_504, 26_435, -1_000));
    assert_eq!((calibration.h1, calibration.h2), (75, 370));
    let codes = Codes::from_registers([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x61, 0xA8]);
    assert_eq!(codes, Codes { pressure: 415_148, temperature: 519_888, humidity: 25_000 });
}

#[test]
fn the_longest_measurement_time_is_that_of_appendix_b() {
    // The example of section 9.1: temperature ×1, pressure ×4, no humidity; 11.5 ms typically, 13.3 ms at most.
    assert_eq!(reg::measurement_time_max_us(1, 3, 0), 13_325);
    // Everything ×16.
    assert_eq!(reg::measurement_time_max_us(5, 5, 5), 112_800);
    // What the driver asks for.
    assert_eq!(reg::measurement_time_max_us(2, 5, 1), 46_100);
}

// Conversion: against an independent implementation.

#[test]
fn every_quantity_agrees_with_double_precision_over_the_whole_range() {
    let (mut worst_t, mut worst_p, mut worst_h) = (0.0_f64, 0.0_f64, 0.0_f64);
    for temperature in (300_000..=710_000).step_by(4_999) {
        let fine = EXAMPLE.fine_temperature(temperature);
        let (_, celsius) = reference::temperature(&EXAMPLE, temperature);
        worst_t = worst_t.max((fine.celsius().as_celsius() - celsius).abs());
        for code in (0..700_000).step_by(6_997) {
            let pressure = EXAMPLE.pressure(code, fine).unwrap().as_pascals();
            let expected = reference::pressure(&EXAMPLE, code, f64::from(fine.0));
            worst_p = worst_p.max((pressure - expected).abs());
        }
        for code in (0..=u16::MAX).step_by(61) {
            let humidity = EXAMPLE.humidity(code, fine).unwrap().as_percent();
            let expected = reference::humidity(&EXAMPLE, code, f64::from(fine.0));
            worst_h = worst_h.max((humidity - expected).abs());
        }
    }
    // Half a step of the result, plus what the shifts drop: three bits of the temperature code are 0.0025 °C.
    assert!(worst_t <= 0.0076, "{worst_t} °C");
    assert!(worst_p <= 0.012, "{worst_p} Pa");
    // The integer formula halves the code: one code is 0.0058 %.
    assert!(worst_h <= 0.0095, "{worst_h} %");
}

/// Floating point formulas, section 8.1 of BST-BME280-DS001-10, rearranged: what the integers approximate.
mod reference {
    use super::super::conversion::Calibration;

    pub(super) fn temperature(c: &Calibration, code: u32) -> (f64, f64) {
        let x = f64::from(code) / 16_384.0 - f64::from(c.t1) / 1_024.0;
        let y = x / 8.0;
        let fine = x * f64::from(c.t2) + y * y * f64::from(c.t3);
        (fine, fine / 5_120.0)
    }

    pub(super) fn pressure(c: &Calibration, code: u32, fine: f64) -> f64 {
        let x = fine / 2.0 - 64_000.0;
        let offset = (x * x * f64::from(c.p6) / 32_768.0 + x * f64::from(c.p5) * 2.0) / 4.0;
        let offset = offset + f64::from(c.p4) * 65_536.0;
        let slope = (f64::from(c.p3) * x * x / 524_288.0 + f64::from(c.p2) * x) / 524_288.0;
        let slope = (1.0 + slope / 32_768.0) * f64::from(c.p1);
        let p = (1_048_576.0 - f64::from(code) - offset / 4_096.0) * 6_250.0 / slope;
        let square = f64::from(c.p9) * p * p / 2_147_483_648.0;
        p + (square + p * f64::from(c.p8) / 32_768.0 + f64::from(c.p7)) / 16.0
    }

    /// The 64-bit formula of section 4.2.3 in 128 bits, where it cannot overflow.
    pub(super) fn unbounded_pressure(c: &Calibration, code: u32, fine: i32) -> i128 {
        let [p1, p2, p3] = [i128::from(c.p1), i128::from(c.p2), i128::from(c.p3)];
        let [p4, p5, p6] = [c.p4, c.p5, c.p6].map(i128::from);
        let [p7, p8, p9] = [c.p7, c.p8, c.p9].map(i128::from);
        let x = i128::from(fine) - 128_000;
        let offset = x * x * p6 + x * p5 * 131_072 + p4 * 34_359_738_368;
        let slope = ((140_737_488_355_328 + ((x * x * p3) >> 8) + x * p2 * 4_096) * p1) >> 33;
        let p = ((1_048_576 - i128::from(code)) * 2_147_483_648 - offset) * 3_125 / slope;
        let bend = ((p9 * (p >> 13) * (p >> 13)) >> 25) + ((p8 * p) >> 19);
        ((p + bend) >> 8) + p7 * 16
    }

    pub(super) fn humidity(c: &Calibration, code: u16, fine: f64) -> f64 {
        let x = fine - 76_800.0;
        let dry = f64::from(c.h4) * 64.0 + f64::from(c.h5) / 16_384.0 * x;
        let bend = 1.0 + f64::from(c.h3) / 67_108_864.0 * x;
        let slope = f64::from(c.h2) / 65_536.0 * (1.0 + f64::from(c.h6) / 67_108_864.0 * x * bend);
        let h = (f64::from(code) - dry) * slope;
        (h * (1.0 - f64::from(c.h1) * h / 524_288.0)).clamp(0.0, 100.0)
    }
}

// Conversion: whatever the registers hold.

#[test]
fn what_overflows_the_datasheets_types_is_no_value() {
    let fine = FineTemperature(-4_000_000);
    // Wrapped around, this slope would give a credible 64 kPa.
    assert_eq!(
        Calibration { p1: 15_455, p3: 30_000, ..EXAMPLE }.pressure(415_148, FineTemperature(4_000_000)),
        None
    );
    assert_eq!(Calibration { p1: 1, p6: i16::MIN, ..EXAMPLE }.pressure(0, fine), None);
    // Division by zero.
    assert_eq!(Calibration { p1: 0, ..EXAMPLE }.pressure(0, fine), None);
    // A negative pressure.
    assert_eq!(EXAMPLE.pressure(0xFFFFF, FineTemperature(128_422)), None);
    // More than 500 %.
    assert_eq!(Calibration { h2: i16::MAX, ..EXAMPLE }.humidity(0xFFFF, FineTemperature(128_422)), None);
}

proptest! {
    #[test]
    fn a_pressure_is_what_unbounded_integers_give(low: [u8; 26], code in 0_u32..1 << 20, fine in -4_194_304..=4_194_304) {
        let calibration = Calibration::from_registers(&low, [0; 7]);
        if let Some(pressure) = calibration.pressure(code, FineTemperature(fine)) {
            let expected = reference::unbounded_pressure(&calibration, code, fine);
            prop_assert_eq!(i128::from(pressure.to_q24_8()), expected);
        }
    }

    #[test]
    fn calibration_survives_the_way_to_registers_and_back(low: [u8; 26], high: [u8; 7]) {
        let calibration = Calibration::from_registers(&low, high);
        let (low_again, high_again) = calibration.to_registers();
        // 0xA0 is unused.
        prop_assert_eq!(&low_again[..24], &low[..24]);
        prop_assert_eq!(low_again[25], low[25]);
        prop_assert_eq!(high_again, high);
    }

    #[test]
    fn no_register_content_overflows_the_formulas(low: [u8; 26], high: [u8; 7], data: [u8; 8]) {
        convert(&low, high, data);
    }
}

#[test]
fn the_extremes_of_every_register_do_not_overflow() {
    for calibration in [0x00, 0x7F, 0x80, 0xFF] {
        for mixed in [0x00, 0x7F, 0x80, 0xFF] {
            let mut low = [calibration; 26];
            low.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = mixed);
            let high = [mixed, calibration, mixed, calibration, mixed, calibration, mixed];
            for data in [0x00, 0x7F, 0x80, 0xFF] {
                convert(&low, high, [data; 8]);
            }
        }
    }
}

fn convert(low: &[u8; 26], high: [u8; 7], data: [u8; 8]) {
    let calibration = Calibration::from_registers(low, high);
    let codes = Codes::from_registers(data);
    let fine = calibration.fine_temperature(codes.temperature);
    assert!(fine.0.abs() <= 1 << 22, "{fine:?}");
    calibration.pressure(codes.pressure, fine);
    if let Some(humidity) = calibration.humidity(codes.humidity, fine) {
        assert!(humidity.to_q22_10() <= 102_400);
    }
    fine.celsius();
}
