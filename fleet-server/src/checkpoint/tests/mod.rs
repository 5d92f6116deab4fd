//! Checkpoints, and what their tests have in common.

mod exact;
mod files;
mod sealing;
mod starting;

use bytes::Bytes;
use lamplighter_protocol::{
    Catalogue, CommandId, CommandReport, Dating, Description, Device, Digest, DropReason, Dropped,
    DroppedSeries, Frame, Grid, Hello, LamppostNumber, Leaf, Log, Nonce, Observation, Opening, OutboxId,
    Pieces, Position, Reason, Record, RunHeld, RunId, Series, SetAside, SetAsideReason, Tick, UtcMillis,
    ValueType, wire::CommandState,
};

use super::{Checkpoints, Fresh, Snapshot};
use crate::ingest::{Ingest, IngestMetrics, Intake, LamppostReport, Malformed, Verdict};
use crate::journal::Entry;
use crate::journal::memory_disk::MemoryDisk;
use crate::store::{Point, Tail, TailOptions, TailSize, TailTally};

const NOW: UtcMillis = UtcMillis(1_800_000_000_000);
const LAMPPOSTS: [&str; 3] = ["A1", "B2", "C3"];

/// What a lamppost does.
#[derive(Clone, Debug)]
struct Act {
    lamppost: usize,
    what: What,
    /// Seconds from the act before to this one, by the server's clock.
    later: i64,
}

#[derive(Clone, Debug)]
enum What {
    Hello { run: u8, held: u64 },
    Command { run: u8, first: u64, id: u8 },
    Describe { which: usize },
    Samples { run: u8, first: u64, which: usize, ticks: Vec<(i64, Option<i64>)> },
    Dropped { run: u8, first: u64, of: u8, count: u64 },
    Garbage { run: u8, first: u64, which: usize },
    Opening { run: u8, before: Option<u8>, which: usize },
    Unreadable { leaf: Leaf, payload: Vec<u8> },
}

/// A server without its journal and its threads.
struct Bench {
    fresh: Fresh,
    ingest: Ingest,
    tail: Tail,
}

impl Bench {
    fn new(most: usize) -> Self {
        let fresh = fresh(most);
        let (ingest, tail) = fresh.build();
        Self { fresh, ingest, tail }
    }

    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.ingest.apply(entry, &mut self.tail, &mut |_| {});
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.ingest, &self.tail, NOW)
    }

    /// The newest of these checkpoints.
    fn read(checkpoints: &mut Checkpoints, most: usize) -> Option<Self> {
        let fresh = fresh(most);
        let restored = checkpoints.newest(&fresh).unwrap().restored?;
        assert_eq!(restored.info.sequence, restored.ingest.next_sequence());
        Some(Self { fresh, ingest: restored.ingest, tail: restored.tail })
    }

    /// All that can be asked of it.
    fn told(&mut self) -> Told {
        let numbers = LAMPPOSTS.map(|number| number.parse::<LamppostNumber>().unwrap());
        let lampposts = numbers.each_ref().map(|number| {
            let ingest = &mut self.ingest;
            let current = ingest.current_series(number);
            let (from, to) = (NOW.plus_ms(-86_400_000), NOW.plus_ms(86_400_000));
            let verdicts: Vec<_> = (1..5)
                .flat_map(|run| (0..70).map(move |sequence| (RunId([run; 16]), sequence)))
                .flat_map(|(run, sequence)| Log::ALL.map(|log| ingest.verdict(number, run, log, sequence)))
                .collect();
            format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {verdicts:?}",
                ingest.ledger(number),
                ingest.course(number, from, to),
                ingest.position(number, NOW).map(|position| timeless(&position)),
                // How fast records come is of a connection, and a start ends all of those.
                ingest.report(number).map(|report| LamppostReport { intake: Intake::default(), ..report }),
                ingest.pulse(number),
                ingest.last_acknowledged(number),
                current.map(|current| self
                    .tail
                    .all()
                    .map(|one| &one.meta.key.name)
                    .map(current.among_them())
                    .collect::<Vec<_>>()),
            )
        });
        let metrics = &self.fresh.metrics;
        let series = self.tail.all().map(|one| {
            let floor = self.tail.floor(one.id);
            let page = self.tail.range(one.id, floor, UtcMillis(i64::MAX), 10_000).unwrap();
            (format!("{:?} {floor:?}", one.meta), one.latest, page.points)
        });
        Told {
            next: self.ingest.next_sequence(),
            lampposts: lampposts.to_vec(),
            verdicts: Verdict::ALL.map(|verdict| metrics.observations(verdict)).to_vec(),
            malformed: Malformed::ALL.map(|what| metrics.malformed(what)).to_vec(),
            counted: [
                metrics.frames.get(),
                metrics.repeated.get(),
                metrics.damaged.get(),
                metrics.forks.get(),
                metrics.quarantine.released.get(),
                metrics.quarantine.expired.get(),
                metrics.quarantine.no_room.get(),
            ],
            quarantine: [metrics.quarantine.records.get(), metrics.quarantine.bytes.get()],
            series: series.collect(),
            size: TailSize { bytes: 0, ..self.tail.size() },
            oldest: self.tail.oldest(),
            tally: self.tail.tally(),
            old: (-3..4).map(|days| self.ingest.older_than_days(1, NOW.plus_ms(days * 86_400_000))).collect(),
        }
    }
}

