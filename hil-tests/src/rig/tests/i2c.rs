//! The simulated bus, read through the real driver.

use std::path::Path;

use edge_agent::bus::{I2cBus, I2cError, I2cOpener as _};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c as _;
use sensor_drivers::Bme280;
use sensor_drivers::bme280::model::Fault as ChipFault;
use sensor_drivers::bme280::{Address, Error};

use super::*;
use crate::city::compare::Tolerance;
use crate::rig::i2c::{PATH, RigOpener, SimulatedI2c};
use crate::world::told::Order;

/// A rig whose time stands still needs no waiting.
struct NoDelay;

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

#[test]
fn what_the_driver_reads_is_what_the_world_has_within_a_step_at_every_minute() {
    let hands = Hands::at(MORNING);
    let scene = scene(&hands, Faults::None, 0);
    let world = scene.world.clone();
    let mut bus = SimulatedI2c::new(scene);
    let mut chip = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary).unwrap();
    for minute in 0..1440 {
        let time = MORNING.plus_ms(minute * 60_000);
        hands.set(time);
        let measured = chip.measure(&mut bus, &mut NoDelay).unwrap();
        let truth = world.at(time);
        let found = [
            ("air_temperature", measured.temperature.unwrap().as_celsius()),
            ("relative_humidity", measured.humidity.unwrap().as_percent()),
            ("barometric_pressure", measured.pressure.unwrap().as_hectopascals()),
        ];
        for (property, found) in found {
            let (truth, within) = (truth.value(property).unwrap(), Tolerance::of(property).unwrap().0);
            assert!((found - truth).abs() <= within, "{time:?} {property}: {found} is not {truth}");
        }
    }
}

#[test]
fn a_chip_is_broken_within_its_window_and_well_after_it() {
    let (lamppost, window) = some_window(Fault::Chip(ChipFault::Absent));
    let hands = Hands::at(window.from.plus_ms(-1));
    let mut bus = SimulatedI2c::new(scene(&hands, BROKEN, lamppost));
    let mut identify = || Bme280::identify(&mut bus, &mut NoDelay, Address::Primary);
    assert!(identify().is_ok());
    hands.set(window.from);
    assert!(matches!(identify(), Err(Error::Bus(I2cError::NoAcknowledge))));
    hands.set(window.until.plus_ms(-1));
    assert!(matches!(identify(), Err(Error::Bus(I2cError::NoAcknowledge))));
    hands.set(window.until);
    let chip = identify();
    assert!(chip.unwrap().measure(&mut bus, &mut NoDelay).is_ok());
}

#[test]
fn what_is_told_befalls_a_chip_at_once_and_is_over_when_it_is_mended() {
    let hands = Hands::at(MORNING);
    let scene = scene(&hands, Faults::None, 0);
    let truth = scene.world.at(MORNING);
    let mut bus = SimulatedI2c::new(scene.clone());
    let mut measure = || {
        let mut chip = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary)?;
        chip.measure(&mut bus, &mut NoDelay)
    };
    let tell = |order: &str| scene.tell(Order::parse(&order.split(' ').collect::<Vec<_>>()).unwrap());
    tell("break chip absent");
    assert!(scene.is_broken());
    assert!(matches!(measure(), Err(Error::Bus(I2cError::NoAcknowledge))));
    tell("break chip wrong-id");
    assert!(matches!(measure(), Err(Error::WrongChip { found: 0x58 })));
    tell("mend");
    // Each beyond what the catalogue holds for valid, and within a step of what the chip itself can show.
    tell("set air_temperature 75");
    tell("set barometric_pressure 800");
    let measured = measure().unwrap();
    assert!(!scene.is_broken());
    assert!((measured.temperature.unwrap().as_celsius() - 75.0).abs() <= 0.01, "{measured:?}");
    assert!((measured.pressure.unwrap().as_hectopascals() - 800.0).abs() <= 0.01, "{measured:?}");
    assert!((measured.humidity.unwrap().as_percent() - truth.relative_humidity).abs() <= 0.01);
    tell("mend");
    let measured = measure().unwrap();
    assert!((measured.temperature.unwrap().as_celsius() - truth.air_temperature).abs() <= 0.01);
}

#[test]
fn what_is_told_comes_before_a_drawn_fault_of_the_same_instrument() {
    let (lamppost, window) = some_window(Fault::Chip(ChipFault::Absent));
    let scene = scene(&Hands::at(window.from), BROKEN, lamppost);
    let mut bus = SimulatedI2c::new(scene.clone());
    scene.tell(Order::Break(Fault::Chip(ChipFault::WrongId(0x58))));
    let mut identify = || Bme280::identify(&mut bus, &mut NoDelay, Address::Primary);
    assert!(matches!(identify(), Err(Error::WrongChip { .. })));
    scene.tell(Order::Mend);
    assert!(
        matches!(identify(), Err(Error::Bus(I2cError::NoAcknowledge))),
        "the drawn one is not told to end"
    );
}

#[test]
fn another_chip_in_its_place_is_found_out() {
    let (lamppost, window) = some_window(Fault::Chip(ChipFault::WrongId(0x58)));
    let mut bus = SimulatedI2c::new(scene(&Hands::at(window.from), BROKEN, lamppost));
    let found = Bme280::identify(&mut bus, &mut NoDelay, Address::Primary);
    assert!(matches!(found, Err(Error::WrongChip { found: 0x58 })), "{found:?}");
}

#[test]
fn the_bus_is_opened_by_its_path_as_often_as_one_likes_and_no_other_is() {
    let opener = RigOpener::new(SimulatedI2c::new(scene(&Hands::at(MORNING), Faults::None, 0)));
    for _ in 0..3 {
        let mut bus: Box<dyn I2cBus> = opener.open(Path::new(PATH)).unwrap();
        assert!(Bme280::identify(&mut bus.as_mut(), &mut NoDelay, Address::Primary).is_ok());
    }
    let error = opener.open(Path::new("/dev/i2c-1")).err().unwrap();
    assert!(matches!(&error, I2cError::Open { path, .. } if path == Path::new("/dev/i2c-1")), "{error:?}");
}

#[test]
fn nobody_answers_at_another_address() {
    let mut bus = SimulatedI2c::new(scene(&Hands::at(MORNING), Faults::None, 0));
    assert!(matches!(bus.write_read(0x77, &[0xD0], &mut [0]), Err(I2cError::NoAcknowledge)));
}
