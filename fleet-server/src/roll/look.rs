//! Where the roll looks: at the sessions, at ingest, at the store.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use lamplighter_protocol::{LamppostNumber, Quality, UtcMillis};

use crate::gateway::Sessions;
use crate::ingest::{Ingest, Pulse};
use crate::store::{SeriesLatest, Tail};

/// Most lampposts that are looked at under one lock: a millisecond or two for ingest to wait.
pub(super) const AT_ONCE: usize = 1_000;

/// What tells how lampposts are. Clones see the same.
#[derive(Clone)]
pub struct Sources {
    /// Which of them are connected.
    pub sessions: Sessions,
    /// What they have sent.
    pub ingest: Arc<RwLock<Ingest>>,
    /// Their observations.
    pub store: Arc<RwLock<Tail>>,
}

/// A lamppost as it is seen at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) connected_since: Option<UtcMillis>,
    pub(super) pulse: Option<Pulse>,
    pub(super) worst: Worst,
}

/// How bad the newest observations of a lamppost's series are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// The worst of their qualities; none without any observation.
    pub quality: Option<Quality>,
    /// Series whose newest observation is bad.
    pub bad: u32,
    /// Series whose newest observation is uncertain.
    pub uncertain: u32,
}

impl Sources {
    /// Looks at lampposts, in their order. No two locks are held at once, and none for longer than [`AT_ONCE`] lampposts
    /// take.
    pub(super) fn look(&self, numbers: &[LamppostNumber]) -> Vec<Seen> {
        let mut seen = Vec::with_capacity(numbers.len());
        for numbers in numbers.chunks(AT_ONCE) {
            let connected = self.sessions.connected_since(numbers);
            let pulses: Vec<Option<Pulse>> = {
                let ingest = self.ingest.read().unwrap_or_else(PoisonError::into_inner);
                numbers.iter().map(|number| ingest.pulse(number)).collect()
            };
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            let worst = numbers.iter().map(|number| Worst::of(store.latest_of_lamppost(number)));
            let all = connected.into_iter().zip(pulses).zip(worst);
            seen.extend(all.map(|((connected_since, pulse), worst)| Seen { connected_since, pulse, worst }));
        }
        seen
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl Worst {
    fn of<'a>(series: impl Iterator<Item = SeriesLatest<'a>>) -> Self {
        series.filter_map(|one| one.latest).fold(Self::default(), |worst, point| {
            let quality = point.reason.quality();
            Self {
                quality: worst.quality.max(Some(quality)),
                bad: worst.bad + u32::from(quality == Quality::Bad),
                uncertain: worst.uncertain + u32::from(quality == Quality::Uncertain),
            }
        })
    }
}
