//! A lamppost in the simulation: its disk, its clock, and the agent on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge_agent::clock::{ClockTrust, Learnt, LearntFrom, Now};
use edge_agent::outbox::{OutboxError, OutboxOptions, Place, ReadLimit, SteppedOutbox};
use edge_agent::uplink::{Heard, Next, Session, Speaker};
use fleet_server::gateway::Incoming;
use fleet_server::store::SeriesKey;
use lamplighter_protocol::wire::CommandState;
use lamplighter_protocol::{
    CommandId, CommandReport, Decimal, Description, Device, Grid, LamppostNumber, Leaf, Log, Nonce,
    Observation, Position, Reason, Record, RunId, Series, Tick, Topic, UtcMillis, ValueType,
};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;

use super::clock::PostClock;
use super::dice::Dice;
use super::disk::SimDisk;
use super::model::{Kind, Observed, Said};
use super::ports::{OutboxDisk, filler};
use super::server::LinkId;
use crate::world::dice::stirred;

/// A lamppost, or a second card with the same identity.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) number: LamppostNumber,
    pub(super) serial: String,
    pub(super) disk: SimDisk,
    pub(super) clock: PostClock,
    /// Which of the [`descriptions`] it is configured with.
    pub(super) variant: usize,
    pub(super) agent: Option<Agent>,
    pub(super) dice: Dice,
    pub(super) max_bytes: u64,
    pub(super) max_age: Duration,
    /// Its agent is of a release that writes some records as no server can read them yet.
    pub(super) is_ahead_of_servers: bool,
    /// Something on its disk was damaged at some time.
    pub(super) was_damaged: bool,
}

/// An agent's process.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) outbox: SteppedOutbox,
    pub(super) session: Session,
    pub(super) link: Option<LinkId>,
    /// CONNACK came.
    pub(super) connected: bool,
    next_packet: u16,
    started_ms: i64,
    description: Description,
    last_tick: UtcMillis,
    /// Of the connection.
    nonce: Nonce,
    /// What orders the last position that was believed on it (D8).
    believed: UtcMillis,
    is_ahead_of_servers: bool,
    /// So many samples its run has, and so many records it refused.
    samples: u64,
    refused: u64,
    /// The series of its description, device by device.
    series: Vec<Vec<Arc<SeriesKey>>>,
    /// While it does not know the time: by how much its provisional time is ahead of the true time.
    pub(super) provisional_ms: Option<i64>,
}

/// A record with a body that no release knows: field 15, of no bytes.
const UNREADABLE: &[u8] = &[0x7A, 0];

/// What was appended: where, and what it says.
pub(super) type Appended = (RunId, Log, u64, Kind, Vec<Observed>);

/// A process ended: a write or sync failed (D2), or the clock was set back by so much that a new run begins (D3).
#[derive(Debug)]
pub(super) struct Ended;

impl From<OutboxError> for Ended {
    fn from(_: OutboxError) -> Self {
        Self
    }
}

impl Post {
    pub(super) fn new(number: usize, dice: &mut Dice) -> Self {
        let number: LamppostNumber = format!("SIM{number:04}").parse().expect("letters and digits");
        // Some outboxes are so small that they fill up.
        let max_bytes = if dice.chance(50) { 2_000 } else { 1 << 20 };
        let max_age = if dice.chance(20) { Duration::from_mins(10) } else { Duration::from_hours(24 * 30) };
        Self {
            serial: format!("board-{}", number.as_str()),
            number,
            disk: SimDisk::new(dice.fork()),
            clock: PostClock::new(dice),
            variant: 0,
            agent: None,
            dice: dice.fork(),
            max_bytes,
            max_age,
            is_ahead_of_servers: dice.chance(20),
            was_damaged: false,
        }
    }

