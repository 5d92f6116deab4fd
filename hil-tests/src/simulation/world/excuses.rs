//! Which records may be missing, because nothing that is left has them.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{Log, Pieces, RunId};

use super::World;
use crate::simulation::dice::Dice;
use crate::simulation::model::{Kind, Known, RecordKey, State};

/// Why what only a server had, that was then restored, may be missing.
const RESTORED: &str = "the server was restored, and no outbox had to keep it";

impl World {
    /// A position of the restored server came: what it does not list, and the outbox still has, is to be kept again; what is
    /// not synced there may still go with the power.
    pub(super) fn claim_back(&mut self, post: usize) {
        let Some(agent) = &mut self.posts[post].agent else { return };
        let state = agent.outbox.state();
        for run in &state.runs {
            for log in Log::ALL {
                let named = run.log(log);
                for (first, last) in named.on_disk.ranges() {
                    for (first, last) in named.held.missing_in(first, last) {
                        let known =
                            self.model.records.range_mut((run.run, log, first)..=(run.run, log, last));
                        for (key, known) in known {
                            if known.state == State::Excused(RESTORED) {
                                let is_synced = key.2 < named.synced_end;
                                known.state = if is_synced { State::Read } else { State::Appended };
                            }
                        }
                    }
                }
            }
        }
    }

    /// What the damaged disks turned out not to hold any more.
    pub(in crate::simulation) fn excuse_damage(&mut self) {
        for post in 0..self.posts.len() {
            if self.damaged[post]
                && let Some(state) = self.posts[post].agent.as_mut().map(|agent| agent.outbox.state())
            {
                self.opened(post, &state);
            }
        }
    }

    /// What was on a post's disk is there no more.
    pub(super) fn forget_home(&mut self, post: usize, why: &'static str) {
        let runs = std::mem::take(&mut self.homes[post]);
        self.damaged[post] = false;
        let mut gone = BTreeSet::new();
        for run in runs {
            let records = self.model.records.range((run, Log::Samples, 0)..=(run, Log::Events, u64::MAX));
            gone.extend(records.map(|(key, _)| *key));
        }
        self.excuse_unless_safe(&gone, why);
    }

    /// The server was restored: what only it had may be missing, and so may what a position lets go that was under way before.
    pub(super) fn excuse_restored(&mut self) {
        let all: BTreeSet<RecordKey> = self.model.records.keys().copied().collect();
        self.excuse_unless_safe(&all, RESTORED);
        let told = self.told_on_the_way();
        let is_told =
            |key: &RecordKey| told.get(&(key.0, key.1)).is_some_and(|pieces| pieces.contains(key.2));
        // An opening is kept whatever a position says (D1).
        let let_go = |key: &RecordKey, known: &Known| {
            known.kind != Kind::Opening
                && is_told(key)
                && !matches!(known.state, State::Excused(_))
                && !self.is_here(key)
        };
        let let_go = self.model.records.iter().filter(|(key, known)| let_go(key, known));
        let let_go = let_go.map(|(key, _)| *key).collect();
        self.model.excuse(&let_go, RESTORED);
    }

    /// What positions say to be held that the present connections of agents may bring yet.
    fn told_on_the_way(&self) -> BTreeMap<(RunId, Log), Pieces> {
        let mut told: BTreeMap<(RunId, Log), Pieces> = BTreeMap::new();
        for position in self.positions_on_the_way() {
            for run in &position.runs {
                for log in Log::ALL {
                    let pieces = told.entry((run.run, log)).or_default();
                    for (first, last) in run.log(log).pieces.ranges() {
                        pieces.insert(first, last);
                    }
                }
            }
        }
        told
    }

    /// Excuses those of these records that neither the server's journal nor any outbox has. What was synced in one copy of an
    /// outbox, and now is in another one alone that has not synced it, may still go with the power.
    pub(super) fn excuse_unless_safe(&mut self, keys: &BTreeSet<RecordKey>, why: &'static str) {
        let (held, synced) = (self.on_disks(), self.synced_on_disks());
        let mut unsafe_ones = BTreeSet::new();
        for key in keys {
            let log = (key.0, key.1);
            let on_disk = held.get(&log).is_some_and(|pieces| pieces.contains(key.2));
            let excused =
                self.model.records.get(key).is_none_or(|known| matches!(known.state, State::Excused(_)));
            if excused || self.is_here(key) {
                continue;
            }
            let is_synced = synced.get(&log).is_some_and(|pieces| pieces.contains(key.2));
            if !on_disk {
                unsafe_ones.insert(*key);
            } else if self.copied.contains(&key.0)
                && !is_synced
                && let Some(known) = self.model.records.get_mut(key)
            {
                known.state = State::Appended;
            }
        }
        self.model.excuse(&unsafe_ones, why);
    }

    /// What the outboxes of agents that run hold, must keep and have synced. Of others that is not known.
    fn synced_on_disks(&mut self) -> BTreeMap<(RunId, Log), Pieces> {
        let mut synced: BTreeMap<(RunId, Log), Pieces> = BTreeMap::new();
        let running = self.posts.iter_mut().filter_map(|post| post.agent.as_mut());
        for state in running.map(|agent| agent.outbox.state()) {
            for run in &state.runs {
                for log in Log::ALL {
                    let named = run.log(log);
                    let mut kept = named.on_disk.clone();
                    kept.remove(named.synced_end, u64::MAX - 1);
                    for (first, last) in named.held.ranges() {
                        kept.remove(first, last);
                    }
                    synced.entry((run.run, log)).or_default().union(&kept);
                }
            }
        }
        synced
    }

    /// What all outboxes hold and must keep, those of agents that do not run among them.
    pub(super) fn on_disks(&mut self) -> BTreeMap<(RunId, Log), Pieces> {
        let mut held: BTreeMap<(RunId, Log), Pieces> = BTreeMap::new();
        for post in 0..self.posts.len() {
            let now_ms = self.now_ms;
            let at = &mut self.posts[post];
            let state = if let Some(agent) = &mut at.agent {
                Some(agent.outbox.state())
            } else {
                let copy = at.disk.copy(Dice::new(0));
                at.open(&copy, now_ms).ok().map(|mut outbox| outbox.state())
            };
            for run in state.iter().flat_map(|state| &state.runs) {
                if run.events.on_disk.contains(0) {
                    // Its opening is kept whatever a server holds (D1).
                    held.entry((run.run, Log::Events)).or_default().insert(0, 0);
                }
                for log in Log::ALL {
                    let pieces = held.entry((run.run, log)).or_default();
                    // What the outbox was told to be held may go at any time, though a restored server holds it no more.
                    for (first, last) in run.log(log).on_disk.ranges() {
                        for (first, last) in run.log(log).held.missing_in(first, last) {
                            pieces.insert(first, last);
                        }
                    }
                }
            }
        }
        held
    }
}
