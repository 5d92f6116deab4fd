//! The backlog's share of the window (D6): as much as the server takes without making live data wait.
//!
//! A connection is served in order, so what is read now waits for all of the backlog that was sent before it. The window
//! alone does not bound that wait: a server that a whole city comes back to has as many windows before it. So the backlog
//! watches how long acknowledgements take, and gives way when that becomes longer than it has to be; each lamppost by
//! itself, as LEDBAT does (RFC 6817).

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use lamplighter_protocol::limits::{MAX_PAYLOAD_BYTES, WINDOW_BYTES};

/// By how much longer than the shortest one an acknowledgement may take before the backlog gives way: live data is to
/// be there within a second, and spends some of that elsewhere.
const PATIENCE: Duration = Duration::from_millis(150);

/// Under way at first. Whole streets come back at once.
const FIRST_BYTES: usize = 8 * 1024;

/// Under way at least, however busy the server is.
const LEAST_BYTES: usize = 2 * 1024;

/// So much of what was acknowledged in time is added to the share: it grows by a quarter in each round.
const GROWTH: usize = 4;

#[derive(Debug)]
pub(super) struct Share {
    bytes: usize,
    shortest: Shortest,
    /// For how long in all the agent itself stood still.
    stalled: Duration,
    /// When it last gave way.
    gave_way: Duration,
}

/// When a frame was sent, and for how long the agent had stood still by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    at: Duration,
    stalled: Duration,
}

impl Departure {
    /// The agent turns out to have stood still, and this to have left while it did: what of that was over by then is none
    /// of its wait.
    pub(super) fn left_in(&mut self, stall: &Range<Duration>) {
        self.stalled += self.at.min(stall.end).saturating_sub(stall.start);
    }
}

impl Share {
    pub(super) fn new() -> Self {
        let shortest = Shortest::default();
        Self { bytes: FIRST_BYTES, shortest, stalled: Duration::ZERO, gave_way: Duration::ZERO }
    }

    /// A frame is sent now.
    pub(super) fn sent(&self, now: Duration) -> Departure {
        Departure { at: now, stalled: self.stalled }
    }

    /// The agent stood still for so long just now: it may have sent late what it had to send, and have read late what was
    /// there. The server is not blamed for that.
    pub(super) fn stalled(&mut self, time: Duration) {
        self.stalled += time;
    }

    /// A frame of so many bytes is acknowledged.
    pub(super) fn acknowledged(&mut self, bytes: usize, departure: Departure, now: Duration) {
        let took = now.saturating_sub(departure.at);
        // With the agent's stalls: what is shorter than it can be would make all others late.
        let shortest = self.shortest.with(took, now);
        let waited = took.saturating_sub(self.stalled.saturating_sub(departure.stalled));
        if waited <= shortest + PATIENCE {
            self.bytes = (self.bytes + bytes / GROWTH).min(WINDOW_BYTES);
        } else if departure.at >= self.gave_way {
            // Once for all that was under way: the others waited in the same queue.
            self.bytes = (self.bytes / 2).max(LEAST_BYTES);
            self.gave_way = now;
        }
    }

    /// Most bytes of the next frame of the backlog, of which so many bytes are under way; none: not now. Two frames are
    /// under way, so that the server has one while the other is acknowledged, or more of the largest.
    pub(super) fn next_frame(&self, under_way: usize) -> Option<usize> {
        let frame = (self.bytes / 2).min(MAX_PAYLOAD_BYTES);
        (under_way + frame <= self.bytes || under_way == 0).then_some(frame)
    }
}

/// Remembers so many minutes: a way that has become longer, or a server that will be busy with others for long, is measured
/// anew after that, so that the backlog is not starved by a time that can no longer be met (RFC 6817 section 3.4.2).
const MINUTES: u64 = 10;

/// The shortest time that an acknowledgement took in the last minutes.
#[derive(Debug, Default)]
struct Shortest {
    /// Of each minute in which there was one, oldest first.
    minutes: VecDeque<(u64, Duration)>,
}

