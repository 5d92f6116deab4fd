//! How long a token is good.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::UtcMillis;

const HOUR_MS: i64 = 3_600_000;

/// For how many hours a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours(u16);

impl Hours {
    /// When a token ends that is made now.
    pub fn after(self, now: UtcMillis) -> UtcMillis {
        now.plus_ms(i64::from(self.0) * HOUR_MS)
    }
}

impl Default for Hours {
    /// Three days: from the office to a street at the weekend.
    fn default() -> Self {
        Self(72)
    }
}

impl FromStr for Hours {
    type Err = &'static str;

    /// At most 30 days: a token that lies about for longer is forgotten.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let hours = text.parse().ok().filter(|hours| (1..=720).contains(hours));
        hours.map(Self).ok_or("give 1 to 720 whole hours")
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
