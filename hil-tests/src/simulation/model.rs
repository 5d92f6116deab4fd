//! The reference: what was read, and what may have become of it. It knows nothing of how anything works.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::dating::UndatedRun;
use fleet_server::store::SeriesKey;
use lamplighter_protocol::{LamppostNumber, Log, Quality, Reason, RunId, UtcMillis};

/// One record: (run, log, sequence).
pub(super) type RecordKey = (RunId, Log, u64);

/// What one observation says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) value: Option<f64>,
    pub(super) reason: Reason,
}

/// One observation of a record.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) series: Arc<SeriesKey>,
    pub(super) time: UtcMillis,
    pub(super) said: Said,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What was observed at a time.
    Tick,
    /// As that, but written by a release that no server can read yet: it waits in quarantine (D12).
    Unreadable,
    /// What became of a command. It is an event: whoever hears of it, nothing is observed.
    Report,
    /// How a run begins. It is neither dropped nor freed while its outbox lives (D1).
    Opening,
}

/// What is known of a record.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) lamppost: LamppostNumber,
    pub(super) kind: Kind,
    pub(super) observed: Vec<Observed>,
    pub(super) state: State,
    /// It was read while the lamppost's clock was so far ahead that the server may refuse it.
    pub(super) may_be_rejected: bool,
    /// It was read before the time was known: what is observed has provisional times (D3).
    pub(super) is_provisional: bool,
    /// When it was read in truth.
    pub(super) true_ms: i64,
}

/// From when a server may refuse an observation as one of the future; the server's own bound is ten minutes.
pub(super) const FUTURE_MS: i64 = 9 * 60 * 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Appended, and not synced yet: it may go with the power.
    Appended,
    /// Synced: it was read (D2).
    Read,
    /// It may be missing, for this reason.
    Excused(&'static str),
}

/// All that was ever appended.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) records: BTreeMap<RecordKey, Known>,
    /// What may stand in a series at a time.
    said: BTreeMap<Arc<SeriesKey>, BTreeMap<UtcMillis, Vec<Said>>>,
    /// The runs that began without knowing the time.
    pub(super) undated: BTreeMap<RunId, UndatedRun>,
    /// By boot: by how much the times that lampposts were told in it were ahead of the true time.
    pub(super) learnt: BTreeMap<[u8; 16], BTreeSet<i64>>,
}

/// The clock that a record is read by.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadBy {
    /// By how much it is ahead of the true time, in milliseconds.
    pub(super) ahead_ms: i64,
    pub(super) is_provisional: bool,
    /// The true time.
    pub(super) true_ms: i64,
}

impl Model {
    /// A record was appended.
    pub(super) fn appended(
        &mut self,
        key: RecordKey,
        lamppost: &LamppostNumber,
        kind: Kind,
        observed: Vec<Observed>,
        by: ReadBy,
    ) {
        let ReadBy { ahead_ms, is_provisional, true_ms } = by;
        for one in observed.iter().filter(|_| !is_provisional) {
            self.say(&one.series, one.time, one.said);
        }
        let (lamppost, state) = (lamppost.clone(), State::Appended);
        // No time is out of bounds for an event (D12).
        let may_be_rejected = kind != Kind::Report && !is_provisional && ahead_ms > FUTURE_MS;
        let known = Known { lamppost, kind, observed, state, may_be_rejected, is_provisional, true_ms };
        self.records.insert(key, known);
        // A copy of the run may have been dated already.
        let shifts = self.undated.get(&key.0).map(|run| run.shifts.clone()).unwrap_or_default();
        for (shift_ms, exact) in shifts {
            self.may_say_shifted(&key, shift_ms, exact);
        }
    }

    /// This may stand in a series at this time.
    pub(super) fn say(&mut self, series: &Arc<SeriesKey>, time: UtcMillis, said: Said) {
        if !self.said.contains_key(series) {
            self.said.insert(Arc::clone(series), BTreeMap::new());
        }
        let Some(times) = self.said.get_mut(series) else { return };
        times.entry(time).or_default().push(said);
    }

    /// A run began: its opening is synced before anything else happens (D1).
    pub(super) fn opened(&mut self, run: RunId, lamppost: &LamppostNumber) {
        let opening = Known {
            lamppost: lamppost.clone(),
            kind: Kind::Opening,
            observed: Vec::new(),
            state: State::Read,
            may_be_rejected: false,
            is_provisional: false,
            true_ms: 0,
        };
        self.records.entry((run, Log::Events, 0)).or_insert(opening);
    }

    /// All records of a log below this sequence are synced.
    pub(super) fn synced(&mut self, run: RunId, log: Log, end: u64) {
        for (_, known) in self.records.range_mut((run, log, 0)..(run, log, end)) {
            if known.state == State::Appended {
                known.state = State::Read;
            }
        }
    }

    /// These records may be missing from now on.
    pub(super) fn excuse(&mut self, keys: &BTreeSet<RecordKey>, why: &'static str) {
        for key in keys {
            if let Some(known) = self.records.get_mut(key) {
                known.state = State::Excused(why);
            }
        }
    }

    /// What a series may say, by time; none: nothing was ever observed there.
    pub(super) fn may_say(&self, series: &SeriesKey) -> Option<&BTreeMap<UtcMillis, Vec<Said>>> {
        self.said.get(series)
    }
}

impl Said {
    /// Rule D13, written again: whether this is kept rather than the other one.
    pub(super) fn is_kept_before(self, other: Self) -> bool {
        let rank = |said: Self| match said.reason.quality() {
            Quality::Good => 0,
            Quality::Uncertain => 1,
            Quality::Bad => 2,
        };
        if rank(self) != rank(other) {
            return rank(self) < rank(other);
        }
        match (self.value, other.value) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(ours), Some(theirs)) if ours.total_cmp(&theirs).is_ne() => ours > theirs,
            (Some(_), Some(_)) | (None, None) => self.reason.0 < other.reason.0,
        }
    }
}