    /// The directory of the outbox on the disk.
    pub(super) fn directory() -> &'static Path {
        Path::new("/outbox")
    }

    pub(super) fn options(&self) -> OutboxOptions {
        OutboxOptions {
            directory: PathBuf::from(Self::directory()),
            lamppost: self.number.clone(),
            hardware_serial: self.serial.clone(),
            max_bytes: self.max_bytes,
            max_age: self.max_age,
            sync_every: Duration::from_secs(2),
            // Small, so that a run of some hundred records has many of them.
            segment_bytes: 400,
        }
    }

    /// Opens what is on a disk as this lamppost's agent would.
    pub(super) fn open(&mut self, disk: &SimDisk, now_ms: i64) -> Result<SteppedOutbox, OutboxError> {
        let disk = Arc::new(OutboxDisk(disk.clone()));
        let random = edge_agent::outbox::Random::new(filler(&mut self.dice));
        let now = || self.clock.beginning(now_ms);
        SteppedOutbox::open(disk, random, self.options(), &descriptions(self.variant), now)
    }

    /// Starts the agent, unless it runs.
    pub(super) fn start(&mut self, now_ms: i64) -> Result<(), OutboxError> {
        if self.agent.is_some() {
            return Ok(());
        }
        self.disk.kill();
        let disk = self.disk.clone();
        let mut outbox = self.open(&disk, now_ms)?;
        let speaker = Speaker {
            agent_version: "simulated".to_owned(),
            hardware_serial: self.serial.clone(),
            generation: self.variant as u64,
        };
        let session = Session::new(speaker, outbox.state());
        let description = descriptions(self.variant);
        self.agent = Some(Agent {
            outbox,
            session,
            link: None,
            connected: false,
            next_packet: 0,
            started_ms: now_ms,
            last_tick: UtcMillis(i64::MIN),
            nonce: Nonce([0; 16]),
            believed: UtcMillis(i64::MIN),
            is_ahead_of_servers: self.is_ahead_of_servers,
            samples: 0,
            refused: 0,
            series: series_of(&self.number, &description),
            description,
            provisional_ms: (!self.clock.is_known).then_some(self.clock.off_ms),
        });
        Ok(())
    }

    /// The process is gone; its file handles go with it. What the page cache holds stays.
    pub(super) fn kill(&mut self) -> Option<LinkId> {
        let agent = self.agent.take();
        self.disk.kill();
        self.clock.agent_ends();
        agent.and_then(|agent| agent.link)
    }

    /// Whether its outbox has anything that the server is not known to hold.
    pub(super) fn owes(&mut self) -> bool {
        let Some(agent) = &mut self.agent else { return true };
        let state = agent.outbox.state();
        state.runs.iter().any(|run| {
            Log::ALL.iter().any(|log| {
                let log = run.log(*log);
                log.on_disk.ranges().any(|(first, last)| !log.held.contains_all(first, last))
            })
        })
    }

    pub(super) fn wall(&self, now_ms: i64) -> UtcMillis {
        let provisional_ms = self.agent.as_ref().and_then(|agent| agent.provisional_ms);
        super::world::wall(now_ms).plus_ms(provisional_ms.unwrap_or(self.clock.ahead_ms))
    }
}

impl Agent {
    /// Reads a device, and appends what it says.
    pub(super) fn sample(
        &mut self,
        wall: UtcMillis,
        count: &mut i64,
        dice: &mut Dice,
    ) -> Result<Option<Appended>, Ended> {
        let back_ms = self.last_tick.since_ms(wall);
        if self.last_tick.0 != i64::MIN && back_ms >= 0 {
            // A clock that was set back by less than an hour is waited out (D3).
            return if back_ms < 3_600_000 { Ok(None) } else { Err(Ended) };
        }
        self.last_tick = wall;
        let place = dice.below(self.description.devices.len());
        let device = self.description.devices.get(place);
        let Some((device, keys)) = device.zip(self.series.get(place)) else { return Ok(None) };
        let mut observations = Vec::new();
        let mut observed = Vec::new();
        for (place, (series, key)) in device.series.iter().zip(keys).enumerate() {
            // No two observations say the same, so that one in a wrong place is seen.
            *count += 1;
            let reason = match dice.below(10) {
                0 => Reason::NO_ANSWER,
                1 => Reason::OUT_OF_RANGE,
                _ => Reason::GOOD,
            };
            let value = (reason != Reason::NO_ANSWER).then_some(*count);
            observations.push(Observation { series: place, value, reason });
            let value = value.map(|value| series.resolution.to_f64(value));
            observed.push(Observed { series: Arc::clone(key), time: wall, said: Said { value, reason } });
        }
        let record = Record::Tick(Tick { device: place, time: wall, observations });
        self.outbox.append(Log::Samples, &record)?;
        let state = self.outbox.state();
        self.refused = state.refused;
        let end = state.runs.last().map_or(0, |run| run.samples.end);
        let sequence = std::mem::replace(&mut self.samples, end);
        if sequence == end {
            // Refused: there is no room.
            return Ok(None);
        }
        let run = state.run;
        let kind =
            if self.writes_unreadably(run, Log::Samples, sequence) { Kind::Unreadable } else { Kind::Tick };
        Ok(Some((run, Log::Samples, sequence, kind, observed)))
    }

