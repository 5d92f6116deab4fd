//! The log of what was refused, at a bounded rate: a stranger must not be able to fill the disk.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lamplighter_protocol::LamppostNumber;

use super::limits::Rate;
use super::metrics::HandshakeOutcome;
use super::pace::Pace;
use super::refusals::Refusals;

/// A line a second, 20 in a burst; counters count them all.
const LINES: Rate = Rate { amount: 1, per: Duration::from_secs(1), burst: 20 };

/// Writes what was refused, and how much of it was not written.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    state: Mutex<State>,
    refusals: Refusals,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    unwritten: u64,
}

impl RefusalLog {
    /// One that also counts in `refusals` what it is told.
    pub(crate) fn new(refusals: Refusals) -> Self {
        Self { state: Mutex::new(State { pace: Pace::new(LINES), unwritten: 0 }), refusals }
    }

    pub(crate) fn refused(
        &self,
        lamppost: &LamppostNumber,
        peer: SocketAddr,
        reason: &'static str,
        now: Instant,
    ) {
        self.refusals.count(Some(lamppost), peer, reason);
        if let Some(unwritten) = self.may_write(now) {
            tracing::warn!(%lamppost, %peer, reason, unwritten, "a lamppost was refused");
        }
    }

    pub(crate) fn refused_stranger(&self, peer: SocketAddr, reason: &'static str, now: Instant) {
        self.refusals.count(None, peer, reason);
        if let Some(unwritten) = self.may_write(now) {
            tracing::warn!(%peer, reason, unwritten, "a connection was refused");
        }
    }

    pub(super) fn no_handshake(
        &self,
        peer: SocketAddr,
        outcome: HandshakeOutcome,
        error: &dyn fmt::Display,
        now: Instant,
    ) {
        self.refusals.count(None, peer, outcome.label());
        if let Some(unwritten) = self.may_write(now) {
            tracing::warn!(%peer, %error, unwritten, "a TLS handshake failed");
        }
    }

    /// How many lines were left out since the last, if one may be written now.
    fn may_write(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.pace.try_take(now) {
            return Some(std::mem::take(&mut state.unwritten));
        }
        state.unwritten += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_flood_of_refusals_writes_a_line_a_second_and_says_what_it_left_out() {
        let log = RefusalLog::new(Refusals::default());
        let start = clock::monotonic();
        let written = (0..1000).filter(|_| log.may_write(start).is_some()).count();
        assert_eq!(written, 20);
        assert_eq!(log.may_write(start + Duration::from_secs(1)), Some(980));
        assert_eq!(log.may_write(start + Duration::from_secs(1)), None);
    }
}
