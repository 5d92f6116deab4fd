//! The agent on one lamppost, as a library: the binary is a thin `main.rs`, and one process can run many agents.

pub mod agent;
pub mod bus;
pub mod cli;
pub mod clock;
pub mod config;
pub mod health;
pub mod identity;
mod meter;
pub mod outbox;
pub mod quality;
pub mod status;
mod tls;
pub mod uplink;
