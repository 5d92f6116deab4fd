//! A BME280: air temperature, relative humidity and barometric pressure.

use std::time::Duration;

use embedded_hal::delay::DelayNs;
use sensor_drivers::bme280::{Address, Error, Measurement};
use sensor_drivers::{Bme280 as Driver, CentiCelsius, ErrorKind, Pascals, RelativeHumidity};

use super::{Again, Blame, Failure, Instrument, WarmUp, chain};
use crate::bus::i2c::{I2cBus, I2cError};
use crate::quality::{Absence, Reading};

/// A BME280 on an I2C bus.
pub(in crate::bus) struct Bme280 {
    address: Address,
    /// How time passes on the chip's bus.
    delay: Box<dyn DelayNs + Send>,
    /// The chip that was identified last; none after a failure.
    chip: Option<Driver>,
    warm_up: WarmUp,
}

impl Bme280 {
    pub(in crate::bus) fn new(address: Address, warm_up: Duration, delay: Box<dyn DelayNs + Send>) -> Self {
        Self { address, delay, chip: None, warm_up: WarmUp::of(warm_up) }
    }

    fn identify(&mut self, mut bus: &mut dyn I2cBus, now: Duration) -> Result<Driver, Failure> {
        let chip = Driver::identify(&mut bus, &mut self.delay.as_mut(), self.address)
            .map_err(|error| failure(&error))?;
        self.warm_up.begin(now);
        Ok(chip)
    }
}

impl std::fmt::Debug for Bme280 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bme280")
            .field("address", &self.address)
            .field("chip", &self.chip)
            .finish_non_exhaustive()
    }
}

impl Instrument<Box<dyn I2cBus>> for Bme280 {
    fn opened(&mut self, bus: &mut Box<dyn I2cBus>, now: Duration) -> Result<(), Failure> {
        self.chip = None;
        self.chip = Some(self.identify(bus.as_mut(), now)?);
        Ok(())
    }

    fn read(&mut self, bus: &mut Box<dyn I2cBus>, now: Duration) -> Result<Vec<Reading>, Failure> {
        let mut bus = bus.as_mut();
        // Taken: whatever fails below, the next reading identifies first.
        let mut chip = self.chip.take().map_or_else(|| self.identify(bus, now), Ok)?;
        let measured = chip.measure(&mut bus, &mut self.delay.as_mut()).map_err(|error| failure(&error))?;
        self.chip = Some(chip);
        Ok(readings(measured).into_iter().map(|reading| self.warm_up.mark(now, reading)).collect())
    }

    fn is_identified(&self) -> bool {
        self.chip.is_some()
    }
}

fn readings(measured: Measurement) -> [Reading; 3] {
    let reading = |value: Option<f64>| value.map_or(Reading::Absent(Absence::NotMeasured), Reading::Settled);
    [
        reading(measured.temperature.map(CentiCelsius::as_celsius)),
        reading(measured.humidity.map(RelativeHumidity::as_percent)),
        reading(measured.pressure.map(Pascals::as_hectopascals)),
    ]
}

fn failure(error: &Error<I2cError>) -> Failure {
    if let Error::Bus(error) = error {
        return bus_failure(error);
    }
    let (absence, again) = match error.kind() {
        // A line that nobody drives, or that is shorted, is no other chip.
        ErrorKind::Identity if matches!(error, Error::WrongChip { found: 0x00 | 0xFF }) => {
            (Absence::SensorFault, Again::NextTick)
        }
        // The right kind of chip, as it seems, without our settings: identified anew it may well measure.
        ErrorKind::Identity if matches!(error, Error::Restarted { .. }) => {
            (Absence::WrongIdentity, Again::AtOnce)
        }
        ErrorKind::Identity => (Absence::WrongIdentity, Again::NextTick),
        ErrorKind::SensorFault => (Absence::SensorFault, Again::NextTick),
        ErrorKind::Bus => (Absence::NoAnswer, Again::AtOnce),
    };
    Failure { absence, blame: Blame::Sensor, again, why: error.to_string() }
}

fn bus_failure(error: &I2cError) -> Failure {
    let (blame, again) = match error {
        // The adapter works, and says that nobody was there.
        I2cError::NoAcknowledge | I2cError::Incomplete { .. } => (Blame::Sensor, Again::AtOnce),
        I2cError::Timeout | I2cError::Busy | I2cError::Bus(_) => (Blame::Bus, Again::AtOnce),
        I2cError::Gone | I2cError::Open { .. } => (Blame::Gone, Again::NextTick),
        I2cError::TooLarge { .. } => (Blame::Sensor, Again::NextTick),
    };
    Failure { absence: Absence::NoAnswer, blame, again, why: chain(error) }
}
