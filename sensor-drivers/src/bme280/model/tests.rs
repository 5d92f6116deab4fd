//! The model against the datasheet, and the driver against the model over a recorded day.

use std::time::Duration;

use super::{Bme280Model, Fault};
use crate::bme280::{Address, Bme280, registers as reg};
use crate::model::{Ack, I2cTarget, ModelBus};
use std::sync::{Arc, Mutex};

const ZERO: Duration = Duration::ZERO;
/// Temperature ×2, pressure ×16, forced mode.
const FORCED: u8 = (0b010 << 5) | (0b101 << 2) | reg::MODE_FORCED;

#[test]
fn a_recorded_day_comes_back_through_the_driver() {
    // As recorded, at 927 hPa, and shifted to sea level.
    for shift_hpa in [0.0, 85.0] {
        let (mut bus, chip) = bus_with_chip();
        let mut time = bus.time();
        let mut driver = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
        let (mut rows, mut worst) = (0, [0.0_f64; 3]);
        for [celsius, percent, hectopascals] in recorded_day() {
            let hectopascals = hectopascals + shift_hpa;
            chip.lock().unwrap().set_environment(celsius, percent, hectopascals);
            let measured = driver.measure(&mut bus, &mut time).unwrap();
            let errors = [
                measured.temperature.unwrap().as_celsius() - celsius,
                measured.humidity.unwrap().as_percent() - percent,
                measured.pressure.unwrap().as_hectopascals() - hectopascals,
            ];
            worst.iter_mut().zip(errors).for_each(|(worst, error)| *worst = worst.max(error.abs()));
            rows += 1;
        }
        assert_eq!(rows, 1_440);
        let [worst_t, worst_h, worst_p] = worst;
        // No step of 0.01 °C, half a step of 0.0116 %, half a step of 0.17 Pa.
        assert!(worst_t < 0.005, "{worst_t} °C");
        assert!(worst_h <= 0.0065, "{worst_h} %");
        assert!(worst_p <= 0.001, "{worst_p} hPa");
    }
}

#[test]
fn no_environment_of_the_chips_range_reads_as_not_measured() {
    let (mut bus, chip) = bus_with_chip();
    let mut time = bus.time();
    let mut driver = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
    for step in 0..=4_000_u32 {
        let part = f64::from(step) / 4_000.0;
        let (celsius, percent) = (-40.0 + 125.0 * part, 100.0 * part);
        chip.lock().unwrap().set_environment(celsius, percent, 300.0 + 800.0 * part);
        let measured = driver.measure(&mut bus, &mut time).unwrap();
        assert!((measured.temperature.unwrap().as_celsius() - celsius).abs() <= 0.0101);
        assert!((measured.humidity.unwrap().as_percent() - percent).abs() <= 0.0125);
        assert!(measured.pressure.is_some());
    }
}

#[test]
fn the_code_for_skipped_is_never_a_measured_one() {
    // The environments whose own codes are 0x80000 and, at that temperature, 0x8000.
    let chip = Bme280Model::new();
    let fine = chip.calibration.fine_temperature(0x80000);
    let celsius = f64::from(fine.0) / 5_120.0;
    let percent = chip.calibration.humidity(0x8000, fine).unwrap().as_percent();
    let pressure = chip.calibration.pressure(0x80000, fine).unwrap().as_hectopascals();
    let (mut bus, chip) = bus_with_chip();
    chip.lock().unwrap().set_environment(celsius, percent, pressure);
    let mut time = bus.time();
    let mut driver = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
    let measured = driver.measure(&mut bus, &mut time).unwrap();
    assert!((measured.temperature.unwrap().as_celsius() - celsius).abs() <= 0.01);
    assert!((measured.humidity.unwrap().as_percent() - percent).abs() <= 0.012);
    assert!((measured.pressure.unwrap().as_hectopascals() - pressure).abs() <= 0.01);
}

