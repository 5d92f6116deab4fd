//! The driver against good, bad and lying chips.

use std::sync::{Arc, Mutex};

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{ErrorType, I2c, Operation};
use proptest::prelude::*;

use super::EXAMPLE;
use crate::ErrorKind;
use crate::bme280::model::{Bme280Model, Fault};
use crate::bme280::{Address, Bme280, Error, Measurement, registers as reg};
use crate::model::{ModelBus, ModelBusError};

#[test]
fn a_chip_is_identified_and_measured_at_either_address() {
    for address in [Address::Primary, Address::Secondary] {
        let (mut bus, chip) = bus_with_chip(address);
        chip.lock().unwrap().set_environment(-12.34, 67.8, 925.0);
        let mut time = bus.time();
        let mut driver = Bme280::identify(&mut bus, &mut time, address).unwrap();
        assert_eq!(driver.address(), address);
        let measured = driver.measure(&mut bus, &mut time).unwrap();
        assert!((measured.temperature.unwrap().as_celsius() - -12.34).abs() < 0.0101);
        assert!((measured.humidity.unwrap().as_percent() - 67.8).abs() < 0.01);
        assert!((measured.pressure.unwrap().as_hectopascals() - 925.0).abs() < 0.01);
        assert!(Bme280::identify(&mut bus, &mut time, other(address)).is_err());
    }
}

#[test]
fn chips_that_share_a_bus_keep_their_own_values() {
    let (mut bus, first) = bus_with_chip(Address::Primary);
    let second = Arc::new(Mutex::new(Bme280Model::new()));
    bus.attach(Address::Secondary.get(), Box::new(Arc::clone(&second)));
    first.lock().unwrap().set_environment(1.0, 10.0, 900.0);
    second.lock().unwrap().set_environment(30.0, 90.0, 1000.0);
    let mut time = bus.time();
    let mut one = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
    let mut two = Bme280::identify(&mut bus, &mut time, Address::Secondary).unwrap();
    assert_eq!(one.measure(&mut bus, &mut time).unwrap().temperature.unwrap().get(), 100);
    assert_eq!(two.measure(&mut bus, &mut time).unwrap().temperature.unwrap().get(), 3_000);
    assert_eq!(one.measure(&mut bus, &mut time).unwrap().temperature.unwrap().get(), 100);
}

#[test]
fn faults_before_identification_have_their_exact_error() {
    let absent = Error::Bus(ModelBusError::AddressNotAcknowledged);
    let cases = [
        (Fault::Absent, absent, ErrorKind::Bus),
        (Fault::WrongId(0x58), Error::WrongChip { found: 0x58 }, ErrorKind::Identity),
        (Fault::AllZero, Error::WrongChip { found: 0x00 }, ErrorKind::Identity),
        (Fault::AllOnes, Error::WrongChip { found: 0xFF }, ErrorKind::Identity),
    ];
    for (fault, expected, kind) in cases {
        let (mut bus, chip) = bus_with_chip(Address::Primary);
        chip.lock().unwrap().set_fault(fault);
        let error = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary).unwrap_err();
        assert_eq!((error, error.kind()), (expected, kind), "{fault:?}");
    }
}

#[test]
fn faults_after_identification_have_their_exact_error_and_no_value() {
    let absent = Error::Bus(ModelBusError::AddressNotAcknowledged);
    let stuck = Error::NotReady { status: reg::STATUS_MEASURING };
    let cases = [
        (Fault::Absent, absent, ErrorKind::Bus),
        (Fault::WrongId(0x58), Error::WrongChip { found: 0x58 }, ErrorKind::Identity),
        (Fault::AllZero, Error::WrongChip { found: 0x00 }, ErrorKind::Identity),
        (Fault::AllOnes, Error::WrongChip { found: 0xFF }, ErrorKind::Identity),
        (Fault::Stuck, stuck, ErrorKind::SensorFault),
        (Fault::Frozen, Error::NotMeasured, ErrorKind::SensorFault),
    ];
    for (fault, expected, kind) in cases {
        let (mut bus, chip) = bus_with_chip(Address::Primary);
        let mut time = bus.time();
        let mut driver = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
        chip.lock().unwrap().set_fault(fault);
        let error = driver.measure(&mut bus, &mut time).unwrap_err();
        assert_eq!((error, error.kind()), (expected, kind), "{fault:?}");

        chip.lock().unwrap().set_fault(Fault::None);
        let mut again = Bme280::identify(&mut bus, &mut time, Address::Primary).unwrap();
        again.measure(&mut bus, &mut time).unwrap();
    }
}

