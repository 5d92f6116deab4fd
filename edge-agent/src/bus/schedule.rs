//! When each device of a bus is read: pure, over wall time that is handed in.
//!
//! A device is due at the ticks of its grid. If the bus is busy when a tick comes, the device is read once the bus is
//! free, for the latest tick that has passed; the ticks before that one are missed, and counted: nothing is read
//! several times to catch up. Of several devices that are due the one that was served longest ago goes first, so
//! that a slow one cannot starve its neighbours.
//!
//! Times of a device strictly increase whatever the clock does: a tick that is not later than the last time given is
//! not due. A clock that was set back is thereby waited out (D3). When a clock that did not know the time learns it, the
//! times given so far move with it, and ticks go on on the grid of the true time.

use std::time::Duration;

use lamplighter_protocol::{Grid, UtcMillis, whole_ms};

/// The devices of one bus by place, and when each is due.
#[derive(Debug)]
pub(super) struct Schedule {
    places: Vec<Place>,
    served: u64,
}

/// What is to be done at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Read the device at this place.
    Read {
        /// Place of the device.
        place: usize,
        /// For this tick.
        tick: UtcMillis,
        /// So many of its ticks before went by unread.
        missed: u64,
    },
    /// Nothing before this time.
    At(UtcMillis),
    /// Nothing at all: there are no devices.
    Never,
}

#[derive(Debug)]
struct Place {
    grid: Grid,
    /// Everything before this is answered or missed.
    free_from: UtcMillis,
    /// The first tick that is neither answered nor missed: the first at or after that.
    next: UtcMillis,
    /// When it was served last, as a number that counts servings.
    served: u64,
}

impl Schedule {
    /// Devices on these grids; the first tick of each is the first at or after `now`.
    pub(super) fn new(grids: impl IntoIterator<Item = Grid>, now: UtcMillis) -> Self {
        let place = |grid| Place { grid, free_from: now, next: first_at_or_after(grid, now), served: 0 };
        Self { places: grids.into_iter().map(place).collect(), served: 0 }
    }

    /// What is due at `now`. Until [`answered`](Self::answered) is called the same is due.
    pub(super) fn due(&self, now: UtcMillis) -> Due {
        let due = self.places.iter().enumerate().filter(|(_, place)| place.next <= now);
        if let Some((place, one)) = due.min_by_key(|(place, one)| (one.served, *place)) {
            let tick = last_at_or_before(one.grid, now);
            return Due::Read { place, tick, missed: ticks_between(one.grid, one.next, tick) };
        }
        self.places.iter().map(|place| place.next).min().map_or(Due::Never, Due::At)
    }

    /// The device at `place` has an observation of `time`, for the tick that was due. Says how many ticks up to
    /// `time` were missed besides.
    pub(super) fn answered(&mut self, place: usize, tick: UtcMillis, time: UtcMillis) -> u64 {
        self.served += 1;
        let Some(one) = self.places.get_mut(place) else { return 0 };
        one.served = self.served;
        let following = tick.plus_ms(i64::from(one.grid.period_ms));
        one.go_on_from(time.max(tick).plus_ms(1));
        ticks_between(one.grid, following, one.next)
    }

    /// The wall clock was set forward: ticks that nobody lived through are not missed, they never were.
    pub(super) fn skip_to(&mut self, now: UtcMillis) {
        for place in &mut self.places {
            place.go_on_from(place.free_from.max(now));
        }
    }

    /// The time is known, and is so much ahead of what was given so far.
    pub(super) fn date(&mut self, shift_ms: i64) {
        for place in &mut self.places {
            place.go_on_from(place.free_from.plus_ms(shift_ms));
        }
    }
}

impl Place {
    fn go_on_from(&mut self, time: UtcMillis) {
        self.free_from = time;
        self.next = first_at_or_after(self.grid, time);
    }
}

