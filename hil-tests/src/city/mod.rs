//! The virtual city: lampposts along sample positions in Kowloon Bay, each the real agent over a simulated rig, all in
//! one process or in one each.
//!
//! - [`positions`]: where they stand; samples, not the city's register.
//! - [`run`](City): the agents of one process, their figures, and how they stop.
//! - [`compare`](compare::compare): what the server stored against what was true. Its core is pure.
//! - [`cli`]: the commands of the binary `virtual-city`.

#[expect(clippy::module_inception, reason = "the room has the city's name")]
mod city;
pub mod cli;
pub mod compare;
mod figures;
pub mod positions;
#[cfg(test)]
mod tests;
mod timestamp;

pub use city::{City, CityError, CityPlan, Fidelity};
pub use figures::Figures;
