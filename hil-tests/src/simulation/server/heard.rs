//! All that a server has ever taken in, whatever it has trimmed since: what lampposts said is read from it by nothing but
//! the language, and what a server makes of checkpoints is compared with what it makes of all of this.

use std::collections::{BTreeMap, BTreeSet};

use fleet_server::journal::Entry;
use lamplighter_protocol::{Digest, Frame, Hello, Leaf, Log, Pieces, Record, RunId};

use crate::simulation::dating::TimeSeen;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation) struct Heard {
    /// By sequence.
    entries: BTreeMap<u64, Entry>,
    /// What was reported as dropped, by run and log (D11).
    reported: BTreeMap<(RunId, Log), Pieces>,
    /// How many records the logs of runs had by what was said of them: by openings, hellos and frames (D10).
    stated: BTreeMap<(RunId, Log), u64>,
    /// Descriptions that came.
    described: BTreeSet<Digest>,
}

impl Heard {
    /// A server took this entry in.
    pub(super) fn take(&mut self, entry: &Entry) {
        self.note(entry);
        self.entries.insert(entry.sequence, entry.clone());
    }

    /// A server starts with what lies below this sequence.
    pub(super) fn go_back_to(&mut self, sequence: u64) {
        if self.entries.split_off(&sequence).is_empty() {
            return;
        }
        let entries = std::mem::take(self).entries;
        for entry in entries.values() {
            self.take(entry);
        }
    }

    /// All of it, the oldest first.
    pub(in crate::simulation) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
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
    fn note(&mut self, entry: &Entry) {
        let Self { reported, stated, described, .. } = self;
        let mut state = |run, log, end: u64| {
            let known = stated.entry((run, log)).or_default();
            *known = end.max(*known);
        };
        match entry.leaf {
            Leaf::Hello => {
                let Ok(hello) = Hello::decode(&entry.payload) else { return };
                for run in &hello.runs {
                    state(run.run, Log::Samples, run.samples.end());
                    state(run.run, Log::Events, run.events.end());
                }
            }
            Leaf::Frames(log) => {
                let Ok(frame) = Frame::decode(entry.payload.clone()) else { return };
                // What has come without its description is not held, and states nothing.
                if !described.contains(&frame.description) {
                    return;
                }
                state(frame.run, log, frame.last() + 1);
                for record in &frame.records {
                    match Record::decode(record) {
                        Ok(Record::Dropped(dropped)) => {
                            reported.entry((dropped.run, dropped.log)).or_default().union(&dropped.pieces);
                        }
                        Ok(Record::Opening(opening)) => {
                            if let Some(before) = opening.run_before {
                                state(before, Log::Samples, opening.samples_end);
                                state(before, Log::Events, opening.events_end);
                            }
                        }
                        Ok(Record::Tick(_) | Record::Command(_) | Record::Dating(_)) | Err(_) => {}
                    }
                }
            }
            Leaf::Description => {
                described.insert(Digest::of(&entry.payload));
            }
            Leaf::Position | Leaf::Command => {}
        }
    }
}

/// Notes what an entry says of times.
pub(super) fn note_times(entry: &Entry, times: &mut Vec<TimeSeen>) {
    let Leaf::Frames(_) = entry.leaf else { return };
    let Ok(frame) = Frame::decode(entry.payload.clone()) else { return };
    for (sequence, record) in (frame.first..).zip(&frame.records) {
        match Record::decode(record) {
            Ok(Record::Tick(tick)) => times.push(TimeSeen::Tick(frame.run, sequence, tick.time)),
            Ok(Record::Dropped(dropped)) => times.push(TimeSeen::Dropped(dropped)),
            Ok(Record::Dating(dating)) => times.push(TimeSeen::Dating(dating)),
            Ok(Record::Opening(_) | Record::Command(_)) | Err(_) => {}
        }
    }
}
