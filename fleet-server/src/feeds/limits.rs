//! What departments are granted, and why that much.

use std::time::Duration;

use crate::gateway::Rate;

/// What feeds grant a department, and all of them together. Connections, TLS handshakes and requests of HTTP are bounded
/// by the gateway's limits, as those of everybody on that port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedLimits {
    /// Connections of all departments. Default 2,048: twice the subscribers that a city is expected to have; each holds
    /// some 100 KB while it is sent to.
    pub connections: usize,
    /// Connections of one department. Default 1,024: browsers of its staff come one by one, and no department takes the
    /// places of all others.
    pub connections_of_department: usize,
    /// Filters of one connection. Default 64: each is looked at for each message.
    pub subscriptions: usize,
    /// Messages at `QoS` 1 on their way to one connection. Default 256: at 50 ms a round trip that is 5,000 a second.
    pub in_flight: u16,
    /// Time from the handshake to a whole CONNECT. Default 10 s, as for lampposts.
    pub connect: Duration,
    /// The longest silence, also for a client that asks for a longer keep-alive or for none. Default 20 minutes, as for
    /// lampposts.
    pub idle: Duration,
    /// Time in which what was sent has to leave this machine, up to 64 KiB at once. Default 20 s: whoever takes less than
    /// 3 KB a second does not read.
    pub write: Duration,
    /// Logins that fail, from one network. Default 1 in 10 s, 20 in a burst: a client with a mistyped key is told so.
    /// Beyond it what is wrong is answered as too much; what is right is let in all the same.
    pub failures: Rate,
    /// Packets of one connection. Default 20 a second, 200 in a burst, acknowledgements excepted: a client subscribes
    /// once, and then listens. Who sends more is cut.
    pub packets: Rate,
    /// Most messages that are kept for those who are behind. Default 65,536, some 30 MB when full.
    pub ring: usize,
    /// For whom more messages than this wait is behind: it is told the latest of each series alone, and how many it
    /// missed. Default 32,768: half of the ring.
    pub lag: usize,
    /// When nobody has listened for this long, no messages are made any more until somebody logs in, who then waits until
    /// the latest of each series is read from the store. Default a minute: who reconnects does not wait.
    pub linger: Duration,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            connections: 2_048,
            connections_of_department: 1_024,
            subscriptions: 64,
            in_flight: 256,
            connect: Duration::from_secs(10),
            idle: Duration::from_mins(20),
            write: Duration::from_secs(20),
            failures: Rate { amount: 6, per: Duration::from_mins(1), burst: 20 },
            packets: Rate { amount: 20, per: Duration::from_secs(1), burst: 200 },
            ring: 65_536,
            lag: 32_768,
            linger: Duration::from_mins(1),
        }
    }
}
