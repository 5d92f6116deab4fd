//! When the next checkpoint is due.

use std::time::{Duration, Instant};

/// How often there is a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// When so much of the journal is in none, so that a start does not read much more than this.
    pub bytes: u64,
    /// When something new has waited for so long.
    pub every: Duration,
    /// How long to wait after one could not be written; it doubles with each further failure.
    pub retry_first: Duration,
    /// The longest wait between two tries.
    pub retry_most: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            every: Duration::from_mins(10),
            retry_first: Duration::from_secs(5),
            retry_most: Duration::from_mins(5),
        }
    }
}

/// Tells when the next one is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    cadence: Cadence,
    last: Instant,
    /// Not before this, after a failure.
    retry: Option<(Instant, Duration)>,
}

impl Due {
    /// The last one counts as written now.
    pub(super) fn new(cadence: Cadence, now: Instant) -> Self {
        Self { cadence, last: now, retry: None }
    }

    /// Whether one is due when so many bytes are in none.
    pub(super) fn is_due(&self, now: Instant, bytes: u64) -> bool {
        if self.retry.is_some_and(|(retry, _)| now < retry) {
            return false;
        }
        bytes >= self.cadence.bytes || now.duration_since(self.last) >= self.cadence.every
    }

    /// One was written, or there is nothing new to write.
    pub(super) fn done(&mut self, now: Instant) {
        (self.last, self.retry) = (now, None);
    }

    /// One could not be written. Says how long to wait.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let wait = self.retry.map_or(self.cadence.retry_first, |(_, wait)| wait.saturating_mul(2));
        let wait = wait.min(self.cadence.retry_most);
        self.retry = Some((now + wait, wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MIB: u64 = 1 << 20;

    #[test]
    fn one_is_due_when_enough_has_gathered_or_after_a_while() {
        let start = clock::monotonic();
        let mut due = Due::new(Cadence::default(), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!due.is_due(at(1), 63 * MIB) && due.is_due(at(1), 64 * MIB));
        assert!(!due.is_due(at(599), 1) && due.is_due(at(600), 1));
        due.done(at(600));
        assert!(!due.is_due(at(1199), 1) && due.is_due(at(1200), 1));
    }

    #[test]
    fn after_a_failure_tries_grow_rarer_and_never_end() {
        let start = clock::monotonic();
        let mut due = Due::new(Cadence::default(), start);
        let mut now = start;
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                let wait = due.failed(now);
                assert!(!due.is_due(now + wait.mul_f64(0.999), u64::MAX));
                now += wait;
                assert!(due.is_due(now, u64::MAX));
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        due.done(now);
        assert_eq!(due.failed(now).as_secs(), 5);
    }
}
