//! What a city is to be.

use std::path::PathBuf;
use std::sync::Arc;

use edge_agent::config::OutboxConfig;
use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::error::CityError;
use super::positions::{MOST_LAMPPOSTS, SampleLamppost, sample_lampposts};
use crate::rig::lamppost::ServerAddress;
use crate::world::faults::{FaultKinds, Faults};
use crate::world::{Recordings, Site, Variation, World};

/// What a city is to be.
#[derive(Clone, Debug)]
pub struct CityPlan {
    /// The folder in which each agent has one, named by its number.
    pub state: PathBuf,
    /// Where the gateway is.
    pub server: ServerAddress,
    /// The folder with a folder of certificates for each lamppost, named by its number.
    pub certificates: PathBuf,
    /// How many lampposts the city has.
    pub lampposts: u32,
    /// Which of them this process runs.
    pub who: Who,
    /// How many times faster than real time.
    pub speed: f64,
    /// When virtual time begins; none: a day ago. At speed 1 time is the machine's.
    pub begin: Option<UtcMillis>,
    /// How true to the recordings it is.
    pub fidelity: Fidelity,
    /// Milliseconds from reading to reading of each sensor.
    pub every_ms: u32,
    /// How much each lamppost keeps.
    pub outbox: OutboxConfig,
}

/// Which lampposts of a city a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// All of them.
    All,
    /// These.
    Only(Vec<LamppostNumber>),
    /// All but these, which run in other processes.
    Except(Vec<LamppostNumber>),
}

/// How true to the recordings a city is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// All lampposts see the recordings as they are, at one height, and nothing breaks.
    Exact,
    /// They differ a little, and nothing breaks that is not told to.
    Unbroken {
        /// The same seed is the same city.
        seed: u64,
    },
    /// They differ a little, and now and then an instrument breaks.
    Natural {
        /// The same seed is the same city.
        seed: u64,
    },
}

impl CityPlan {
    /// The faults of such a city.
    pub(super) fn faults(&self) -> Faults {
        let kinds = if self.runs_in_real_time() { FaultKinds::All } else { FaultKinds::Prompt };
        match self.fidelity {
            Fidelity::Exact | Fidelity::Unbroken { .. } => Faults::None,
            Fidelity::Natural { seed } => Faults::NowAndThen { seed, kinds },
        }
    }

    /// Whether time is the machine's.
    pub(super) fn runs_in_real_time(&self) -> bool {
        self.speed <= 1.0
    }

    /// The lampposts that this process runs.
    pub(super) fn chosen(&self) -> Result<Vec<SampleLamppost>, CityError> {
        if !(1..=MOST_LAMPPOSTS).contains(&self.lampposts) {
            return Err(CityError::Size(self.lampposts));
        }
        let mut lampposts = sample_lampposts(self.lampposts);
        let named = match &self.who {
            Who::All => [].as_slice(),
            Who::Only(named) | Who::Except(named) => named,
        };
        let exists = |number: &LamppostNumber| lampposts.iter().any(|lamppost| lamppost.number == *number);
        if let Some(unknown) = named.iter().find(|number| !exists(number)) {
            return Err(CityError::NoSuchLamppost { number: unknown.clone(), lampposts: self.lampposts });
        }
        lampposts.retain(|lamppost| match &self.who {
            Who::All => true,
            Who::Only(named) => named.contains(&lamppost.number),
            Who::Except(named) => !named.contains(&lamppost.number),
        });
        if lampposts.is_empty() { Err(CityError::Nobody) } else { Ok(lampposts) }
    }
}

impl Fidelity {
    /// The world around a lamppost of such a city.
    pub fn world(self, recordings: &Arc<Recordings>, lamppost: &SampleLamppost) -> World {
        let (site, variation) = match self {
            Self::Exact => (Site::STREET, Variation::None),
            Self::Unbroken { seed } | Self::Natural { seed } => {
                (lamppost.site(), Variation::Natural { seed, lamppost: lamppost.place })
            }
        };
        World::new(Arc::clone(recordings), site, variation)
    }
}
