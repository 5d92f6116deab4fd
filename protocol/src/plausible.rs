//! Which times a clock can show that is right (D3). A lamppost that nobody else tells the time goes by the server's clock,
//! so neither of them may take one for right that cannot be.

use crate::time::UtcMillis;

/// 2026-11-21T00:00:00Z, the day of this release: of its source, so that a build says the same whenever it is made. No program
/// runs before it was written. It is renewed with each version; one that is old refuses less, and nothing that is right.
pub const RELEASED: UtcMillis = UtcMillis(1_795_219_200_000);

/// 2100-01-01T00:00:00Z. No lamppost of this release lives to see it; a clock that lost its battery, or counts in another
/// unit or epoch, shows anything.
pub const TOO_LATE: UtcMillis = UtcMillis(4_102_444_800_000);

/// Why a clock that shows this time is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImplausibleTime {
    /// It is before [`RELEASED`].
    #[error("{0:?} is before this release was made, {RELEASED:?}")]
    BeforeRelease(UtcMillis),
    /// It is not before [`TOO_LATE`].
    #[error("{0:?} is not before the year 2100, {TOO_LATE:?}")]
    TooLate(UtcMillis),
}

impl UtcMillis {
    /// This time, if a clock that is right can show it.
    ///
    /// # Errors
    /// [`ImplausibleTime`].
    pub fn plausible(self) -> Result<Self, ImplausibleTime> {
        if self < RELEASED {
            return Err(ImplausibleTime::BeforeRelease(self));
        }
        if self >= TOO_LATE {
            return Err(ImplausibleTime::TooLate(self));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_raises_the_version_renews_the_day_of_the_release() {
        assert_eq!((env!("CARGO_PKG_VERSION"), RELEASED.0 % 86_400_000), ("0.1.0", 0));
    }

    #[test]
    fn a_clock_shows_a_time_from_the_release_to_the_end_of_the_century_or_is_wrong() {
        for right in [RELEASED, TOO_LATE.plus_ms(-1)] {
            assert_eq!(right.plausible(), Ok(right));
        }
        for early in [UtcMillis(i64::MIN), UtcMillis(0), RELEASED.plus_ms(-1)] {
            assert_eq!(early.plausible(), Err(ImplausibleTime::BeforeRelease(early)));
        }
        for late in [TOO_LATE, UtcMillis(i64::MAX)] {
            assert_eq!(late.plausible(), Err(ImplausibleTime::TooLate(late)));
        }
        assert_eq!(
            UtcMillis(0).plausible().unwrap_err().to_string(),
            "0 ms UTC is before this release was made, 1795219200000 ms UTC"
        );
    }
}
