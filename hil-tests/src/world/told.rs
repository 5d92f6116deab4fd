//! What one lamppost's surroundings are told to be, whatever the recordings and the drawn faults say: a broken
//! instrument, or a value of the world. Tests need a particular thing to happen at a moment that they choose.
//!
//! An [`Order`] is a few words:
//!
//! ```text
//! break chip absent | wrong-id | all-zero | all-ones | stuck | frozen
//! break particles silent | bad-sum | cut | noise | all-zero | error-code
//! set PROPERTY VALUE
//! mend
//! ```
//!
//! `set` takes what the instrument's range can express ([`SETTABLE`]), which for most properties is wider than what
//! the catalogue holds for valid.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sensor_drivers::bme280::model::Fault as ChipFault;
use sensor_drivers::pms5003::model::Fault as ParticlesFault;

use super::Truth;
use super::faults::{BMP280_ID, Fault};

/// The properties that can be set, each with the values that its instrument can show: the operating ranges of the
/// BME280 (BST-BME280-DS002, tables 1 to 4), and for the PMS5003 ten times its own, which still fits its frames.
pub const SETTABLE: [(&str, RangeInclusive<f64>); 6] = [
    ("air_temperature", -40.0..=85.0),
    ("relative_humidity", 0.0..=100.0),
    ("barometric_pressure", 300.0..=1100.0),
    ("pm1", 0.0..=10_000.0),
    ("pm2_5", 0.0..=10_000.0),
    ("pm10", 0.0..=10_000.0),
];

/// One thing that a lamppost is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// An instrument is broken from now on. One that is broken otherwise is now broken in this way.
    Break(Fault),
    /// A property has this value from now on.
    Set {
        /// One of [`SETTABLE`].
        property: &'static str,
        /// In the unit of the catalogue.
        value: f64,
    },
    /// All that was told before is over.
    Mend,
}

/// Words that are no order.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoOrder {
    /// The first word, or how many follow it.
    #[error("an order is `break INSTRUMENT FAULT`, `set PROPERTY VALUE` or `mend`")]
    Form,
    /// No such instrument.
    #[error("a lamppost has no instrument {0:?}; it has chip and particles")]
    Instrument(String),
    /// The instrument does not break like this.
    #[error("{instrument} has no fault {fault:?}; it has {}", faults_of(instrument))]
    Fault {
        /// `chip` or `particles`.
        instrument: &'static str,
        /// What was asked for.
        fault: String,
    },
    /// Nobody measures it here.
    #[error("{property:?} is not measured here; these are: {}", properties(), property = .0)]
    Property(String),
    /// Not a number that the instrument can show.
    #[error("{property} is a number from {} to {}, not {value:?}", range.start(), range.end())]
    Value {
        /// Of which property.
        property: &'static str,
        /// What can be shown.
        range: RangeInclusive<f64>,
        /// What was asked for.
        value: String,
    },
}

/// What a lamppost has been told so far, and was not mended since.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    chip: Option<ChipFault>,
    particles: Option<ParticlesFault>,
    values: BTreeMap<&'static str, f64>,
}

const CHIP: &str = "chip";
const PARTICLES: &str = "particles";

const BREAKS: [(&str, &str, Fault); 12] = [
    (CHIP, "absent", Fault::Chip(ChipFault::Absent)),
    (CHIP, "wrong-id", Fault::Chip(ChipFault::WrongId(BMP280_ID))),
    (CHIP, "all-zero", Fault::Chip(ChipFault::AllZero)),
    (CHIP, "all-ones", Fault::Chip(ChipFault::AllOnes)),
    (CHIP, "stuck", Fault::Chip(ChipFault::Stuck)),
    (CHIP, "frozen", Fault::Chip(ChipFault::Frozen)),
    (PARTICLES, "silent", Fault::Particles(ParticlesFault::Silent)),
    (PARTICLES, "bad-sum", Fault::Particles(ParticlesFault::BadSum)),
    (PARTICLES, "cut", Fault::Particles(ParticlesFault::Cut)),
    (PARTICLES, "noise", Fault::Particles(ParticlesFault::Noise)),
    (PARTICLES, "all-zero", Fault::Particles(ParticlesFault::AllZero)),
    (PARTICLES, "error-code", Fault::Particles(ParticlesFault::ErrorCode)),
];

impl Order {
    /// Reads an order's words.
    ///
    /// # Errors
    /// [`NoOrder`], which names what it could have been.
    pub fn parse(words: &[&str]) -> Result<Self, NoOrder> {
        match *words {
            ["break", instrument, fault] => parse_fault(instrument, fault).map(Self::Break),
            ["set", property, value] => parse_value(property, value),
            ["mend"] => Ok(Self::Mend),
            _ => Err(NoOrder::Form),
        }
    }
}