#[derive(Debug, PartialEq)]
struct Told {
    next: u64,
    lampposts: Vec<String>,
    verdicts: Vec<u64>,
    malformed: Vec<u64>,
    counted: [u64; 7],
    quarantine: [i64; 2],
    series: Vec<(String, Option<Point>, Vec<Point>)>,
    size: TailSize,
    oldest: Option<UtcMillis>,
    tally: TailTally,
    old: Vec<u64>,
}

fn fresh(most: usize) -> Fresh {
    Fresh {
        catalogue: Catalogue::built_in(),
        metrics: IngestMetrics::default(),
        tail: TailOptions { max_observations: most, ..TailOptions::default() },
    }
}

/// A position without the time at which it was asked for.
fn timeless(position: &[u8]) -> Position {
    Position { server_time: NOW, ..Position::decode(position).unwrap() }
}

fn open(disk: &MemoryDisk) -> Checkpoints {
    Checkpoints::open(Box::new(disk.clone())).unwrap()
}

/// The journal of these acts.
fn journal(acts: &[Act]) -> Vec<Entry> {
    let mut received = NOW;
    let entries = (0..).zip(acts).map(|(sequence, act)| {
        received = received.plus_ms(act.later * 1000);
        let (leaf, payload) = act.what.message();
        let lamppost = LAMPPOSTS[act.lamppost].parse().unwrap();
        Entry { sequence, received, lamppost, leaf, payload }
    });
    entries.collect()
}

/// A few entries of everything: three lampposts that describe, observe, say hello.
pub(crate) fn some_entries(ticks: i64) -> Vec<Entry> {
    let mut acts = Vec::new();
    for lamppost in 0..LAMPPOSTS.len() {
        let act = |what| Act { lamppost, what, later: 1 };
        acts.push(act(What::Hello { run: 1, held: 40 }));
        acts.push(act(What::Describe { which: 0 }));
        acts.push(act(What::Opening { run: 1, before: Some(9), which: 0 }));
        acts.push(act(What::Opening { run: 2, before: Some(9), which: 0 }));
        for tick in 0..ticks {
            let first = u64::try_from(tick).unwrap() * 3;
            let ticks = vec![(tick * 1000, Some(tick)), (tick * 1000 + 500, None)];
            acts.push(act(What::Samples { run: 1, first, which: 0, ticks }));
        }
        acts.push(act(What::Describe { which: 3 }));
        let ticks = vec![(-90_000, Some(1)), (-9_000_000, Some(2)), (9_000_000, Some(3))];
        acts.push(act(What::Samples { run: 2, first: 0, which: 3, ticks }));
        acts.push(act(What::Garbage { run: 2, first: 50, which: 0 }));
        acts.push(act(What::Dropped { run: 1, first: 5, of: 3, count: 4 }));
        acts.push(act(What::Hello { run: 2, held: 60 }));
    }
    journal(&acts)
}

