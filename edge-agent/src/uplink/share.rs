//! The backlog's share of the window (D6): as much as the server takes without making live data wait.
//!
//! A connection is served in order, so what is read now waits for all of the backlog that was sent before it. The window
//! alone does not bound that wait: a server that a whole city comes back to has as many windows before it. So the backlog
//! watches how long acknowledgements take, and gives way when that becomes longer than it has to be; each lamppost by
//! itself, as LEDBAT does (RFC 6817).

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
    /// The shortest time that an acknowledgement took on this connection.
    shortest: Option<Duration>,
    /// When it last gave way.
    gave_way: Duration,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { bytes: FIRST_BYTES, shortest: None, gave_way: Duration::ZERO }
    }

    /// A frame of so many bytes, sent at this time, is acknowledged.
    pub(super) fn acknowledged(&mut self, bytes: usize, sent: Duration, now: Duration) {
        let took = now.saturating_sub(sent);
        let shortest = self.shortest.map_or(took, |shortest| shortest.min(took));
        self.shortest = Some(shortest);
        if took <= shortest + PATIENCE {
            self.bytes = (self.bytes + bytes / GROWTH).min(WINDOW_BYTES);
        } else if sent >= self.gave_way {
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// So many lampposts with endless backlogs before a server that takes so many bytes a millisecond, in the order in which
    /// they come. Says how long acknowledgements took in the second half of a minute, and how busy the server was then.
    fn street(lampposts: usize, bytes_per_ms: usize) -> (Vec<Duration>, f64) {
        let mut posts: Vec<_> = (0..lampposts).map(|_| (Share::new(), 0)).collect();
        let mut queue: VecDeque<(usize, usize, Duration)> = VecDeque::new();
        let (mut took, mut served, mut credit) = (Vec::new(), 0, 0);
        for ms in 0..60_000 {
            let now = MS * ms;
            for (place, (share, under_way)) in posts.iter_mut().enumerate() {
                while let Some(bytes) = share.next_frame(*under_way) {
                    *under_way += bytes;
                    queue.push_back((place, bytes, now));
                }
            }
            credit += bytes_per_ms;
            while let Some((place, bytes, sent)) = queue.pop_front_if(|(_, bytes, _)| *bytes <= credit) {
                credit -= bytes;
                let (share, under_way) = &mut posts[place];
                *under_way -= bytes;
                share.acknowledged(bytes, sent, now + MS);
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
        acknowledge(&mut share, MAX_PAYLOAD_BYTES, MS);
        assert_eq!(share.next_frame(WINDOW_BYTES - MAX_PAYLOAD_BYTES), Some(MAX_PAYLOAD_BYTES));
        assert_eq!(share.next_frame(WINDOW_BYTES - MAX_PAYLOAD_BYTES + 1), None);
    }

    #[test]
    fn a_long_way_to_a_fast_server_is_no_reason_to_give_way() {
        let mut share = Share::new();
        acknowledge(&mut share, MAX_PAYLOAD_BYTES, Duration::from_secs(2));
        assert_eq!(share.next_frame(0), Some(MAX_PAYLOAD_BYTES));
    }

    #[test]
    fn something_is_sent_however_slow_the_server_is() {
        let mut share = Share::new();
        share.acknowledged(100, Duration::ZERO, MS);
        acknowledge(&mut share, 100, Duration::from_secs(90));
        assert_eq!(share.next_frame(0), Some(LEAST_BYTES / 2));
    }

    /// Forty frames, one after the other, each of which takes so long.
    fn acknowledge(share: &mut Share, bytes: usize, took: Duration) {
        for round in 1..=40 {
            share.acknowledged(bytes, took * round, took * (round + 1));
        }
    }
}
