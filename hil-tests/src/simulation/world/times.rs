//! What lampposts learn of the time, and what servers read of it (D3).

use edge_agent::clock::LearntFrom;

use super::World;
use crate::simulation::dating::Copies;
use crate::simulation::verdict::Broken;

impl World {
    /// Somebody tells a lamppost a time that is so much ahead of the true time.
    pub(in crate::simulation) fn learn(&mut self, post: usize, ahead_ms: i64, from: LearntFrom) {
        let at = &mut self.posts[post];
        if at.clock.is_known {
            return;
        }
        at.clock.is_known = true;
        at.clock.set_ahead(ahead_ms);
        let boot = at.clock.boot;
        let Some(agent) = &mut at.agent else { return };
        // What was begun to be written may be on the disk, whatever becomes of the rest.
        self.model.boot_learnt(boot, ahead_ms);
        match agent.learn(ahead_ms, from) {
            Ok(run) => {
                if let Some(run) = run {
                    self.model.dated(run);
                }
                self.tally(match from {
                    LearntFrom::OwnClock => "clocks that learnt the time",
                    LearntFrom::Server | LearntFrom::SlowServer => "clocks that the server told the time",
                });
            }
            Err(_) => self.kill_agent(post),
        }
    }

    /// A lamppost hears from the server a time that is so much ahead of the true time: it is what its clock shows now, whatever
    /// it showed before.
    pub(super) fn look_at_learnt(&mut self, ahead_ms: i64) {
        if !self.server.clock.may_have_said(ahead_ms, self.now_ms) && self.times.is_ok() {
            self.times = Err(Broken(format!("a lamppost learnt a time that is {ahead_ms} ms ahead")));
        }
    }

    /// What the server has read of times.
    pub(super) fn look_at_times(&mut self) {
        let Some(running) = &mut self.server.running else { return };
        for seen in std::mem::take(&mut running.times) {
            let copies = if self.copied.contains(&seen.run()) { Copies::Several } else { Copies::One };
            if let Err(why) = self.model.time_seen(&seen, copies)
                && self.times.is_ok()
            {
                self.times = Err(Broken(why));
            }
        }
    }
}
