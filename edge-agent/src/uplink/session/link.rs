//! One connection: what was said on it, and what is in flight.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use lamplighter_protocol::{Digest, Log, Nonce, UtcMillis};

use crate::uplink::share::{Departure, Share};
use crate::uplink::stretch::Sent;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) nonce: Nonce,
    pub(super) count: u64,
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) bytes: usize,
    pub(super) records: usize,
    /// How much of the backlog may be in flight, and how much is.
    pub(super) share: Share,
    pub(super) backlog_bytes: usize,
    pub(super) described: BTreeSet<Digest>,
    /// Where samples and events of the current run ended when the connection was made: what comes after is live.
    pub(super) live_from: [u64; 2],
    pub(super) hello_said: Option<Duration>,
    /// When the first hello was said.
    pub(super) first_hello: Duration,
    /// Number of the last hello.
    pub(super) hello_count: u64,
    pub(super) hello_doublings: u32,
    /// There is something to be told that does not wait.
    pub(super) hello_wanted: bool,
    pub(super) last_position: Option<UtcMillis>,
    /// When the server last acknowledged, or had nothing to acknowledge.
    pub(super) last_puback: Duration,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) bytes: usize,
    pub(super) is_hello: bool,
    pub(super) is_backlog: bool,
    pub(super) frame: Option<(Sent, Departure)>,
}

impl Link {
    pub(super) fn put(&mut self, publish: InFlight, now: Duration) {
        if self.in_flight.is_empty() {
            self.last_puback = now;
        }
        self.bytes += publish.bytes;
        self.records += publish.frame.map_or(0, |(sent, _)| sent.stretch.len());
        self.backlog_bytes += if publish.is_backlog { publish.bytes } else { 0 };
        self.in_flight.push_back(publish);
    }
}

/// Of a log in [`Link::live_from`].
pub(super) fn place_of(log: Log) -> usize {
    match log {
        Log::Samples => 0,
        Log::Events => 1,
    }
}
