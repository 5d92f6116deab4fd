//! The roll with everything that it looks at.

use std::cell::RefCell;
use std::sync::{Arc, RwLock};

use lamplighter_protocol::{
    Catalogue, Grid, Hello, LamppostNumber, Leaf, Nonce, OutboxId, Quality, Reason, RunId, SeriesName,
    UtcMillis,
};
use tempfile::TempDir;

use super::reader::Reader;
use super::register::RegisterBuilder;
use super::watcher::pass;
use super::*;
use crate::clock;
use crate::gateway::{Sessions, log_in};
use crate::ingest::{Ingest, IngestMetrics};
use crate::journal::Entry;
use crate::live::{LamppostState, Status};
use crate::registry::{Coordinates, Lamppost, Registry};
use crate::store::{Point, SeriesKey, SeriesMeta, Tail, TailOptions};

const NOW: UtcMillis = UtcMillis(1_800_000_000_000);

struct Bench {
    roll: Roll,
    published: RefCell<Vec<LamppostState>>,
}

impl Bench {
    fn new(tail: TailOptions) -> Self {
        let sources = Sources {
            sessions: Sessions::default(),
            ingest: Arc::new(RwLock::new(Ingest::new(Catalogue::built_in(), IngestMetrics::default()))),
            store: Arc::new(RwLock::new(Tail::new(tail))),
        };
        Self { roll: Roll::new(sources), published: RefCell::default() }
    }

    /// Looks once, at these lampposts if it is their first time. Tells what was published.
    fn pass(&self, register: Option<&[&str]>, now: UtcMillis) -> Vec<(String, Status)> {
        let register = register.map(|numbers| {
            let mut builder = RegisterBuilder::default();
            for number in numbers {
                builder.push(&lamppost(number));
            }
            Arc::new(builder.finish())
        });
        pass(&self.roll, register, now, &|state| self.published.borrow_mut().push(state));
        let published = self.published.take();
        published.iter().map(|state| (state.lamppost.to_string(), state.status)).collect()
    }

    fn hello(&self, number: &str) {
        let hello = Hello {
            nonce: Nonce([7; 16]),
            count: 1,
            outbox: OutboxId([3; 16]),
            run: RunId([1; 16]),
            runs: Vec::new(),
            agent_version: "0.1.0".into(),
            hardware_serial: String::new(),
            generation: 1,
        };
        let entry = Entry {
            sequence: 0,
            received: NOW,
            lamppost: number.parse().unwrap(),
            leaf: Leaf::Hello,
            payload: hello.encode().into(),
        };
        let mut store = self.roll.sources.store.write().unwrap();
        self.roll.sources.ingest.write().unwrap().apply(&entry, &mut store, &mut |_| {});
    }

    fn observe(&self, number: &str, series: usize, time: i64, reason: Reason) {
        let mut store = self.roll.sources.store.write().unwrap();
        observe(&mut store, &number.parse().unwrap(), series, time, reason);
    }

    fn letters(&self) -> String {
        let rows = self.roll.rows().unwrap();
        rows.states.iter().map(|state| format!("{:?}", state.status).remove(0)).collect()
    }
}

fn observe(store: &mut Tail, number: &LamppostNumber, series: usize, time: i64, reason: Reason) {
    let name = SeriesName {
        device: format!("weather-{series}").parse().unwrap(),
        property: "air_temperature".parse().unwrap(),
        channel: None,
    };
    let meta = SeriesMeta {
        key: SeriesKey { lamppost: number.clone(), name },
        unit: "Cel".to_owned(),
        statistic: lamplighter_protocol::Statistic::Mean,
        resolution: "0.1".parse().unwrap(),
        grid: Some(Grid { period_ms: 1000, phase_ms: 0 }),
    };
    let id = store.series(meta).unwrap();
    store.insert(id, Point { time: UtcMillis(time), value: Some(20.0), reason });
}

fn lamppost(number: &str) -> Lamppost {
    Lamppost {
        number: number.parse().unwrap(),
        coordinates: Coordinates::new(22.32, 114.21).unwrap(),
        road: "Wai Yip Street".to_owned(),
        district: "Kwun Tong".to_owned(),
        feeder: None,
        pillar: None,
        height_m: None,
        remarks: None,
    }
}

fn told(states: &[(&str, Status)]) -> Vec<(String, Status)> {
    states.iter().map(|(number, status)| ((*number).to_owned(), *status)).collect()
}

#[test]
fn the_first_look_fills_the_roll_silently_and_later_ones_tell_what_changed() {
    let bench = Bench::new(TailOptions::default());
    assert_eq!(bench.pass(None, NOW), []);
    assert!(bench.roll.rows().is_none(), "the registry was not read yet");
    bench.hello("B");
    assert_eq!(bench.pass(Some(&["A", "B", "C"]), NOW), []);
    assert_eq!(bench.letters(), "NON");
    assert_eq!(bench.pass(None, NOW.plus_ms(1000)), []);

    let connected = log_in(&bench.roll.sources.sessions, &"C".parse().unwrap(), NOW.plus_ms(1500));
    assert_eq!(bench.pass(None, NOW.plus_ms(2000)), told(&[("C", Status::Reporting)]));
    let since = |bench: &Bench| bench.roll.state(&"C".parse().unwrap(), NOW).since;
    assert_eq!(since(&bench), Some(NOW.plus_ms(1500)));
    bench.hello("C");
    drop(connected);
    assert_eq!(bench.pass(None, NOW.plus_ms(3000)), told(&[("C", Status::Offline)]));
    assert_eq!(since(&bench), Some(NOW.plus_ms(3000)));
    assert_eq!(bench.pass(None, NOW.plus_ms(4000)), []);
}

