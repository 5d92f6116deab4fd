//! The fleet in the simulation, and what happens to it, one action at a time.

mod excuses;
mod keeping;
mod network;
mod people;
mod processes;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use edge_agent::clock::LearntFrom;
use fleet_server::gateway::Outgoing;
use lamplighter_protocol::{RunId, UtcMillis};

use self::network::Link;
use super::action::{Action, Plan, What};
use super::dice::Dice;
use super::disk::{Fault, Operation, SimDisk};
use super::model::Model;
use super::post::{Ended, Post};
use super::server::{Backup, Copying, LinkId, Server};
use super::verdict::Broken;

/// 2027-01-01T00:00:00Z: after the release, so that servers and lampposts believe it.
const BEGINNING_MS: i64 = 1_798_761_600_000;

/// More agents than this are not started: what needs more needs no more.
const MOST_POSTS: usize = 6;

/// So many samples may be read, and so many commands reported, before anything else happens: a small outbox then needs the space of all that may go.
const MOST_SAMPLES_AT_ONCE: usize = 150;

/// The true time, so many milliseconds after the simulation began.
pub(super) fn wall(now_ms: i64) -> UtcMillis {
    UtcMillis(BEGINNING_MS + now_ms)
}

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now_ms: i64,
    pub(super) posts: Vec<Post>,
    pub(super) server: Server,
    pub(super) model: Model,
    /// Whether all times that servers have read are as they should be.
    pub(super) times: Result<(), Broken>,
    /// By post: the runs that began on its disk, or were copied there.
    pub(super) homes: Vec<BTreeSet<RunId>>,
    /// By post: every run of which anything was ever written on the card in it, whichever post it began in: what is set
    /// aside stays on the card, and a card that comes back to its lamppost goes on with it.
    pub(super) cards: Vec<BTreeSet<RunId>>,
    /// The runs that were ever copied to another disk.
    pub(super) copied: BTreeSet<RunId>,
    /// By post: something on its disk was damaged.
    pub(super) damaged: Vec<bool>,
    links: BTreeMap<LinkId, Link>,
    next_link: LinkId,
    broker: bool,
    /// By post: the positions that were sent down to it, which a broker may send again at any time.
    positions_sent: Vec<Vec<Outgoing>>,
    /// The newest one that is whole.
    backup: Option<Backup>,
    /// One that is being made.
    copying: Option<Copying>,
    /// The first that was seen of what must never be.
    pub(super) broken: Option<Broken>,
    /// Raw values handed out.
    count: i64,
    tally: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(plan: &Plan, started: Instant) -> Self {
        let mut dice = Dice::new(plan.seed ^ 0x5EED);
        let server = Server::new(&mut dice, started);
        let posts: Vec<Post> = (0..plan.lampposts).map(|number| Post::new(number, &mut dice)).collect();
        let mut world = Self {
            now_ms: 0,
            homes: vec![BTreeSet::new(); posts.len()],
            cards: vec![BTreeSet::new(); posts.len()],
            copied: BTreeSet::new(),
            damaged: vec![false; posts.len()],
            posts,
            server,
            model: Model::default(),
            times: Ok(()),
            links: BTreeMap::new(),
            next_link: 0,
            broker: plan.broker,
            positions_sent: Vec::new(),
            backup: None,
            copying: None,
            broken: None,
            count: 0,
            tally: BTreeMap::new(),
        };
        world.start_server();
        for post in 0..world.posts.len() {
            world.start_agent(post);
        }
        world
    }

    /// Lets one action happen.
    pub(super) fn apply(&mut self, action: Action) {
        let mut dice = Dice::new(action.chance);
        let post = dice.below(self.posts.len());
        self.server.disk.stir(dice.next_u64());
        if let Some(post) = self.posts.get(post) {
            post.disk.stir(dice.next_u64());
        }
        match action.what {
            What::Sample => {
                let most = if dice.chance(10) { MOST_SAMPLES_AT_ONCE } else { 8 };
                (0..=dice.below(most)).for_each(|_| self.sample(post, &mut dice));
            }
            What::Report => {
                let most = if dice.chance(10) { MOST_SAMPLES_AT_ONCE } else { 8 };
                (0..=dice.below(most)).for_each(|_| self.report(post, &mut dice));
            }
            What::Write => self.outbox(post, |agent| agent.outbox.write().map_err(Ended::from)),
            What::Sync => self.sync(post),
            // An older connection may live on at the server for a while, and what is on its way still arrive.
            What::Connect => self.connect(post, dice.chance(60)),
            What::Pump => self.pump(post, 1 + dice.below(6)),
            What::DeliverUp => self.deliver_up(&mut dice),
            What::DeliverDown => self.deliver_down(&mut dice),
            What::Commit => self.commit(),
            What::Ingest => self.ingest(1 + dice.below(8)),
            What::Positions => self.positions(),
            What::Seal => (0..=dice.below(6)).for_each(|_| self.seal()),
            What::Greet => self.greet(post, &mut dice),
            What::Round => self.round(post, &mut dice),
            What::TimePasses => self.now_ms += time(&mut dice),
            What::CutLink => self.cut_link(&mut dice),
            What::BrokerForgets => self.broker_forgets(&mut dice),
            What::BrokerRepeats => self.broker_repeats(post, &mut dice),
            What::AgentDies => self.kill_agent(post),
            What::AgentLosesPower => {
                self.kill_agent(post);
                self.posts[post].disk.cut_power();
                self.posts[post].clock.boots(&mut dice, self.now_ms);
                self.tally("power cuts of agents");
            }
            What::AgentDiesInAnEffect => self.posts[post].disk.plan(Fault::Dies { after: few(&mut dice) }),
            What::AgentStarts => self.start_agent(post),
            What::ServerDies => self.kill_server(),
            What::ServerLosesPower => {
                self.kill_server();
                self.server.disk.cut_power();
                self.copying = None;
                self.tally("power cuts of the server");
            }
            What::ServerDiesInAnEffect => self.server.disk.plan(Fault::Dies { after: few(&mut dice) }),
            What::ServerStarts => self.start_server(),
            What::AgentDiskFails => self.posts[post].disk.plan(failure(&mut dice)),
            What::ServerDiskFails => self.server.disk.plan(failure(&mut dice)),
            What::AgentDiskFull => fill(&self.posts[post].disk, &mut dice),
            What::AgentDiskReadOnly => self.posts[post].disk.set_read_only(true),
            What::AgentDiskHasRoom => {
                self.posts[post].disk.limit(None);
                self.posts[post].disk.set_read_only(false);
            }
            What::ServerDiskFull => fill(&self.server.disk, &mut dice),
            What::ServerDiskHasRoom => self.server.disk.limit(None),
            What::AgentSegmentDamaged => self.damage(post, dice.next_u64()),
            What::CheckpointDamaged => self.damage_checkpoint(dice.next_u64()),
            What::ClockJumps => self.clock_jumps(post, &mut dice),
            What::ClockLearns => {
                let ahead_ms = self.posts[post].clock.ahead_ms;
                self.learn(post, ahead_ms, LearntFrom::OwnClock);
            }
            What::ServerClockJumps => self.server_clock_jumps(&mut dice),
            What::Reconfigure => self.reconfigure(post, &mut dice),
            What::ServerReplaced => self.replace_server(&mut dice),
            What::BackUp => self.back_up(&mut dice),
            What::Restore => self.restore(&mut dice),
            What::WipeOutbox => self.wipe(post, &mut dice),
            What::CloneOutbox => self.clone_outbox(post, &mut dice),
            What::MoveOutbox => self.move_outbox(post, &mut dice),
            What::SecondAgent => self.second_agent(post, &mut dice),
        }
        self.bury_the_dead();
    }

    /// How often what happened, the faults of disks among it.
    pub(super) fn told(&self) -> BTreeMap<&'static str, u64> {
        let disks = self.posts.iter().map(|post| &post.disk).chain([&self.server.disk]);
        let mut tally = self.tally.clone();
        tally.insert("operations of disks that failed", disks.map(SimDisk::injected).sum());
        tally.insert("reports of commands that had to go", self.reports_dropped());
        tally
    }

    pub(super) fn tally(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }
}

fn time(dice: &mut Dice) -> i64 {
    let most = [50, 2_000, 10_000, 70_000, 700_000, 4_000_000];
    let most = dice.pick(&most).copied().unwrap_or(50);
    1 + i64::try_from(dice.below(most)).unwrap_or(0)
}

fn few(dice: &mut Dice) -> u32 {
    u32::try_from(dice.below(12)).unwrap_or(0)
}

fn failure(dice: &mut Dice) -> Fault {
    let what = [Operation::Write, Operation::Sync, Operation::Sync, Operation::SyncNames, Operation::Name];
    Fault::Fails { what: dice.pick(&what).copied().unwrap_or(Operation::Sync), after: few(dice) }
}

fn fill(disk: &SimDisk, dice: &mut Dice) {
    let room = dice.below(2_000) as u64;
    disk.limit(Some(disk.used() + room));
}
