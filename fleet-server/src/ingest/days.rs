//! On which day what was received: tells how far the journal is old enough to go (D16).

use std::collections::BTreeMap;

use lamplighter_protocol::UtcMillis;

pub(super) const DAY_MS: i64 = 24 * 3600 * 1000;

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

    /// The least sequence of an entry that was received on the day of `now`, or later, or on one of so many days before
    /// it; none if nothing was.
    ///
    /// Days on which nothing was received do not count: a clock that leaps ahead, however far, makes everything older by
    /// the one day that it adds.
    pub(super) fn first_within(&self, days: u32, now: UtcMillis) -> Option<u64> {
        let old = self.newest_before(days, now);
        let kept = self.0.iter().filter(|(day, _)| old.is_none_or(|old| **day > old));
        kept.map(|(_, first)| *first).min()
    }

    /// What was received before this was received on a day before those that [`Self::first_within`] means; none if nothing was.
    pub(super) fn start_of(&self, days: u32, now: UtcMillis) -> Option<UtcMillis> {
        self.newest_before(days, now).map(|old| UtcMillis((old + 1) * DAY_MS))
    }

    /// The newest day before the day of `now` and so many before it.
    fn newest_before(&self, days: u32, now: UtcMillis) -> Option<i64> {
        let today = now.0.div_euclid(DAY_MS);
        let before = usize::try_from(days).unwrap_or(usize::MAX);
        self.0.range(..today).rev().nth(before).map(|(day, _)| *day)
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
        let first = [99, 100, 101, 102].map(|day| days.first_within(0, at(day)));
        assert_eq!(first, [Some(0), Some(0), Some(10), Some(20)]);
        let first = [3, 2, 1, 0].map(|before| days.first_within(before, at(102)));
        assert_eq!(first, [Some(0), Some(0), Some(10), Some(20)]);
        assert_eq!(Days::default().first_within(0, at(102)), None);
    }

    #[test]
    fn d16_a_clock_that_leaps_ahead_makes_everything_older_by_a_day() {
        let mut days = Days::default();
        for day in 0..400 {
            days.received(at(20_000 + day), u64::try_from(day).unwrap());
        }
        let ahead = at(20_399 + 5_000);
        assert_eq!(days.first_within(400, ahead), Some(0), "before anything is received on that day");
        days.received(ahead, 400);
        assert_eq!(days.first_within(400, ahead), Some(0));
        days.received(ahead.plus_ms(DAY_MS), 401);
        assert_eq!(days.start_of(400, ahead), None);
        assert_eq!(days.first_within(400, ahead.plus_ms(DAY_MS)), Some(1));
        assert_eq!(days.start_of(400, ahead.plus_ms(DAY_MS)), Some(UtcMillis(20_001 * DAY_MS)));
    }

    #[test]
    fn d16_a_clock_that_is_behind_makes_nothing_old() {
        let mut days = Days::default();
        for day in 0..30 {
            days.received(at(20_000 + day), u64::try_from(day).unwrap());
        }
        assert_eq!([3, 20_000].map(|today| days.first_within(7, at(today))), [Some(0); 2]);
        assert_eq!(days.first_within(7, at(20_029)), Some(22));
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_makes_nothing_older_than_it_is() {
        let mut days = Days::default();
        for (sequence, day) in [(0, 100), (1, 5_000), (2, 101), (3, 102)] {
            days.received(at(day), sequence);
        }
        assert_eq!(days.first_within(0, at(102)), Some(1), "by what it says it was received later");
    }

    #[test]
    fn the_oldest_days_are_forgotten_first() {
        let mut days = Days::default();
        for day in 0..5_000 {
            days.received(at(day), u64::try_from(day).unwrap());
        }
        assert_eq!(days.iter().count(), MOST_DAYS);
        assert_eq!(days.first_within(999, at(4_999)), Some(4_000));
    }
}
