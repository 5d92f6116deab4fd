//! The server in the simulation: gateway sessions, journal, ingest and store, as they are, each stepped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fleet_server::gateway::session::{Effect, Event, Now, Reading, Session};
use fleet_server::gateway::{Identity, Incoming, Limits, Outgoing, Reason};
use fleet_server::ingest::{Fresh, Ingest, IngestMetrics};
use fleet_server::journal::{Entry, Journal, JournalOptions, LowWater, SteppedJournal};
use fleet_server::store::{Tail, TailOptions};
use lamplighter_protocol::{
    Catalogue, Frame, Hello, LamppostNumber, Leaf, Log, Pieces, Record, RunId, UtcMillis,
};

use super::dice::Dice;
use super::disk::SimDisk;
use super::ports::{JournalDisk, filler};

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
    /// What lampposts reported as dropped, read from what was ingested by nothing but the language (D11).
    pub(super) reported: Reported,
    /// How many records the logs of runs had by what was said of them: by openings, hellos and frames (D10).
    pub(super) stated: BTreeMap<(RunId, Log), u64>,
}

/// What was reported as dropped, by run and log.
pub(super) type Reported = BTreeMap<(RunId, Log), Pieces>;

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
        disk.create_directory(JournalDisk::directory()).expect("an empty disk takes a directory");
        disk.sync_directory(std::path::Path::new("/")).expect("an empty disk is synced");
        let low_water = if dice.chance(50) { 0 } else { 1_000 };
        Self { disk, running: None, started, limits: Arc::new(limits), low_water, dice: dice.fork() }
    }

    /// Starts a process, unless one runs. None: it did not come up, because the disk failed.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        self.disk.kill();
        let mut options = JournalOptions::in_directory(PathBuf::from("/journal"));
        options.segment_bytes = 4 << 10;
        options.low_water = LowWater { bytes: self.low_water, percent: None };
        options.random = fleet_server::journal::Random::new(filler(&mut self.dice));
        let disk = Box::new(JournalDisk(self.disk.clone()));
        let mut journal = Journal::open_on(options, disk).map_err(|error| error.to_string())?;
        let mut ingest = Ingest::new(Catalogue::built_in(), IngestMetrics::default());
        let mut tail = Tail::new(TailOptions::default());
        let (mut reported, mut stated) = (Reported::new(), BTreeMap::new());
        let report = journal.replay(|entry| {
            ingest.apply(&entry, &mut tail, &mut |_| {});
            note(&entry, &mut reported, &mut stated);
        });
        let report = report.map_err(|error| error.to_string())?;
        assert!(report.damaged.is_empty(), "nobody damaged the journal: {:?}", report.damaged);
        self.running = Some(Running {
            journal: journal.stepped(),
            ingest,
            tail,
            committed: VecDeque::new(),
            due: BTreeSet::new(),
            sessions: BTreeMap::new(),
            reported,
            stated,
        });
        Ok(())
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
            note(&entry, &mut running.reported, &mut running.stated);
            match running.ingest.apply(&entry, &mut running.tail, &mut |_| {}) {
                Fresh::Hello => said.extend(running.position(&entry.lamppost, now)),
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
        due.iter().flat_map(|number| running.position(number, now)).collect()
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
    fn position(&mut self, number: &LamppostNumber, now: Now) -> Vec<Said> {
        let Some(payload) = self.ingest.position(number, now.wall) else { return Vec::new() };
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

/// Notes what an entry says of drops and of ends.
fn note(entry: &Entry, reported: &mut Reported, stated: &mut BTreeMap<(RunId, Log), u64>) {
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
                    Ok(Record::Tick(_) | Record::Command(_)) | Err(_) => {}
                }
            }
        }
        Leaf::Description | Leaf::Position | Leaf::Command => {}
    }
}
