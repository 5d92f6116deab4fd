//! The clock of a city.

use std::sync::Arc;

use edge_agent::clock::Clock;
use lamplighter_protocol::UtcMillis;

use super::plan::CityPlan;
use crate::rig::clock::{RealClock, SteppedClock};

const DAY_MS: i64 = 86_400_000;

/// The clock that all agents of the process follow.
#[derive(Clone, Debug)]
pub(super) enum CityClock {
    Real(Arc<RealClock>),
    Stepped(Arc<SteppedClock>),
}

impl CityClock {
    /// As the plan says; it begins now.
    pub(super) fn of(plan: &CityPlan) -> Self {
        let real = RealClock::default();
        if plan.runs_in_real_time() {
            return Self::Real(Arc::new(real));
        }
        let begin = plan.begin.unwrap_or_else(|| real.now().wall.plus_ms(-DAY_MS));
        Self::Stepped(Arc::new(SteppedClock::new(begin, plan.speed)))
    }

    /// As agents and instruments take it.
    pub(super) fn port(&self) -> Arc<dyn Clock> {
        match self {
            Self::Real(clock) => Arc::clone(clock) as Arc<dyn Clock>,
            Self::Stepped(clock) => Arc::clone(clock) as Arc<dyn Clock>,
        }
    }

    /// What time it is for them.
    pub(super) fn now(&self) -> UtcMillis {
        self.port().now().wall
    }
}
