//! What ingest knows of one lamppost.

mod state;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use lamplighter_protocol::{
    CommandId, DeviceName, Digest, Grid, Hello, Log, LogHeld, Nonce, Opening, OutboxId, Pieces, Position,
    RunHeld, RunId, RunPosition, SeriesName, ServerClock, UtcMillis, limits,
};

use super::current::{Current, CurrentSeries};
use super::intake::Intake;
use super::known::Known;
use super::ledger::{
    CommandFate, Course, Ends, LamppostLedger, Ledger, OutboxDecision, RecordVerdict, RunEnd, RunOpening,
};
use super::named::Named;
use super::places::Places;
use super::pulse::{Pulse, freshened};

/// Most runs of one lamppost that the server remembers: five years of a start a day. Past it, it forgets the one that
/// was not written to for longest; should that be sent again, it is ingested again, and merged with itself (D13).
const MOST_RUNS: usize = 2_000;

/// Most pieces of one log that the server remembers; past it, it forgets the farthest, and they come again (D8).
const MOST_PIECES: usize = 1_024;

/// Most descriptions that one lamppost may be the first to send, and their bytes together: a bound on what made-up ones
/// cost. A lamppost has a new one with each new configuration.
const MOST_INTRODUCED: u32 = 512;
const MOST_INTRODUCED_BYTES: usize = 2 * 1024 * 1024;

const HOUR_MS: u64 = 3_600_000;

/// Most descriptions that one position names as lacking.
const MOST_LACKING: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Lamppost {
    hello: Option<SaidHello>,
    runs: HashMap<RunId, Run>,
    /// In the order in which their openings came; the last [`MOST_RUNS`].
    openings: VecDeque<Opened>,
    introduced: u32,
    introduced_bytes: usize,
    lacking: BTreeSet<Digest>,
    /// Where the store keeps the series of the descriptions that this lamppost writes in.
    pub(super) places: HashMap<Digest, Arc<Places>>,
    current: Option<Current>,
    last_observation: Option<UtcMillis>,
    freshness: Option<UtcMillis>,
    /// The order of the last position (D8).
    last_position: UtcMillis,
    /// Of the connection that last said hello. Not part of a checkpoint: a start ends all connections.
    intake: Intake,
    /// When the last of its messages was received that the journal has.
    pub(super) last_acknowledged: Option<UtcMillis>,
    /// What became of what it has written, besides what is held.
    pub(super) ledger: Ledger,
}

#[derive(Debug)]
struct Opened {
    run: RunId,
    opening: Opening,
    /// What the opening was written in.
    known: Arc<Known>,
}

#[derive(Debug)]
struct SaidHello {
    hello: Hello,
    received: UtcMillis,
    /// The greatest count read under its nonce.
    count: u64,
    named: Named,
}

#[derive(Debug, Default)]
pub(super) struct Run {
    samples: Pieces,
    events: Pieces,
    /// The journal's sequence of the last frame of this run.
    written: u64,
}

/// What is known of a lamppost, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LamppostReport {
    /// The outbox that last spoke.
    pub outbox: OutboxId,
    /// The run that last spoke.
    pub run: RunId,
    /// Version of its agent.
    pub agent_version: String,
    /// Serial number of its hardware; empty if it has none.
    pub hardware_serial: String,
    /// Generation of the configuration that it runs.
    pub generation: u64,
    /// When the server received its last hello.
    pub last_hello: UtcMillis,
    /// Greatest time of an observation.
    pub last_observation: Option<UtcMillis>,
    /// Digest of the description that its newest records are written in.
    pub description: Option<Digest>,
    /// Its devices, by that description.
    pub devices: Vec<DeviceReport>,
    /// When its agent was stopped, the oldest first.
    pub stops: Vec<Stop>,
    /// Records that it is known to hold and the server does not: its last hello or a later frame named them. At least
    /// so many: a hello that would be too long leaves some out.
    pub backlog: u64,
    /// How fast its records come.
    pub intake: Intake,
}

