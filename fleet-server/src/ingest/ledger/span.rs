//! Observations of a series over a time, counted and not listed.

use lamplighter_protocol::UtcMillis;

/// Most spans that are kept of one thing; past it, those that are nearest to each other become one.
const MOST_SPANS: usize = 64;

/// Observations that lie evenly between the first and the last of them: exactly so for ticks of a grid, and as the best
/// guess where several spans had to become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Time of the first.
    pub first: UtcMillis,
    /// Time of the last.
    pub last: UtcMillis,
    /// How many; at least one.
    pub count: u64,
}

/// Spans, in ascending order of their first times. An outage of any length that is made up for is one span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Span {
    /// How many of them lie from `from` to before `to`.
    pub fn count_in(&self, from: UtcMillis, to: UtcMillis) -> u64 {
        self.before(to).saturating_sub(self.before(from))
    }

    /// Takes in another one, whatever lies between.
    pub(in crate::ingest) fn blur(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.count = self.count.saturating_add(other.count);
    }

    /// How many lie before this time: the n-th of them lies n steps after the first.
    fn before(&self, time: UtcMillis) -> u64 {
        if time <= self.first {
            return 0;
        }
        if time > self.last {
            return self.count;
        }
        let length = i128::from(self.last.0) - i128::from(self.first.0);
        let into = i128::from(time.0) - i128::from(self.first.0);
        let steps = i128::from(self.count) - 1;
        let before = (into * steps + length - 1) / length.max(1);
        u64::try_from(before).unwrap_or(self.count).min(self.count)
    }

    /// Those from the one at the place `begin` to the one before `end`; none if there are none.
    fn part(self, begin: u64, end: u64) -> Option<Self> {
        let last = end.checked_sub(1).filter(|last| *last >= begin)?;
        Some(Self { first: self.at(begin), last: self.at(last), count: end - begin })
    }

    /// Time of the one at this place.
    fn at(self, place: u64) -> UtcMillis {
        let (length, steps) =
            (i128::from(self.last.0) - i128::from(self.first.0), i128::from(self.count) - 1);
        let into = length * i128::from(place) / steps.max(1);
        self.first.plus_ms(i64::try_from(into).unwrap_or(i64::MAX))
    }

    /// Whether `next` goes on where this ends, in steps of this length.
    fn goes_on(&self, next: Self, step_ms: i64) -> bool {
        let is_of_step = |span: Self| {
            let steps = i64::try_from(span.count - 1).ok().and_then(|steps| steps.checked_mul(step_ms));
            steps == Some(span.last.since_ms(span.first))
        };
        next.first.since_ms(self.last) == step_ms && is_of_step(*self) && is_of_step(next)
    }
}

impl Spans {
    /// One observation of a series that is read with this period, or by exception.
    pub fn insert(&mut self, time: UtcMillis, period_ms: Option<u32>) {
        self.add(Span { first: time, last: time, count: 1 }, period_ms);
    }

    /// Adds a span of such a series.
    pub fn add(&mut self, mut span: Span, period_ms: Option<u32>) {
        // A backlog comes in order: each tick goes on where the last one was.
        if let Some(period_ms) = period_ms
            && let Some(last) = self.0.last_mut()
            && last.goes_on(span, i64::from(period_ms))
        {
            return last.blur(span);
        }
        let mut place = self.0.partition_point(|one| one.first <= span.first);
        if let Some(period_ms) = period_ms.map(i64::from) {
            if let Some(before) = place.checked_sub(1).and_then(|before| self.0.get(before)).copied()
                && before.goes_on(span, period_ms)
            {
                place -= 1;
                self.0.remove(place);
                span.blur(before);
            }
            if let Some(after) = self.0.get(place).copied()
                && span.goes_on(after, period_ms)
            {
                self.0.remove(place);
                span.blur(after);
            }
        }
        self.0.insert(place, span);
        if self.0.len() > MOST_SPANS {
            self.blur_nearest();
        }
    }