impl Told {
    /// Takes an order in.
    pub fn take(&mut self, order: Order) {
        match order {
            Order::Break(Fault::Chip(fault)) => self.chip = Some(fault),
            Order::Break(Fault::Particles(fault)) => self.particles = Some(fault),
            Order::Set { property, value } => {
                self.values.insert(property, value);
            }
            Order::Mend => *self = Self::default(),
        }
    }

    /// How the BME280 is told to be broken.
    pub fn chip(&self) -> Option<ChipFault> {
        self.chip
    }

    /// How the PMS5003 is told to be broken.
    pub fn particles(&self) -> Option<ParticlesFault> {
        self.particles
    }

    /// What is true once what was set is set.
    #[must_use]
    pub fn truth(&self, otherwise: Truth) -> Truth {
        let mut truth = otherwise;
        for (property, value) in &self.values {
            truth.set(property, *value);
        }
        truth
    }
}

fn parse_fault(instrument: &str, fault: &str) -> Result<Fault, NoOrder> {
    let Some((instrument, ..)) = BREAKS.iter().find(|(of, ..)| *of == instrument) else {
        return Err(NoOrder::Instrument(instrument.to_owned()));
    };
    let found = BREAKS.iter().find(|(of, name, _)| of == instrument && *name == fault);
    found.map(|(.., fault)| *fault).ok_or_else(|| NoOrder::Fault { instrument, fault: fault.to_owned() })
}

fn parse_value(property: &str, value: &str) -> Result<Order, NoOrder> {
    let Some((property, range)) = SETTABLE.into_iter().find(|(name, _)| *name == property) else {
        return Err(NoOrder::Property(property.to_owned()));
    };
    match value.parse::<f64>() {
        Ok(value) if range.contains(&value) => Ok(Order::Set { property, value }),
        Ok(_) | Err(_) => Err(NoOrder::Value { property, range, value: value.to_owned() }),
    }
}

/// Everything that can be set, for people.
fn properties() -> String {
    SETTABLE.map(|(property, _)| property).join(", ")
}

/// The faults of an instrument, for people.
fn faults_of(instrument: &str) -> String {
    let of = BREAKS.iter().filter(|(of, ..)| *of == instrument);
    of.map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(order: &str) -> Result<Order, String> {
        Order::parse(&order.split(' ').collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_fault_of_each_instrument_has_a_name_of_its_own() {
        for (place, (instrument, name, fault)) in BREAKS.into_iter().enumerate() {
            assert_eq!(parse(&format!("break {instrument} {name}")), Ok(Order::Break(fault)));
            assert!(BREAKS[..place].iter().all(|(.., earlier)| *earlier != fault), "{name}");
        }
    }

    #[test]
    fn a_value_may_leave_what_the_catalogue_holds_for_valid_and_not_what_the_instrument_shows() {
        let catalogue = lamplighter_protocol::Catalogue::built_in();
        for (property, range) in SETTABLE {
            let catalogued = catalogue.get(&property.parse().unwrap()).unwrap();
            let ends = [*range.start(), *range.end()];
            for value in ends {
                assert_eq!(parse(&format!("set {property} {value}")), Ok(Order::Set { property, value }));
            }
            // Humidity ends where its scale does.
            let doubted = ends.iter().any(|end| !catalogued.believes(*end));
            assert_eq!(doubted, property != "relative_humidity", "{property}");
        }
        let refused = parse("set air_temperature 85.1").unwrap_err();
        assert_eq!(refused, "air_temperature is a number from -40 to 85, not \"85.1\"");
        assert!(parse("set air_temperature NaN").is_err() && parse("set air_temperature inf").is_err());
    }

    #[test]
    fn what_is_no_order_is_told_what_it_could_be() {
        for (order, said) in [
            ("", "an order is `break INSTRUMENT FAULT`, `set PROPERTY VALUE` or `mend`"),
            ("mend now", "an order is `break INSTRUMENT FAULT`, `set PROPERTY VALUE` or `mend`"),
            ("break lamp off", "a lamppost has no instrument \"lamp\"; it has chip and particles"),
            (
                "break chip silent",
                "chip has no fault \"silent\"; it has absent, wrong-id, all-zero, all-ones, stuck, frozen",
            ),
            (
                "set wind_speed 3",
                "\"wind_speed\" is not measured here; these are: air_temperature, relative_humidity, \
                 barometric_pressure, pm1, pm2_5, pm10",
            ),
        ] {
            assert_eq!(parse(order).unwrap_err(), said);
        }
    }
}
