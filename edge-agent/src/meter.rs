//! How fast something goes, over the last while.

use std::collections::VecDeque;
use std::time::Duration;

/// A window has so many marks: the rate changes in small steps.
const MARKS: u32 = 60;

const HOUR_MS: u128 = 3_600_000;

/// Remembers how a count grew over a window of time. Counts and times only ever grow.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    window: Duration,
    /// When the count was what, oldest first.
    marks: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// A meter over a window of this length.
    pub(crate) fn over(window: Duration) -> Self {
        Self { window, marks: VecDeque::new() }
    }

    /// The count is this now.
    pub(crate) fn mark(&mut self, now: Duration, count: u64) {
        if self.marks.back().is_some_and(|last| now < last.0 + self.window / MARKS) {
            return;
        }
        self.marks.push_back((now, count));
        while self.marks.get(1).is_some_and(|second| second.0 + self.window <= now) {
            self.marks.pop_front();
        }
    }

    /// How much is added in an hour at the present rate. None until a mark is old enough to tell.
    pub(crate) fn per_hour(&self, now: Duration, count: u64) -> Option<u64> {
        let (since, before) = *self.marks.front()?;
        let passed = now.saturating_sub(since);
        if passed < self.window / MARKS {
            return None;
        }
        let added = u128::from(count.saturating_sub(before));
        u64::try_from(added * HOUR_MS / passed.as_millis().max(1)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_window() {
        let mut meter = Meter::over(Duration::from_hours(1));
        let at = Duration::from_mins;
        meter.mark(at(0), 100);
        assert_eq!(meter.per_hour(Duration::from_secs(59), 200), None);
        assert_eq!(meter.per_hour(at(1), 101), Some(60));
        for minute in 1..600 {
            meter.mark(at(minute), 100 + minute * 10);
            assert_eq!(meter.per_hour(at(minute), 100 + minute * 10), Some(600));
        }
        assert!(meter.marks.len() <= 62);
        // It stops.
        for minute in 600..630 {
            meter.mark(at(minute), 6_090);
        }
        let rate = meter.per_hour(at(629), 6_090).unwrap();
        assert!((290..=310).contains(&rate), "{rate}");
        for minute in 630..700 {
            meter.mark(at(minute), 6_090);
        }
        assert_eq!(meter.per_hour(at(700), 6_090), Some(0));
    }
}
