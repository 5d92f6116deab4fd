//! How a server is kept: checkpoints, releases, backups and restores.

use super::{MOST_SAMPLES_AT_ONCE, World};
use crate::simulation::dice::Dice;
use crate::simulation::model::RecordKey;
use crate::simulation::ports::ServerDirectory;
use crate::simulation::server::{Release, Sealed};
use crate::simulation::verdict::Broken;

/// A little more, so that what is due hourly is due.
const HOUR_MS: i64 = 3_700_000;

impl World {
    /// A step of sealing.
    pub(super) fn seal(&mut self) {
        match self.server.seal(self.now_ms) {
            Sealed::Written => self.tally("checkpoints"),
            Sealed::Trimmed => self.tally("times that the journal was trimmed"),
            Sealed::Nothing => {}
        }
    }

    /// The newest checkpoint is damaged, once: of two there is then still one.
    pub(super) fn damage_checkpoint(&mut self, entropy: u64) {
        let newest = self.server.disk.files_in(ServerDirectory::checkpoints()).pop();
        let Some(newest) = newest.filter(|_| !self.server.checkpoint_damaged) else { return };
        if self.server.disk.damage(|path| path == newest, entropy).is_some() {
            self.server.checkpoint_damaged = true;
            self.tally("damaged checkpoints");
        }
    }

    /// Another release of the server is started: most often the newest.
    pub(super) fn replace_server(&mut self, dice: &mut Dice) {
        self.kill_server();
        self.server.release = if dice.chance(70) { Release::Newest } else { Release::Older };
        self.start_server();
        self.tally("replaced servers");
    }

    /// The faults stop: the newest release is started, and no backup is being made.
    pub(in crate::simulation) fn server_is_up_to_date(&mut self) {
        self.copying = None;
        self.kill_server();
        self.server.release = Release::Newest;
    }

    /// Begins a backup, or goes on with it.
    pub(super) fn back_up(&mut self, dice: &mut Dice) {
        let copying = self.copying.take().or_else(|| {
            let had = self.model.records.keys().filter(|key| self.is_here(key)).copied().collect();
            self.server.back_up(had, dice)
        });
        match copying.map(|copying| self.server.go_on(copying, 1 + dice.below(5))) {
            Some(Ok(backup)) => {
                self.backup = Some(backup);
                self.tally("backups");
            }
            Some(Err(copying)) => self.copying = Some(copying),
            None => {}
        }
    }

    /// The server's disk is replaced by a copy that was made earlier.
    pub(super) fn restore(&mut self, dice: &mut Dice) {
        let Some(backup) = self.backup.clone() else { return };
        if dice.chance(60) {
            self.evening_before(dice);
        }
        self.copying = None;
        self.kill_server();
        self.server.restore(&backup, dice.next_u64());
        self.start_server();
        self.tally("restores");
        let lacking: Vec<&RecordKey> = backup.had.iter().filter(|key| !self.is_here(key)).collect();
        if !lacking.is_empty() {
            let lacking = Broken(format!("a backup lacks what the server had when it began: {lacking:?}"));
            self.broken.get_or_insert(lacking);
        }
        self.excuse_restored();
        if dice.chance(60) {
            self.morning_after(dice);
        }
    }

    /// The fleet was at work until its server went: lampposts read, sent, and heard that it is held.
    fn evening_before(&mut self, dice: &mut Dice) {
        self.start_server();
        for post in 0..self.posts.len() {
            self.start_agent(post);
            (0..dice.below(MOST_SAMPLES_AT_ONCE / 4)).for_each(|_| self.sample(post, dice));
            self.round(post, dice);
        }
    }

    /// Often enough lampposts hear of a restore before anything else happens, those that a broker kept by the hour. Then
    /// a broker tells them once more what it had told them before; or the network that carried a restore breaks again.
    fn morning_after(&mut self, dice: &mut Dice) {
        self.now_ms += if dice.chance(80) { HOUR_MS } else { 0 };
        (0..self.posts.len()).for_each(|post| self.greet(post, dice));
        if self.broker && dice.chance(60) {
            for post in 0..self.posts.len() {
                (0..=dice.below(4)).for_each(|_| self.broker_repeats(post, dice));
                let reads = MOST_SAMPLES_AT_ONCE / 2 + dice.below(MOST_SAMPLES_AT_ONCE / 2);
                self.read_alone(post, reads, dice);
            }
        } else if dice.chance(70) {
            self.cut_all_links();
            (0..self.posts.len()).for_each(|post| self.greet(post, dice));
        }
    }

    /// A lamppost says hello when it is due, and hears the answer; what it has to send waits.
    pub(super) fn greet(&mut self, post: usize, dice: &mut Dice) {
        self.connect(post, true);
        self.deliver_all(dice);
        // It reads its devices meanwhile.
        if dice.chance(60) {
            let times = dice.below(MOST_SAMPLES_AT_ONCE);
            self.read_alone(post, times, dice);
        }
        self.pump(post, 1);
        self.deliver_all(dice);
    }

    /// A lamppost reads its devices so often, and nothing else happens.
    fn read_alone(&mut self, post: usize, times: usize, dice: &mut Dice) {
        (0..times).for_each(|_| self.sample(post, dice));
        self.outbox(post, |agent| Ok(agent.outbox.write()?));
    }
}