#[test]
fn a_conversion_ends_when_its_longest_time_is_over_and_not_before() {
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_HUM, 1);
    write(&mut chip, ZERO, reg::CTRL_MEAS, FORCED);
    for early in [1, 20_000, 46_099] {
        // However often it is asked.
        for _ in 0..5 {
            assert_eq!(status(&mut chip, Duration::from_micros(early)), reg::STATUS_MEASURING);
        }
    }
    assert_eq!(data(&mut chip, Duration::from_micros(46_099)), RESET_DATA);
    assert_eq!(status(&mut chip, Duration::from_micros(46_100)), 0);
    assert_ne!(data(&mut chip, Duration::from_micros(46_100)), RESET_DATA);
}

#[test]
fn a_conversion_ends_after_three_polls_when_time_stands_still() {
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_MEAS, FORCED);
    let polled: Vec<u8> = (0..4).map(|_| status(&mut chip, ZERO)).collect();
    assert_eq!(polled, [reg::STATUS_MEASURING, reg::STATUS_MEASURING, reg::STATUS_MEASURING, 0]);
}

#[test]
fn a_forced_measurement_ends_in_sleep_and_keeps_its_values() {
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_MEAS, FORCED);
    let later = Duration::from_secs(1);
    let first = data(&mut chip, later);
    chip.set_environment(-5.0, 20.0, 950.0);
    assert_eq!(read(&mut chip, later, reg::CTRL_MEAS, 1), [FORCED & !0b11]);
    assert_eq!(data(&mut chip, Duration::from_secs(9)), first);
}

#[test]
fn ctrl_hum_takes_effect_with_the_next_write_to_ctrl_meas() {
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_MEAS, FORCED);
    // Too late for the conversion that runs.
    write(&mut chip, ZERO, reg::CTRL_HUM, 1);
    assert_eq!(data(&mut chip, Duration::from_secs(1))[6..], [0x80, 0x00]);
    write(&mut chip, Duration::from_secs(1), reg::CTRL_MEAS, FORCED);
    assert_ne!(data(&mut chip, Duration::from_secs(2))[6..], [0x80, 0x00]);
}

#[test]
fn oversampling_decides_the_resolution_and_what_is_skipped() {
    // Code of oversampling, bits of the last byte that stay zero.
    for (osrs, zero_bits) in [(1, 0xFF), (2, 0x7F), (3, 0x3F), (4, 0x1F), (5, 0x0F)] {
        let mut chip = Bme280Model::new();
        let mut seen = 0;
        for step in 0..200_u32 {
            let now = Duration::from_secs(u64::from(step));
            let part = f64::from(step) / 200.0;
            chip.set_environment(10.0 + part, 50.0, 950.0 + part);
            write(&mut chip, now, reg::CTRL_MEAS, (osrs << 5) | (osrs << 2) | reg::MODE_FORCED);
            let data = data(&mut chip, now + Duration::from_millis(200));
            seen |= data[2] | data[5];
        }
        assert_eq!(seen, !zero_bits, "osrs {osrs}");
    }
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_MEAS, reg::MODE_FORCED);
    assert_eq!(data(&mut chip, Duration::from_secs(1)), RESET_DATA);
}

#[test]
fn reading_increments_and_writing_goes_in_pairs() {
    let mut chip = Bme280Model::new();
    let acknowledged = chip.write(ZERO, &[reg::CTRL_HUM, 0xFD, reg::CONFIG, 0xA0]);
    assert_eq!(acknowledged, Ack::Acknowledged);
    // Reserved bits of ctrl_hum read zero.
    assert_eq!(read(&mut chip, ZERO, reg::CTRL_HUM, 4), [0x05, 0x00, 0x00, 0xA0]);
    let block = read(&mut chip, ZERO, reg::CALIB_LOW, 4);
    assert_eq!(block, [0x70, 0x6B, 0x43, 0x67]);
}