/// How long after its tick a reading may end and still be the tick's: a quarter of the period, and at most a second.
/// A quarter leaves room for several chips on one bus at a period of a second (a BME280 takes 50 ms), and no reading
/// is ever nearer to another tick; a second is what "the readings of a minute share one time" can bear.
pub(super) fn tolerance(grid: Grid) -> Duration {
    Duration::from_millis(u64::from(grid.period_ms / 4)).min(Duration::from_secs(1))
}

/// The phenomenon time of a reading for `tick` that ended at `done`: the tick if it ended within the tolerance, else
/// the time at which it ended. A clock that was set back meanwhile makes it the tick.
pub(super) fn phenomenon_time(grid: Grid, tick: UtcMillis, done: UtcMillis) -> UtcMillis {
    let within = whole_ms(tolerance(grid));
    if done.since_ms(tick) <= within { tick } else { done }
}

fn last_at_or_before(grid: Grid, time: UtcMillis) -> UtcMillis {
    let past = time.since_ms(UtcMillis(i64::from(grid.phase_ms))).rem_euclid(i64::from(grid.period_ms));
    time.plus_ms(-past)
}

fn first_at_or_after(grid: Grid, time: UtcMillis) -> UtcMillis {
    let last = last_at_or_before(grid, time);
    if last == time { time } else { last.plus_ms(i64::from(grid.period_ms)) }
}

