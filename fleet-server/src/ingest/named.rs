//! Which records a lamppost is known to hold: those that its last hello names, and those that it has sent since.

use std::collections::BTreeMap;

use lamplighter_protocol::{Hello, Log, Pieces, RunId, limits};

use super::lamppost::insert_bounded;

/// Most logs of which pieces are remembered: all that a hello names, and as many again from frames. Records of more
/// are not counted until a hello names them.
const MOST_LOGS: usize = 4 * limits::MAX_RUNS_PER_HELLO;

/// Records by run and log. What a hello left out for its length is not known here: a count from this is a lower bound.
#[derive(Debug, Default)]
pub(super) struct Named {
    logs: BTreeMap<(RunId, Log), Pieces>,
}

impl Named {
    /// What a hello names: all that the lamppost held when it said it.
    pub(super) fn by(hello: &Hello) -> Self {
        let mut named = Self::default();
        for run in &hello.runs {
            for (log, pieces) in [(Log::Samples, &run.samples), (Log::Events, &run.events)] {
                if !pieces.is_empty() {
                    named.logs.entry((run.run, log)).or_default().union(pieces);
                }
            }
        }
        named
    }

    /// As they were: one log of them.
    pub(super) fn restore(&mut self, run: RunId, log: Log, sequences: Pieces) {
        self.logs.insert((run, log), sequences);
    }

    /// All of them.
    pub(super) fn logs(&self) -> impl Iterator<Item = (RunId, Log, &Pieces)> {
        self.logs.iter().map(|(&(run, log), sequences)| (run, log, sequences))
    }

    /// A frame carries these.
    pub(super) fn sent(&mut self, run: RunId, log: Log, first: u64, last: u64) {
        let room = self.logs.len() < MOST_LOGS || self.logs.contains_key(&(run, log));
        if room {
            insert_bounded(self.logs.entry((run, log)).or_default(), first, last);
        }
    }

    /// How many of them are not among what is held.
    pub(super) fn missing_from<'a>(&self, held: impl Fn(RunId, Log) -> Option<&'a Pieces>) -> u64 {
        static NONE: Pieces = Pieces::new();
        let missing = self.logs.iter().flat_map(|(&(run, log), named)| {
            let held = held(run, log).unwrap_or(&NONE);
            named.ranges().flat_map(|(first, last)| held.missing_in(first, last))
        });
        missing.map(|(first, last)| (last - first).saturating_add(1)).fold(0, u64::saturating_add)
    }
}
