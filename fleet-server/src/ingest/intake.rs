//! How fast a lamppost's records come, and when what it still holds will be here if they go on as they do. Pure.

use lamplighter_protocol::UtcMillis;

/// The rate is that of so many spans of so long: a minute, as one looks at a backlog.
const SPANS: u8 = 6;
const SPAN_MS: i64 = 10_000;

/// Of less time than this no rate is told.
const LEAST_MS: i64 = 5_000;

const HOUR_MS: u128 = 3_600_000;

/// Records that came anew in the last minute of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Nothing is counted that came before.
    since: UtcMillis,
    /// The number of the newest span.
    newest: i64,
    /// By the number of the span, modulo their count.
    records: [u64; SPANS as usize],
}

impl Intake {
    /// Of a connection that begins now.
    pub(super) fn since(now: UtcMillis) -> Self {
        Self { since: now, newest: span_of(now), records: [0; SPANS as usize] }
    }

    /// So many records came that the server did not hold.
    pub(super) fn took(&mut self, records: u64, received: UtcMillis) {
        self.turn(received);
        let at = place_of(self.newest);
        self.records[at] = self.records[at].saturating_add(records);
    }

    /// In how many seconds a backlog of so many records is here, while the lamppost adds `added_per_hour`. None if it does
    /// not shrink, or nothing is known yet.
    pub fn drains_in_s(mut self, backlog: u64, added_per_hour: u64, now: UtcMillis) -> Option<u64> {
        if backlog == 0 {
            return Some(0);
        }
        self.turn(now);
        let oldest = UtcMillis((self.newest + 1 - i64::from(SPANS)).saturating_mul(SPAN_MS));
        let over_ms = now.since_ms(self.since.max(oldest));
        let records: u64 = self.records.iter().fold(0, |sum, records| sum.saturating_add(*records));
        if over_ms < LEAST_MS || records == 0 {
            return None;
        }
        let per_hour = u128::from(records) * HOUR_MS / u128::from(over_ms.unsigned_abs());
        let shrinks = per_hour.checked_sub(u128::from(added_per_hour)).filter(|shrinks| *shrinks > 0)?;
        u64::try_from((u128::from(backlog) * 3_600).div_ceil(shrinks)).ok()
    }

    /// Forgets what is more than a minute before `now`. A clock that was set back begins anew.
    fn turn(&mut self, now: UtcMillis) {
        let span = span_of(now);
        if span < self.newest {
            *self = Self::since(now);
        }
        if span - self.newest >= i64::from(SPANS) {
            self.records = [0; SPANS as usize];
        } else {
            (self.newest + 1..=span).for_each(|span| self.records[place_of(span)] = 0);
        }
        self.newest = span;
    }
}

fn span_of(time: UtcMillis) -> i64 {
    time.0.div_euclid(SPAN_MS)
}

fn place_of(span: i64) -> usize {
    usize::try_from(span.rem_euclid(i64::from(SPANS))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UtcMillis {
        UtcMillis(1_900_000_000_000 + seconds * 1_000)
    }

    /// A hundred records in each of these seconds of a connection that begins at 0.
    fn busy(seconds: std::ops::Range<i64>) -> Intake {
        let mut intake = Intake::since(at(0));
        seconds.for_each(|second| intake.took(100, at(second)));
        intake
    }

    #[test]
    fn a_backlog_is_here_when_it_has_come_at_the_rate_of_the_last_minute() {
        assert_eq!(busy(0..20).drains_in_s(10_000, 0, at(20)), Some(100));
        assert_eq!(busy(0..300).drains_in_s(10_000, 0, at(300)), Some(100));
        // Half of what comes is read meanwhile.
        assert_eq!(busy(0..20).drains_in_s(10_000, 50 * 3_600, at(20)), Some(200));
        assert_eq!(busy(0..20).drains_in_s(0, 0, at(20)), Some(0), "there is none");
    }

    #[test]
    fn nobody_knows_when_a_backlog_is_here_that_does_not_shrink() {
        assert_eq!(busy(0..20).drains_in_s(10_000, 100 * 3_600, at(20)), None);
        assert_eq!(busy(0..20).drains_in_s(10_000, 0, at(100)), None, "nothing has come for a minute");
        assert_eq!(busy(0..4).drains_in_s(10_000, 0, at(4)), None, "it has just begun");
        assert_eq!(Intake::default().drains_in_s(10_000, 0, at(4)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_begins_anew() {
        let mut intake = busy(0..20);
        (-500..-480).for_each(|second| intake.took(10, at(second)));
        assert_eq!(intake.drains_in_s(1_000, 0, at(-480)), Some(100));
        assert_eq!(busy(0..20).drains_in_s(1, 0, UtcMillis(i64::MIN)), None);
    }
}
