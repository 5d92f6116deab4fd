//! Which changes a feed carries.

use lamplighter_protocol::{LamppostNumber, PropertyName};

use super::ring::Change;

/// What a feed carries; by default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveFilter {
    /// Observations and states of this lamppost alone; none: of all.
    pub lamppost: Option<LamppostNumber>,
    /// Which observations, of these lampposts. States come in any case.
    pub observations: WantedObservations,
}

/// Which observations a feed carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WantedObservations {
    /// All of them.
    #[default]
    All,
    /// Those of one property.
    Of(PropertyName),
    /// None: only states.
    None,
}

impl LiveFilter {
    pub(super) fn wants(&self, change: &Change) -> bool {
        match change {
            Change::Observation(observation) => {
                self.wants_lamppost(&observation.lamppost)
                    && match &self.observations {
                        WantedObservations::All => true,
                        WantedObservations::Of(property) => observation.series.name.property == *property,
                        WantedObservations::None => false,
                    }
            }
            Change::State(state) => self.wants_lamppost(&state.lamppost),
        }
    }

    fn wants_lamppost(&self, number: &LamppostNumber) -> bool {
        self.lamppost.as_ref().is_none_or(|only| only == number)
    }
}
