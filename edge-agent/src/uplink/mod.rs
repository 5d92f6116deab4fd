//! The way to the server: MQTT 3.1.1, `QoS` 1, over mutual TLS.
//!
//! `session` decides, without I/O, what is owed and what comes next, `share` how much of the backlog; `client` performs it on `rumqttc`, with a
//! new client for each connection, whose own queue is not trusted: `rumqttc` drops accepted publishes when it
//! reconnects, so nothing is ever left to it that the session does not know to be owed. Memory does not grow with
//! the backlog: records stay on disk until there is room for them in the window.

mod backoff;
mod client;
mod session;
mod share;
mod stretch;
#[cfg(test)]
mod tests;

pub use crate::tls::{TlsError, client_config};
pub use backoff::Backoff;
pub use client::{Uplink, UplinkError};
pub use session::{Heard, Next, Session, Speaker};
