//! Driver of the BME280 over `embedded-hal` I2C.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::conversion::{Calibration, Codes};
use super::error::Error;
use super::registers as reg;
use crate::quantity::{CentiCelsius, Pascals, RelativeHumidity};

/// Where a BME280 answers, section 6.2: the SDO pin decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Address {
    /// SDO to ground.
    Primary = 0x76,
    /// SDO to supply.
    Secondary = 0x77,
}

/// A BME280 that was identified: its address and its calibration. The bus is lent to each call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bme280 {
    address: Address,
    calibration: Calibration,
}

/// One measurement. The three quantities are of the same instant.
///
/// A quantity is none if its register holds the code for "skipped". Working chips can also measure that very code
/// (for some chips it is an everyday temperature): it is refused there too, because nothing tells the two apart. It
/// is one code of 2¹⁷ for temperature, of 2²⁰ for pressure, of 2¹⁶ for humidity. Pressure and humidity are
/// compensated by temperature, hence none without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    /// Air temperature, compensated; the chip's range is -40 to 85 °C (section 1.4).
    pub temperature: Option<CentiCelsius>,
    /// Pressure at the chip, not reduced to sea level; the chip's range is 300 to 1100 hPa (section 1.3).
    pub pressure: Option<Pascals>,
    /// Relative humidity, 0 to 100 %.
    pub humidity: Option<RelativeHumidity>,
}

// Oversampling, as codes of section 5.4.3 and 5.4.5. Section 3.5.1 suggests ×1 for weather monitoring; with the
// filter off, ×1 means 16-bit pressure (section 3.4.2), a step of 2.6 Pa, coarser than the 0.01 hPa that we report.
// ×16 gives all 20 bits, and less noise, for 35 ms more, which a chip read once a minute can spare; a
// temperature of ×2 goes with it, since pressure is compensated by it. Humidity has 16 bits always (section 3.4.1),
// and its noise at ×1 is far below its accuracy of 3 %. The filter stays off: at one sample a minute it would smear
// minutes into each other.
const OSRS_T: u8 = 0b010;
const OSRS_P: u8 = 0b101;
const OSRS_H: u8 = 0b001;
const CTRL_MEAS_ONCE: u8 =
    (OSRS_T << reg::CTRL_MEAS_OSRS_T_SHIFT) | (OSRS_P << reg::CTRL_MEAS_OSRS_P_SHIFT) | reg::MODE_FORCED;

const MEASUREMENT_TIME_US: u32 = reg::measurement_time_max_us(OSRS_T, OSRS_P, OSRS_H);

/// How often, and how far apart, a chip is asked whether it is still busy after its longest time is over: 10 ms in
/// all, a fifth of the longest measurement, for clocks that disagree.
const BUSY_POLLS: u32 = 10;
const BUSY_POLL_US: u32 = 1_000;

impl Bme280 {
    /// Finds a BME280, resets it, reads its calibration and sets it up. Takes at least 2 ms.
    ///
    /// # Errors
    /// [`Error::Bus`] if the bus fails or nobody acknowledges; [`Error::WrongChip`] if it is another chip;
    /// [`Error::NotReady`] if it does not come back from reset; [`Error::Blank`] if its calibration is all 0x00 or
    /// all 0xFF.
    pub fn identify<B: I2c, D: DelayNs>(
        bus: &mut B,
        delay: &mut D,
        address: Address,
    ) -> Result<Self, Error<B::Error>> {
        check_id(bus, address)?;
        write(bus, address, reg::RESET, reg::RESET_WORD)?;
        delay.delay_us(reg::START_UP_US);
        // The calibration is valid only once the chip has copied it from its own memory.
        wait_until_clear(bus, delay, address, reg::STATUS_IM_UPDATE)?;
        let low = read_block::<B, { reg::CALIB_LOW_LENGTH }>(bus, address, reg::CALIB_LOW)?;
        let high = read_block::<B, { reg::CALIB_HIGH_LENGTH }>(bus, address, reg::CALIB_HIGH)?;
        // Asleep since the reset: writes to config may be ignored in normal mode (section 5.4.6).
        write(bus, address, reg::CONFIG, reg::CONFIG_FILTER_OFF)?;
        // Takes effect with each measurement's write to ctrl_meas, and shows until then, and after, who set it up.
        write(bus, address, reg::CTRL_HUM, OSRS_H)?;
        Ok(Self { address, calibration: Calibration::from_registers(&low, high) })
    }

