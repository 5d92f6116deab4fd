//! The roll with everything that it looks at.

mod watching;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use lamplighter_protocol::{
    Catalogue, Description, Device, Frame, Grid, Hello, LamppostNumber, Leaf, Log, Nonce, Observation,
    OutboxId, Quality, Reason, Record, RunId, Series, SeriesName, Tick, UtcMillis, ValueType,
};
use tempfile::TempDir;

use super::reader::Reader;
use super::register::RegisterBuilder;
use super::watcher::pass;
use super::*;
use crate::audit::{self, Actor};
use crate::clock;
use crate::gateway::{Sessions, log_in};
use crate::ingest::{Ingest, IngestMetrics};
use crate::journal::{Entry, Lag};
use crate::live::Status;
use crate::registry::{Lamppost, Registry};
use crate::store::{Point, SeriesKey, SeriesMeta, Tail, TailOptions};

const NOW: UtcMillis = UtcMillis(1_800_000_000_000);

struct Bench {
    roll: Roll,
}

impl Bench {
    fn new(tail: TailOptions) -> Self {
        let sources = Sources {
            sessions: Sessions::default(),
            ingest: Arc::new(RwLock::new(Ingest::new(Catalogue::built_in(), IngestMetrics::default()))),
            store: Arc::new(RwLock::new(Tail::new(tail))),
            lag: Lag::default(),
        };
        Self { roll: Roll::new(sources) }
    }

    /// Looks once, at these lampposts if it is their first time. Says what is to be told.
    fn pass(&self, register: Option<&[&str]>, now: UtcMillis) -> Vec<(String, Status)> {
        self.pass_with(register, now, Duration::ZERO)
    }

