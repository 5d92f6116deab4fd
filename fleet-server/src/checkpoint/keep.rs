//! What of the journal may go (D15, D16).

use std::num::ParseIntError;
use std::str::FromStr;

use lamplighter_protocol::UtcMillis;

use crate::ingest::Ingest;

/// The longest: ten years.
const MOST_DAYS: u32 = 3_650;

/// For how long the journal keeps what is in checkpoints, too. The tail of the store forgets what does not fit into
/// memory; until then and after it, the journal has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalKeep {
    days: u32,
}

/// No number of days.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDays {
    /// Not a number at all.
    #[error("give a whole number of days")]
    Number(#[from] ParseIntError),
    /// Too many.
    #[error("give at most {MOST_DAYS} days")]
    TooMany,
}

impl Default for JournalKeep {
    /// 400 days: as far back as an observation may lie when it comes.
    fn default() -> Self {
        Self { days: 400 }
    }
}

impl FromStr for JournalKeep {
    type Err = NotDays;

    fn from_str(text: &str) -> Result<Self, NotDays> {
        Self::days(text.parse()?)
    }
}

impl JournalKeep {
    /// For so many days; 0: until it is in two checkpoints.
    ///
    /// # Errors
    /// [`NotDays::TooMany`].
    pub fn days(days: u32) -> Result<Self, NotDays> {
        if days > MOST_DAYS { Err(NotDays::TooMany) } else { Ok(Self { days }) }
    }

    /// Below this sequence all entries are older than that, as far as ingest has come. By a clock that cannot be right
    /// none is; by one that is ahead without showing it, none that a right one would not make old within a day.
    pub fn old_below(self, ingest: &Ingest, now: UtcMillis) -> u64 {
        if self.days == 0 {
            return ingest.next_sequence();
        }
        now.plausible().map_or(0, |now| ingest.older_than_days(self.days, now))
    }
}

/// Below this sequence the journal may be trimmed: all of it is in the older one of two checkpoints that are whole, and
/// older than it is kept.
pub fn trim_limit(older: Option<u64>, old_below: u64) -> u64 {
    older.map_or(0, |older| older.min(old_below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d15_nothing_goes_that_is_not_in_two_checkpoints() {
        assert_eq!(trim_limit(None, 500), 0);
        assert_eq!(trim_limit(Some(300), 500), 300);
    }

    #[test]
    fn d16_nothing_goes_that_is_younger_than_the_journal_is_kept() {
        assert_eq!(trim_limit(Some(300), 200), 200);
    }

    #[test]
    fn days_are_whole_and_not_too_many() {
        assert_eq!("400".parse(), Ok(JournalKeep::default()));
        assert_eq!("0".parse(), JournalKeep::days(0));
        assert_eq!("3651".parse::<JournalKeep>(), Err(NotDays::TooMany));
        for wrong in ["", "-1", "1.5", "1d"] {
            assert!(matches!(wrong.parse::<JournalKeep>(), Err(NotDays::Number(_))), "{wrong:?}");
        }
    }
}
