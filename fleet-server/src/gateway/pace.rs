//! Rates, kept: the generic cell rate algorithm (ITU-T I.371, annex A), which needs one instant as its state.

use std::time::{Duration, Instant};

use super::limits::Rate;

/// How far one sender is ahead of its rate. Pure: time is handed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    // What one unit costs, and how much cost may be owed.
    cost: Duration,
    burst: Duration,
    // When all that was taken is paid for.
    paid: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        let cost = rate.per / rate.amount.max(1);
        Self { cost, burst: cost * rate.burst, paid: None }
    }

    /// Takes `amount`, whatever is owed then.
    pub(super) fn take(&mut self, amount: u32, now: Instant) {
        let from = self.paid.map_or(now, |paid| paid.max(now));
        self.paid = Some(from + self.cost * amount);
    }

    /// Takes one if that keeps within the rate.
    pub(crate) fn try_take(&mut self, now: Instant) -> bool {
        let before = self.paid;
        self.take(1, now);
        let within = self.blocked_until(now).is_none();
        if !within {
            self.paid = before;
        }
        within
    }

    /// Gives back one that was taken.
    pub(super) fn give_back(&mut self) {
        // An instant so early that it cannot be told is paid for.
        self.paid = self.paid.and_then(|paid| paid.checked_sub(self.cost));
    }

    /// When all that was taken is paid for; none if nothing ever was.
    pub(super) fn paid(&self) -> Option<Instant> {
        self.paid
    }

    /// When the next may come, unless it may now.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        let owed = self.paid?.saturating_duration_since(now).saturating_sub(self.burst);
        (!owed.is_zero()).then(|| now + owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const RATE: Rate = Rate { amount: 10, per: Duration::from_secs(1), burst: 5 };

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = clock::monotonic();
        let mut pace = Pace::new(RATE);
        let taken =
            (0..2_000).filter(|ms| pace.try_take(start + Duration::from_millis(*ms))).collect::<Vec<u64>>();
        assert_eq!(taken[..5], [0, 1, 2, 3, 4]);
        assert_eq!(taken.len(), 5 + 19, "five at once, then ten a second");
    }

    #[test]
    fn what_is_owed_is_waited_for() {
        let start = clock::monotonic();
        let mut pace = Pace::new(RATE);
        pace.take(5, start);
        assert_eq!(pace.blocked_until(start), None);
        pace.take(10, start);
        assert_eq!(pace.blocked_until(start), Some(start + Duration::from_secs(1)));
        assert_eq!(pace.blocked_until(start + Duration::from_secs(1)), None);
    }
}
