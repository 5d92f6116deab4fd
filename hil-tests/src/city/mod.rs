//! The virtual city: lampposts along sample positions in Kowloon Bay, each the real agent over a simulated rig, all in
//! one process or in one each.
//!
//! - [`positions`]: where they stand; samples, not the city's register.
//! - [`City`]: the agents of one process, by a [`CityPlan`]; their figures, and how they stop.
//! - [`Ear`]: takes what is told to its lampposts while they run.
//! - [`compare`](compare::compare): what the server stored against what was true. Its core is pure.
//! - [`cli`]: the commands of the binary `virtual-city`.

mod agents;
pub mod cli;
mod clock;
pub mod compare;
mod error;
mod figures;
mod plan;
pub mod positions;
#[cfg(test)]
mod tests;
pub(crate) mod timestamp;
mod told;

pub use agents::City;
pub use error::CityError;
pub use figures::Figures;
pub use plan::{CityPlan, Fidelity, Who};
pub use told::{Ear, Heard};