    /// Appends what became of a command. None: there is no room for it.
    pub(super) fn report(&mut self, wall: UtcMillis, dice: &mut Dice) -> Result<Option<(RunId, u64)>, Ended> {
        let mut id = [0; 16];
        dice.fill(&mut id);
        let state = CommandState::Done;
        let report = CommandReport { id: CommandId(id), state, time: wall, detail: String::new() };
        self.outbox.append(Log::Events, &Record::Command(report))?;
        let state = self.outbox.state();
        let refused = std::mem::replace(&mut self.refused, state.refused);
        // What had to go for it is told before it.
        let sequence = state.runs.last().and_then(|run| run.events.end.checked_sub(1));
        Ok(sequence.filter(|_| state.refused == refused).map(|sequence| (state.run, sequence)))
    }

    /// Whether no server can read this record yet. Whoever sends it, it says the same.
    fn writes_unreadably(&self, run: RunId, log: Log, sequence: u64) -> bool {
        let [word, ..] = run.0;
        self.is_ahead_of_servers
            && log == Log::Samples
            && stirred(u64::from(word) ^ sequence).is_multiple_of(20)
    }

    /// The configuration changed while the agent runs.
    pub(super) fn describe(&mut self, number: &LamppostNumber, variant: usize) -> Result<(), Ended> {
        self.description = descriptions(variant);
        self.series = series_of(number, &self.description);
        Ok(self.outbox.describe(&self.description)?)
    }

    pub(super) fn now(&self, now_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(now_ms - self.started_ms).unwrap_or(0))
    }

    /// CONNACK came.
    pub(super) fn connected(&mut self, nonce: Nonce, now_ms: i64) {
        let now = self.now(now_ms);
        self.session.outbox_changed(self.outbox.state());
        self.session.connected(nonce, now);
        (self.nonce, self.believed) = (nonce, UtcMillis(i64::MIN));
        self.connected = true;
    }

    /// About once a minute the outbox hears what time it is.
    pub(super) fn hear_time(&mut self, wall: UtcMillis, now_ms: i64) -> Result<(), Ended> {
        let monotonic = self.now(now_ms);
        let trust = if self.provisional_ms.is_some() { ClockTrust::Unknown } else { ClockTrust::Sure };
        Ok(self.outbox.hear_time(Now { monotonic, wall, trust })?)
    }

    /// The time is learnt, and is so much ahead of the true time. Says which run is dated.
    pub(super) fn learn(&mut self, ahead_ms: i64, from: LearntFrom) -> Result<Option<RunId>, Ended> {
        let Some(provisional_ms) = self.provisional_ms else { return Ok(None) };
        let shift_ms = ahead_ms - provisional_ms;
        self.outbox.date(Learnt { shift_ms, from })?;
        self.provisional_ms = None;
        if self.last_tick.0 != i64::MIN {
            self.last_tick = self.last_tick.plus_ms(shift_ms);
        }
        Ok(Some(self.outbox.state().run))
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        self.session.disconnected();
        self.link = None;
        self.connected = false;
    }

    /// Does up to so many things that are due; what is to be published, and whether the connection is given up.
    pub(super) fn pump(
        &mut self,
        number: &LamppostNumber,
        most: usize,
        now_ms: i64,
    ) -> (Vec<Incoming>, bool) {
        let mut packets = Vec::new();
        let now = self.now(now_ms);
        self.session.outbox_changed(self.outbox.state());
        let trust = if self.provisional_ms.is_some() { ClockTrust::Unknown } else { ClockTrust::Sure };
        self.session.clock_is(trust);
        for _ in 0..most {
            match self.session.next(now) {
                Next::Idle { .. } => break,
                Next::GiveUp => {
                    self.session.fell_silent();
                    return (packets, true);
                }
                Next::Hello => {
                    if let Some(payload) = self.session.hello(now) {
                        packets.push(self.publish(number, Leaf::Hello, payload));
                    }
                }
                Next::Read(place, limit) => self.send(number, place, limit, now, &mut packets),
            }
        }
        (packets, false)
    }

    fn send(
        &mut self,
        number: &LamppostNumber,
        place: Place,
        limit: ReadLimit,
        now: Duration,
        packets: &mut Vec<Incoming>,
    ) {
        let last = match self.outbox.read(place, limit) {
            Ok(Some(mut chunk)) => {
                for (sequence, record) in (chunk.place.sequence..).zip(&mut chunk.records) {
                    if self.writes_unreadably(chunk.place.run, chunk.place.log, sequence) {
                        *record = Bytes::from_static(UNREADABLE);
                    }
                }
                let digest = chunk.description;
                let described = self.session.is_described(digest);
                let payload = if described { Ok(None) } else { self.outbox.description(digest) };
                match payload {
                    Ok(payload) if described || payload.is_some() => {
                        if let Some(payload) = payload {
                            self.session.describe(digest, payload.len(), now);
                            packets.push(self.publish(number, Leaf::Description, payload));
                        }
                        let log = chunk.place.log;
                        if let Some(payload) = self.session.frame(chunk, now) {
                            packets.push(self.publish(number, Leaf::Frames(log), payload));
                        }
                        return;
                    }
                    Ok(_) | Err(_) => place.sequence + (chunk.records.len() as u64).saturating_sub(1),
                }
            }
            Ok(None) => place.sequence,
            Err(_) => limit.last,
        };
        self.session.outbox_changed(self.outbox.state());
        self.session.unreadable(place, last, now);
    }

    fn publish(&mut self, number: &LamppostNumber, leaf: Leaf, payload: Vec<u8>) -> Incoming {
        self.next_packet = self.next_packet.checked_add(1).unwrap_or(1);
        let topic = Topic::new(number.clone(), leaf).to_string();
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = self.next_packet;
        Incoming::Publish(publish)
    }

    pub(super) fn acknowledged(&mut self, now_ms: i64) {
        let now = self.now(now_ms);
        self.session.acknowledged(now);
    }

    /// Whether a position that comes now may be believed: it answers this connection, and is newer than the last.
    pub(super) fn may_believe(&self, position: &Position) -> bool {
        position.nonce == self.nonce && position.server_time > self.believed
    }

    /// Whether a position answers a hello of this connection.
    pub(super) fn is_answered_by(&self, payload: &[u8]) -> bool {
        Position::decode(payload).is_ok_and(|position| position.nonce == self.nonce)
    }

    /// A position came. If the server told the time well enough: by how much that is ahead of the true time.
    pub(super) fn position(&mut self, payload: &[u8], now_ms: i64) -> Result<Option<i64>, Ended> {
        let Ok(position) = Position::decode(payload) else { return Ok(None) };
        let now = self.now(now_ms);
        match self.session.position(&position, now) {
            Heard::Believed { asked } => {
                self.believed = position.server_time;
                self.outbox.believe(&position)?;
                let took_ms = i64::try_from(now.saturating_sub(asked).as_millis()).unwrap_or(i64::MAX);
                let time = position.time().filter(|time| took_ms <= 2_000 && time.plausible().is_ok());
                Ok(time.map(|time| time.plus_ms(took_ms / 2).since_ms(super::world::wall(now_ms))))
            }
            Heard::Ignored => Ok(None),
        }
    }
}

