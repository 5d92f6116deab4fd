//! The whole path in one process, driven by one seed, with every fault that the delivery contract speaks of.
//!
//! The parts are the real ones, stepped without their threads: outbox and session of the agent; gateway session,
//! journal, ingest, store and checkpoints of the server. What is simulated is what surrounds them: disks that lose what
//! was not synced, connections that are cut and deliver late, a broker in between that forgets what it acknowledged and
//! repeats what it sent, clocks that jump or know no time, people who wipe, clone and move cards, and who back servers up
//! while they work, restore them and replace them by another release. A reference model knows what was read.
//!
//! Each seed makes a plan: a list of actions, each with the chance that decides its details. After it the faults
//! stop, and everything must converge: what was read is stored or waits in quarantine, nothing else is stored, and all of
//! it is as if the server had never started from a checkpoint. A plan that breaks this is
//! shrunk to the actions that matter, and printed.

mod action;
mod cli;
mod clock;
mod dating;
pub(crate) mod dice;
mod disk;
mod model;
mod ports;
mod post;
mod server;
mod settle;
mod shrink;
#[cfg(test)]
mod tests;
mod verdict;
mod world;

pub use cli::{SimulateArgs, simulate};
