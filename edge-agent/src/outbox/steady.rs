//! Whether the wall time may decide what is too old.

use std::time::Duration;

use lamplighter_protocol::whole_ms;

use crate::clock::{ClockTrust, Now};

/// A clock that jumps must not cost a backlog: what it says counts once it has stood for so long.
const STEADY_FOR: Duration = Duration::from_hours(1);

/// A clock that is corrected by less has not jumped.
const TOLERANCE_MS: i64 = 60_000;

/// Since when the wall time is trusted and has kept step with the monotonic time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SteadyTime {
    since: Option<Now>,
}

impl SteadyTime {
    /// Hears what time it is; says whether what it says counts.
    pub(super) fn hear(&mut self, now: Now) -> bool {
        if now.trust != ClockTrust::Sure {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let steps = |since: Now| now.monotonic.saturating_sub(since.monotonic);
        let passed = whole_ms(steps(since));
        let jumped = now.wall.since_ms(since.wall).saturating_sub(passed).saturating_abs();
        if jumped > TOLERANCE_MS {
            self.since = Some(now);
            return false;
        }
        steps(since) >= STEADY_FOR
    }
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::UtcMillis;

    use super::*;

    fn at(minutes: u64, wall_min: i64, trust: ClockTrust) -> Now {
        Now { monotonic: Duration::from_mins(minutes), wall: UtcMillis(wall_min * 60_000), trust }
    }

    #[test]
    fn d11_a_clock_counts_once_it_is_trusted_and_has_not_jumped_for_an_hour() {
        let mut time = SteadyTime::default();
        let sure = ClockTrust::Sure;
        assert!(!time.hear(at(0, 1_000, ClockTrust::Unsure)));
        assert!(!time.hear(at(100, 1_100, sure)));
        assert!(!time.hear(at(159, 1_160, sure)));
        assert!(time.hear(at(160, 1_161, sure)));
        // Ten years on, and back.
        assert!(!time.hear(at(161, 5_256_000, sure)));
        assert!(!time.hear(at(200, 5_256_039, sure)));
        assert!(!time.hear(at(201, 1_201, sure)));
        assert!(!time.hear(at(260, 1_260, sure)));
        assert!(time.hear(at(261, 1_261, sure)));
        assert!(!time.hear(at(262, 1_262, ClockTrust::Unsure)));
        assert!(!time.hear(at(263, 1_263, sure)));
    }
}
