//! The outbox on a real file system. What a power cut would leave is made by hand; syncs are counted, not waited for.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lamplighter_protocol::{
    Command, CommandAction, CommandId, CommandReport, Decimal, Description, Device, Digest, DropReason,
    Dropped, DroppedSeries, Log, LogHeld, Nonce, Observation, Opening, OutboxId, Pieces, Position, Reason,
    Record, RunId, RunPosition, Series, SeriesName, ServerClock, SetAsideReason, Tick, UtcMillis, ValueType,
    wire::CommandState,
};
use tempfile::TempDir;

use super::{
    Aside, Chunk, Outbox, OutboxError, OutboxOptions, OutboxState, OutboxThread, Place, Random, ReadLimit,
    RunState, SteppedOutbox,
};
use crate::clock::{Clock, ClockTrust, Now, Stop, Waited};

mod damage;
mod dating;
mod dating_room;
mod defaults;
mod dropping;
mod faults;
mod faulty_disk;
mod full;
mod life;
mod model;
mod seals;
mod set_aside;
mod space;
mod steps;
mod twins;
mod unread;

use faulty_disk::{Change, FaultyDisk};

/// A lamppost's disk, and how its outbox is opened.
struct Bench {
    /// Removes itself when the bench goes.
    kept: TempDir,
    options: OutboxOptions,
    disk: FaultyDisk,
}

impl Bench {
    fn new() -> Self {
        // In memory where there is such a place: hundreds of copies are made, none has to survive.
        let memory = Path::new("/dev/shm");
        let kept = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let options = OutboxOptions {
            directory: kept.path().join("outbox"),
            lamppost: "DF3637".parse().unwrap(),
            hardware_serial: "100000001".to_owned(),
            max_bytes: 1 << 30,
            segment_bytes: 512,
            max_age: Duration::from_hours(24 * 30),
            sync_every: Duration::from_hours(1),
        };
        Self { kept, options, disk: FaultyDisk::default() }
    }

    fn open(&self) -> (Outbox, OutboxThread) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(Outbox, OutboxThread), OutboxError> {
        Outbox::open_on(
            Arc::new(self.disk.clone()),
            self.options.clone(),
            &description("bme280"),
            Arc::new(BenchClock),
        )
    }

    /// Without its thread.
    fn step(&self) -> SteppedOutbox {
        let (disk, random) = (Arc::new(self.disk.clone()), Random::system());
        let now = || BenchClock.now();
        SteppedOutbox::open(disk, random, self.options.clone(), &description("bme280"), now).unwrap()
    }

    /// The directories of runs, in the order of their names.
    fn runs(&self) -> Vec<PathBuf> {
        list(&self.options.directory.join("runs"))
    }

