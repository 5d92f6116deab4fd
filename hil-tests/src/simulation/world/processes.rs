//! Agents and server as processes: how they start, work and die.

use std::collections::{BTreeMap, BTreeSet};

use edge_agent::outbox::OutboxState;
use lamplighter_protocol::{Log, RunId};

use super::World;
use crate::simulation::dice::Dice;
use crate::simulation::model::{Kind, ReadBy, State};
use crate::simulation::post::{Agent, Ended};
use crate::simulation::server::LinkId;

impl World {
    pub(in crate::simulation) fn start_server(&mut self) {
        if self.server.running.is_none() && self.server.start().is_ok() {
            self.tally("starts of the server");
            self.look_at_times();
        }
        self.bury_the_dead();
    }

    pub(super) fn kill_server(&mut self) {
        self.server.stop();
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.server_hung_up(link);
        }
        self.tally("deaths of the server");
    }

    pub(in crate::simulation) fn start_agent(&mut self, post: usize) {
        if self.posts[post].agent.is_some() {
            return;
        }
        let clock = &self.posts[post].clock;
        let (boot, off_ms, is_known) = (clock.boot, clock.off_ms, clock.is_known);
        if is_known {
            // What an earlier run of the boot left is dated before this one is open.
            self.model.boot_learnt(boot, clock.ahead_ms);
        }
        if self.posts[post].start(self.now_ms).is_err() {
            self.posts[post].disk.kill();
            return;
        }
        self.tally("starts of agents");
        let Some(state) = self.posts[post].agent.as_mut().map(|agent| agent.outbox.state()) else { return };
        let number = self.posts[post].number.clone();
        self.model.opened(state.run, &number);
        if !is_known {
            self.model.opened_undated(state.run, post, off_ms, boot);
            self.tally("starts of agents that did not know the time");
        }
        self.opened(post, &state);
    }

    /// What an outbox holds after it was opened is synced (D2); what it does not hold, and was not synced, never was read.
    pub(super) fn opened(&mut self, post: usize, state: &OutboxState) {
        self.homes[post].insert(state.run);
        self.cards[post].insert(state.run);
        let runs: BTreeMap<RunId, _> = state.runs.iter().map(|run| (run.run, run)).collect();
        let mut unsynced = BTreeSet::new();
        let mut vanished = Vec::new();
        for run in self.homes[post].clone() {
            for (key, known) in
                self.model.records.range_mut((run, Log::Samples, 0)..=(run, Log::Events, u64::MAX))
            {
                let log = runs.get(&run).map(|run| run.log(key.1));
                let on_disk = log.is_some_and(|log| log.on_disk.contains(key.2));
                let held = log.is_some_and(|log| log.held.contains(key.2));
                match known.state {
                    State::Appended if on_disk => known.state = State::Read,
                    State::Appended => {
                        unsynced.insert(*key);
                    }
                    // Segments of events are not damaged.
                    State::Read if !on_disk && !held && key.1 == Log::Samples => vanished.push(*key),
                    State::Read | State::Excused(_) => {}
                }
            }
        }
        self.model.excuse(&unsynced, "it was not synced when the power went");
        if self.damaged[post] {
            let vanished = vanished.into_iter().collect();
            self.excuse_unless_safe(&vanished, "its place on the disk was damaged");
        }
    }

    pub(in crate::simulation) fn kill_agent(&mut self, post: usize) {
        if let Some(link) = self.posts[post].kill() {
            self.leave(link);
        }
        self.tally("deaths of agents");
    }

    /// Whoever died in an effect is dead; whose run is over ends.
    pub(super) fn bury_the_dead(&mut self) {
        for post in 0..self.posts.len() {
            if self.posts[post].disk.is_dead() {
                self.kill_agent(post);
            }
        }
        if self.server.disk.is_dead() {
            self.kill_server();
        }
    }

    pub(in crate::simulation) fn sample(&mut self, post: usize, dice: &mut Dice) {
        self.now_ms += 1 + i64::try_from(dice.below(1_500)).unwrap_or(0);
        let at = &mut self.posts[post];
        let wall = at.wall(self.now_ms);
        let is_provisional = at.agent.as_ref().is_some_and(|agent| agent.provisional_ms.is_some());
        let by = ReadBy { ahead_ms: at.clock.ahead_ms, is_provisional, true_ms: self.now_ms };
        let number = at.number.clone();
        let Some(agent) = &mut at.agent else { return };
        match agent.sample(wall, &mut self.count, dice) {
            Ok(None) => {}
            Ok(Some((run, log, sequence, kind, observed))) => {
                self.homes[post].insert(run);
                self.cards[post].insert(run);
                self.model.appended((run, log, sequence), &number, kind, observed, by);
                self.tally("records");
            }
            Err(_) => self.kill_agent(post),
        }
    }

    /// A lamppost reports what became of a command.
    pub(in crate::simulation) fn report(&mut self, post: usize, dice: &mut Dice) {
        self.now_ms += 1 + i64::try_from(dice.below(100)).unwrap_or(0);
        let at = &mut self.posts[post];
        let wall = at.wall(self.now_ms);
        let number = at.number.clone();
        let Some(agent) = &mut at.agent else { return };
        let is_provisional = agent.provisional_ms.is_some();
        let by = ReadBy { ahead_ms: at.clock.ahead_ms, is_provisional, true_ms: self.now_ms };
        match agent.report(wall, dice) {
            Ok(None) => {}
            Ok(Some((run, sequence))) => {
                self.model.appended((run, Log::Events, sequence), &number, Kind::Report, Vec::new(), by);
                self.tally("reports of commands");
            }
            Err(_) => self.kill_agent(post),
        }
    }

    pub(super) fn outbox(&mut self, post: usize, work: impl FnOnce(&mut Agent) -> Result<(), Ended>) {
        let Some(agent) = &mut self.posts[post].agent else { return };
        if work(agent).is_err() {
            self.kill_agent(post);
        }
    }

    pub(in crate::simulation) fn sync(&mut self, post: usize) {
        let (wall, now_ms) = (self.posts[post].wall(self.now_ms), self.now_ms);
        self.outbox(post, |agent| agent.hear_time(wall, now_ms));
        self.outbox(post, |agent| {
            agent.outbox.write()?;
            Ok(agent.outbox.sync()?)
        });
        let Some(agent) = &mut self.posts[post].agent else { return };
        let state = agent.outbox.state();
        if let Some(run) = state.runs.last() {
            for log in Log::ALL {
                self.model.synced(run.run, log, run.log(log).synced_end);
            }
        }
    }
}
