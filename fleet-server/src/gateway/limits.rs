//! What the gateway grants, and why that much.

use std::time::Duration;

/// What the gateway grants a client, and all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, of every kind; more are closed as they come. Default 16,384: a district of 10,000
    /// lampposts, and room for those that return before their old connection is known to be dead. Each takes a file
    /// descriptor: the process has to be allowed as many.
    pub connections: usize,
    /// Connections that are not logged in yet. Default 4,096: a crowd of strangers who say nothing takes none of the
    /// places of lampposts that are logged in.
    pub opening: usize,
    /// Connections of one network (an address, or 64 bits of an IPv6 address) that have not led to a login, whether they
    /// still may or not. Default 20 a second, 3,072 in a burst: a scheme of thousands of lampposts behind one address of a
    /// mobile carrier returns at once, for those that log in do not count; and one address alone takes neither all of
    /// `opening` nor more than some hundredths of a core.
    pub attempts: Rate,
    /// TLS handshakes that are begun, of all clients together. Default 1,000 a second, 1,000 in a burst: half of what one
    /// core can do, so that each that is begun ends in time, and 5,000 lampposts that return at once are back in some
    /// seconds. Who would wait for its turn longer than `handshake` is turned away at once.
    pub handshakes: Rate,
    /// Time for the first byte, and again for the TLS handshake. Default 10 s: three round trips over a bad radio link.
    pub handshake: Duration,
    /// Time from the handshake to a whole CONNECT. Default 10 s, for the same reason.
    pub connect: Duration,
    /// Time for all that is asked by HTTP on one connection, from the handshake on. Default 30 s: a request and its answer
    /// are a few hundred bytes; whoever sends them one by one has no longer than that.
    pub http: Duration,
    /// Requests by HTTP on one connection. Default 4: the CA's certificate, a request without and one with a login.
    pub http_requests: u32,
    /// Time that admission may take. Default 10 s: then the registry is overloaded, and the lamppost comes again.
    pub admission: Duration,
    /// Time in which what was sent has to leave this machine. Default 20 s: below the 30 s at which agents ping.
    pub write: Duration,
    /// The longest silence, also for a client that asks for a longer keep-alive or for none. Default 20 minutes: the
    /// bound on how long a dead connection is taken for a living one.
    pub idle: Duration,
    /// Packets of one connection. Default 200 a second, 2,000 in a burst: a lamppost of twenty series at 1 s sends
    /// under 25; the rest is for draining a backlog. Who is faster is read more slowly, and loses nothing.
    pub packets: Rate,
    /// Payload bytes of one connection. Default 1 MiB a second, 4 MiB in a burst: a day of twenty series at 1 s
    /// drains in under a minute.
    pub bytes: Rate,
    /// How often one lamppost may take over its own connection. Default 10 a minute, 10 in a burst: two clients with
    /// one certificate throw each other out for ever; so the quarrel costs a login every six seconds at most.
    pub takeovers: Rate,
    /// Commands that wait for one connection. Default 16; more are refused to whoever sends them.
    pub commands: usize,
    /// Messages sent down at `QoS` 1 and not acknowledged, of one connection. Default 16.
    pub downlinks_in_flight: usize,
    /// Time that connections have to see their last commits when the gateway stops. Default 2 s: a group commit
    /// takes milliseconds, a disk that needs longer is not waited for; what was not acknowledged comes again.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            opening: 4_096,
            attempts: Rate { amount: 20, per: Duration::from_secs(1), burst: 3_072 },
            handshakes: Rate { amount: 1_000, per: Duration::from_secs(1), burst: 1_000 },
            handshake: Duration::from_secs(10),
            connect: Duration::from_secs(10),
            http: Duration::from_secs(30),
            http_requests: 4,
            admission: Duration::from_secs(10),
            write: Duration::from_secs(20),
            idle: Duration::from_mins(20),
            packets: Rate { amount: 200, per: Duration::from_secs(1), burst: 2_000 },
            bytes: Rate { amount: 1024 * 1024, per: Duration::from_secs(1), burst: 4 * 1024 * 1024 },
            takeovers: Rate { amount: 10, per: Duration::from_mins(1), burst: 10 },
            commands: 16,
            downlinks_in_flight: 16,
            stop: Duration::from_secs(2),
        }
    }
}

/// A sustained rate, and how much may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many, at least 1,
    pub amount: u32,
    /// in this time,
    pub per: Duration,
    /// and so many at once after a silence.
    pub burst: u32,
}
