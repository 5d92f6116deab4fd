//! What people do to cards, clocks and configurations.

use std::collections::BTreeSet;

use super::{MOST_POSTS, World};
use crate::simulation::dice::Dice;
use crate::simulation::disk::SimDisk;
use crate::simulation::post::{Post, VARIANTS};

impl World {
    pub(super) fn clock_jumps(&mut self, post: usize, dice: &mut Dice) {
        let ahead = [
            0, 0, 5_000, -5_000, 300_000, -300_000, 1_800_000, -1_800_000, 7_200_000, -7_200_000, 86_400_000,
        ];
        self.posts[post].clock.set_ahead(dice.pick(&ahead).copied().unwrap_or(0));
        self.tally("clock jumps");
    }

    /// Somebody sets the server's clock: right, wrong, or as no clock can be.
    pub(super) fn server_clock_jumps(&mut self, dice: &mut Dice) {
        const CENTURY_MS: i64 = 100 * 365 * 86_400_000;
        let ahead =
            [0, 0, 5_000, -5_000, 300_000, 3_600_000, -3_600_000, 86_400_000, -CENTURY_MS, CENTURY_MS];
        self.server.clock.set_ahead(self.now_ms, dice.pick(&ahead).copied().unwrap_or(0));
        self.tally("clock jumps of the server");
    }

    pub(super) fn reconfigure(&mut self, post: usize, dice: &mut Dice) {
        self.posts[post].variant = dice.below(VARIANTS);
        let (variant, number) = (self.posts[post].variant, self.posts[post].number.clone());
        self.outbox(post, |agent| agent.describe(&number, variant));
        self.tally("new configurations");
    }

    pub(super) fn damage(&mut self, post: usize, entropy: u64) {
        let is_segment = |path: &std::path::Path| {
            path.starts_with(Post::directory().join("runs")) && path.to_string_lossy().contains("samples-")
        };
        if self.posts[post].disk.damage(is_segment, entropy).is_some() {
            self.damaged[post] = true;
            self.posts[post].was_damaged = true;
            self.tally("damaged segments");
        }
    }

    pub(super) fn wipe(&mut self, post: usize, dice: &mut Dice) {
        self.kill_agent(post);
        self.posts[post].disk = SimDisk::new(dice.fork());
        // With all that was ever on it: a card that had come back to its lamppost went on with what had begun on it.
        let card = std::mem::take(&mut self.cards[post]);
        self.homes[post].extend(card);
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
        copy.was_damaged = original.was_damaged;
        copy.clock.jumped = original.clock.jumped;
        copy.disk = original.disk.copy(dice.fork());
        copy.disk.kill();
        self.posts.push(copy);
        self.homes.push(self.homes[post].clone());
        self.cards.push(self.cards[post].clone());
        self.copied.extend(&self.cards[post]);
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
        self.cards.push(BTreeSet::new());
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
        self.cards.swap(post, other);
        let was_damaged = self.posts[post].was_damaged || self.posts[other].was_damaged;
        (self.posts[post].was_damaged, self.posts[other].was_damaged) = (was_damaged, was_damaged);
        self.forget_home(post, "its outbox was put into another lamppost");
        self.forget_home(other, "its outbox was put into another lamppost");
        self.tally("moved outboxes");
    }
}