#[test]
fn a_chip_that_was_exchanged_does_not_inherit_a_calibration() {
    let (mut bus, chip) = bus_with_chip(Address::Primary);
    let mut driver = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary).unwrap();
    driver.measure(&mut bus, &mut NoDelay).unwrap();
    *chip.lock().unwrap() = Bme280Model::new();
    let error = driver.measure(&mut bus, &mut NoDelay).unwrap_err();
    assert_eq!((error, error.kind()), (Error::Restarted { found: 0 }, ErrorKind::Identity));
}

#[test]
fn blank_blocks_name_their_first_register() {
    for (first, length) in [(reg::CALIB_LOW, 26), (reg::CALIB_HIGH, 7), (reg::DATA, 8)] {
        for byte in [0x00, 0xFF] {
            let mut bus = working_memory();
            let blank = usize::from(first)..usize::from(first) + length;
            bus.registers[blank].fill(byte);
            let outcome = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary)
                .and_then(|mut chip| chip.measure(&mut bus, &mut NoDelay));
            assert_eq!(outcome, Err(Error::Blank { register: first, byte }));
        }
    }
}

#[test]
fn a_skipped_quantity_is_none_and_the_others_stay() {
    let all = measure_data([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x75, 0x30]).unwrap();
    assert!(all.temperature.is_some() && all.pressure.is_some() && all.humidity.is_some());
    let no_pressure = measure_data([0x80, 0x00, 0x00, 0x7E, 0xED, 0x00, 0x75, 0x30]).unwrap();
    assert_eq!(no_pressure, Measurement { pressure: None, ..all });
    let no_humidity = measure_data([0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x80, 0x00]).unwrap();
    assert_eq!(no_humidity, Measurement { humidity: None, ..all });
    let no_temperature = measure_data([0x65, 0x5A, 0xC0, 0x80, 0x00, 0x00, 0x75, 0x30]).unwrap();
    assert_eq!(no_temperature, NOTHING);
    let none = measure_data([0x80, 0x00, 0x00, 0x80, 0x00, 0x00, 0x80, 0x00]);
    assert_eq!(none, Err(Error::NotMeasured));
}

#[test]
fn codes_that_no_chip_of_this_calibration_has_are_uncomputable() {
    // Highest pressure code: the formula gives a negative pressure.
    let outcome = measure_data([0xFF, 0xFF, 0xF0, 0x7E, 0xED, 0x00, 0x75, 0x30]);
    assert_eq!(outcome, Err(Error::Uncomputable));
    let kind = Error::<ModelBusError>::Uncomputable.kind();
    assert_eq!(kind, ErrorKind::SensorFault);
}

#[test]
fn an_adapter_that_reports_success_and_reads_nothing_gives_no_value() {
    let cases = [
        (reg::ID, Error::WrongChip { found: 0xFF }),
        (reg::CTRL_HUM, Error::Restarted { found: 0xFF }),
        (reg::STATUS, Error::NotReady { status: 0xFF }),
        (reg::DATA, Error::Blank { register: reg::DATA, byte: 0x00 }),
    ];
    for (lies_about, expected) in cases {
        let mut honest = working_memory();
        let mut chip = Bme280::identify(&mut honest, &mut NoDelay, Address::Primary).unwrap();
        let mut liar = Liar { honest, lies_about };
        assert_eq!(chip.measure(&mut liar, &mut NoDelay), Err(expected));
    }
}

#[test]
fn identification_resets_the_chip_and_waits_for_its_calibration() {
    let (mut bus, chip) = bus_with_chip(Address::Primary);
    bus.write(Address::Primary.get(), &[reg::CTRL_MEAS, 0xFC]).unwrap();
    Bme280::identify(&mut bus, &mut NoDelay, Address::Primary).unwrap();
    let mut ctrl_meas = [0xFF];
    bus.write_read(Address::Primary.get(), &[reg::CTRL_MEAS], &mut ctrl_meas).unwrap();
    assert_eq!(ctrl_meas, [0]);
    drop(chip);

    let mut copying = working_memory();
    copying.registers[usize::from(reg::STATUS)] = reg::STATUS_IM_UPDATE;
    let outcome = Bme280::identify(&mut copying, &mut NoDelay, Address::Primary);
    assert_eq!(outcome, Err(Error::NotReady { status: reg::STATUS_IM_UPDATE }));
}

