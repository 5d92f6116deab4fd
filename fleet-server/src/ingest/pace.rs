//! When positions are due: at once after a hello, then at most once a minute while something changes (D8).

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use lamplighter_protocol::LamppostNumber;

/// Time between two positions of one lamppost. A little less than the minute after which an agent says hello again
/// for what no position has named.
const EVERY: Duration = Duration::from_secs(50);

#[derive(Debug, Default)]
pub(super) struct Pace {
    due: VecDeque<(Instant, LamppostNumber)>,
    waiting: BTreeSet<LamppostNumber>,
}

impl Pace {
    /// The next position would tell something new.
    pub(super) fn changed(&mut self, number: &LamppostNumber, now: Instant) {
        if self.waiting.insert(number.clone()) {
            self.due.push_back((now + EVERY, number.clone()));
        }
    }

    /// Takes out one lamppost whose position is due.
    pub(super) fn next(&mut self, now: Instant) -> Option<LamppostNumber> {
        let (_, number) = self.due.pop_front_if(|(due, _)| *due <= now)?;
        self.waiting.remove(&number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only come from the clock")]
    fn a_busy_lamppost_hears_a_position_once_a_minute() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let number: LamppostNumber = "A1".parse().unwrap();
        let mut heard = Vec::new();
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            pace.changed(&number, now);
            heard.extend(pace.next(now).map(|_| second));
        }
        assert_eq!(heard, [50, 101]);
        assert!(pace.next(start + Duration::from_secs(500)).is_some());
        assert!(pace.next(start + Duration::from_secs(500)).is_none(), "nothing changed since");
    }
}