impl What {
    fn message(&self) -> (Leaf, Bytes) {
        match self {
            Self::Hello { run, held } => {
                let named = |id| RunHeld {
                    run: RunId([id; 16]),
                    samples: Pieces::below(*held),
                    events: Pieces::below(held / 2),
                };
                let aside = |which: u64| SetAside {
                    outbox: OutboxId([40 + u8::try_from(which).unwrap(); 16]),
                    lamppost: (which == 0).then(|| "B7".parse().unwrap()),
                    hardware_serial: "S0".into(),
                    reason: SetAsideReason::OtherLamppost,
                    bytes: *held,
                    runs: 2,
                    first: None,
                    last: Some(NOW),
                };
                let hello = Hello {
                    nonce: Nonce([*run; 16]),
                    count: 1,
                    outbox: OutboxId([3; 16]),
                    run: RunId([*run; 16]),
                    runs: (1..=*run).map(named).collect(),
                    agent_version: "0.1.0".into(),
                    hardware_serial: "S1".into(),
                    generation: *held,
                    set_aside: (0..held % 3).map(aside).collect(),
                };
                (Leaf::Hello, hello.encode().into())
            }
            Self::Describe { which } => (Leaf::Description, description(*which).encode().0.into()),
            Self::Samples { run, first, which, ticks } => {
                let record = |(at, value): &(i64, Option<i64>)| {
                    let reason = if value.is_some() { Reason::GOOD } else { Reason::NO_ANSWER };
                    let observation = Observation { series: 0, value: *value, reason };
                    let tick = Tick { device: 0, time: NOW.plus_ms(*at), observations: vec![observation] };
                    Record::Tick(tick).encode().into()
                };
                let records = ticks.iter().map(record).collect();
                (Leaf::Frames(Log::Samples), frame(*run, *first, digest(*which), records))
            }
            Self::Command { run, first, id } => {
                let (time, detail) = (NOW, "it is so".to_owned());
                let state = if id % 2 == 0 { CommandState::Done } else { CommandState::Failed };
                let report = CommandReport { id: CommandId([*id; 16]), state, time, detail };
                let records = vec![Record::Command(report).encode().into()];
                (Leaf::Frames(Log::Events), frame(*run, *first, digest(0), records))
            }
            Self::Garbage { run, first, which } => {
                let records = vec![Bytes::from_static(b"\xff\xff"), Bytes::from_static(b"")];
                (Leaf::Frames(Log::Samples), frame(*run, *first, digest(*which), records))
            }
            Self::Dropped { run, first, of, count } => {
                let series = description(0).devices[0].name_of(&description(0).devices[0].series[0]);
                let (earliest, latest) = (NOW.plus_ms(-5_000), NOW.plus_ms(20_000));
                let mut pieces = Pieces::new();
                pieces.insert(*first, first + count);
                let dropped = Dropped {
                    run: RunId([*of; 16]),
                    log: Log::Samples,
                    pieces,
                    reason: DropReason::ALL[usize::try_from(first % 3).unwrap()],
                    time: NOW,
                    series: vec![DroppedSeries { series, count: *count + 1, first: earliest, last: latest }],
                };
                let (earliest, latest) = ((first % 2 == 0).then_some(earliest), latest);
                let placed = Record::Dating(Dating { run: RunId([*of; 16]), earliest, latest, time: NOW });
                let records = vec![Record::Dropped(dropped).encode().into(), placed.encode().into()];
                (Leaf::Frames(Log::Events), frame(*run, *first + 1, digest(0), records))
            }
            Self::Opening { run, before, which } => {
                let opening = Opening {
                    run_before: before.map(|before| RunId([before; 16])),
                    samples_end: 7,
                    events_end: 1,
                    ended: Some(NOW.plus_ms(-9_000)),
                    opened: NOW.plus_ms(-5_000),
                };
                let records = vec![Record::Opening(opening).encode().into()];
                (Leaf::Frames(Log::Events), frame(*run, 0, digest(*which), records))
            }
            Self::Unreadable { leaf, payload } => (*leaf, payload.clone().into()),
        }
    }
}

fn frame(run: u8, first: u64, description: Digest, records: Vec<Bytes>) -> Bytes {
    let frame = Frame {
        nonce: Nonce([run; 16]),
        count: first + 2,
        run: RunId([run; 16]),
        first,
        description,
        records,
    };
    frame.encode().into()
}

fn digest(which: usize) -> Digest {
    description(which).encode().1
}

/// Four that differ in their series or grid; the catalogue does not know what the last one observes.
fn description(which: usize) -> Description {
    let (name, property, resolution, period_ms) = [
        ("weather-1", "air_temperature", "0.1", 1_000),
        ("weather-1", "air_temperature", "0.01", 2_000),
        ("weather-2", "air_temperature", "0.1", 1_000),
        ("weather-1", "phlogiston", "0.1", 1_000),
    ][which];
    let series = Series {
        property: property.parse().unwrap(),
        channel: (which == 2).then(|| "max".parse().unwrap()),
        value_type: ValueType::Quantity,
        unit: "Cel".into(),
        resolution: resolution.parse().unwrap(),
    };
    let device = Device {
        name: name.parse().unwrap(),
        grid: (which != 2).then_some(0),
        model: "bme280".into(),
        series: vec![series],
    };
    Description { grids: vec![Grid { period_ms, phase_ms: 0 }], devices: vec![device] }
}
