//! The server in the simulation: gateway sessions, journal, ingest, store and checkpoints, as they are, each stepped.

mod backup;
mod heard;
mod release;
mod sealing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet_server::checkpoint::{self, Checkpoints, Fresh as Blank, JournalKeep, Started, SteppedSealer};
use fleet_server::gateway::session::{Effect, Event, Now, Reading, Session};
use fleet_server::gateway::{Identity, Incoming, Limits, Outgoing, Reason};
use fleet_server::ingest::{Fresh, Ingest, IngestMetrics};
use fleet_server::journal::{Entry, Journal, JournalOptions, LowWater, SteppedJournal};
use fleet_server::store::{Tail, TailOptions};
use lamplighter_protocol::{LamppostNumber, Leaf, UtcMillis};

use self::backup::BackupLock;
use self::heard::Heard;
use self::sealing::Sealing;
use super::clock::ServerClock;
use super::dating::TimeSeen;
use super::dice::Dice;
use super::disk::SimDisk;
use super::ports::{ServerDirectory, filler};

pub(super) use self::backup::{Backup, Copying};
pub(super) use self::release::Release;
pub(super) use self::sealing::Sealed;

/// Names one connection.
pub(super) type LinkId = u64;

/// Where the server is in the simulation.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) disk: SimDisk,
    pub(super) running: Option<Running>,
    /// For the monotonic clock of the gateway.
    started: Instant,
    limits: Arc<Limits>,
    /// A disk may fill up to the last byte, or be spared that.
    low_water: u64,
    segment_bytes: u64,
    keep: JournalKeep,
    pub(super) release: Release,
    /// What its clock shows when it answers a hello.
    pub(super) clock: ServerClock,
    /// All that this server took in, or those that its disk was copied from.
    pub(super) heard: Heard,
    pub(super) lock: BackupLock,
    /// Somebody damaged a checkpoint.
    pub(super) checkpoint_damaged: bool,
    dice: Dice,
}

/// A server process.
pub(super) struct Running {
    journal: SteppedJournal,
    pub(super) ingest: Ingest,
    pub(super) tail: Tail,
    committed: VecDeque<Entry>,
    due: BTreeSet<LamppostNumber>,
    sessions: BTreeMap<LinkId, (LamppostNumber, Session)>,
    sealer: SteppedSealer,
    /// How far sealing has come.
    sealing: Option<Sealing>,
    /// What it has read of times since somebody last looked.
    pub(super) times: Vec<TimeSeen>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

/// What the server wants of the network.
#[derive(Debug)]
pub(super) enum Said {
    Packet(LinkId, Outgoing),
    Closed(LinkId),
}

impl Server {
    pub(super) fn new(dice: &mut Dice, started: Instant) -> Self {
        let limits = Limits { idle: Duration::from_hours(10_000), ..Limits::default() };
        let disk = SimDisk::new(dice.fork());
        for directory in [ServerDirectory::journal(), ServerDirectory::checkpoints()] {
            disk.create_directory(directory).expect("an empty disk takes a directory");
        }
        disk.sync_directory(Path::new("/")).expect("an empty disk is synced");
        let low_water = if dice.chance(50) { 0 } else { 1_000 };
        // Nothing younger than that is trimmed; most keep no more than they need for a start.
        let keep = JournalKeep::days(if dice.chance(80) { 0 } else { 400 }).expect("not too many");
        Self {
            disk,
            running: None,
            started,
            limits: Arc::new(limits),
            low_water,
            segment_bytes: if dice.chance(50) { 1 << 10 } else { 4 << 10 },
            keep,
            clock: ServerClock::right(),
            release: if dice.chance(50) { Release::Older } else { Release::Newest },
            heard: Heard::default(),
            lock: BackupLock::default(),
            checkpoint_damaged: false,
            dice: dice.fork(),
        }
    }

