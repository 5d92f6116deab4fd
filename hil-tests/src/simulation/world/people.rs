//! What people do to cards, clocks, configurations and servers.

use std::collections::BTreeSet;

use super::excuses::RESTORED;
use super::{MOST_POSTS, World};
use crate::simulation::dice::Dice;
use crate::simulation::disk::SimDisk;
use crate::simulation::model::RecordKey;
use crate::simulation::ports::ServerDirectory;
use crate::simulation::post::{Post, VARIANTS};
use crate::simulation::server::Release;
use crate::simulation::verdict::Broken;

impl World {
    pub(super) fn clock_jumps(&mut self, post: usize, dice: &mut Dice) {
        let ahead = [
            0, 0, 5_000, -5_000, 300_000, -300_000, 1_800_000, -1_800_000, 7_200_000, -7_200_000, 86_400_000,
        ];
        self.posts[post].clock_ahead_ms = dice.pick(&ahead).copied().unwrap_or(0);
        self.tally("clock jumps");
    }

    pub(super) fn reconfigure(&mut self, post: usize, dice: &mut Dice) {
        self.posts[post].variant = dice.below(VARIANTS);
        let variant = self.posts[post].variant;
        self.outbox(post, |agent| agent.describe(variant));
        self.tally("new configurations");
    }

    pub(super) fn damage(&mut self, post: usize, entropy: u64) {
        let is_segment = |path: &std::path::Path| {
            path.starts_with(Post::directory().join("runs")) && !path.to_string_lossy().contains("events-")
        };
        if self.posts[post].disk.damage(is_segment, entropy).is_some() {
            self.damaged[post] = true;
            self.tally("damaged segments");
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
    pub(super) fn restore(&mut self, entropy: u64) {
        let Some(backup) = self.backup.clone() else { return };
        self.copying = None;
        self.kill_server();
        self.server.restore(&backup, entropy);
        self.start_server();
        self.tally("restores");
        let lacking: Vec<&RecordKey> = backup.had.iter().filter(|key| !self.is_here(key)).collect();
        if !lacking.is_empty() {
            let lacking = Broken(format!("a backup lacks what the server had when it began: {lacking:?}"));
            self.broken.get_or_insert(lacking);
        }
        let all: BTreeSet<RecordKey> = self.model.records.keys().copied().collect();
        self.excuse_unless_safe(&all, RESTORED);
    }

    pub(super) fn wipe(&mut self, post: usize, dice: &mut Dice) {
        self.kill_agent(post);
        self.posts[post].disk = SimDisk::new(dice.fork());
        self.forget_home(post, "its outbox was wiped");
    }

    /// A second card with the same bytes, in hardware that says the same of itself.
    pub(super) fn clone_outbox(&mut self, post: usize, dice: &mut Dice) {
        if self.posts.len() >= MOST_POSTS {
            return;
        }
        let original = &self.posts[post];
        let mut copy = Post::new(0, dice);
        copy.number = original.number.clone();
        copy.serial.clone_from(&original.serial);
        copy.variant = original.variant;
        copy.is_ahead_of_servers = original.is_ahead_of_servers;
        copy.disk = original.disk.copy(dice.fork());
        copy.disk.kill();
        self.posts.push(copy);
        self.homes.push(self.homes[post].clone());
        self.damaged.push(self.damaged[post]);
        self.tally("clones");
    }

    pub(super) fn second_agent(&mut self, post: usize, dice: &mut Dice) {
        if self.posts.len() >= MOST_POSTS {
            return;
        }
        let mut second = Post::new(0, dice);
        second.number = self.posts[post].number.clone();
        second.serial = format!("second-{}", self.posts.len());
        self.posts.push(second);
        self.homes.push(BTreeSet::new());
        self.damaged.push(false);
        self.tally("second agents");
    }

    /// Two lampposts' cards change places: either sets aside what is not its own.
    pub(super) fn move_outbox(&mut self, post: usize, dice: &mut Dice) {
        let other = dice.below(self.posts.len());
        if self.posts[other].number == self.posts[post].number {
            return;
        }
        self.kill_agent(post);
        self.kill_agent(other);
        let disk = self.posts[post].disk.clone();
        self.posts[post].disk = std::mem::replace(&mut self.posts[other].disk, disk);
        self.forget_home(post, "its outbox was put into another lamppost");
        self.forget_home(other, "its outbox was put into another lamppost");
        self.tally("moved outboxes");
    }
}
