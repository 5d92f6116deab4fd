//! When each lamppost of an open loop sends: at times that are fixed beforehand, whatever the server does. What is sent late
//! because the one before it was slow counts from when it was due.

use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use lamplighter_protocol::{UtcMillis, whole_ms};
use tokio::time::Instant;

/// The moment at which a tick is read and to be sent, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) wall: UtcMillis,
}

/// The ticks of many lampposts, spread evenly over a period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Due,
    lampposts: u32,
    period: Duration,
    /// Ticks of each lamppost.
    ticks: u32,
}

impl Due {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), wall: SystemClock::believed().now().wall }
    }

    /// So much later.
    pub(super) fn after(self, time: Duration) -> Self {
        Self { at: self.at + time, wall: self.wall.plus_ms(whole_ms(time)) }
    }
}

impl Schedule {
    /// From `start` on, every lamppost ticks once in each period, for about so long.
    pub(super) fn new(start: Due, lampposts: usize, period: Duration, lasts: Duration) -> Self {
        // Two ticks of one lamppost must not be of one millisecond.
        let period = period.max(Duration::from_millis(2));
        let ticks = (lasts.as_secs_f64() / period.as_secs_f64()).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few per millisecond of minutes"
        )]
        let ticks = ticks.max(1.0) as u32;
        Self { start, lampposts: u32::try_from(lampposts).unwrap_or(u32::MAX).max(1), period, ticks }
    }

    /// When this lamppost, counted from 0, ticks.
    pub(super) fn of(self, lamppost: usize) -> impl Iterator<Item = Due> + Send {
        let place = u32::try_from(lamppost).unwrap_or(0) % self.lampposts;
        let offset = self.period.mul_f64(f64::from(place) / f64::from(self.lampposts));
        (0..self.ticks).map(move |tick| self.start.after(self.period * tick + offset))
    }

    /// The end of the last period.
    pub(super) fn end(&self) -> Due {
        self.start.after(self.period * self.ticks)
    }

    /// Ticks in each second, of all lampposts together.
    pub(super) fn rate(&self) -> f64 {
        f64::from(self.lampposts) / self.period.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(lampposts: usize, period_ms: u64, lasts_s: u64) -> Schedule {
        let (period, lasts) = (Duration::from_millis(period_ms), Duration::from_secs(lasts_s));
        Schedule::new(Due::now(), lampposts, period, lasts)
    }

    #[test]
    fn every_tenth_of_a_second_has_as_many_ticks_as_any_other() {
        let schedule = schedule(300, 700, 7);
        let mut counts = [0; 70];
        for due in (0..300).flat_map(|place| schedule.of(place)) {
            counts[usize::try_from((due.at - schedule.start.at).as_millis() / 100).unwrap()] += 1;
        }
        assert_eq!(counts.iter().sum::<u32>(), 300 * 10);
        assert!(counts.iter().all(|count| (42..=44).contains(count)), "{counts:?}");
        assert!((schedule.rate() - 300.0 / 0.7).abs() < 1e-6);
    }

    #[test]
    fn no_two_ticks_of_a_lamppost_are_of_one_millisecond() {
        for period_ms in [0, 1, 2, 7] {
            let schedule = schedule(10, period_ms, 1);
            for place in 0..10 {
                let times: Vec<UtcMillis> = schedule.of(place).map(|due| due.wall).collect();
                assert!(times.is_sorted_by(|one, next| one < next));
                assert!(times.iter().all(|time| *time <= schedule.end().wall));
            }
        }
    }
}