    fn pass_with(&self, register: Option<&[&str]>, now: UtcMillis, lag: Duration) -> Vec<(String, Status)> {
        let register = register.map(|numbers| {
            let mut builder = RegisterBuilder::default();
            for number in numbers {
                builder.push(&Lamppost::example(number));
            }
            Arc::new(builder.finish())
        });
        let Some(changed) = pass(&self.roll, register, now, lag) else { return Vec::new() };
        let states = changed.states(&changed.places);
        states.map(|state| (state.lamppost.to_string(), state.status)).collect()
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
            set_aside: Vec::new(),
        };
        self.apply(number, Leaf::Hello, hello.encode());
    }

    /// A tick at this time, from each of the devices that the lamppost has then.
    fn ticks(&self, number: &str, time: UtcMillis, devices: &[(&str, Reason)]) {
        let series = Series {
            property: "air_temperature".parse().unwrap(),
            channel: None,
            value_type: ValueType::Quantity,
            unit: "Cel".to_owned(),
            resolution: "0.1".parse().unwrap(),
        };
        let described = devices.iter().map(|(name, _)| Device {
            name: name.parse().unwrap(),
            grid: Some(0),
            model: "bme280".to_owned(),
            series: vec![series.clone()],
        });
        let grids = vec![Grid { period_ms: 10_000, phase_ms: 0 }];
        let (payload, description) = Description { grids, devices: described.collect() }.encode();
        self.apply(number, Leaf::Description, payload);
        let records = devices.iter().enumerate().map(|(device, (_, reason))| {
            let value = (reason.quality() != Quality::Bad).then_some(200);
            let observations = vec![Observation { series: 0, value, reason: *reason }];
            Record::Tick(Tick { device, time, observations }).encode().into()
        });
        let (nonce, run, first) = (Nonce([7; 16]), RunId([1; 16]), u64::try_from(time.0).unwrap());
        let frame = Frame { nonce, count: 2, run, first, description, records: records.collect() };
        self.apply(number, Leaf::Frames(Log::Samples), frame.encode());
    }

    fn apply(&self, number: &str, leaf: Leaf, payload: Vec<u8>) {
        let (received, lamppost) = (NOW.plus_ms(600_000), number.parse().unwrap());
        let entry = Entry { sequence: 0, received, lamppost, leaf, payload: payload.into() };
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

fn told(states: &[(&str, Status)]) -> Vec<(String, Status)> {
    states.iter().map(|(number, status)| ((*number).to_owned(), *status)).collect()
}

#[test]
fn a_look_tells_what_has_changed_since_the_one_before() {
    let bench = Bench::new(TailOptions::default());
    assert_eq!(bench.pass(None, NOW), []);
    assert!(bench.roll.rows().is_none(), "the registry was not read yet");
    bench.hello("B");
    let all = told(&[("A", Status::Never), ("B", Status::Offline), ("C", Status::Never)]);
    assert_eq!(bench.pass(Some(&["A", "B", "C"]), NOW), all);
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
fn what_a_device_that_is_gone_has_said_last_does_not_count() {
    let bench = Bench::new(TailOptions::default());
    let worst = || {
        bench.pass(Some(&["A"]), NOW);
        bench.roll.rows().unwrap().states[0].worst
    };
    bench.ticks("A", NOW, &[("weather-1", Reason::NO_ANSWER), ("weather-2", Reason::OUT_OF_RANGE)]);
    assert_eq!(worst(), Worst { quality: Some(Quality::Bad), bad: 1, uncertain: 1 });
    bench.ticks("A", NOW.plus_ms(10_000), &[("weather-2", Reason::GOOD)]);
    assert_eq!(worst(), Worst { quality: Some(Quality::Good), bad: 0, uncertain: 0 });
    // A backlog of before comes late.
    bench.ticks(
        "A",
        NOW.plus_ms(5_000),
        &[("weather-1", Reason::NO_ANSWER), ("weather-2", Reason::NO_ANSWER)],
    );
    assert_eq!(worst().bad, 0);
    bench.ticks(
        "A",
        NOW.plus_ms(20_000),
        &[("weather-1", Reason::GOOD), ("weather-2", Reason::OUT_OF_RANGE)],
    );
    assert_eq!(worst(), Worst { quality: Some(Quality::Uncertain), bad: 0, uncertain: 1 }, "it is back");
}

#[test]
fn nobody_is_called_late_whose_data_may_wait_in_the_journal() {
    let bench = Bench::new(TailOptions::default());
    let _connected = log_in(&bench.roll.sources.sessions, &"A".parse().unwrap(), NOW);
    bench.hello("A");
    bench.ticks("A", NOW, &[("weather-1", Reason::GOOD)]);
    assert_eq!(bench.pass(Some(&["A"]), NOW), told(&[("A", Status::Reporting)]));
    let after = |ms, lag_ms| bench.pass_with(None, NOW.plus_ms(ms), Duration::from_millis(lag_ms));
    assert_eq!(after(40_000, 9_000), []);
    bench.ticks("A", NOW.plus_ms(40_000), &[("weather-1", Reason::GOOD)]);
    assert_eq!(after(41_000, 0), [], "it had only waited");
    assert_eq!(after(80_000, 9_000), []);
    assert_eq!(after(81_000, 100), told(&[("A", Status::Late)]), "there was nothing");
    assert_eq!(after(82_000, 9_000), []);
    assert_eq!(bench.letters(), "L");
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
    other
        .import(numbers.iter().map(|number| Lamppost::example(number)).collect(), NOW, &Actor::Server)
        .await
        .unwrap();
    let register = reader.changed().await.unwrap();
    assert_eq!(register.numbers().iter().map(LamppostNumber::as_str).collect::<Vec<_>>(), numbers);
    assert!(reader.changed().await.is_none());

    // After a restart it has the same name.
    let again = Reader::new(other.clone()).changed().await.unwrap();
    assert_eq!(again.revision(), register.revision());
    // What the gateway refuses is written once a minute, and is no reason to read a city again.
    let refused = audit::Entry::new(NOW, Actor::Server, audit::Action::Refused, audit::Subject::Gateway);
    other.audit(&refused).await.unwrap();
    assert!(reader.changed().await.is_none());
    let renamed = Lamppost { road: "Elsewhere".to_owned(), ..Lamppost::example("0000") };
    other.import(vec![renamed], NOW, &Actor::Server).await.unwrap();
    assert_ne!(reader.changed().await.unwrap().revision(), register.revision());
    registry.close().await;
    other.import(vec![Lamppost::example("A")], NOW, &Actor::Server).await.unwrap();
    assert!(reader.changed().await.is_none(), "it cannot be read, which is no empty register");
}

#[test]
#[ignore = "a measurement: run it by name, with --nocapture"]
fn how_long_a_look_at_a_hundred_thousand_lampposts_takes() {
    let options = TailOptions { max_series: 800_000, ..TailOptions::default() };
    let bench = Bench::new(options);
    let numbers: Vec<String> = (0..100_000).map(|number| format!("DF{number:05}")).collect();
    for number in &numbers {
        bench.hello(number);
        let devices: Vec<String> = (0..8).map(|device| format!("weather-{device}")).collect();
        let devices: Vec<_> = devices.iter().map(|device| (device.as_str(), Reason::GOOD)).collect();
        bench.ticks(number, NOW, &devices);
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
