//! Steps: how long a bucket is.

use std::fmt;

/// The length of a bucket: between a millisecond and ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    ms: i64,
}

/// Ten years. A longer bucket says nothing that a shorter one does not, and sums stay far from overflow.
const LONGEST_MS: i64 = 3_653 * DAY_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const SECOND_MS: i64 = 1_000;

/// Why a text is no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoStep {
    #[error("it is a duration by ISO 8601 such as PT10M, PT1H, PT1.5S, P1D or P2W, or a number of seconds")]
    Shape,
    #[error("years and months have no fixed length: give weeks, days, hours, minutes or seconds")]
    Calendar,
    #[error("it is at least a millisecond and at most ten years")]
    Length,
}

impl Step {
    pub(super) fn parse(text: &str) -> Result<Self, NoStep> {
        let ms = match text.strip_prefix('P') {
            Some(duration) => duration_ms(duration)?,
            None => amount_ms(text, SECOND_MS)?,
        };
        if (1..=LONGEST_MS).contains(&ms) { Ok(Self { ms }) } else { Err(NoStep::Length) }
    }

    pub(super) fn ms(self) -> i64 {
        self.ms
    }
}

/// As ISO 8601 writes it, in the greatest units that divide it: `PT1H`, `P1D`, `PT0.250S`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.ms;
        for (unit_ms, before, unit) in [(DAY_MS, "P", 'D'), (HOUR_MS, "PT", 'H'), (MINUTE_MS, "PT", 'M')] {
            if ms % unit_ms == 0 {
                return write!(f, "{before}{}{unit}", ms / unit_ms);
            }
        }
        match ms % SECOND_MS {
            0 => write!(f, "PT{}S", ms / SECOND_MS),
            rest => write!(f, "PT{}.{rest:03}S", ms / SECOND_MS),
        }
    }
}

/// What follows the `P`: `nW`, or `nD` and `T` with `nH`, `nM`, `nS`, in that order, each at most once.
fn duration_ms(text: &str) -> Result<i64, NoStep> {
    let (days, clock) = match text.split_once('T') {
        Some((_, "")) => return Err(NoStep::Shape),
        Some((days, clock)) => (days, clock),
        None => (text, ""),
    };
    if days.contains(['Y', 'M']) {
        return Err(NoStep::Calendar);
    }
    if text.is_empty() {
        return Err(NoStep::Shape);
    }
    if let Some(weeks) = text.strip_suffix('W') {
        return amount_ms(weeks, 7 * DAY_MS);
    }
    let days = parts_ms(days, &[('D', DAY_MS)])?;
    let clock = parts_ms(clock, &[('H', HOUR_MS), ('M', MINUTE_MS), ('S', SECOND_MS)])?;
    days.checked_add(clock).ok_or(NoStep::Length)
}

fn parts_ms(text: &str, units: &[(char, i64)]) -> Result<i64, NoStep> {
    let mut rest = text;
    let mut sum: i64 = 0;
    for (unit, unit_ms) in units {
        if let Some((amount, after)) = rest.split_once(*unit) {
            sum = sum.checked_add(amount_ms(amount, *unit_ms)?).ok_or(NoStep::Length)?;
            rest = after;
        }
    }
    if rest.is_empty() { Ok(sum) } else { Err(NoStep::Shape) }
}

/// `amount` units in milliseconds. A fraction (a point or, as ISO 8601 also has it, a comma) is for seconds, and no
/// finer than a millisecond.
fn amount_ms(amount: &str, unit_ms: i64) -> Result<i64, NoStep> {
    let (whole, fraction) = amount.split_once(['.', ',']).unwrap_or((amount, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fraction_allowed = !amount.contains(['.', ',']) || (unit_ms == SECOND_MS && fraction.len() <= 3);
    if !digits(whole) || !digits(fraction) || !fraction_allowed {
        return Err(NoStep::Shape);
    }
    let whole: i64 = whole.parse().map_err(|_| NoStep::Length)?;
    let thousandths: i64 = format!("{fraction:0<3}").parse().map_err(|_| NoStep::Shape)?;
    whole.checked_mul(unit_ms).and_then(|ms| ms.checked_add(thousandths)).ok_or(NoStep::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_seconds_are_read() {
        for (text, ms) in [
            ("PT1H", HOUR_MS),
            ("PT10M", 10 * MINUTE_MS),
            ("P1D", DAY_MS),
            ("P1DT12H30M0.5S", 36 * HOUR_MS + 30 * MINUTE_MS + 500),
            ("P2W", 14 * DAY_MS),
            ("PT0,25S", 250),
            ("600", 10 * MINUTE_MS),
            ("0.001", 1),
        ] {
            assert_eq!(Step::parse(text), Ok(Step { ms }), "{text}");
        }
    }

    #[test]
    fn what_is_no_step_is_refused_with_its_reason() {
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "1h",
            "-60",
            "PT-1H",
            "PT1S1H",
            "P1H",
            "PT1.5H",
            "PT0.0001S",
            "+5",
            "P1WT1H",
        ] {
            assert_eq!(Step::parse(text), Err(NoStep::Shape), "{text:?}");
        }
        for text in ["P1M", "P1Y", "P1Y2M3DT4H"] {
            assert_eq!(Step::parse(text), Err(NoStep::Calendar), "{text:?}");
        }
        for text in ["0", "PT0S", "P0D", "P5000D", "99999999999999999999", "P9223372036854775807W"] {
            assert_eq!(Step::parse(text), Err(NoStep::Length), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_step_prints_and_parses_back(ms in 1..=LONGEST_MS) {
            prop_assert_eq!(Step::parse(&Step { ms }.to_string()), Ok(Step { ms }));
        }

        #[test]
        fn no_text_upsets_the_parser(text in "[P0-9TWDHMSY.,+ -]{0,12}") {
            if let Ok(step) = Step::parse(&text) {
                prop_assert!((1..=LONGEST_MS).contains(&step.ms()));
            }
        }
    }
}