impl LamppostReport {
    /// In how many seconds its backlog is here, if all goes on as it does. None if it does not shrink, or nobody knows.
    pub fn drains_in_s(&self, now: UtcMillis) -> Option<u64> {
        let grids = self.devices.iter().filter_map(|device| device.grid);
        let added_per_hour = grids.map(|grid| HOUR_MS / u64::from(grid.period_ms.max(1))).sum();
        self.intake.drains_in_s(self.backlog, added_per_hour, now)
    }
}

/// A device as its lamppost describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// Its name.
    pub name: DeviceName,
    /// What it is.
    pub model: String,
    /// When it is read; none: by exception.
    pub grid: Option<Grid>,
    /// What it observes.
    pub series: Vec<SeriesName>,
}

/// A time in which an agent was stopped (D2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The run that ended.
    pub run_before: RunId,
    /// The run that opened.
    pub run: RunId,
    /// When the run before was last known to be alive.
    pub ended: RunEnd,
    /// When the next run opened.
    pub opened: UtcMillis,
    /// On which grids devices would have been read.
    pub grids: Vec<(DeviceName, Grid)>,
}

/// A run that names the same run before as another one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fork;

impl Lamppost {
    pub(super) fn hello(&mut self, hello: Hello, received: UtcMillis, entry: u64) {
        self.ledger.hello(&hello, received, entry);
        let counted =
            self.hello.as_ref().filter(|said| said.hello.nonce == hello.nonce).map_or(0, |said| said.count);
        let count = counted.max(hello.count);
        if self.hello.as_ref().is_none_or(|said| said.hello.nonce != hello.nonce) {
            self.intake = Intake::since(received);
        }
        let named = Named::by(&hello);
        // The ledger has what was set aside.
        let hello = Hello { set_aside: Vec::new(), ..hello };
        self.hello = Some(SaidHello { hello, received, count, named });
    }

    /// A frame carries these records, whether they can be used or not.
    pub(super) fn sent(&mut self, run: RunId, log: Log, first: u64, last: u64) {
        // Until the first hello nothing says what else there is.
        if let Some(said) = &mut self.hello {
            said.named.sent(run, log, first, last);
        }
    }

    /// So many records came that were not held.
    pub(super) fn took(&mut self, records: u64, received: UtcMillis) {
        self.intake.took(records, received);
    }

    /// Something was read on the connection of this nonce.
    pub(super) fn counted(&mut self, nonce: Nonce, count: u64) {
        if let Some(said) = self.hello.as_mut().filter(|said| said.hello.nonce == nonce) {
            said.count = said.count.max(count);
        }
    }

    /// The run of this id, to which the journal's entry of this sequence belongs.
    pub(super) fn run(&mut self, run: RunId, entry: u64) -> &mut Run {
        if self.runs.len() >= MOST_RUNS && !self.runs.contains_key(&run) {
            self.forget_a_run();
        }
        self.ledger.held(run, entry);
        let run = self.runs.entry(run).or_default();
        run.written = entry;
        run
    }

    /// Whether the lamppost may be the first to send a description of so many bytes; if so, it is counted.
    pub(super) fn introduces(&mut self, bytes: usize) -> bool {
        let fits =
            self.introduced < MOST_INTRODUCED && self.introduced_bytes + bytes <= MOST_INTRODUCED_BYTES;
        if fits {
            self.introduced += 1;
            self.introduced_bytes += bytes;
        }
        fits
    }

    pub(super) fn lacks(&mut self, digest: Digest) {
        if self.lacking.len() < MOST_LACKING {
            self.lacking.insert(digest);
        }
    }

    /// A frame is written in this description, which is here.
    pub(super) fn described(&mut self, digest: Digest, known: &Arc<Known>) {
        self.lacking.remove(&digest);
        self.current.get_or_insert_with(|| Current::first(digest, known));
    }

    /// A record of this time is written in this description. True: that is the current one from now on.
    pub(super) fn written(
        &mut self,
        digest: Digest,
        known: &Arc<Known>,
        time: UtcMillis,
        received: UtcMillis,
    ) -> bool {
        let current = self.current.get_or_insert_with(|| Current::first(digest, known));
        current.written(digest, known, time, received)
    }

    /// The series that it has now; none before it has written anything that can be read.
    pub(super) fn current_series(&self) -> Option<CurrentSeries> {
        self.current.as_ref().map(Current::series)
    }

