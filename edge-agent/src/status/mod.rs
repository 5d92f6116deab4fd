//! The agent's status: what `edge-agent status` shows to the person at the lamppost.
//!
//! The agent answers at a Unix socket in its state folder: whoever connects is given one [`Status`] as JSON, and the
//! connection is closed. Nothing is read from the client, so that there is nothing to attack, and nothing can be
//! changed this way. Only the agent's own user and root can connect.

mod client;
pub(crate) mod forecast;
mod report;
mod server;
mod table;
#[cfg(test)]
mod tests;

pub use client::{AskError, ask};
pub use report::{
    Backlog, BusStatus, CertificateStatus, ConnectionStatus, DroppedRecords, SensorStatus, SetAsideOutbox,
    Status, Storage,
};
pub use server::{listen, serve, socket_path};
pub use table::write_table;
