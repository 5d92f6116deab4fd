//! Where the roll looks: at the sessions, at ingest, at the store.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use lamplighter_protocol::{LamppostNumber, Quality, UtcMillis};

use crate::gateway::Sessions;
use crate::ingest::{CurrentSeries, Ingest, Pulse};
use crate::journal::Lag;
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
    /// How far ingest is behind what they have sent.
    pub lag: Lag,
}

/// A lamppost as it is seen at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) connected_since: Option<UtcMillis>,
    pub(super) pulse: Option<Pulse>,
    pub(super) worst: Worst,
}

/// How bad the newest observations are of the series that a lamppost has now. Of a device that is gone the last word
/// stays in the store, and counts here no more.
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
            let (pulses, current): (Vec<Option<Pulse>>, Vec<Option<CurrentSeries>>) = {
                let ingest = self.ingest.read().unwrap_or_else(PoisonError::into_inner);
                numbers.iter().map(|number| (ingest.pulse(number), ingest.current_series(number))).unzip()
            };
            let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
            let all = numbers.iter().zip(connected).zip(pulses).zip(current);
            seen.extend(all.map(|(((number, connected_since), pulse), current)| {
                let latest = store.latest_of_lamppost(number);
                Seen { connected_since, pulse, worst: Worst::of(latest, current.as_ref()) }
            }));
        }
        seen
    }

    /// The series that each of these lampposts has now, in their order: not for more than some thousand at a time.
    pub(super) fn current_series(&self, numbers: &[LamppostNumber]) -> Vec<Option<CurrentSeries>> {
        let ingest = self.ingest.read().unwrap_or_else(PoisonError::into_inner);
        numbers.iter().map(|number| ingest.current_series(number)).collect()
    }

    /// For how long the oldest entry waits that is committed and not ingested; nothing waits for no time.
    pub(super) fn lag(&self, now: Instant) -> Duration {
        self.lag.waiting(now).1
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl Worst {
    /// Of these series those that are current, or all of them if it is not known which are.
    fn of<'a>(series: impl Iterator<Item = SeriesLatest<'a>>, current: Option<&CurrentSeries>) -> Self {
        let mut among = current.map(CurrentSeries::among_them);
        let counts = |one: &SeriesLatest<'a>| among.as_mut().is_none_or(|among| among(&one.meta.key.name));
        series.filter(counts).filter_map(|one| one.latest).fold(Self::default(), |worst, point| {
            let quality = point.reason.quality();
            Self {
                quality: worst.quality.max(Some(quality)),
                bad: worst.bad + u32::from(quality == Quality::Bad),
                uncertain: worst.uncertain + u32::from(quality == Quality::Uncertain),
            }
        })
    }
}