impl Shortest {
    /// One more took so long; says what the shortest is with it.
    fn with(&mut self, took: Duration, now: Duration) -> Duration {
        let this = now.as_secs() / 60;
        match self.minutes.back_mut() {
            Some((minute, shortest)) if *minute == this => *shortest = took.min(*shortest),
            _ => self.minutes.push_back((this, took)),
        }
        while self.minutes.front().is_some_and(|(minute, _)| minute + MINUTES <= this) {
            self.minutes.pop_front();
        }
        self.minutes.iter().fold(took, |shortest, (_, one)| shortest.min(*one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// So many lampposts with endless backlogs before a server that takes so many bytes a millisecond, in the order in which
    /// they come. Says how long acknowledgements took in the second half of a minute, and how busy the server was then.
    fn street(lampposts: usize, bytes_per_ms: usize) -> (Vec<Duration>, f64) {
        let mut posts: Vec<_> = (0..lampposts).map(|_| (Share::new(), 0)).collect();
        let mut queue: VecDeque<(usize, usize, Duration, Departure)> = VecDeque::new();
        let (mut took, mut served, mut credit) = (Vec::new(), 0, 0);
        for ms in 0..60_000 {
            let now = MS * ms;
            for (place, (share, under_way)) in posts.iter_mut().enumerate() {
                while let Some(bytes) = share.next_frame(*under_way) {
                    *under_way += bytes;
                    queue.push_back((place, bytes, now, share.sent(now)));
                }
            }
            credit += bytes_per_ms;
            while let Some((place, bytes, sent, departure)) = queue.pop_front_if(|one| one.1 <= credit) {
                credit -= bytes;
                let (share, under_way) = &mut posts[place];
                *under_way -= bytes;
                share.acknowledged(bytes, departure, now + MS);
                if ms >= 30_000 {
                    served += bytes;
                    took.push((now + MS).saturating_sub(sent));
                }
            }
            if queue.is_empty() {
                credit = 0;
            }
        }
        took.sort();
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let busy = served as f64 / (30_000 * bytes_per_ms) as f64;
        (took, busy)
    }

    #[test]
    fn a_server_that_has_enough_to_do_is_busy_and_nobody_waits_for_long() {
        for lampposts in [10, 100, 1_000] {
            let (took, busy) = street(lampposts, 10_000);
            let p99 = took[took.len() * 99 / 100];
            assert!(p99 <= Duration::from_millis(500), "{lampposts} lampposts: {p99:?}");
            assert!(busy > 0.95, "{lampposts} lampposts: {busy}");
        }
    }

    #[test]
    fn a_server_that_is_fast_gets_the_whole_window() {
        let mut share = Share::new();
        acknowledge(&mut share, MS, Duration::ZERO);
        assert_eq!(share.next_frame(WINDOW_BYTES - MAX_PAYLOAD_BYTES), Some(MAX_PAYLOAD_BYTES));
        assert_eq!(share.next_frame(WINDOW_BYTES - MAX_PAYLOAD_BYTES + 1), None);
    }

    #[test]
    fn a_long_way_to_a_fast_server_is_no_reason_to_give_way() {
        let mut share = Share::new();
        acknowledge(&mut share, Duration::from_secs(2), Duration::ZERO);
        assert_eq!(share.bytes, WINDOW_BYTES);
    }

    #[test]
    fn something_is_sent_however_slow_the_server_is() {
        let mut share = Share::new();
        let end = acknowledge(&mut share, MS, Duration::ZERO);
        acknowledge(&mut share, Duration::from_secs(9), end);
        assert_eq!(share.next_frame(0), Some(LEAST_BYTES / 2));
    }

    #[test]
    fn a_way_that_has_become_longer_is_measured_anew_and_starves_nobody_for_ever() {
        let mut share = Share::new();
        let mut now = acknowledge(&mut share, MS, Duration::ZERO);
        let longer = Duration::from_secs(1);
        while now < Duration::from_mins(MINUTES - 1) {
            now = acknowledge(&mut share, longer, now);
            assert_eq!(share.bytes, LEAST_BYTES, "at {now:?}");
        }
        while now < Duration::from_mins(MINUTES + 2) {
            now = acknowledge(&mut share, longer, now);
        }
        assert_eq!(share.bytes, WINDOW_BYTES);
    }

    #[test]
    fn a_way_that_has_become_shorter_is_believed_at_once() {
        let mut share = Share::new();
        let now = acknowledge(&mut share, Duration::from_secs(1), Duration::ZERO);
        let departure = share.sent(now);
        share.acknowledged(100, departure, now + MS);
        let departure = share.sent(now + MS);
        share.acknowledged(100, departure, now + Duration::from_secs(1));
        assert_eq!(share.bytes, WINDOW_BYTES / 2);
    }

    #[test]
    fn a_server_that_answers_while_the_agent_stands_still_is_not_blamed_for_it() {
        let mut share = Share::new();
        let now = acknowledge(&mut share, MS * 30, Duration::ZERO);
        let departure = share.sent(now);
        share.stalled(Duration::from_secs(5));
        share.acknowledged(100, departure, now + Duration::from_secs(5));
        assert_eq!(share.bytes, WINDOW_BYTES);
        // The next one is the server's own.
        let departure = share.sent(now);
        share.acknowledged(100, departure, now + Duration::from_secs(5));
        assert_eq!(share.bytes, WINDOW_BYTES / 2);
    }

    #[test]
    fn a_stall_does_not_make_a_long_way_look_short() {
        let (mut share, way) = (Share::new(), Duration::from_secs(2));
        let now = acknowledge(&mut share, way, Duration::ZERO);
        let departure = share.sent(now);
        share.stalled(way);
        share.acknowledged(100, departure, now + way);
        acknowledge(&mut share, way, now + way);
        assert_eq!(share.bytes, WINDOW_BYTES);
    }

    /// Forty large frames from this moment on, one after the other, each of which takes so long; returns when the last is
    /// acknowledged.
    fn acknowledge(share: &mut Share, took: Duration, from: Duration) -> Duration {
        (0..40).fold(from, |now, _| {
            let departure = share.sent(now);
            share.acknowledged(MAX_PAYLOAD_BYTES, departure, now + took);
            now + took
        })
    }
}
