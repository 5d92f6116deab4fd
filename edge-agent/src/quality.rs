//! Readings to observations: how far each value is to be believed.
//!
//! Pure. A reading comes from an instrument in the unit of its property; what leaves is what the outbox keeps: a
//! whole number of the property's resolution and the one reason that speaks most against it. From worst to least:
//!
//! 1. there is no value: the [`Absence`]'s reason;
//! 2. it cannot be expressed (not finite, or beyond 2^53 steps): sensor fault, no value;
//! 3. it lies outside of the property's valid range: out of range, the value is kept;
//! 4. its instrument is warming up;
//! 5. the wall clock is known and contradicted.
//!
//! The value is doubted before its time, and what the range contradicts before what the instrument announces.

use lamplighter_protocol::{Property, Reason};

use crate::clock::ClockTrust;

/// What an instrument said about one property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A value, in the property's unit.
    Settled(f64),
    /// A value, in the property's unit, of an instrument that was switched on too short a time ago.
    WarmingUp(f64),
    /// No value.
    Absent(Absence),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absence {
    /// The device did not answer, or the bus failed.
    NoAnswer,
    /// What answered is not the device that is configured.
    WrongIdentity,
    /// The device answered, and says or shows that it is broken.
    SensorFault,
    /// What it said did not arrive whole.
    Corrupted,
    /// The device does not measure this property at present.
    NotMeasured,
}

impl Absence {
    /// The reason on the wire.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NoAnswer => Reason::NO_ANSWER,
            Self::WrongIdentity => Reason::WRONG_IDENTITY,
            Self::SensorFault => Reason::SENSOR_FAULT,
            Self::Corrupted => Reason::CORRUPTED,
            Self::NotMeasured => Reason::NOT_MEASURED,
        }
    }
}

impl Reading {
    /// The same reading of an instrument that is still warming up.
    #[must_use]
    pub const fn while_warming_up(self) -> Self {
        match self {
            Self::Settled(value) | Self::WarmingUp(value) => Self::WarmingUp(value),
            Self::Absent(why) => Self::Absent(why),
        }
    }
}

/// Judges one reading: the value in whole resolutions of `property`, none exactly if the reason is a bad one.
///
/// The range is that of the value as it is kept, so that whoever reads the observation comes to the same verdict.
pub fn judge(property: &Property, reading: Reading, trust: ClockTrust) -> (Option<i64>, Reason) {
    let (value, otherwise) = match reading {
        Reading::Absent(why) => return (None, why.reason()),
        Reading::WarmingUp(value) => (value, Reason::WARMING_UP),
        Reading::Settled(value) => (value, by_clock(trust)),
    };
    let Some(count) = property.resolution.nearest(value) else {
        return (None, Reason::SENSOR_FAULT);
    };
    let believed = property.believes(property.resolution.to_f64(count));
    (Some(count), if believed { otherwise } else { Reason::OUT_OF_RANGE })
}

const fn by_clock(trust: ClockTrust) -> Reason {
    match trust {
        // What nobody could date yet is dated before it is sent (D3): the time is then right, or doubted by who chose it.
        ClockTrust::Sure | ClockTrust::Unknown => Reason::GOOD,
        ClockTrust::Unsure => Reason::CLOCK_UNSURE,
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::{Catalogue, Quality};
    use proptest::prelude::*;

    use super::*;

    fn property(name: &str) -> Property {
        Catalogue::built_in().get(&name.parse().unwrap()).unwrap().clone()
    }

    fn sure(name: &str, value: f64) -> (Option<i64>, Reason) {
        judge(&property(name), Reading::Settled(value), ClockTrust::Sure)
    }

    #[test]
    fn a_value_is_rounded_to_the_nearest_step_of_its_resolution() {
        assert_eq!(sure("air_temperature", 16.074_9), (Some(1607), Reason::GOOD));
        assert_eq!(sure("air_temperature", -0.006), (Some(-1), Reason::GOOD));
        assert_eq!(sure("air_temperature", 0.0), (Some(0), Reason::GOOD));
        assert_eq!(sure("pm2_5", 35.0), (Some(350), Reason::GOOD));
    }

    #[test]
    fn a_value_out_of_range_is_kept_and_doubted() {
        assert_eq!(sure("air_temperature", 60.0), (Some(6000), Reason::GOOD));
        assert_eq!(sure("air_temperature", 60.01), (Some(6001), Reason::OUT_OF_RANGE));
        assert_eq!(sure("barometric_pressure", 300.0), (Some(30_000), Reason::OUT_OF_RANGE));
        // Rounds into the range: what is kept is what is judged.
        assert_eq!(sure("relative_humidity", 100.004), (Some(10_000), Reason::GOOD));
    }

    #[test]
    fn the_worst_reason_wins() {
        let property = property("air_temperature");
        let unsure = |reading| judge(&property, reading, ClockTrust::Unsure);
        assert_eq!(unsure(Reading::Absent(Absence::NoAnswer)), (None, Reason::NO_ANSWER));
        assert_eq!(unsure(Reading::WarmingUp(f64::NAN)), (None, Reason::SENSOR_FAULT));
        assert_eq!(unsure(Reading::WarmingUp(99.0)), (Some(9900), Reason::OUT_OF_RANGE));
        assert_eq!(unsure(Reading::WarmingUp(20.0)), (Some(2000), Reason::WARMING_UP));
        assert_eq!(unsure(Reading::Settled(20.0)), (Some(2000), Reason::CLOCK_UNSURE));
    }

    #[test]
    fn what_is_no_number_is_a_fault_of_the_sensor_and_never_a_value() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(sure("air_temperature", value), (None, Reason::SENSOR_FAULT), "{value}");
        }
    }

    fn readings() -> impl Strategy<Value = Reading> {
        let absences = prop::sample::select(vec![
            Absence::NoAnswer,
            Absence::WrongIdentity,
            Absence::SensorFault,
            Absence::Corrupted,
            Absence::NotMeasured,
        ]);
        prop_oneof![
            any::<f64>().prop_map(Reading::Settled),
            (-200.0..200.0).prop_map(Reading::Settled),
            (-200.0..200.0).prop_map(Reading::WarmingUp),
            absences.prop_map(Reading::Absent),
        ]
    }

    proptest! {
        #[test]
        fn there_is_a_value_exactly_if_the_reason_is_not_a_bad_one(reading in readings(), sure in any::<bool>()) {
            let trust = if sure { ClockTrust::Sure } else { ClockTrust::Unsure };
            for property in Catalogue::built_in().iter() {
                let (value, reason) = judge(property, reading, trust);
                prop_assert_eq!(value.is_none(), reason.quality() == Quality::Bad);
            }
        }

        #[test]
        fn a_good_value_is_believed_and_within_half_a_step(value in -50.0..120.0) {
            let property = property("air_temperature");
            if let (Some(count), Reason::GOOD) = judge(&property, Reading::Settled(value), ClockTrust::Sure) {
                let kept = property.resolution.to_f64(count);
                prop_assert!(property.believes(kept));
                prop_assert!((kept - value).abs() <= 0.005 + 1e-9);
            }
        }
    }
}
