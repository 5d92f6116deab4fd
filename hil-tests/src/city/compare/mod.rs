//! What was stored against what was true: for exact replays, in which every lamppost saw the same world.
//!
//! A value is right if it lies within less than one step of the truth at its time: half a step of the chip, and half a
//! step of the catalogue where that is no multiple of the chip's ([`Tolerance`]). So no wrong answer can hide in it.
//!
//! From the first observation to the last one, each tick of the grid has its observation. Off the grid is what was read
//! too late for its tick: it stands for that tick, and may show the world of any time since.
//!
//! [`compare`] is pure and compares one series; [`fleet`] fetches all series of all lampposts and compares each.

mod fetch;
mod series;
#[cfg(test)]
mod tests;

pub use fetch::{CompareError, FleetReport, Range, fleet};
pub use series::{ComparedSeries, Fault, Mismatch, Observed, Report, Tolerance, compare};
