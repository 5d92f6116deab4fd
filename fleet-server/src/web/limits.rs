//! What the web grants, and why that much.

use std::time::Duration;

/// What the web grants its clients, all together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebLimits {
    /// Connections at once; more wait to be accepted. Default 256: a room of operators with a few browser windows
    /// each, and their tools; small against the file descriptors that lampposts need.
    pub connections: usize,
    /// Live feeds at once; more are refused. Default 64, which leaves most connections to everything else.
    pub feeds: usize,
    /// Reads of the store at once; more wait. Default 4: they share a lock and the processors with ingest.
    pub reads: usize,
    /// Time from a request to its answer, live feeds excepted. Default 30 s: a hundred times what the longest range
    /// takes.
    pub answer: Duration,
    /// How often a live feed tells the server's time, which is also how a client knows that it is alive. Default 5 s:
    /// an operator is told of a dead feed before trusting old figures for long.
    pub feed_time: Duration,
    /// Silence, in both directions, after which a connection is closed. Default 75 s: fifteen times of a feed.
    pub idle: Duration,
    /// Time that answers under way have to finish when the server stops. Default 5 s.
    pub stop: Duration,
}

impl Default for WebLimits {
    fn default() -> Self {
        Self {
            connections: 256,
            feeds: 64,
            reads: 4,
            answer: Duration::from_secs(30),
            feed_time: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            stop: Duration::from_secs(5),
        }
    }
}