    /// Takes one observation of about this time out. False: there is none.
    pub fn take_out(&mut self, time: UtcMillis) -> bool {
        let Some(place) = self.0.iter().rposition(|span| (span.first..=span.last).contains(&time)) else {
            return false;
        };
        let span = self.0.remove(place);
        let nth = span.before(time).min(span.count - 1);
        let (before, after) = (span.part(0, nth), span.part(nth + 1, span.count));
        for part in [after, before].into_iter().flatten() {
            self.0.insert(place, part);
        }
        if self.0.len() > MOST_SPANS {
            self.blur_nearest();
        }
        true
    }

    /// The spans.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }

    /// How many observations lie from `from` to before `to`.
    pub fn count_in(&self, from: UtcMillis, to: UtcMillis) -> u64 {
        self.0.iter().map(|span| span.count_in(from, to)).fold(0, u64::saturating_add)
    }

    fn blur_nearest(&mut self) {
        let gap = |pair: &[Span]| pair[1].first.since_ms(pair[0].last);
        let nearest = self.0.windows(2).enumerate().min_by_key(|(_, pair)| gap(pair));
        if let Some((place, _)) = nearest {
            let next = self.0.remove(place + 1);
            self.0[place].blur(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(times: impl IntoIterator<Item = i64>, period_ms: Option<u32>) -> Spans {
        let mut spans = Spans::default();
        times.into_iter().for_each(|ms| spans.insert(UtcMillis(ms), period_ms));
        spans
    }

    #[test]
    fn ticks_that_follow_each_other_are_one_span_in_whatever_order_they_come() {
        let one = Span { first: UtcMillis(0), last: UtcMillis(9_000), count: 10 };
        assert_eq!(spans((0..10).map(|tick| tick * 1000), Some(1000)).0, [one]);
        assert_eq!(spans((0..10).rev().map(|tick| tick * 1000), Some(1000)).0, [one]);
        assert_eq!(spans([0, 2, 4, 6, 8, 1, 3, 5, 7, 9].map(|tick| tick * 1000), Some(1000)).0, [one]);
    }

    #[test]
    fn spans_of_two_periods_do_not_become_one() {
        let mut spans = spans([0, 1000, 2000], Some(1000));
        for ms in [12_000, 22_000] {
            spans.insert(UtcMillis(ms), Some(10_000));
        }
        assert_eq!(spans.0.len(), 2);
        assert_eq!(spans.count_in(UtcMillis(1000), UtcMillis(22_000)), 3);
    }

    #[test]
    fn past_the_bound_the_nearest_become_one_and_nothing_goes_uncounted() {
        let times: Vec<i64> = (0..200).map(|place| place * place * 7).collect();
        let spans = spans(times.iter().copied(), None);
        assert_eq!(spans.0.len(), MOST_SPANS);
        assert_eq!(spans.count_in(UtcMillis(i64::MIN), UtcMillis(i64::MAX)), 200);
        assert_eq!(
            spans.count_in(UtcMillis(times[199]), UtcMillis(i64::MAX)),
            1,
            "the far ones stay as they are"
        );
    }

    #[test]
    fn what_is_taken_out_is_not_counted_and_the_rest_stays_where_it_was() {
        let mut one = spans((0..10).map(|tick| tick * 1000), Some(1000));
        for tick in [4, 0, 9, 5] {
            assert!(one.take_out(UtcMillis(tick * 1000)));
        }
        let left: Vec<i64> = (0..10).filter(|tick| !one.take_out(UtcMillis(tick * 1000))).collect();
        assert_eq!(left, [0, 4, 5, 9], "and the others were there");
        assert_eq!(one, Spans::default());
    }

    proptest! {
        #[test]
        fn ticks_are_counted_exactly(ticks in prop::collection::btree_set(0i64..80, 0..60), shuffle: u64, from in -5i64..90, length in 0i64..90) {
            let mut order: Vec<i64> = ticks.iter().copied().collect();
            order.sort_by_key(|tick| (tick.unsigned_abs() + 1).wrapping_mul(shuffle | 1) % 1009);
            let spans = spans(order.iter().map(|tick| tick * 250), Some(250));
            let (from, to) = (from * 240, (from + length) * 240);
            let expected = ticks.iter().filter(|tick| (from..to).contains(&(**tick * 250))).count();
            prop_assert_eq!(spans.count_in(UtcMillis(from), UtcMillis(to)), expected as u64);
        }
    }
}
