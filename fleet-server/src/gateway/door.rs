//! The door: who may come in, and in which turn handshakes are begun. What is decided here costs no cryptography.
//!
//! In a storm, when a city comes back at once, handshakes are begun at the rate that the machine can finish
//! ([`super::Limits::handshakes`]), in the order in which clients spoke. So each that is begun ends well within its time,
//! and who cannot be served soon is told so at once, and comes again by a delay that its dice choose.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Context;
use super::limits::{Limits, Rate};
use super::metrics::HandshakeOutcome;
use super::networks::{Attempt, Networks};
use super::pace::Pace;
use super::reason::Reason;
use crate::clock;

/// Who has the places.
#[derive(Debug)]
pub(super) struct Door {
    connections: Arc<Semaphore>,
    opening: Arc<Semaphore>,
    networks: Arc<Networks>,
    turns: Turns,
}

/// The places that a new connection takes.
#[derive(Debug)]
pub(super) struct Places {
    /// To its end.
    pub(super) connection: OwnedSemaphorePermit,
    /// Until it is logged in.
    pub(super) opening: Opening,
}

/// The place of a connection that is not logged in, and what it counts for.
#[derive(Debug)]
pub(crate) struct Opening {
    _place: OwnedSemaphorePermit,
    attempt: Attempt,
}

impl Door {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self {
            connections: places(limits.connections),
            opening: places(limits.opening),
            networks: Arc::new(Networks::new(limits.attempts)),
            turns: Turns::new(limits.handshakes, limits.handshake),
        }
    }

    /// Places for a client from there, or why it has none.
    pub(super) fn places(&self, peer: SocketAddr, now: Instant) -> Result<Places, Reason> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let connection = take(&self.connections).ok_or(Reason::TooManyConnections)?;
        let place = take(&self.opening).ok_or(Reason::TooManyOpening)?;
        let attempt = self.networks.attempt(peer.ip(), now).ok_or(Reason::TooManyAttempts)?;
        Ok(Places { connection, opening: Opening { _place: place, attempt } })
    }
}

impl Opening {
    /// The client has logged in, or it was not its fault that it has not.
    pub(crate) fn forgive(self) {
        self.attempt.forgive();
    }
}

/// Waits until the client speaks and it is its turn. An error: it is refused, and that is counted and logged.
pub(super) async fn in_turn(context: &Context, tcp: &TcpStream, peer: SocketAddr) -> Result<(), Kept> {
    let refused = match tokio::time::timeout(context.limits.handshake, tcp.peek(&mut [0])).await {
        Ok(Ok(1..)) => None,
        Ok(Ok(0) | Err(_)) => Some((HandshakeOutcome::Failed, "the client was gone before it said anything")),
        Err(_elapsed) => Some((HandshakeOutcome::Timeout, "the client said nothing in time")),
    };
    if let Some((outcome, why)) = refused {
        context.metrics.shook_hands(outcome);
        if outcome != HandshakeOutcome::Timeout {
            context.log.no_handshake(peer, outcome, &why, clock::monotonic());
        }
        return Err(Kept::Counted);
    }
    let now = clock::monotonic();
    let Some(turn) = context.door.turns.next(now) else {
        context.metrics.count(Reason::TooManyHandshakes);
        context.log.refused_stranger(peer, Reason::TooManyHandshakes.label(), now);
        return Err(Kept::Forgiven);
    };
    tokio::time::sleep_until(turn.into()).await;
    Ok(())
}

/// What becomes of the attempt of a client that is refused before its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It said nothing, or was gone.
    Counted,
    /// There is too much to do.
    Forgiven,
}

/// Gives out turns at a rate. Pure.
#[derive(Debug)]
struct Turns {
    pace: Mutex<Pace>,
    longest_wait: Duration,
}

impl Turns {
    fn new(rate: Rate, longest_wait: Duration) -> Self {
        Self { pace: Mutex::new(Pace::new(rate)), longest_wait }
    }

    /// When it is the turn of who comes now; none if that would be too late.
    fn next(&self, now: Instant) -> Option<Instant> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(1, now);
        let turn = pace.blocked_until(now).unwrap_or(now);
        let is_soon = turn.saturating_duration_since(now) <= self.longest_wait;
        if !is_soon {
            pace.give_back();
        }
        is_soon.then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_served_in_turn_at_the_rate_and_who_would_wait_too_long_is_told_at_once() {
        let start = clock::monotonic();
        let rate = Rate { amount: 100, per: Duration::from_secs(1), burst: 50 };
        let turns = Turns::new(rate, Duration::from_secs(2));
        let given: Vec<Instant> = (0..1_000).map_while(|_| turns.next(start)).collect();
        assert_eq!(given.len(), 50 + 200, "a burst, and as many as have their turn within the wait");
        assert_eq!(given[..50], [start; 50]);
        assert!(given.is_sorted());
        assert_eq!(given[249] - start, Duration::from_secs(2));
        // Who was told to come again has taken no turn.
        assert_eq!(turns.next(start), None);
        assert_eq!(turns.next(start + Duration::from_secs(1)), Some(start + Duration::from_millis(2_010)));
    }
}
