//! How long to wait before the next connection: full jitter, so that a city that lost its server does not come back
//! all at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// So many failures that waits are the longest.
const FAILURES: u32 = 16;

/// Counts attempts that failed since one last worked.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The server says that it has too much to do: the next wait is one of the longest, so that all who are told so are spread
    /// over a minute.
    pub fn overloaded(&mut self) {
        self.failures = FAILURES;
    }

    /// A connection failed or ended: how long to wait. `random` is uniform over all of `u32`.
    pub fn wait(&mut self, random: u32) -> Duration {
        let ceiling = FIRST.saturating_mul(2u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = (self.failures + 1).min(FAILURES);
        ceiling.mul_f64(f64::from(random) / f64::from(u32::MAX)).max(Duration::from_millis(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_start_anew_after_success() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<u64> = (0..8).map(|_| backoff.wait(u32::MAX).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.wait(0), Duration::from_millis(50));
        backoff.reset();
        assert!(backoff.wait(u32::MAX) <= Duration::from_secs(1));
    }

    #[test]
    fn who_is_told_that_the_server_has_too_much_to_do_waits_for_up_to_a_minute_at_once() {
        let mut backoff = Backoff::default();
        backoff.overloaded();
        assert_eq!(backoff.wait(u32::MAX), LONGEST);
        assert_eq!(backoff.wait(u32::MAX / 2).as_secs(), 29, "spread by its dice");
        backoff.reset();
        assert!(backoff.wait(u32::MAX) <= Duration::from_secs(1));
    }
}