#[test]
fn only_the_reset_word_resets_and_the_calibration_is_copied_again() {
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_HUM, 3);
    write(&mut chip, ZERO, reg::RESET, 0xB5);
    assert_eq!(read(&mut chip, ZERO, reg::CTRL_HUM, 1), [3]);
    write(&mut chip, ZERO, reg::RESET, reg::RESET_WORD);
    assert_eq!(read(&mut chip, ZERO, reg::CTRL_HUM, 1), [0]);
    assert_eq!(status(&mut chip, Duration::from_micros(1_999)), reg::STATUS_IM_UPDATE);
    assert_eq!(status(&mut chip, Duration::from_millis(2)), 0);
    assert_eq!(read(&mut chip, ZERO, reg::RESET, 1), [0]);
    assert_eq!(read(&mut chip, ZERO, reg::ID, 1), [reg::CHIP_ID]);
}

#[test]
fn identification_and_ids_are_read_only() {
    let mut chip = Bme280Model::new();
    for register in [reg::ID, reg::CALIB_LOW, reg::STATUS, reg::DATA] {
        let before = read(&mut chip, ZERO, register, 1);
        write(&mut chip, ZERO, register, !before[0]);
        assert_eq!(read(&mut chip, ZERO, register, 1), before);
    }
}

#[test]
fn a_frozen_chip_repeats_its_last_values() {
    let (mut bus, chip) = bus_with_chip();
    let mut time = bus.time();
    let mut driver = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
    let first = driver.measure(&mut bus, &mut time).unwrap();
    chip.lock().unwrap().set_fault(Fault::Frozen);
    chip.lock().unwrap().set_environment(-5.0, 20.0, 950.0);
    assert_eq!(driver.measure(&mut bus, &mut time), Ok(first));
    chip.lock().unwrap().set_fault(Fault::None);
    assert_eq!(driver.measure(&mut bus, &mut time).unwrap().temperature.unwrap().get(), -500);
}

#[test]
fn an_absent_chip_comes_back_without_its_settings() {
    let mut chip = Bme280Model::new();
    write(&mut chip, ZERO, reg::CTRL_HUM, 1);
    chip.set_fault(Fault::Absent);
    assert_eq!(chip.fault(), Fault::Absent);
    assert_eq!(chip.write(ZERO, &[]), Ack::AddressRefused);
    assert_eq!(chip.read(ZERO, &mut [0]), Ack::AddressRefused);
    chip.set_fault(Fault::None);
    assert_eq!(read(&mut chip, ZERO, reg::CTRL_HUM, 1), [0]);
}

const RESET_DATA: [u8; 8] = [0x80, 0, 0, 0x80, 0, 0, 0x80, 0];

fn bus_with_chip() -> (ModelBus, Arc<Mutex<Bme280Model>>) {
    let chip = Arc::new(Mutex::new(Bme280Model::new()));
    let mut bus = ModelBus::new();
    bus.attach(Address::Primary.get(), Box::new(Arc::clone(&chip)));
    (bus, chip)
}

/// Temperature (°C), humidity (%), pressure (hPa), a minute each.
fn recorded_day() -> impl Iterator<Item = [f64; 3]> {
    let csv = include_str!("../../../../hil-tests/data/met-minute.csv");
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let columns = ["air_temperature_c", "relative_humidity_pct", "station_pressure_hpa"]
        .map(|name| header.iter().position(|column| *column == name).unwrap());
    csv.lines().skip(1).map(move |line| {
        let fields: Vec<&str> = line.split(',').collect();
        columns.map(|column| fields[column].parse().unwrap())
    })
}

fn write(chip: &mut Bme280Model, now: Duration, register: u8, value: u8) {
    assert_eq!(chip.write(now, &[register, value]), Ack::Acknowledged);
}

fn read(chip: &mut Bme280Model, now: Duration, register: u8, length: usize) -> Vec<u8> {
    let mut buffer = vec![0; length];
    assert_eq!(chip.write(now, &[register]), Ack::Acknowledged);
    assert_eq!(chip.read(now, &mut buffer), Ack::Acknowledged);
    buffer
}

fn status(chip: &mut Bme280Model, now: Duration) -> u8 {
    read(chip, now, reg::STATUS, 1)[0]
}

fn data(chip: &mut Bme280Model, now: Duration) -> [u8; 8] {
    read(chip, now, reg::DATA, 8).try_into().unwrap()
}
