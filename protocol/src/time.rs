//! Wall time on the wire.

use std::fmt;
use std::time::Duration;

/// A time in whole milliseconds, held at the end of the range.
pub fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// An instant: milliseconds since 1970-01-01T00:00:00Z, as everywhere on the wire and on disk.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// This instant moved by `ms` milliseconds, held at the ends of the range.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This instant and so much time after it, in whole milliseconds.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        self.plus_ms(whole_ms(time))
    }

    /// Milliseconds from `earlier` to this instant; negative if this one is the earlier.
    pub fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Debug for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms UTC", self.0)
    }
}