#[test]
fn the_worst_of_the_newest_observations_is_told_and_newer_ones_alone_are_not() {
    let bench = Bench::new(TailOptions::default());
    bench.pass(Some(&["A"]), NOW);
    let worst = |bench: &Bench| bench.roll.rows().unwrap().states[0].worst;
    for (series, reason, quality, bad, uncertain) in [
        (0, Reason::GOOD, Quality::Good, 0, 0),
        (1, Reason::OUT_OF_RANGE, Quality::Uncertain, 0, 1),
        (2, Reason::NO_ANSWER, Quality::Bad, 1, 1),
        (3, Reason::NO_ANSWER, Quality::Bad, 2, 1),
        (1, Reason::SENSOR_FAULT, Quality::Bad, 3, 0),
    ] {
        bench.observe("A", series, NOW.0 + i64::from(reason.0), reason);
        assert_eq!(bench.pass(None, NOW), told(&[("A", Status::Never)]), "{series}");
        assert_eq!(worst(&bench), Worst { quality: Some(quality), bad, uncertain });
    }
    bench.observe("A", 0, NOW.0 + 1000, Reason::GOOD);
    assert_eq!(bench.pass(None, NOW), []);
}

#[test]
fn another_register_keeps_what_is_known_and_tells_of_who_is_new() {
    let bench = Bench::new(TailOptions::default());
    let _connected = log_in(&bench.roll.sources.sessions, &"B".parse().unwrap(), NOW);
    bench.pass(Some(&["B", "C"]), NOW);
    let before = bench.roll.rows().unwrap();
    let later = NOW.plus_ms(60_000);
    assert_eq!(bench.pass(Some(&["A", "B"]), later), told(&[("A", Status::Never)]));
    let after = bench.roll.rows().unwrap();
    assert_ne!(after.register.revision(), before.register.revision());
    assert_eq!(after.states[1], before.states[0], "also since when");
    assert_eq!((before.states.len(), before.register.numbers().len()), (2, 2), "who reads it reads it whole");
}

#[test]
fn who_is_not_on_the_roll_yet_is_looked_at() {
    let bench = Bench::new(TailOptions::default());
    let _connected = log_in(&bench.roll.sources.sessions, &"B".parse().unwrap(), NOW);
    let state = |number: &str| bench.roll.state(&number.parse().unwrap(), NOW);
    assert_eq!((state("B").status, state("A").status), (Status::Reporting, Status::Never));
    bench.pass(Some(&["A"]), NOW);
    assert_eq!((state("B").status, state("B").since), (Status::Reporting, Some(NOW)));
}

#[tokio::test]
async fn the_register_is_read_when_it_has_changed_page_by_page() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(Registry::FILE_NAME);
    let registry = Registry::open(&path).await.unwrap();
    let mut reader = Reader::new(registry.clone());
    assert_eq!(reader.changed().await.unwrap().numbers(), []);
    assert!(reader.changed().await.is_none());
    // As another process would.
    let other = Registry::open(&path).await.unwrap();
    let numbers: Vec<String> = (0..2_000).map(|number| format!("{number:04}")).collect();
    other.import(numbers.iter().map(|number| lamppost(number)).collect(), NOW).await.unwrap();
    let register = reader.changed().await.unwrap();
    assert_eq!(register.numbers().iter().map(LamppostNumber::as_str).collect::<Vec<_>>(), numbers);
    assert!(reader.changed().await.is_none());

    // After a restart it has the same name.
    let again = Reader::new(other.clone()).changed().await.unwrap();
    assert_eq!(again.revision(), register.revision());
    registry.close().await;
    other.import(vec![lamppost("A")], NOW).await.unwrap();
    assert!(reader.changed().await.is_none(), "it cannot be read, which is no empty register");
}

#[tokio::test]
async fn a_watcher_keeps_the_roll_until_it_is_stopped() {
    let directory = TempDir::new().unwrap();
    let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
    registry.import(vec![lamppost("A")], NOW).await.unwrap();
    let bench = Bench::new(TailOptions::default());
    let (sender, mut published) = tokio::sync::mpsc::unbounded_channel();
    let watcher =
        Watcher::new(bench.roll.clone(), registry.clone(), Box::new(move |state| drop(sender.send(state))));
    let watcher = watcher.look().await.unwrap();
    assert_eq!(bench.letters(), "N");
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(watcher.run(stop.clone()));
    bench.hello("A");
    let state = published.recv().await.unwrap();
    assert_eq!((state.lamppost.as_str(), state.status), ("A", Status::Offline));
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert!(published.try_recv().is_err());
    registry.close().await;
}

#[test]
#[ignore = "a measurement: run it by name, with --nocapture"]
fn how_long_a_look_at_a_hundred_thousand_lampposts_takes() {
    let options = TailOptions { max_series: 800_000, ..TailOptions::default() };
    let bench = Bench::new(options);
    let numbers: Vec<String> = (0..100_000).map(|number| format!("DF{number:05}")).collect();
    for number in &numbers {
        bench.hello(number);
        let number = number.parse().unwrap();
        let mut store = bench.roll.sources.store.write().unwrap();
        (0..8).for_each(|series| observe(&mut store, &number, series, NOW.0, Reason::GOOD));
    }
    let sessions = &bench.roll.sources.sessions;
    let _connected: Vec<_> =
        numbers.iter().map(|number| log_in(sessions, &number.parse().unwrap(), NOW)).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    bench.pass(Some(&numbers), NOW);
    for look in 0..5 {
        let begun = clock::monotonic();
        assert_eq!(bench.pass(None, NOW.plus_ms(look)), []);
        println!("look {look}: {:?}", clock::monotonic().duration_since(begun));
    }
}