    /// Measures once. Blocks for 46.1 ms, the longest time that a measurement takes (section 9.1), and at most
    /// 10 ms more.
    ///
    /// # Errors
    /// [`Error::Bus`] if the bus fails or nobody acknowledges; [`Error::WrongChip`] or [`Error::Restarted`] if it is
    /// no longer the chip that was identified; [`Error::NotReady`], [`Error::Blank`], [`Error::NotMeasured`] or
    /// [`Error::Uncomputable`] if it is, and has nothing to say.
    pub fn measure<B: I2c, D: DelayNs>(
        &mut self,
        bus: &mut B,
        delay: &mut D,
    ) -> Result<Measurement, Error<B::Error>> {
        check_id(bus, self.address)?;
        check_settings(bus, self.address)?;
        write(bus, self.address, reg::CTRL_MEAS, CTRL_MEAS_ONCE)?;
        delay.delay_us(MEASUREMENT_TIME_US);
        wait_until_clear(bus, delay, self.address, reg::STATUS_MEASURING)?;
        let data = read_block::<B, { reg::DATA_LENGTH }>(bus, self.address, reg::DATA)?;
        self.compensate(Codes::from_registers(data))
    }

    /// Where this chip answers.
    pub const fn address(&self) -> Address {
        self.address
    }

    fn compensate<E>(&self, codes: Codes) -> Result<Measurement, Error<E>> {
        if (codes.temperature(), codes.pressure(), codes.humidity()) == (None, None, None) {
            return Err(Error::NotMeasured);
        }
        let Some(temperature) = codes.temperature() else {
            return Ok(Measurement { temperature: None, pressure: None, humidity: None });
        };
        let fine = self.calibration.fine_temperature(temperature);
        let compensate_pressure = |code| self.calibration.pressure(code, fine).ok_or(Error::Uncomputable);
        let compensate_humidity = |code| self.calibration.humidity(code, fine).ok_or(Error::Uncomputable);
        Ok(Measurement {
            temperature: Some(fine.celsius()),
            pressure: codes.pressure().map(compensate_pressure).transpose()?,
            humidity: codes.humidity().map(compensate_humidity).transpose()?,
        })
    }
}

impl Address {
    /// The seven bits on the wire.
    pub const fn get(self) -> u8 {
        self as u8
    }
}

fn check_id<B: I2c>(bus: &mut B, address: Address) -> Result<(), Error<B::Error>> {
    match read(bus, address, reg::ID)? {
        reg::CHIP_ID => Ok(()),
        found => Err(Error::WrongChip { found }),
    }
}

/// A chip that lost power, or another one in its place, has the reset value of `ctrl_hum`, 0x00.
fn check_settings<B: I2c>(bus: &mut B, address: Address) -> Result<(), Error<B::Error>> {
    let found = read(bus, address, reg::CTRL_HUM)?;
    if found & reg::CTRL_HUM_OSRS_H == OSRS_H { Ok(()) } else { Err(Error::Restarted { found }) }
}

fn wait_until_clear<B: I2c, D: DelayNs>(
    bus: &mut B,
    delay: &mut D,
    address: Address,
    bit: u8,
) -> Result<(), Error<B::Error>> {
    let mut status = read(bus, address, reg::STATUS)?;
    for _ in 0..BUSY_POLLS {
        if status & bit == 0 {
            return Ok(());
        }
        delay.delay_us(BUSY_POLL_US);
        status = read(bus, address, reg::STATUS)?;
    }
    if status & bit == 0 { Ok(()) } else { Err(Error::NotReady { status }) }
}

fn write<B: I2c>(bus: &mut B, address: Address, register: u8, value: u8) -> Result<(), Error<B::Error>> {
    bus.write(address.get(), &[register, value]).map_err(Error::Bus)
}

fn read<B: I2c>(bus: &mut B, address: Address, register: u8) -> Result<u8, Error<B::Error>> {
    // 0xFF, not 0x00: an adapter that reports success without having read anything must not look like "not busy".
    let mut value = [0xFF];
    bus.write_read(address.get(), &[register], &mut value).map_err(Error::Bus)?;
    let [value] = value;
    Ok(value)
}

/// Reads consecutive registers in one burst (section 6.2.2), and refuses what nobody sent.
fn read_block<B: I2c, const LENGTH: usize>(
    bus: &mut B,
    address: Address,
    register: u8,
) -> Result<[u8; LENGTH], Error<B::Error>> {
    let mut block = [0; LENGTH];
    bus.write_read(address.get(), &[register], &mut block).map_err(Error::Bus)?;
    for byte in [0x00, 0xFF] {
        if block == [byte; LENGTH] {
            return Err(Error::Blank { register, byte });
        }
    }
    Ok(block)
}