    /// Starts a process, unless one runs. An error: it did not come up, because the disk failed.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        self.disk.kill();
        let mut options = JournalOptions::in_directory(PathBuf::from("/journal"));
        options.segment_bytes = self.segment_bytes;
        options.low_water = LowWater { bytes: self.low_water, percent: None };
        options.random = fleet_server::journal::Random::new(filler(&mut self.dice));
        let directory = |path| Box::new(ServerDirectory::new(&self.disk, path));
        let journal = Journal::open_on(options, directory(ServerDirectory::journal()));
        let mut journal = journal.map_err(|error| error.to_string())?;
        let checkpoints = Checkpoints::open(directory(ServerDirectory::checkpoints()));
        let mut checkpoints = checkpoints.map_err(|error| error.to_string())?;
        let mut replayed = Vec::new();
        let started = checkpoint::start(&mut checkpoints, &mut journal, &blank(self.release), |entry, _| {
            replayed.push(entry.clone());
        });
        let Started { ingest, tail, checkpoint, damaged, lost, replay } =
            started.map_err(|error| error.to_string())?;
        assert!(replay.damaged.is_empty(), "nobody damaged the journal: {:?}", replay.damaged);
        assert!(lost.is_none(), "entries are neither in a checkpoint nor in the journal: {lost:?}");
        assert!(damaged.is_empty() || self.checkpoint_damaged, "nobody damaged a checkpoint: {damaged:?}");
        let newest = checkpoint.map(|info| info.sequence);
        self.heard.go_back_to(newest.unwrap_or(0));
        let mut times = Vec::new();
        for entry in &replayed {
            self.heard.take(entry, &mut times);
        }
        self.running = Some(Running {
            journal: journal.stepped(),
            ingest,
            tail,
            committed: VecDeque::new(),
            due: BTreeSet::new(),
            sessions: BTreeMap::new(),
            sealer: SteppedSealer::new(checkpoints, Box::new(self.lock.clone()), self.keep, newest),
            sealing: None,
            times,
        });
        Ok(())
    }

    /// Ingest and store as they would be if a server of this release had never started anew.
    pub(super) fn of_one_life(&self) -> (Ingest, Tail) {
        let (mut ingest, mut tail) = blank(self.release).build();
        for entry in self.heard.entries() {
            ingest.apply(entry, &mut tail, &mut |_| {});
        }
        (ingest, tail)
    }

    /// The process is gone, and with it every connection.
    pub(super) fn stop(&mut self) {
        self.running = None;
        self.disk.kill();
    }

    /// A connection of this lamppost is there; it took over from those before, or nobody noticed yet.
    pub(super) fn accept(&mut self, link: LinkId, number: &LamppostNumber, now_ms: i64) {
        let now = self.now(now_ms);
        let identity = Identity {
            number: number.clone(),
            certificate_serial: "01".to_owned(),
            not_before: UtcMillis(0),
            not_after: UtcMillis(i64::MAX / 4),
        };
        let limits = Arc::clone(&self.limits);
        if let Some(running) = &mut self.running {
            running.sessions.insert(link, (number.clone(), Session::new(Arc::new(identity), limits, now)));
        }
    }

    /// Hands in what came on a connection.
    pub(super) fn packet(&mut self, link: LinkId, packet: Incoming, now_ms: i64) -> Vec<Said> {
        let now = self.now(now_ms);
        let Some(running) = &mut self.running else { return vec![Said::Closed(link)] };
        running.step(link, Event::Packet(packet), now)
    }

    /// Whether the next packet of a connection may be handed in.
    pub(super) fn reads(&self, link: LinkId, now_ms: i64) -> bool {
        let now = self.now(now_ms);
        let session = self.running.as_ref().and_then(|running| running.sessions.get(&link));
        session.is_none_or(|(_, session)| session.reading(now) == Reading::Open)
    }

    /// The connection broke.
    pub(super) fn hang_up(&mut self, link: LinkId) {
        if let Some(running) = &mut self.running {
            running.sessions.remove(&link);
        }
    }

    /// One group commit, or one try to recover.
    pub(super) fn commit(&mut self, now_ms: i64) -> Vec<Said> {
        let now = self.now(now_ms);
        let Some(running) = &mut self.running else { return Vec::new() };
        if let Ok(entries) = running.journal.commit() {
            running.committed.extend(entries);
        }
        let commit = running.journal.committed();
        let links: Vec<LinkId> = running.sessions.keys().copied().collect();
        links.into_iter().flat_map(|link| running.step(link, Event::Committed(commit), now)).collect()
    }