#[test]
fn a_bus_that_fails_at_any_transfer_gives_an_error_and_no_value() {
    for failing in 0..12 {
        let mut bus = Failing { honest: working_memory(), at: failing, transfers: 0 };
        let outcome = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary)
            .and_then(|mut chip| chip.measure(&mut bus, &mut NoDelay));
        let transfers = bus.transfers;
        match outcome {
            Ok(_) => assert!(transfers <= failing, "failure {failing} of {transfers} went unseen"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Bus),
        }
    }
}

proptest! {
    #[test]
    fn the_driver_has_a_verdict_on_any_256_registers(
        mut registers in proptest::collection::vec(any::<u8>(), 256),
        plausible: bool,
    ) {
        if plausible {
            registers[usize::from(reg::ID)] = reg::CHIP_ID;
            registers[usize::from(reg::CTRL_HUM)] = 1;
            registers[usize::from(reg::STATUS)] = 0;
        }
        let mut bus = Memory { registers };
        if let Ok(mut chip) = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary) {
            prop_assert!(bus.registers[usize::from(reg::ID)] == reg::CHIP_ID);
            match chip.measure(&mut bus, &mut NoDelay) {
                Ok(measurement) => prop_assert!(measurement.humidity.is_none_or(|humidity| humidity.as_percent() <= 100.0)),
                Err(error) => prop_assert!(error.kind() != ErrorKind::Bus),
            }
        }
    }
}

const NOTHING: Measurement = Measurement { temperature: None, pressure: None, humidity: None };

const fn other(address: Address) -> Address {
    match address {
        Address::Primary => Address::Secondary,
        Address::Secondary => Address::Primary,
    }
}

fn bus_with_chip(address: Address) -> (ModelBus, Arc<Mutex<Bme280Model>>) {
    let chip = Arc::new(Mutex::new(Bme280Model::new()));
    let mut bus = ModelBus::new();
    bus.attach(address.get(), Box::new(Arc::clone(&chip)));
    (bus, chip)
}

fn measure_data(data: [u8; 8]) -> Result<Measurement, Error<core::convert::Infallible>> {
    let mut bus = working_memory();
    bus.registers[usize::from(reg::DATA)..=0xFE].copy_from_slice(&data);
    let mut chip = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary)?;
    chip.measure(&mut bus, &mut NoDelay)
}

fn working_memory() -> Memory {
    let mut registers = vec![0; 256];
    let (low, high) = EXAMPLE.to_registers();
    registers[0x88..=0xA1].copy_from_slice(&low);
    registers[0xE1..=0xE7].copy_from_slice(&high);
    registers[0xD0] = reg::CHIP_ID;
    registers[0xF7..=0xFE].copy_from_slice(&[0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x75, 0x30]);
    Memory { registers }
}

struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

/// Registers that hold what they are given, except that reserved and read-only ones take nothing.
struct Memory {
    registers: Vec<u8>,
}

impl ErrorType for Memory {
    type Error = core::convert::Infallible;
}

impl I2c for Memory {
    fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        let mut register = 0;
        for operation in operations {
            match operation {
                Operation::Write([first]) => register = usize::from(*first),
                Operation::Write([first, value]) if *first >= reg::CTRL_HUM => {
                    self.registers[usize::from(*first)] = *value;
                }
                Operation::Write(_) => {}
                Operation::Read(buffer) => {
                    let length = buffer.len();
                    buffer.copy_from_slice(&self.registers[register..register + length]);
                }
            }
        }
        Ok(())
    }
}

/// Leaves the buffer as it is when this register is read, and calls it a success.
struct Liar {
    honest: Memory,
    lies_about: u8,
}

impl ErrorType for Liar {
    type Error = core::convert::Infallible;
}

impl I2c for Liar {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        match operations {
            [Operation::Write([register]), Operation::Read(_)] if *register == self.lies_about => Ok(()),
            _ => self.honest.transaction(address, operations),
        }
    }
}

/// Fails one transfer, the first being number 0.
struct Failing {
    honest: Memory,
    at: u32,
    transfers: u32,
}

impl ErrorType for Failing {
    type Error = ModelBusError;
}

impl I2c for Failing {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        self.transfers += 1;
        if self.transfers == self.at + 1 {
            return Err(ModelBusError::DataNotAcknowledged);
        }
        let Ok(()) = self.honest.transaction(address, operations);
        Ok(())
    }
}
