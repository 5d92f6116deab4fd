//! Which instrument of which lamppost is broken when: drawn from a seed, hence known beforehand and the same in every
//! process.
//!
//! Time is cut into slots of [`SLOT_MS`]. In each, a lamppost has one fault or none; its window lies wholly within the
//! slot. Chances and lengths are such that one lamppost in 25 has a fault at any time, on average.
//!
//! Only faults that an agent can find out are drawn: a chip whose values have frozen looks well from outside, and what
//! it reports would be compared with a truth that it does not see.

use lamplighter_protocol::UtcMillis;
use sensor_drivers::bme280::model::Fault as ChipFault;
use sensor_drivers::pms5003::model::Fault as ParticlesFault;

use super::dice::{mixed, part};

/// Length of a slot of time: five minutes.
pub const SLOT_MS: i64 = 300_000;

/// The faults of a city.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// There are none.
    None,
    /// Now and then.
    NowAndThen {
        /// The same seed has the same faults.
        seed: u64,
        /// Which kinds there are.
        kinds: FaultKinds,
    },
}

/// Which kinds of faults there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKinds {
    /// All that an agent can find out.
    All,
    /// Only those that it finds out without waiting. An instrument that keeps silent holds its bus for seconds of real
    /// time at every tick, and a stepped clock stands still meanwhile: hours would pass as slowly as they do.
    Prompt,
}

/// A fault, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultWindow {
    /// First moment.
    pub from: UtcMillis,
    /// First moment after it.
    pub until: UtcMillis,
    /// What is broken.
    pub fault: Fault,
}

/// What is broken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The BME280.
    Chip(ChipFault),
    /// The PMS5003.
    Particles(ParticlesFault),
}

/// In how many of its slots a lamppost has a fault.
const CHANCE: f64 = 0.2;
/// Shortest and longest fault. Their mean is a fifth of a slot.
const SHORTEST_MS: i64 = 20_000;
const LONGEST_MS: i64 = 100_000;

/// A BMP280 says this at the register of the chip id; it has the same address, and no humidity.
pub(super) const BMP280_ID: u8 = 0x58;

const PROMPT: [Fault; 7] = [
    Fault::Chip(ChipFault::Absent),
    Fault::Chip(ChipFault::WrongId(BMP280_ID)),
    Fault::Chip(ChipFault::AllZero),
    Fault::Chip(ChipFault::AllOnes),
    Fault::Particles(ParticlesFault::AllZero),
    Fault::Particles(ParticlesFault::ErrorCode),
    Fault::Particles(ParticlesFault::Noise),
];

const SLOW: [Fault; 3] = [
    Fault::Particles(ParticlesFault::Silent),
    Fault::Particles(ParticlesFault::BadSum),
    Fault::Particles(ParticlesFault::Cut),
];

impl Faults {
    /// The fault that a lamppost has at this time, if it has one.
    pub fn at(self, lamppost: u32, time: UtcMillis) -> Option<FaultWindow> {
        let window = self.in_slot(lamppost, time.0.div_euclid(SLOT_MS))?;
        (window.from <= time && time < window.until).then_some(window)
    }

    fn in_slot(self, lamppost: u32, slot: i64) -> Option<FaultWindow> {
        let Self::NowAndThen { seed, kinds } = self else { return None };
        let words = |what: u64| [seed, u64::from(lamppost), slot.cast_unsigned(), what];
        if part(words(10)) >= CHANCE {
            return None;
        }
        let length = between(SHORTEST_MS, LONGEST_MS, part(words(11)));
        let from =
            UtcMillis(slot.saturating_mul(SLOT_MS)).plus_ms(between(0, SLOT_MS - length, part(words(12))));
        let (prompt, all) = (PROMPT.len() as u64, (PROMPT.len() + SLOW.len()) as u64);
        let choices = match kinds {
            FaultKinds::All => all,
            FaultKinds::Prompt => prompt,
        };
        let place = usize::try_from(mixed(words(13)) % choices).unwrap_or(0);
        let fault = PROMPT.iter().chain(&SLOW).nth(place).copied()?;
        Some(FaultWindow { from, until: from.plus_ms(length), fault })
    }
}

fn between(least: i64, most: i64, part: f64) -> i64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "spans of minutes in milliseconds"
    )]
    let above = ((most - least) as f64 * part) as i64;
    least + above
}