    /// The same lamppost's disk once more, to be harmed.
    fn copy(&self) -> Self {
        let copy = Self { options: self.options.clone(), ..Self::new() };
        let directory = copy.kept.path().join("outbox");
        copy_all(&self.options.directory, &directory);
        Self { options: OutboxOptions { directory, ..copy.options.clone() }, ..copy }
    }
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The segments of a log of a run, oldest first.
fn segments(run: &Path, log: Log) -> Vec<PathBuf> {
    let of_log = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(log.as_str());
    list(run).into_iter().filter(of_log).collect()
}

/// The sequence that a segment begins with.
fn first_of(segment: &Path) -> u64 {
    segment.to_str().unwrap().rsplit(['-', '.']).nth(1).unwrap().parse().unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for path in list(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is how a disk is harmed")]
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// A clock that stands still, and that nobody trusts.
#[derive(Debug)]
struct BenchClock;

impl Clock for BenchClock {
    fn now(&self) -> Now {
        Now { monotonic: Duration::ZERO, wall: UtcMillis(5_000), trust: ClockTrust::Unsure }
    }

    fn wait(&self, _until: Duration, _stop: &Stop) -> Waited {
        Waited::Stopped
    }

    fn hear_server_time(&self, _server: UtcMillis, _within: Range<Duration>) {}
}

/// What the device of these tests observes.
const PROPERTIES: [&str; 3] = ["air_temperature", "relative_humidity", "air_pressure"];

fn description(model: &str) -> Description {
    let series = |property: &str| Series {
        property: property.parse().unwrap(),
        channel: None,
        value_type: ValueType::Quantity,
        unit: "1".to_owned(),
        resolution: Decimal::new(1, 0).unwrap(),
    };
    let device = Device {
        name: "weather-1".parse().unwrap(),
        grid: None,
        model: model.to_owned(),
        series: PROPERTIES.map(series).into(),
    };
    Description { grids: Vec::new(), devices: vec![device] }
}

fn digest(model: &str) -> Digest {
    description(model).encode().1
}

/// A record that no other number gives; some are longer than others.
fn tick(number: i64) -> Record {
    let observation = |series| Observation { series, value: Some(number * 1_000_003), reason: Reason::GOOD };
    let observations = (0..usize::try_from(number % 4).unwrap()).map(observation).collect();
    Record::Tick(Tick { device: 0, time: UtcMillis(number), observations })
}

/// Appends ticks of these numbers.
fn append(outbox: &Outbox, log: Log, numbers: std::ops::Range<i64>) {
    numbers.for_each(|number| outbox.append(log, &tick(number)).unwrap());
}

/// Appends ticks until the outbox, or its disk, is as wanted. Nothing is dropped for that.
fn append_until(outbox: &Outbox, wanted: impl Fn(&OutboxState) -> bool) {
    for number in 1_000..3_000 {
        let state = settled(outbox);
        assert_eq!(state.dropped.bytes, 0);
        if wanted(&state) {
            return;
        }
        append(outbox, Log::Samples, number..number + 1);
    }
    panic!("it never is: {:?}", settled(outbox));
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What the outbox holds, all that was appended being synced.
fn settled(outbox: &Outbox) -> OutboxState {
    wait(outbox.sync()).unwrap();
    outbox.state().borrow().clone()
}

fn run_of(state: &OutboxState, run: RunId) -> &RunState {
    state.runs.iter().find(|one| one.run == run).unwrap()
}

const ALL: ReadLimit = ReadLimit { bytes: usize::MAX, records: usize::MAX, last: u64::MAX };

fn read(outbox: &Outbox, run: RunId, log: Log, sequence: u64, limit: ReadLimit) -> Option<Chunk> {
    wait(outbox.read(Place { run, log, sequence }, limit)).unwrap()
}

/// All records of a log that the outbox states as on disk, with their sequences and what they are written in.
fn read_all(outbox: &Outbox, run: RunId, log: Log) -> Vec<(u64, Record, Digest)> {
    let pieces = run_of(&settled(outbox), run).log(log).on_disk.clone();
    let mut all = Vec::new();
    for (first, last) in pieces.ranges() {
        let mut next = first;
        while next <= last {
            let chunk = read(outbox, run, log, next, ALL).expect("what is stated as on disk can be read");
            assert_eq!(chunk.place, Place { run, log, sequence: next });
            for bytes in chunk.records {
                all.push((next, Record::decode(&bytes).unwrap(), chunk.description));
                next += 1;
            }
        }
    }
    all
}

/// All reports of drops on disk, and whose run each is in.
fn reports(outbox: &Outbox) -> Vec<Dropped> {
    let runs = settled(outbox).runs;
    let events = runs.iter().flat_map(|run| read_all(outbox, run.run, Log::Events));
    let reports = events.filter_map(|(_, record, _)| match record {
        Record::Dropped(report) => Some(report),
        Record::Tick(_) | Record::Opening(_) | Record::Command(_) | Record::Dating(_) => None,
    });
    reports.collect()
}

/// What is in these records, by the series of `PROPERTIES`.
fn counted<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<DroppedSeries> {
    let mut counted: BTreeMap<usize, (u64, UtcMillis, UtcMillis)> = BTreeMap::new();
    for record in records {
        let Record::Tick(tick) = record else { continue };
        for observation in &tick.observations {
            let (count, first, last) = counted.entry(observation.series).or_insert((0, tick.time, tick.time));
            (*count, *first, *last) = (*count + 1, (*first).min(tick.time), (*last).max(tick.time));
        }
    }
    let named = counted.into_iter().map(|(series, (count, first, last))| {
        let device = "weather-1".parse().unwrap();
        let property = PROPERTIES[series].parse().unwrap();
        DroppedSeries { series: SeriesName { device, property, channel: None }, count, first, last }
    });
    named.collect()
}

fn opening(outbox: &Outbox, run: RunId) -> Opening {
    match &read_all(outbox, run, Log::Events)[0] {
        (0, Record::Opening(opening), _) => *opening,
        other => panic!("a run begins with its opening, not {other:?}"),
    }
}

/// A run, and ranges of its samples and of its events.
type Listed<'a> = (RunId, Ranges<'a>, Ranges<'a>);
type Ranges<'a> = &'a [(u64, u64)];

/// A position that lists these ranges of samples and events, and nothing of other runs.
fn position(runs: &[Listed<'_>]) -> Position {
    let listed = |ranges: Ranges<'_>| {
        let mut pieces = Pieces::new();
        for (first, last) in ranges {
            pieces.insert(*first, *last);
        }
        LogHeld { pieces, complete_below: u64::MAX }
    };
    Position {
        nonce: Nonce([7; 16]),
        count: 1,
        server_time: UtcMillis(6_000),
        runs: runs
            .iter()
            .map(|(run, samples, events)| RunPosition {
                run: *run,
                samples: listed(samples),
                events: listed(events),
            })
            .collect(),
        lacking: Vec::new(),
        newest_version: 1,
        clock: ServerClock::Unsaid,
    }
}

fn close(outbox: Outbox, thread: OutboxThread) {
    drop(outbox);
    thread.join().unwrap();
}
