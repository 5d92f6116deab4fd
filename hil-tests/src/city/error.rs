//! Why a city ends.

use std::io;
use std::path::PathBuf;

use edge_agent::agent::AgentError;
use lamplighter_protocol::LamppostNumber;

use super::positions::MOST_LAMPPOSTS;
use crate::rig::serial::SerialRigError;

/// Why a city cannot be built, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum CityError {
    /// The number that was asked for is not in the city.
    #[error("{number} is not among the {lampposts} lampposts of this city; `list` prints them")]
    NoSuchLamppost {
        /// What was asked for.
        number: LamppostNumber,
        /// How many there are.
        lampposts: u32,
    },
    /// This process is to run none of them.
    #[error("no lamppost is left to run")]
    Nobody,
    /// More than there are samples for, or none.
    #[error("a city has from 1 to {MOST_LAMPPOSTS} lampposts, not {0}")]
    Size(u32),
    /// A lamppost has no certificate.
    #[error("{} is missing: issue it with `fleet-server cert issue {number}`", path.display())]
    NoCertificate {
        /// Whose.
        number: LamppostNumber,
        /// Where it should be.
        path: PathBuf,
    },
    /// A folder of state cannot be made.
    #[error("cannot make the folder {}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A serial instrument cannot be plugged in.
    #[error("a rig cannot be wired")]
    Rig(#[from] SerialRigError),
    /// An agent cannot be built, or ended by itself.
    #[error("the agent of {number} does not run")]
    Agent {
        /// Whose.
        number: LamppostNumber,
        /// Why.
        source: Box<AgentError>,
    },
    /// An agent panicked.
    #[error("an agent panicked")]
    Panicked,
    /// Nobody takes the figures any more.
    #[error("the figures cannot be written")]
    Figures(#[source] io::Error),
}
