//! All that a server has ever taken in, whatever it has trimmed since: what lampposts said is read from it by nothing but
//! the language, and what a server makes of checkpoints is compared with what it makes of all of this.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet_server::journal::Entry;
use lamplighter_protocol::{Digest, Frame, Hello, Leaf, Log, Pieces, Record, RunId};

use crate::simulation::dating::TimeSeen;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation) struct Heard {
    /// By sequence.
    entries: BTreeMap<u64, Arc<Taken>>,
    /// What was reported as dropped, by run and log (D11).
    reported: BTreeMap<(RunId, Log), Pieces>,
    /// How many records the logs of runs had by what was said of them: by openings, hellos and frames (D10).
    stated: BTreeMap<(RunId, Log), u64>,
    /// Descriptions that came.
    described: BTreeSet<Digest>,
}

/// An entry that a server took in, and what it says.
#[derive(Debug)]
struct Taken {
    entry: Entry,
    /// The description without which it is not held, and states nothing.
    needs: Option<Digest>,
    describes: Option<Digest>,
    states: Vec<(RunId, Log, u64)>,
    dropped: Vec<(RunId, Log, Pieces)>,
}

impl Heard {
    /// A server took this entry in; says what it tells of times.
    pub(super) fn take(&mut self, entry: &Entry, times: &mut Vec<TimeSeen>) {
        let taken = Arc::new(Taken::read(entry, times));
        self.note(&taken);
        self.entries.insert(entry.sequence, taken);
    }

    /// A server starts with what lies below this sequence.
    pub(super) fn go_back_to(&mut self, sequence: u64) {
        if self.entries.split_off(&sequence).is_empty() {
            return;
        }
        let entries = std::mem::take(self).entries;
        for taken in entries.values() {
            self.note(taken);
        }
        self.entries = entries;
    }

    /// All of it, the oldest first.
    pub(in crate::simulation) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(|taken| &taken.entry)
    }

    /// Whether a record was reported as dropped.
    pub(in crate::simulation) fn is_reported(&self, run: RunId, log: Log, sequence: u64) -> bool {
        self.reported.get(&(run, log)).is_some_and(|pieces| pieces.contains(sequence))
    }

    /// Whether a run was ever said to have so many records that this is one of them.
    pub(in crate::simulation) fn is_stated(&self, run: RunId, log: Log, sequence: u64) -> bool {
        self.stated.get(&(run, log)).is_some_and(|end| sequence < *end)
    }

    /// Notes what an entry says of drops and of ends.
    fn note(&mut self, taken: &Taken) {
        if taken.needs.is_some_and(|needs| !self.described.contains(&needs)) {
            return;
        }
        for (run, log, end) in &taken.states {
            let known = self.stated.entry((*run, *log)).or_default();
            *known = (*end).max(*known);
        }
        for (run, log, pieces) in &taken.dropped {
            self.reported.entry((*run, *log)).or_default().union(pieces);
        }
        self.described.extend(taken.describes);
    }
}

impl Taken {
    fn read(entry: &Entry, times: &mut Vec<TimeSeen>) -> Self {
        let (states, dropped) = (Vec::new(), Vec::new());
        let mut taken = Self { entry: entry.clone(), needs: None, describes: None, states, dropped };
        match entry.leaf {
            Leaf::Hello => {
                let Ok(hello) = Hello::decode(&entry.payload) else { return taken };
                for run in &hello.runs {
                    taken.states.push((run.run, Log::Samples, run.samples.end()));
                    taken.states.push((run.run, Log::Events, run.events.end()));
                }
            }
            Leaf::Frames(log) => {
                if let Ok(frame) = Frame::decode(entry.payload.clone()) {
                    taken.read_frame(&frame, log, times);
                }
            }
            Leaf::Description => taken.describes = Some(Digest::of(&entry.payload)),
            Leaf::Position | Leaf::Command => {}
        }
        taken
    }

    fn read_frame(&mut self, frame: &Frame, log: Log, times: &mut Vec<TimeSeen>) {
        self.needs = Some(frame.description);
        self.states.push((frame.run, log, frame.last() + 1));
        for (sequence, record) in (frame.first..).zip(&frame.records) {
            match Record::decode(record) {
                Ok(Record::Tick(tick)) => times.push(TimeSeen::Tick(frame.run, sequence, tick.time)),
                Ok(Record::Dropped(dropped)) => {
                    self.dropped.push((dropped.run, dropped.log, dropped.pieces.clone()));
                    times.push(TimeSeen::Dropped(dropped));
                }
                Ok(Record::Opening(opening)) => {
                    if let Some(before) = opening.run_before {
                        self.states.push((before, Log::Samples, opening.samples_end));
                        self.states.push((before, Log::Events, opening.events_end));
                    }
                }
                Ok(Record::Dating(dating)) => times.push(TimeSeen::Dating(dating)),
                Ok(Record::Command(_)) | Err(_) => {}
            }
        }
    }
}
