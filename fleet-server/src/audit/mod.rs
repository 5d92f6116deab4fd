//! What was done, by whom and when: a table in the registry, in which each record holds the hash of the one before it.
//!
//! A change of state and its record are one transaction: there is never one without the other, whatever is killed.
//! Triggers keep an honest hand from changing a record; what a dishonest one has changed, removed or moved,
//! [`verify`] finds and names. One who may write the whole file can make all of a chain anew, or cut off its end: so the
//! [`Head`] is to be noted elsewhere now and then (the server logs it at start and stop), and verified against.
//!
//! Here is the pure core ([`Entry`], [`Record`], [`verify`]) and a thin rim of SQL (`append`, [`AuditReader`]).
//! Whoever changes state calls `append` in its own transaction, after the change; what changes nothing in the registry is
//! recorded by [`Registry::audit`](crate::registry::Registry::audit).

mod chain;
mod entry;
mod sql;
mod verify;

pub use chain::{Head, NotAHead, Record, Stored};
pub use entry::{Action, Actor, Entry, Subject};
pub use sql::{AuditError, AuditReader};
pub use verify::{Fault, Finding, Verified, Verifier, verify};

pub(crate) use sql::{append, head, is_recorded, newest};

#[cfg(test)]
mod tests;
