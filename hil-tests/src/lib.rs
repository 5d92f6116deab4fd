//! What stands in for hardware and city: the physical world as it was recorded, rigs that show it to the real agent,
//! and the virtual city that many agents make up.
//!
//! - [`world`]: what is true outdoors at a time, and which instruments are broken then. Pure.
//! - [`rig`]: one lamppost's buses with models of its instruments on them, and the clocks that agents follow.
//! - [`city`]: where the lampposts stand, many agents in one process, and the comparison of what the fleet server
//!   stored with what was true.
//! - [`fleet`]: a server and lampposts as processes of this machine, for the demonstration, the tests and the benchmarks.
//! - [`simulation`]: the whole path in one process, stepped, under every fault that can be thought of.
//! - [`fuzz`]: hostile bytes for every parser that faces a network, from a seed.
//! - [`mod@bench`]: what the whole path costs and how long it takes.
//! - [`mod@chaos`]: everything fails at random moments, and what was read is compared with what is stored.
//!
//! The scenes in `browser/`, which `tests/console/` has played in Chromium, are the console's tests.
//!
//! None of this is part of a shipped binary. What is measured here was recorded elsewhere (see `data/README.md`), and
//! positions are samples.

pub mod bench;
pub mod chaos;
pub mod city;
pub mod fleet;
pub mod fuzz;
pub mod rig;
pub mod simulation;
pub mod world;