    pub(super) fn observed(&mut self, time: UtcMillis, received: UtcMillis) {
        self.last_observation = self.last_observation.max(Some(time));
        self.freshness = Some(freshened(self.freshness, time, received));
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse {
            said_hello: self.hello.is_some(),
            last_observation: self.last_observation,
            freshness: self.freshness,
            shortest_period_ms: self.current.as_ref().and_then(|current| current.known.shortest_period_ms),
        }
    }

    /// Takes a run's opening (D1), which the journal's entry of this sequence brought in this description.
    pub(super) fn opened(
        &mut self,
        run: RunId,
        opening: Opening,
        (digest, known): (Digest, &Arc<Known>),
        (received, entry): (UtcMillis, u64),
    ) -> Result<(), Fork> {
        let noted = RunOpening {
            before: opening.run_before,
            ends: Ends { samples: opening.samples_end, events: opening.events_end },
            ended: opening.ended,
            opened: opening.opened,
            description: digest,
            received,
        };
        self.ledger.opened(run, noted, entry);
        let before = opening.run_before;
        let fork = before.is_some() && self.openings.iter().any(|other| other.opening.run_before == before);
        if self.openings.len() >= MOST_RUNS {
            self.openings.pop_front();
        }
        self.openings.push_back(Opened { run, opening, known: Arc::clone(known) });
        if fork { Err(Fork) } else { Ok(()) }
    }

    /// The answer to the last hello (D8): a function of what was read from the journal, and of the time.
    pub(super) fn position(&mut self, now: UtcMillis, is_known: impl Fn(Digest) -> bool) -> Option<Position> {
        let said = self.hello.as_ref()?;
        // Strictly newer than the one before, so that the agent can tell which of two is. It goes by the clock, which counts on
        // where a checkpoint was lost, but not by one that cannot be right: that would hold for as long as it was ahead.
        let clock = now.plausible();
        self.last_position = clock.unwrap_or_default().max(self.last_position.plus_ms(1));
        let mut position = Position {
            nonce: said.hello.nonce,
            count: said.count,
            server_time: self.last_position,
            runs: Vec::new(),
            lacking: self.lacking.iter().copied().filter(|digest| !is_known(*digest)).collect(),
            newest_version: limits::VERSION,
            clock: clock.map_or(ServerClock::Wrong, ServerClock::Shows),
        };
        // Pieces are left out, the farthest first, until the position fits a payload.
        for most in [limits::MAX_PIECES_PER_LOG, 16, 4, 1] {
            let held = |run, log| self.listed(run, log, most);
            position.runs = self
                .hello
                .iter()
                .flat_map(|said| &said.hello.runs)
                .map(|RunHeld { run, .. }| RunPosition {
                    run: *run,
                    samples: held(*run, Log::Samples),
                    events: held(*run, Log::Events),
                })
                .collect();
            if position.encoded_len() <= limits::MAX_PAYLOAD_BYTES {
                break;
            }
        }
        Some(position)
    }

    /// What a position lists of a log, in at most so many pieces. Gaps that will never be filled, since what was in them was
    /// dropped and that is reported (D11), are no gaps where there are more than that: else what lies behind them could
    /// never be said to be held. Elsewhere they stay: a copy of the outbox may still have what this one dropped.
    fn listed(&self, run: RunId, log: Log, most: usize) -> LogHeld {
        // Of a run that the server knows nothing of, it holds nothing: that is said, and not left open.
        let Some(held) = self.runs.get(&run).map(|run| run.held(log)) else {
            return LogHeld::cut(&Pieces::new(), most);
        };
        if held.ranges().len() <= most {
            return LogHeld::cut(held, most);
        }
        LogHeld::cut(&held.bridged(&self.ledger.all_dropped(run, log)), most)
    }

    fn forget_a_run(&mut self) {
        let named = self.hello.iter().flat_map(|said| said.hello.runs.iter().map(|named| named.run));
        let named: BTreeSet<RunId> = named.collect();
        let others = self.runs.iter().filter(|(run, _)| !named.contains(run));
        // The order of the map does not show: no two runs were written by one entry.
        if let Some((&oldest, _)) = others.min_by_key(|(_, run)| run.written) {
            self.runs.remove(&oldest);
            self.ledger.forget(oldest);
        }
    }

