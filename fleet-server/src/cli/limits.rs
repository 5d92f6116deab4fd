//! Options of `fleet-server run` for what the gateway grants. `docs/limits.md` says what else it grants, and why.

use clap::Args;

use crate::gateway::{Limits, Rate};

/// What the gateway grants, where it is not what it grants by itself.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LimitArgs {
    /// Connections of lampposts at once; more are closed as they come [default: 16384]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: Option<u32>,
    /// Connections of one network that have not led to a login, at once; beyond it 20 a second are let in [default: 3072]
    ///
    /// A network is an address, or 64 bits of an IPv6 address. Those that log in do not count.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_attempts_per_network: Option<u32>,
    /// TLS handshakes that are begun in a second, of all clients together [default: 1000]
    ///
    /// More wait for their turn, and who would wait for more than ten seconds is turned away and comes again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub handshakes_per_second: Option<u32>,
}

impl LimitArgs {
    /// What is granted with these options.
    pub fn apply(self, limits: &Limits) -> Limits {
        let connections = self
            .max_connections
            .map_or(limits.connections, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let burst = self.max_attempts_per_network.unwrap_or(limits.attempts.burst);
        let handshakes = self.handshakes_per_second.map_or(limits.handshakes, |amount| Rate {
            amount,
            burst: amount,
            ..limits.handshakes
        });
        Limits { connections, attempts: Rate { burst, ..limits.attempts }, handshakes, ..limits.clone() }
    }
}
