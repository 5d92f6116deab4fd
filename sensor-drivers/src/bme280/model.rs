//! The chip itself: a register file that behaves as section 5 says, and holds what the environment makes it hold.
//!
//! Modelled: auto-increment on reading, pairs on writing (sections 6.2.1, 6.2.2), chip id, soft reset, the copying
//! of trimming parameters, `ctrl_hum` taking effect with `ctrl_meas`, forced mode with its longest conversion time,
//! resolution by oversampling. Not modelled: noise, normal mode (acts like sleep), what the IIR filter does to
//! values (it only widens them to 20 bits), SPI.
//!
//! **Time.** A conversion ends once world time has moved on by `t_measure,max` (section 9.1), the worst that a chip
//! may do. A rig whose time stands still between trigger and reading would wait for ever, so the chip is also done
//! after three reads of `status` at the very instant of the trigger that find it busy. The same holds for reset.

mod inverse;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::inverse::{Environment, Resolution};
use super::conversion::{Calibration, Codes};
use super::registers as reg;
use crate::model::{Ack, I2cTarget};

/// What is wrong with a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Not on the bus: its address is not acknowledged. When this fault ends the chip has been without power, so
    /// that its registers are those after a reset.
    Absent,
    /// Says that it is another chip.
    WrongId(u8),
    /// Every register reads 0x00.
    AllZero,
    /// Every register reads 0xFF.
    AllOnes,
    /// A conversion that begins does not end while this lasts.
    Stuck,
    /// Conversions end, and the data registers keep what they held.
    Frozen,
}

/// A BME280 in an environment, with the trimming parameters of Bosch's example (BST-BMP280-DS001, section 3.12) and
/// humidity parameters like those of chips in the field.
#[derive(Debug, Clone)]
pub struct Bme280Model {
    calibration: Calibration,
    environment: Environment,
    fault: Fault,
    registers: [u8; 256],
    /// Register that the next read starts at.
    pointer: u8,
    /// `osrs_h` as of the last write to `ctrl_meas`.
    effective_osrs_h: u8,
    busy: Option<Busy>,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    task: Task,
    since: Duration,
    takes: Duration,
    /// Reads of `status` that found it busy at the instant it began.
    polls: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    CopyingCalibration,
    Measuring,
}

