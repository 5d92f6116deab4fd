//! Resolutions: exact decimals, so that a value is a whole number of them and nothing is rounded twice.

use std::fmt;
use std::str::FromStr;

use crate::wire;

/// A positive decimal, `mantissa × 10^exponent`: the resolution that values are whole numbers of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal {
    mantissa: u32,
    exponent: i8,
}

/// Why something is not a resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Zero, or out of the range that stays exact.
    #[error("a resolution is m × 10^e with m from 1 to 1,000,000 and e from -9 to 9")]
    OutOfRange,
    /// A text that is no decimal.
    #[error("{0:?} is not a decimal such as 0.01")]
    Text(String),
}

impl Decimal {
    /// One: values are plain whole numbers.
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };

    /// Makes a resolution.
    ///
    /// # Errors
    /// [`DecimalError::OutOfRange`].
    pub fn new(mantissa: u32, exponent: i32) -> Result<Self, DecimalError> {
        let exponent = i8::try_from(exponent).map_err(|_| DecimalError::OutOfRange)?;
        if !(1..=1_000_000).contains(&mantissa) || !(-9..=9).contains(&exponent) {
            return Err(DecimalError::OutOfRange);
        }
        Ok(Self { mantissa, exponent })
    }

    /// `count` resolutions as a number: correctly rounded while `count × mantissa` stays below 2^53.
    pub fn to_f64(self, count: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a value past 2^53 steps is beyond every instrument")]
        let scaled = count.saturating_mul(i64::from(self.mantissa)) as f64;
        let power = 10f64.powi(i32::from(self.exponent).abs());
        if self.exponent < 0 { scaled / power } else { scaled * power }
    }

    /// The whole number of resolutions nearest to `value`; none if it is not finite or does not fit.
    pub fn nearest(self, value: f64) -> Option<i64> {
        let power = 10f64.powi(i32::from(self.exponent).abs());
        let scaled = if self.exponent < 0 { value * power } else { value / power };
        let count = (scaled / f64::from(self.mantissa)).round();
        // 2^53: past it neighbouring integers are not told apart.
        #[expect(clippy::cast_possible_truncation, reason = "checked on this line")]
        (count.abs() <= 9_007_199_254_740_992.0).then_some(count as i64)
    }

    /// Digits behind the point that a value of this resolution needs.
    pub fn places(self) -> usize {
        usize::from((-self.exponent).max(0).unsigned_abs())
    }

    /// As the wire writes it.
    pub fn to_wire(self) -> wire::Decimal {
        wire::Decimal { mantissa: self.mantissa, exponent: i32::from(self.exponent) }
    }
}

impl TryFrom<wire::Decimal> for Decimal {
    type Error = DecimalError;
    fn try_from(from: wire::Decimal) -> Result<Self, DecimalError> {
        Self::new(from.mantissa, from.exponent)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let error = || DecimalError::Text(text.chars().take(24).collect());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if text.len() > 20 || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let mut mantissa: u64 = format!("{whole}{fraction}").parse().map_err(|_| error())?;
        let mut exponent = -i32::try_from(fraction.len()).map_err(|_| error())?;
        while mantissa != 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            exponent += 1;
        }
        Self::new(u32::try_from(mantissa).map_err(|_| DecimalError::OutOfRange)?, exponent)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.*}", self.places(), self.to_f64(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_exact_decimals() {
        assert_eq!("0.01".parse(), Decimal::new(1, -2));
        assert_eq!("100".parse(), Decimal::new(1, 2));
        assert_eq!("0.25".parse(), Decimal::new(25, -2));
        for text in ["", ".", "-1", "1e3", "0", "0.0", "nan", "0.00000000001"] {
            assert!(text.parse::<Decimal>().is_err(), "{text:?}");
        }
        assert_eq!("0.01".parse::<Decimal>().unwrap().to_f64(1607).to_string(), "16.07");
    }

    proptest! {
        #[test]
        fn a_value_on_the_resolution_comes_back(count in -1_000_000_000_i64..1_000_000_000, mantissa in 1u32..1000, exponent in -6i32..6) {
            let resolution = Decimal::new(mantissa, exponent).unwrap();
            prop_assert_eq!(resolution.nearest(resolution.to_f64(count)), Some(count));
        }

        #[test]
        fn printed_resolutions_parse_back(mantissa in 1u32..1000, exponent in -6i32..6) {
            let resolution = Decimal::new(mantissa, exponent).unwrap();
            let back: Decimal = resolution.to_string().parse().unwrap();
            prop_assert!((back.to_f64(1) - resolution.to_f64(1)).abs() < 1e-12);
        }
    }
}
