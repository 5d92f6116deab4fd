//! Instruments: one for each kind of sensor, between its driver and the bus task.
//!
//! An instrument reads its sensor once when told to and gives one reading for each series of its device, in the order
//! of the description. It trusts nothing across a failure: after one the sensor is identified (or set up) anew, so
//! that a chip that was exchanged never inherits a calibration.

mod bme280;
mod pms5003;

use std::time::Duration;

pub(super) use bme280::Bme280;
pub(super) use pms5003::Pms5003;

use crate::quality::{Absence, Reading};

/// A sensor on an open bus of kind `B`. `now` is monotonic time.
pub(super) trait Instrument<B>: Send {
    /// The bus was opened, for the first time or again: find out who is there.
    fn opened(&mut self, bus: &mut B, now: Duration) -> Result<(), Failure>;

    /// Reads once. Blocks for as long as the sensor needs.
    fn read(&mut self, bus: &mut B, now: Duration) -> Result<Vec<Reading>, Failure>;

    /// Whether what answered last is the sensor that is configured.
    fn is_identified(&self) -> bool;
}

/// Why an instrument gave no readings.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the observations of this tick say.
    pub(super) absence: Absence,
    /// Who failed.
    pub(super) blame: Blame,
    /// Whether trying again at once may help.
    pub(super) again: Again,
    /// What happened, for people: the whole chain.
    pub(super) why: String,
}

/// Who failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// This sensor; its neighbours on the bus may be well.
    Sensor,
    /// The bus; if it goes on it has to be closed and opened again.
    Bus,
    /// The bus, which is no longer there: it has to be closed.
    Gone,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// At once, if the tick can still be kept.
    AtOnce,
    /// At the next tick.
    NextTick,
}

/// How long after it was switched on, or may have been, a sensor's values are doubted.
#[derive(Clone, Copy, Debug)]
struct WarmUp {
    takes: Duration,
    since: Duration,
}

impl WarmUp {
    const fn of(takes: Duration) -> Self {
        Self { takes, since: Duration::ZERO }
    }

    /// It begins (again).
    const fn begin(&mut self, now: Duration) {
        self.since = now;
    }

    fn mark(self, now: Duration, reading: Reading) -> Reading {
        if now.saturating_sub(self.since) < self.takes { reading.while_warming_up() } else { reading }
    }
}

/// An error and all of its sources, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
