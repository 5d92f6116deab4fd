//! On which day what was received: tells how far the journal is old enough to go (D16).

use std::collections::BTreeMap;

use lamplighter_protocol::UtcMillis;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Most days that are remembered, the newest: more than the journal is ever kept for.
const MOST_DAYS: usize = 4_000;

/// For each day on which entries were received the least sequence of one. Days do not have to follow one another in
/// the order of sequences: the server's clock may have been wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Days(BTreeMap<i64, u64>);

impl Days {
    /// An entry was received. Entries come in the order of their sequences.
    pub(super) fn received(&mut self, time: UtcMillis, sequence: u64) {
        self.add(time.0.div_euclid(DAY_MS), sequence);
    }

    /// The least sequence of an entry that was received at this time or later, or on the same day before it; none if
    /// nothing was.
    pub(super) fn first_since(&self, time: UtcMillis) -> Option<u64> {
        self.0.range(time.0.div_euclid(DAY_MS)..).map(|(_, first)| *first).min()
    }

    pub(super) fn add(&mut self, day: i64, sequence: u64) {
        let first = self.0.entry(day).or_insert(sequence);
        *first = sequence.min(*first);
        if self.0.len() > MOST_DAYS {
            self.0.pop_first();
        }
    }

    /// Each day (since 1970) with its first sequence.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        self.0.iter().map(|(day, first)| (*day, *first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> UtcMillis {
        UtcMillis(day * DAY_MS + 17)
    }

    #[test]
    fn what_is_older_than_a_day_lies_below_the_first_of_that_day() {
        let mut days = Days::default();
        for sequence in 0..30 {
            days.received(at(100 + i64::try_from(sequence / 10).unwrap()), sequence);
        }
        let first = [99, 100, 101, 102, 103].map(|day| days.first_since(at(day)));
        assert_eq!(first, [Some(0), Some(0), Some(10), Some(20), None]);
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_makes_nothing_older_than_it_is() {
        let mut days = Days::default();
        for (sequence, day) in [(0, 100), (1, 5_000), (2, 101), (3, 102)] {
            days.received(at(day), sequence);
        }
        assert_eq!(days.first_since(at(102)), Some(1), "by what it says it was received later");
    }

    #[test]
    fn the_oldest_days_are_forgotten_first() {
        let mut days = Days::default();
        for day in 0..5_000 {
            days.received(at(day), u64::try_from(day).unwrap());
        }
        assert_eq!(days.iter().count(), MOST_DAYS);
        assert_eq!(days.first_since(at(4_000)), Some(4_000));
    }
}