const CALIBRATION: Calibration = Calibration {
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

/// Reads of `status` that find the chip busy while time stands still.
const POLLS_WITHOUT_TIME: u8 = 3;

impl Bme280Model {
    /// A chip at 20 °C, 50 % and 1013.25 hPa, that has just been given power.
    pub fn new() -> Self {
        let mut model = Self {
            calibration: CALIBRATION,
            environment: Environment { celsius: 20.0, percent_rh: 50.0, hectopascals: 1013.25 },
            fault: Fault::None,
            registers: [0; 256],
            pointer: 0,
            effective_osrs_h: 0,
            busy: None,
        };
        model.power_on();
        model
    }

    /// Sets what surrounds the chip, from the next conversion on. Values outside of what its codes can express give
    /// the nearest code.
    pub fn set_environment(&mut self, celsius: f64, percent_rh: f64, hectopascals: f64) {
        self.environment = Environment { celsius, percent_rh, hectopascals };
    }

    /// Breaks the chip, or mends it.
    pub fn set_fault(&mut self, fault: Fault) {
        if self.fault == Fault::Absent && fault != Fault::Absent {
            self.power_on();
        }
        self.fault = fault;
    }

    /// What is wrong with the chip.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// Registers after power-on, section 5.3, table 18.
    fn power_on(&mut self) {
        self.registers = [0; 256];
        self.pointer = 0;
        self.effective_osrs_h = 0;
        self.busy = None;
        let (low, high) = self.calibration.to_registers();
        self.store(reg::CALIB_LOW, &low);
        self.store(reg::CALIB_HIGH, &high);
        self.store(reg::ID, &[reg::CHIP_ID]);
        let skipped = Codes {
            pressure: reg::SKIPPED_20_BIT,
            temperature: reg::SKIPPED_20_BIT,
            humidity: reg::SKIPPED_16_BIT,
        };
        self.store(reg::DATA, &skipped.to_registers());
    }

    fn store(&mut self, first: u8, bytes: &[u8]) {
        for (register, byte) in self.registers.iter_mut().skip(usize::from(first)).zip(bytes) {
            *register = *byte;
        }
    }

    fn register(&self, register: u8) -> u8 {
        // An array of 256 has every u8.
        self.registers[usize::from(register)]
    }

    fn write_register(&mut self, now: Duration, register: u8, value: u8) {
        match register {
            reg::RESET if value == reg::RESET_WORD => {
                self.power_on();
                self.begin(now, Task::CopyingCalibration, reg::START_UP_US);
            }
            reg::CTRL_HUM => self.store(reg::CTRL_HUM, &[value & reg::CTRL_HUM_OSRS_H]),
            reg::CONFIG => self.store(reg::CONFIG, &[value]),
            reg::CTRL_MEAS => self.control(now, value),
            // Read-only, reserved, or a reset word that is none: no effect.
            _ => {}
        }
    }

    fn control(&mut self, now: Duration, value: u8) {
        if self.busy.is_some_and(|busy| busy.task == Task::Measuring) {
            // Section 3.3.1 delays the mode change to the end of the conversion; a forced one would only repeat it.
            return;
        }
        self.store(reg::CTRL_MEAS, &[value]);
        self.effective_osrs_h = self.register(reg::CTRL_HUM);
        // Both 01 and 10 are forced mode (section 5.4.5, table 25).
        if matches!(value & 0b11, 0b01 | 0b10) {
            let (osrs_t, osrs_p) = self.oversampling();
            let takes_us = reg::measurement_time_max_us(osrs_t, osrs_p, self.effective_osrs_h);
            self.begin(now, Task::Measuring, takes_us);
        }
    }

    fn oversampling(&self) -> (u8, u8) {
        let ctrl_meas = self.register(reg::CTRL_MEAS);
        (ctrl_meas >> reg::CTRL_MEAS_OSRS_T_SHIFT, (ctrl_meas >> reg::CTRL_MEAS_OSRS_P_SHIFT) & 0b111)
    }

    fn begin(&mut self, now: Duration, task: Task, takes_us: u32) {
        let takes = Duration::from_micros(u64::from(takes_us));
        self.busy = Some(Busy { task, since: now, takes, polls: 0 });
        let bit = match task {
            Task::CopyingCalibration => reg::STATUS_IM_UPDATE,
            Task::Measuring => reg::STATUS_MEASURING,
        };
        self.store(reg::STATUS, &[bit]);
    }

    /// Ends what world time has ended. `polls_status`: this read looks at `status`.
    fn advance(&mut self, now: Duration, polls_status: bool) {
        let Some(mut busy) = self.busy else { return };
        let stuck = self.fault == Fault::Stuck && busy.task == Task::Measuring;
        let over = now >= busy.since + busy.takes || busy.polls >= POLLS_WITHOUT_TIME;
        if over && !stuck {
            self.finish(busy.task);
            return;
        }
        if polls_status && now == busy.since {
            busy.polls = busy.polls.saturating_add(1);
            self.busy = Some(busy);
        }
    }

    fn finish(&mut self, task: Task) {
        self.busy = None;
        self.store(reg::STATUS, &[0]);
        if task == Task::CopyingCalibration {
            return;
        }
        // Back to sleep (section 3.3.3).
        let asleep = self.register(reg::CTRL_MEAS) & !0b11;
        self.store(reg::CTRL_MEAS, &[asleep]);
        if self.fault != Fault::Frozen {
            let codes = inverse::codes(&self.calibration, self.environment, self.resolution());
            self.store(reg::DATA, &codes.to_registers());
        }
    }

    fn resolution(&self) -> Resolution {
        let (osrs_t, osrs_p) = self.oversampling();
        let filtered = self.register(reg::CONFIG) & 0b0001_1100 != 0;
        // Sections 3.4.2 and 3.4.3: 16 + (osrs - 1) bits, or 20 with the filter on.
        let bits = |osrs: u8| match osrs {
            0 => None,
            _ if filtered => Some(20),
            _ => Some(15 + osrs.min(5)),
        };
        Resolution {
            temperature_bits: bits(osrs_t),
            pressure_bits: bits(osrs_p),
            measures_humidity: self.effective_osrs_h != 0,
        }
    }

    fn output(&self, register: u8) -> u8 {
        match self.fault {
            Fault::AllZero => 0x00,
            Fault::AllOnes => 0xFF,
            Fault::WrongId(id) if register == reg::ID => id,
            Fault::None | Fault::Absent | Fault::WrongId(_) | Fault::Stuck | Fault::Frozen => {
                self.register(register)
            }
        }
    }
}

impl Default for Bme280Model {
    fn default() -> Self {
        Self::new()
    }
}

impl I2cTarget for Bme280Model {
    fn write(&mut self, now: Duration, bytes: &[u8]) -> Ack {
        if self.fault == Fault::Absent {
            return Ack::AddressRefused;
        }
        self.advance(now, false);
        // Section 6.2.1: pairs of register and value; a lone register says where the next read starts.
        for pair in bytes.chunks(2) {
            if let [register, value] = *pair {
                self.write_register(now, register, value);
            } else if let [register] = *pair {
                self.pointer = register;
            }
        }
        Ack::Acknowledged
    }

    fn read(&mut self, now: Duration, buffer: &mut [u8]) -> Ack {
        if self.fault == Fault::Absent {
            return Ack::AddressRefused;
        }
        let until_status = usize::from(reg::STATUS.wrapping_sub(self.pointer));
        self.advance(now, until_status < buffer.len());
        for byte in buffer {
            *byte = self.output(self.pointer);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ack::Acknowledged
    }
}
