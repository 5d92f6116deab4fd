//! Waiting for the next tick by the wall clock, which may be set while one waits.

use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{Grid, UtcMillis, whole_ms};

use super::schedule::{Due, Schedule};
use crate::clock::{Clock, ClockTrust, Now, Stop, Waited};

/// A clock that was set back by less than this is waited out; by this or more, a new run begins (D3).
const LARGEST_STEP_BACK_MS: i64 = 3_600_000;

/// By how much wall time may get ahead of monotonic time between two looks and still count as the same clock: more
/// than a clock that is being slewed gains in [`LONGEST_WAIT`], less than the time for which a tick can be late.
const CLOCK_SET_FORWARD_MS: i64 = 500;

/// A wait is cut into pieces of this length, so that a clock that was set is noticed within it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The clock was set back too far to be waited out: the times of this run would repeat. A new run has to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockJumped {
    /// By so many milliseconds.
    pub(super) back_ms: i64,
}

/// Follows one schedule by one clock.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    stop: Stop,
    schedule: Schedule,
    seen: Now,
    /// The latest wall time seen in this run.
    latest: UtcMillis,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the device at this place for this tick; so many ticks of it were missed before.
    Read { place: usize, tick: UtcMillis, missed: u64 },
    /// The time that was asked for besides has come.
    Wake,
    /// The process is stopping.
    Stop,
}

impl Pace {
    /// Follows the ticks from `opened` on, which may be a while ago: what has passed since is read late, or missed.
    pub(super) fn new(
        grids: impl IntoIterator<Item = Grid>,
        opened: Now,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Self {
        let schedule = Schedule::new(grids, opened.wall);
        Self { schedule, clock, stop, seen: opened, latest: opened.wall }
    }

    /// Waits until a device is due, or monotonic time reaches `wake`.
    pub(super) fn next(&mut self, wake: Option<Duration>) -> Result<Step, ClockJumped> {
        loop {
            if self.stop.is_raised() {
                return Ok(Step::Stop);
            }
            let now = self.look()?;
            if wake.is_some_and(|wake| wake <= now.monotonic) {
                return Ok(Step::Wake);
            }
            let until_tick = match self.schedule.due(now.wall) {
                Due::Read { place, tick, missed } => return Ok(Step::Read { place, tick, missed }),
                Due::At(tick) => {
                    u64::try_from(tick.since_ms(now.wall)).map_or(LONGEST_WAIT, Duration::from_millis)
                }
                Due::Never => LONGEST_WAIT,
            };
            let until = now.monotonic + until_tick.min(LONGEST_WAIT);
            match self.clock.wait(wake.map_or(until, |wake| wake.min(until)), &self.stop) {
                Waited::Reached => {}
                Waited::Stopped => return Ok(Step::Stop),
            }
        }
    }

    /// What the clock says. Until the next look it does not learn the time: a tick that is read meanwhile, and all that is
    /// said of it, has one kind of time (D3).
    pub(super) fn now(&self) -> Now {
        let now = self.clock.now();
        match self.learnt_ms(now) {
            Some(shift_ms) => {
                Now { wall: now.wall.plus_ms(shift_ms.saturating_neg()), trust: ClockTrust::Unknown, ..now }
            }
            None => now,
        }
    }

    /// The device has an observation of `time` for `tick`, which it was `done` with then. Says how many ticks were
    /// missed besides: none if the clock was set forward meanwhile, nobody lived through those.
    pub(super) fn answered(&mut self, place: usize, tick: UtcMillis, time: UtcMillis, done: Now) -> u64 {
        let passed = self.schedule.answered(place, tick, time);
        if self.was_set_forward(done) { 0 } else { passed }
    }

    /// Reads the clock and finds out whether it was set.
    fn look(&mut self) -> Result<Now, ClockJumped> {
        let now = self.clock.now();
        if let Some(shift_ms) = self.learnt_ms(now) {
            // What was read so far is dated: its times are these now, and they are not given again.
            self.schedule.date(shift_ms);
            self.latest = self.latest.plus_ms(shift_ms);
            self.seen = now;
        }
        let back_ms = self.latest.since_ms(now.wall);
        if back_ms >= LARGEST_STEP_BACK_MS {
            return Err(ClockJumped { back_ms });
        }
        if self.was_set_forward(now) {
            self.schedule.skip_to(now.wall);
        }
        self.seen = now;
        self.latest = self.latest.max(now.wall);
        Ok(now)
    }

    /// If the clock has learnt the time since the last look: how far that is ahead of the time that it told before.
    fn learnt_ms(&self, now: Now) -> Option<i64> {
        let has_learnt = self.seen.trust == ClockTrust::Unknown && now.trust != ClockTrust::Unknown;
        let lived = now.monotonic.saturating_sub(self.seen.monotonic);
        has_learnt.then(|| now.wall.since_ms(self.seen.wall.plus(lived)))
    }

    /// Whether the wall clock was set forward since the last look.
    fn was_set_forward(&self, now: Now) -> bool {
        let lived = now.monotonic.saturating_sub(self.seen.monotonic);
        now.wall.since_ms(self.seen.wall).saturating_sub(whole_ms(lived)) > CLOCK_SET_FORWARD_MS
    }
}
