//! Which ticks of a grid an agent missed while it was stopped: those that nothing has stored. Pure.

use std::collections::BTreeSet;

use lamplighter_protocol::{Grid, UtcMillis};

/// The ticks of a grid strictly between two instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    first: i64,
    last: i64,
    period_ms: i64,
}

/// Ticks that nothing has stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// How many.
    pub(super) count: u64,
    /// The first of them.
    pub(super) first: UtcMillis,
    /// The last of them.
    pub(super) last: UtcMillis,
    /// The first so many of them.
    pub(super) listed: Vec<UtcMillis>,
}

impl Ticks {
    /// The ticks after `after` and before `before`; none if there is no such tick.
    pub(super) fn between(grid: Grid, after: UtcMillis, before: UtcMillis) -> Option<Self> {
        let (period_ms, phase_ms) = (i64::from(grid.period_ms).max(1), i64::from(grid.phase_ms));
        let tick_at_or_before = |ms: i64| {
            let into = ms.checked_sub(phase_ms)?.rem_euclid(period_ms);
            ms.checked_sub(into)
        };
        let first = tick_at_or_before(after.0)?.checked_add(period_ms)?;
        let last = tick_at_or_before(before.0.checked_sub(1)?)?;
        (first <= last).then_some(Self { first, last, period_ms })
    }

    /// How many there are; at least one.
    pub(super) fn count(self) -> u64 {
        self.last.abs_diff(self.first) / self.period_ms.unsigned_abs() + 1
    }

    /// The time of the tick of this place, from 0; also past the last one.
    pub(super) fn time(self, place: u64) -> UtcMillis {
        let into = i64::try_from(place).unwrap_or(i64::MAX).saturating_mul(self.period_ms);
        UtcMillis(self.first.saturating_add(into))
    }

    /// The place of the last tick that is not after this time; none before the first one.
    pub(super) fn place_of(self, time: UtcMillis) -> Option<u64> {
        (time.0 >= self.first).then(|| time.0.abs_diff(self.first) / self.period_ms.unsigned_abs())
    }

    /// How many of them are before this time.
    pub(super) fn places_before(self, time: UtcMillis) -> u64 {
        self.place_of(time.plus_ms(-1)).map_or(0, |place| (place + 1).min(self.count()))
    }

    pub(super) fn contains(self, time: UtcMillis) -> bool {
        (self.first..=self.last).contains(&time.0)
            && time.0.abs_diff(self.first).is_multiple_of(self.period_ms.unsigned_abs())
    }

    /// Those of these ticks that are not among `stored`, all of which are such ticks; none if all are stored.
    /// The first `most` of them are listed.
    pub(super) fn missed(self, stored: &BTreeSet<UtcMillis>, most: usize) -> Option<Missed> {
        let count = self.count().saturating_sub(stored.len() as u64);
        let is_missed = |tick: &UtcMillis| !stored.contains(tick);
        let first = self.upward().find(is_missed)?;
        let last = self.downward().find(is_missed)?;
        Some(Missed { count, first, last, listed: self.upward().filter(is_missed).take(most).collect() })
    }

    fn upward(self) -> impl Iterator<Item = UtcMillis> {
        let next = move |tick: &i64| tick.checked_add(self.period_ms).filter(|next| *next <= self.last);
        std::iter::successors(Some(self.first), next).map(UtcMillis)
    }

    fn downward(self) -> impl Iterator<Item = UtcMillis> {
        let next = move |tick: &i64| tick.checked_sub(self.period_ms).filter(|next| *next >= self.first);
        std::iter::successors(Some(self.last), next).map(UtcMillis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(period_ms: u32, phase_ms: u32) -> Grid {
        Grid { period_ms, phase_ms }
    }

    #[test]
    fn ticks_at_the_ends_are_not_missed() {
        let ticks = Ticks::between(grid(1000, 0), UtcMillis(5000), UtcMillis(8000)).unwrap();
        let missed = ticks.missed(&BTreeSet::new(), 10).unwrap();
        assert_eq!(missed.listed, [UtcMillis(6000), UtcMillis(7000)]);
        assert_eq!(Ticks::between(grid(1000, 0), UtcMillis(5000), UtcMillis(6000)), None);
        assert_eq!(Ticks::between(grid(1000, 0), UtcMillis(8000), UtcMillis(5000)), None);
    }

    #[test]
    fn what_was_stored_all_the_same_was_not_missed() {
        let ticks = Ticks::between(grid(1000, 500), UtcMillis(0), UtcMillis(5000)).unwrap();
        let stored = BTreeSet::from([UtcMillis(500), UtcMillis(2500)]);
        let missed = ticks.missed(&stored, 2).unwrap();
        assert_eq!(missed.count, 3);
        assert_eq!((missed.first, missed.last), (UtcMillis(1500), UtcMillis(4500)));
        assert_eq!(missed.listed, [UtcMillis(1500), UtcMillis(3500)]);
        let all = [500, 1500, 2500, 3500, 4500].map(UtcMillis);
        assert_eq!(ticks.missed(&BTreeSet::from(all), 2), None);
    }

    #[test]
    fn times_at_the_ends_of_the_range_do_not_overflow() {
        let whole = Ticks::between(grid(1000, 0), UtcMillis(i64::MIN), UtcMillis(i64::MAX));
        assert_eq!(whole, None, "a grid does not reach past what can be said");
        assert!(Ticks::between(grid(1, 0), UtcMillis(i64::MIN), UtcMillis(i64::MAX)).is_some());
    }

    proptest! {
        #[test]
        fn ticks_are_those_of_the_grid(period in 1u32..50, phase in 0u32..50, after in -500i64..500, span in 0i64..500) {
            let grid = grid(period, phase % period);
            let before = after + span;
            let expected: Vec<UtcMillis> = (after + 1..before)
                .filter(|ms| ms.rem_euclid(i64::from(period)) == i64::from(grid.phase_ms))
                .map(UtcMillis)
                .collect();
            let missed = Ticks::between(grid, UtcMillis(after), UtcMillis(before))
                .and_then(|ticks| ticks.missed(&BTreeSet::new(), usize::MAX));
            prop_assert_eq!(missed.as_ref().map_or(0, |missed| missed.count), expected.len() as u64);
            prop_assert_eq!(missed.map(|missed| missed.listed).unwrap_or_default(), expected);
        }
    }
}
