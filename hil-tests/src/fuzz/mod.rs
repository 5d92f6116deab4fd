//! Hostile bytes for every parser that faces a network, from a seed: `cargo xtask fuzz`.
//!
//! | target | what is driven, whole |
//! | --- | --- |
//! | `mqtt` | the gateway's codec and session, with a journal that is a model: packets in, effects out |
//! | `ingest` | ingest and store: payloads of a lamppost with every right |
//! | `est` | requests for certificates (base64, PKCS#10) and logins (HTTP Basic), before the registry is asked |
//! | `list` | registers as CSV and `GeoJSON` |
//! | `websocket` | frames of WebSocket, cut anyhow, beside a reader that sees them whole |
//! | `filter` | grants, what departments ask for, and topics of hostile districts, beside the words of MQTT |
//!
//! A case is made of what is valid, and of what comes of it by a few changes: so most of it gets past the first check. A case
//! fails by a panic, of the part that is driven or of the model, which knows what must hold at all times. What is left to
//! others: TLS and the framing of HTTP are `rustls`'s and `hyper`'s.

mod cli;
mod est;
mod filter;
mod ingest;
mod list;
mod model;
mod mqtt;
mod mutate;
mod packets;
mod websocket;

pub use cli::{FuzzArgs, fuzz};

use crate::simulation::dice::Dice;

/// What is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Target {
    /// The gateway's codec and session.
    Mqtt,
    /// Ingest and store.
    Ingest,
    /// Requests for certificates, and logins.
    Est,
    /// Registers.
    List,
    /// Frames of WebSocket.
    Websocket,
    /// Filters and topics of feeds.
    Filter,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Mqtt, Self::Ingest, Self::Est, Self::List, Self::Websocket, Self::Filter];

    /// Runs the case of a seed; how many inputs it was.
    ///
    /// # Panics
    /// If something is wrong.
    pub(crate) fn case(self, seed: u64) -> u64 {
        let dice = Dice::new(seed);
        match self {
            Self::Mqtt => mqtt::case(dice),
            Self::Ingest => ingest::case(dice),
            Self::Est => est::case(dice),
            Self::List => list::case(dice),
            Self::Websocket => websocket::case(dice),
            Self::Filter => filter::case(dice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewer than the command runs: these are made without optimization.
    fn holds(target: Target, inputs: u64) {
        let (mut done, mut seed) = (0, 0);
        while done < inputs {
            done += target.case(seed);
            seed += 1;
        }
    }

    #[test]
    fn fuzzed_packets_never_end_a_session_badly() {
        holds(Target::Mqtt, 200_000);
    }

    #[test]
    fn fuzzed_payloads_never_end_ingest() {
        holds(Target::Ingest, 20_000);
    }

    #[test]
    fn fuzzed_requests_and_logins_are_refused_or_read() {
        holds(Target::Est, 20_000);
    }

    #[test]
    fn fuzzed_registers_are_refused_or_read() {
        holds(Target::List, 5_000);
    }

    #[test]
    fn fuzzed_frames_are_read_as_by_who_sees_them_whole_and_none_is_gathered() {
        holds(Target::Websocket, 100_000);
    }

    #[test]
    fn fuzzed_filters_grant_what_the_standard_says_and_no_topic_has_more_levels_than_it_should() {
        holds(Target::Filter, 100_000);
    }
}