    /// Ingests up to so many committed entries.
    pub(super) fn ingest(&mut self, most: usize, now_ms: i64) -> Vec<Said> {
        let now = self.now(now_ms);
        let Some(running) = &mut self.running else { return Vec::new() };
        let mut said = Vec::new();
        for _ in 0..most {
            let Some(entry) = running.committed.pop_front() else { break };
            self.heard.take(&entry, &mut running.times);
            match running.ingest.apply(&entry, &mut running.tail, &mut |_| {}) {
                Fresh::Hello => said.extend(running.position(&entry.lamppost, now, &self.clock)),
                Fresh::Held => {
                    running.due.insert(entry.lamppost.clone());
                }
                Fresh::Nothing => {}
            }
        }
        said
    }

    /// Positions that are due.
    pub(super) fn positions(&mut self, now_ms: i64) -> Vec<Said> {
        let now = self.now(now_ms);
        let Some(running) = &mut self.running else { return Vec::new() };
        let due = std::mem::take(&mut running.due);
        due.iter().flat_map(|number| running.position(number, now, &self.clock)).collect()
    }

    /// Whether nothing waits for a commit or for ingest.
    pub(super) fn is_quiet_but_for_positions(&self) -> bool {
        let quiet = |running: &Running| running.journal.queued() == 0 && running.committed.is_empty();
        self.running.as_ref().is_none_or(quiet)
    }

    fn now(&self, now_ms: i64) -> Now {
        let since = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        Now { monotonic: self.started + since, wall: super::world::wall(now_ms) }
    }
}

impl Running {
    fn step(&mut self, link: LinkId, event: Event, now: Now) -> Vec<Said> {
        let mut said = Vec::new();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some((_, session)) = self.sessions.get_mut(&link) else { return said };
            for effect in session.step(event, now) {
                match effect {
                    Effect::Admit => events.push_back(Event::Admitted(Ok(()))),
                    Effect::Send(packet) => said.push(Said::Packet(link, packet)),
                    Effect::Append(draft) => {
                        events.push_back(Event::Appended(self.journal.push(draft)));
                    }
                    Effect::Close(_) => {
                        self.sessions.remove(&link);
                        said.push(Said::Closed(link));
                        return said;
                    }
                    Effect::Subscribed(_) | Effect::RefusedFilter | Effect::Throttled => {}
                }
            }
        }
        said
    }

    /// Sends a lamppost's position down its connections.
    fn position(&mut self, number: &LamppostNumber, now: Now, clock: &ServerClock) -> Vec<Said> {
        let shown = clock.shows(now.wall);
        let Some(payload) = self.ingest.position(number, shown) else { return Vec::new() };
        let payload = Bytes::from(payload);
        // As the shell of the gateway: the newest connection of the number is the one that is registered.
        let newest = self.sessions.iter().rev().find(|(_, (of, _))| of == number);
        let Some((&link, (_, session))) = newest else { return Vec::new() };
        if !session.takes_downlinks() {
            return Vec::new();
        }
        self.step(link, Event::Downlink(Leaf::Position, payload), now)
    }

    /// A newer connection of the same lamppost logged in.
    pub(super) fn take_over(&mut self, newer: LinkId, number: &LamppostNumber, now: Now) -> Vec<Said> {
        let older: Vec<LinkId> = self
            .sessions
            .iter()
            .filter(|(link, (of, _))| **link < newer && of == number)
            .map(|(link, _)| *link)
            .collect();
        older.into_iter().flat_map(|link| self.step(link, Event::Ended(Reason::TakenOver), now)).collect()
    }
}

impl Server {
    /// As [`Running::take_over`].
    pub(super) fn take_over(&mut self, newer: LinkId, number: &LamppostNumber, now_ms: i64) -> Vec<Said> {
        let now = self.now(now_ms);
        self.running.as_mut().map_or_else(Vec::new, |running| running.take_over(newer, number, now))
    }
}

/// A server that knows nothing yet.
fn blank(release: Release) -> Blank {
    Blank { catalogue: release.catalogue(), metrics: IngestMetrics::default(), tail: TailOptions::default() }
}