fn series_of(number: &LamppostNumber, description: &Description) -> Vec<Vec<Arc<SeriesKey>>> {
    let key = |device: &Device, series: &Series| {
        Arc::new(SeriesKey { lamppost: number.clone(), name: device.name_of(series) })
    };
    let of = |device: &Device| device.series.iter().map(|series| key(device, series)).collect();
    description.devices.iter().map(of).collect()
}

/// So many configurations there are.
pub(super) const VARIANTS: usize = 4;

/// What a lamppost may be configured to read: as it was at first; with a device renamed; with one removed, and the other
/// in another place; with another resolution.
pub(super) fn descriptions(variant: usize) -> Description {
    let quantity = |property: &str, unit: &str, exponent| Series {
        property: property.parse().expect("a name of the catalogue"),
        channel: None,
        value_type: ValueType::Quantity,
        unit: unit.to_owned(),
        resolution: Decimal::new(1, exponent).expect("a power of ten"),
    };
    let weather = |name: &str, exponent| Device {
        name: name.parse().expect("a name"),
        grid: Some(0),
        model: "bme280".to_owned(),
        series: vec![quantity("air_temperature", "Cel", exponent), quantity("relative_humidity", "%", -2)],
    };
    let air = Device {
        name: "air-1".parse().expect("a name"),
        grid: Some(0),
        model: "pms5003".to_owned(),
        series: vec![quantity("pm2_5", "ug/m3", -1)],
    };
    let devices = match variant % VARIANTS {
        0 => vec![weather("weather-1", -2), air],
        1 => vec![weather("weather-2", -2), air],
        2 => vec![air],
        _ => vec![air, weather("weather-1", -1)],
    };
    Description { grids: vec![Grid { period_ms: 1_000, phase_ms: 0 }], devices }
}
