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
    /// Time for an import, from the request to its answer, its body included. Default 10 min: 50 MB over a line of a megabit
    /// a second.
    pub import: Duration,
    /// Bytes of a list that is imported; there is one at a time. Default 128 MiB: the lampposts of Hong Kong as indented
    /// GeoJSON are some 100 MB.
    pub import_bytes: usize,
    /// Bytes of memory for the answers that clients are still taking, all together; more are refused. Default 128 MiB:
    /// some 25 times the states and values of 100,000 lampposts, which a client nearby takes in well under a second. Up
    /// to `reads` of them may be in the making besides, and each connection holds half a megabyte of its own at most.
    pub unread: usize,
    /// Time in which a client has to take an answer that is whole in memory. Default 60 s: 100 KB a second for the
    /// longest one, and it is compressed to a fraction for whoever takes that.
    pub take: Duration,
    /// How often a live feed tells the server's time, which is also how a client knows that it is alive. Default 5 s:
    /// an operator is told of a dead feed before trusting old figures for long.
    pub feed_time: Duration,
    /// Silence, in both directions, after which a connection is closed; one that the server has to wait for takes 64 KiB
    /// in that time, or all that there is. Default 75 s: fifteen times of a feed.
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
            import: Duration::from_mins(10),
            import_bytes: 128 * 1024 * 1024,
            unread: 128 * 1024 * 1024,
            take: Duration::from_mins(1),
            feed_time: Duration::from_secs(5),
            idle: Duration::from_secs(75),
            stop: Duration::from_secs(5),
        }
    }
}