    /// What became of one record.
    pub(super) fn verdict(&self, run: RunId, log: Log, sequence: u64) -> RecordVerdict {
        self.ledger.verdict(run, log, sequence, &|run, log| Some(self.runs.get(&run)?.held(log)))
    }

    /// What became of all that it has written.
    pub(super) fn account(&self) -> LamppostLedger {
        self.ledger.report(&|run, log| Some(self.runs.get(&run)?.held(log)))
    }

    /// The course of its series from `from` to before `to`.
    pub(super) fn course(
        &self,
        known: impl Fn(Digest) -> Option<Arc<Known>>,
        (from, to): (UtcMillis, UtcMillis),
    ) -> Course {
        let held = |run: RunId, log| Some(self.runs.get(&run)?.held(log));
        self.ledger.course(&held, known, (from, to))
    }

    /// An operator has decided of one of its outboxes. False: it has none of this id.
    pub(super) fn decide(&mut self, outbox: OutboxId, decision: OutboxDecision) -> bool {
        self.ledger.decide(outbox, decision)
    }

    /// What it has reported of a command.
    pub(super) fn command(&self, id: CommandId) -> Option<&CommandFate> {
        self.ledger.commands.get(&id)
    }

    pub(super) fn report(&self) -> Option<LamppostReport> {
        let said = self.hello.as_ref()?;
        let devices = self.current.iter().flat_map(|current| {
            let description = &current.known.description;
            description.devices.iter().map(|device| DeviceReport {
                name: device.name.clone(),
                model: device.model.clone(),
                grid: description.grid_of(device),
                series: device.series.iter().map(|series| device.name_of(series)).collect(),
            })
        });
        let mut stops: Vec<Stop> = self.openings.iter().filter_map(|opened| self.stop(opened)).collect();
        stops.sort_by_key(|stop| stop.ended.time());
        Some(LamppostReport {
            outbox: said.hello.outbox,
            run: said.hello.run,
            agent_version: said.hello.agent_version.clone(),
            hardware_serial: said.hello.hardware_serial.clone(),
            generation: said.hello.generation,
            last_hello: said.received,
            last_observation: self.last_observation,
            description: self.current.as_ref().map(|current| current.digest),
            devices: devices.collect(),
            stops,
            backlog: said.named.missing_from(|run, log| Some(self.runs.get(&run)?.held(log))),
            intake: self.intake,
        })
    }

    /// The stop that a run ended by opening; none if it is the first one, or nothing is known of the run before.
    fn stop(&self, opened: &Opened) -> Option<Stop> {
        let Opened { run, opening, known } = opened;
        let run_before = opening.run_before?;
        let ended = self.ledger.end_before(run_before, opening.ended)?;
        let devices = known.description.devices.iter();
        let grids =
            devices.filter_map(|device| Some((device.name.clone(), known.description.grid_of(device)?)));
        Some(Stop { run_before, run: *run, ended, opened: opening.opened, grids: grids.collect() })
    }
}

impl Run {
    fn held(&self, log: Log) -> &Pieces {
        match log {
            Log::Samples => &self.samples,
            Log::Events => &self.events,
        }
    }

    fn log(&mut self, log: Log) -> &mut Pieces {
        match log {
            Log::Samples => &mut self.samples,
            Log::Events => &mut self.events,
        }
    }

    /// The parts of these sequences that are not held yet.
    pub(super) fn missing_in(&self, log: Log, first: u64, last: u64) -> Vec<(u64, u64)> {
        self.held(log).missing_in(first, last)
    }

    /// These sequences are stored, or have another verdict.
    pub(super) fn hold(&mut self, log: Log, first: u64, last: u64) {
        insert_bounded(self.log(log), first, last);
    }
}

/// Adds to pieces of which at most [`MOST_PIECES`] are kept, the nearest.
pub(super) fn insert_bounded(pieces: &mut Pieces, first: u64, last: u64) {
    pieces.insert(first, last);
    while pieces.ranges().len() > MOST_PIECES {
        let Some((first, last)) = pieces.ranges().next_back() else { return };
        pieces.remove(first, last);
    }
}