/// Ticks from `first`, a tick, to before `end`, another.
fn ticks_between(grid: Grid, first: UtcMillis, end: UtcMillis) -> u64 {
    u64::try_from(end.since_ms(first) / i64::from(grid.period_ms)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Grid = Grid { period_ms: 1_000, phase_ms: 0 };

    fn at(ms: i64) -> UtcMillis {
        UtcMillis(ms)
    }

    #[test]
    fn a_device_is_due_at_each_tick_of_its_grid() {
        let mut schedule = Schedule::new([Grid { period_ms: 60_000, phase_ms: 5_000 }], at(1));
        assert_eq!(schedule.due(at(1)), Due::At(at(5_000)));
        assert_eq!(schedule.due(at(4_999)), Due::At(at(5_000)));
        assert_eq!(schedule.due(at(5_003)), Due::Read { place: 0, tick: at(5_000), missed: 0 });
        assert_eq!(schedule.answered(0, at(5_000), at(5_000)), 0);
        assert_eq!(schedule.due(at(5_060)), Due::At(at(65_000)));
    }

    #[test]
    fn a_bus_without_devices_has_nothing_to_do() {
        assert_eq!(Schedule::new([], at(0)).due(at(99)), Due::Never);
    }

    #[test]
    fn ticks_that_passed_while_the_bus_was_busy_are_missed_and_not_read_in_a_burst() {
        let mut schedule = Schedule::new([SECOND], at(0));
        assert_eq!(schedule.due(at(3_700)), Due::Read { place: 0, tick: at(3_000), missed: 3 });
        assert_eq!(schedule.answered(0, at(3_000), at(3_000)), 0);
        assert_eq!(schedule.due(at(3_800)), Due::At(at(4_000)));
    }

    #[test]
    fn ticks_that_passed_before_the_reading_ended_are_missed() {
        let mut schedule = Schedule::new([SECOND], at(0));
        assert_eq!(schedule.due(at(0)), Due::Read { place: 0, tick: at(0), missed: 0 });
        assert_eq!(schedule.answered(0, at(0), at(2_400)), 2);
        assert_eq!(schedule.due(at(2_400)), Due::At(at(3_000)));
    }

    #[test]
    fn a_slow_device_does_not_starve_its_neighbour() {
        let mut schedule = Schedule::new([SECOND, SECOND], at(0));
        let mut now = 0;
        let mut served = [0_u32; 2];
        for _ in 0..10 {
            let Due::Read { place, tick, .. } = schedule.due(at(now)) else {
                now += 100;
                continue;
            };
            served[place] += 1;
            now += if place == 0 { 2_500 } else { 50 };
            schedule.answered(place, tick, at(now));
        }
        assert!(served[0].abs_diff(served[1]) <= 1, "{served:?}");
    }

    #[test]
    fn a_clock_that_was_set_back_is_waited_out() {
        let mut schedule = Schedule::new([SECOND], at(10_000));
        schedule.answered(0, at(10_000), at(10_000));
        assert_eq!(schedule.due(at(5_000)), Due::At(at(11_000)));
    }

    #[test]
    fn ticks_that_a_clock_set_forward_leaps_over_are_not_missed() {
        let mut schedule = Schedule::new([SECOND], at(0));
        schedule.answered(0, at(0), at(0));
        schedule.skip_to(at(1_000_000_300));
        assert_eq!(schedule.due(at(1_000_000_300)), Due::At(at(1_000_001_000)));
    }

    #[test]
    fn a_reading_is_of_its_tick_if_it_ended_within_the_tolerance() {
        assert_eq!(phenomenon_time(SECOND, at(1_000), at(1_250)), at(1_000));
        assert_eq!(phenomenon_time(SECOND, at(1_000), at(1_251)), at(1_251));
        assert_eq!(phenomenon_time(SECOND, at(1_000), at(400)), at(1_000));
        let minute = Grid { period_ms: 60_000, phase_ms: 0 };
        assert_eq!(phenomenon_time(minute, at(0), at(1_000)), at(0));
        assert_eq!(phenomenon_time(minute, at(0), at(1_001)), at(1_001));
    }

    #[test]
    fn d3_once_the_time_is_known_ticks_go_on_on_its_grid_and_no_time_repeats() {
        for shift in [-1_000_000_250, -700, 0, 250, 999_999_999_750] {
            let mut schedule = Schedule::new([SECOND], at(5_000));
            // Late, at 5.4 s, which is 5.4 s and the shift in truth.
            schedule.answered(0, at(5_000), at(5_400));
            schedule.date(shift);
            let Due::At(next) = schedule.due(at(5_400 + shift)) else { panic!("it was read already") };
            assert_eq!(next.0.rem_euclid(1_000), 0, "{shift}");
            assert!(next.0 > 5_400 + shift && next.0 <= 6_400 + shift, "{shift}");
        }
    }

    proptest! {
        /// Time goes on by `pauses`, back and forth by `jumps`, while readings take `takes`: times strictly increase,
        /// ticks lie on the grid, and while the clock only goes forward each tick is either read or missed.
        #[test]
        fn every_tick_is_read_once_or_missed_and_times_increase(
            period in 1u32..5_000, phase in 0u32..5_000, start in -10_000i64..10_000,
            steps in prop::collection::vec((0i64..3_000, 0i64..7_000, -4_000i64..1), 1..80),
            jumps in any::<bool>(),
        ) {
            let grid = Grid { period_ms: period, phase_ms: phase % period };
            let mut schedule = Schedule::new([grid], at(start));
            let first = first_at_or_after(grid, at(start));
            let (mut now, mut last, mut read, mut missed) = (start, None, 0, 0);
            for (pause, takes, jump) in steps {
                now += pause + if jumps { jump } else { 0 };
                let Due::Read { tick, missed: before, .. } = schedule.due(at(now)) else { continue };
                prop_assert_eq!((tick.0 - i64::from(grid.phase_ms)).rem_euclid(i64::from(period)), 0);
                prop_assert!(tick.0 <= now && now - tick.0 < i64::from(period));
                now += takes;
                let time = phenomenon_time(grid, tick, at(now));
                prop_assert!(last.is_none_or(|last| time > last), "{last:?} then {time:?}");
                last = Some(time);
                read += 1;
                missed += before + schedule.answered(0, tick, time);
                if !jumps {
                    let passed = (schedule.places[0].next.0 - first.0) / i64::from(period);
                    prop_assert_eq!(u64::try_from(passed).unwrap(), read + missed);
                }
            }
        }
    }
}
