//! Quality of an observation, and the reason why it is less than good.

use std::fmt;

/// How far an observation is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Nothing speaks against it.
    Good,
    /// There is a value, with doubt.
    Uncertain,
    /// There is no value.
    Bad,
}

impl Quality {
    /// The word that the API and the console use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Uncertain => "uncertain",
            Self::Bad => "bad",
        }
    }
}

/// The reason code of an observation, `Reason` in `delivery.proto`. The set is open: a number that this version
/// does not know still tells its quality by its range (0 good, 1 to 63 uncertain, 64 and above bad).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Reason(pub u8);

impl Reason {
    /// Nothing speaks against it.
    pub const GOOD: Self = Self(0);
    /// Outside of the property's valid range.
    pub const OUT_OF_RANGE: Self = Self(1);
    /// The wall clock was not known to be right.
    pub const CLOCK_UNSURE: Self = Self(2);
    /// The instrument has not warmed up yet.
    pub const WARMING_UP: Self = Self(3);
    /// The device did not answer, or the bus failed.
    pub const NO_ANSWER: Self = Self(64);
    /// What answered is not the device that is configured.
    pub const WRONG_IDENTITY: Self = Self(65);
    /// The device answered, and says or shows that it is broken.
    pub const SENSOR_FAULT: Self = Self(66);
    /// What it said did not arrive whole.
    pub const CORRUPTED: Self = Self(67);
    /// The device does not measure this quantity at present.
    pub const NOT_MEASURED: Self = Self(68);

    /// The quality that this reason means.
    pub fn quality(self) -> Quality {
        match self.0 {
            0 => Quality::Good,
            1..=63 => Quality::Uncertain,
            64..=255 => Quality::Bad,
        }
    }

    /// The word that the API and the console use; `reason-N` for a number of a later version.
    pub fn name(self) -> String {
        let name = match self {
            Self::GOOD => "good",
            Self::OUT_OF_RANGE => "out-of-range",
            Self::CLOCK_UNSURE => "clock-unsure",
            Self::WARMING_UP => "warming-up",
            Self::NO_ANSWER => "no-answer",
            Self::WRONG_IDENTITY => "wrong-identity",
            Self::SENSOR_FAULT => "sensor-fault",
            Self::CORRUPTED => "corrupted",
            Self::NOT_MEASURED => "not-measured",
            Self(other) => return format!("reason-{other}"),
        };
        name.to_owned()
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn the_published_numbers_are_the_ones_in_use() {
        let pairs = [
            (wire::Reason::Good, Reason::GOOD),
            (wire::Reason::OutOfRange, Reason::OUT_OF_RANGE),
            (wire::Reason::ClockUnsure, Reason::CLOCK_UNSURE),
            (wire::Reason::WarmingUp, Reason::WARMING_UP),
            (wire::Reason::NoAnswer, Reason::NO_ANSWER),
            (wire::Reason::WrongIdentity, Reason::WRONG_IDENTITY),
            (wire::Reason::SensorFault, Reason::SENSOR_FAULT),
            (wire::Reason::Corrupted, Reason::CORRUPTED),
            (wire::Reason::NotMeasured, Reason::NOT_MEASURED),
        ];
        for (published, ours) in pairs {
            assert_eq!(published as i32, i32::from(ours.0));
        }
        assert_eq!(Reason(7).quality(), Quality::Uncertain);
        assert_eq!(Reason(200).quality(), Quality::Bad);
    }
}
