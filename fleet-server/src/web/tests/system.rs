use std::io::{Read as _, Write as _};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::{
    Catalogue, Description, Device, Frame, Grid, Hello, Leaf, Log, Nonce, Observation, OutboxId, Reason,
    Record, RunId, Series, Tick, UtcMillis, ValueType,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::rig::{Rig, START, Shape};
use crate::clock;
use crate::ingest::{Ingest, IngestThread};
use crate::journal::{Draft, Fate, Journal, JournalOptions};
use crate::web::{Phase, Progress, WebLimits};

const SYSTEM: &str = "/api/v1/system";

#[test]
fn the_server_says_what_it_is_and_where_it_stands_also_before_it_is_ready() {
    let rig = Rig::new();
    let server = rig.get(SYSTEM).json()["server"].clone();
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(server["started"], "2026-07-01T08:00:00.000Z");
    let state = |server: &Value| {
        [server["phase"].clone(), server["part"].clone(), server["progress"].clone()]
            .map(|one| one.to_string())
    };
    assert_eq!(state(&server), ["\"ready\"", "null", "null"]);

    rig.phase.send_replace(Phase::Starting(Progress { entries: 12, bytes: 3456 }));
    let server = rig.get(SYSTEM).json()["server"].clone();
    assert_eq!(state(&server), ["\"starting\"", "null", r#"{"bytes":3456,"entries":12}"#]);
    rig.phase.send_replace(Phase::Failing { part: "journal" });
    let server = rig.get(SYSTEM).json()["server"].clone();
    assert_eq!(state(&server), ["\"failing\"", "\"journal\"", "null"]);
}

#[test]
fn it_answers_while_somebody_holds_the_store() {
    let limits = WebLimits { answer: Duration::from_secs(2), ..WebLimits::default() };
    let rig = Rig::of(Shape { limits, ..Shape::default() });
    let held = rig.store.write().unwrap();
    rig.get(SYSTEM).json();
    drop(held);
}

#[test]
fn what_people_do_is_counted() {
    let rig = Rig::of(Shape { limits: WebLimits { feeds: 1, ..WebLimits::default() }, ..Shape::default() });
    let before = rig.get(SYSTEM).json()["people"].clone();
    let none = json!({"succeeded": 0, "redirected": 0, "refused": 0, "failed": 0});
    assert_eq!(before, json!({"feeds": 0, "feeds_limit": 1, "refused_feeds": 0, "requests": none}));
    rig.get("/nothing").problem(404, "not-found");
    rig.get(&format!("/login?token={}", rig.token.expose()));
    let mut feed = rig.connect();
    write!(feed, "GET /live HTTP/1.1\r\n{}\r\n\r\n", rig.welcome()).unwrap();
    feed.read_exact(&mut [0; 12]).unwrap();
    rig.get("/live").problem(503, "too-many-clients");
    let people = rig.get(SYSTEM).json()["people"].clone();
    let counted = json!({"succeeded": 2, "redirected": 1, "refused": 1, "failed": 1});
    assert_eq!(people, json!({"feeds": 1, "feeds_limit": 1, "refused_feeds": 1, "requests": counted}));
}

#[test]
fn the_store_is_shown_against_its_bounds() {
    let rig = Rig::new();
    assert_eq!(rig.get(SYSTEM).json()["store"]["oldest"], Value::Null);
    rig.figures.store.observe(&rig.store.read().unwrap());
    let store = rig.get(SYSTEM).json()["store"].clone();
    assert_eq!((&store["series"], &store["series_limit"]), (&json!(2), &json!(200_000)));
    assert_eq!((&store["observations"], &store["observations_limit"]), (&json!(11), &json!(4_000_000)));
    assert_eq!((&store["oldest"], &store["evicted"]), (&json!("2026-07-01T08:00:00.000Z"), &json!(0)));
    assert!(store["bytes"].as_u64().unwrap() > 100);
}

#[test]
fn the_way_from_the_journal_into_the_store_is_counted_and_its_lag_is_shown() {
    let rig = Rig::new();
    let directory = TempDir::new().unwrap();
    let options = JournalOptions::in_directory(directory.path().join("journal"));
    let options = JournalOptions { metrics: rig.figures.journal.clone(), ..options };
    let (committed, batches) = sync_channel(16);
    let (journal, writer) = Journal::open(options).unwrap().start(committed).unwrap();
    let before = rig.get(SYSTEM).json()["journal"].clone();
    let never = json!({"mean_ms": null, "p50_ms": null, "p99_ms": null});
    assert_eq!((&before["commit"], &before["lag"]), (&never, &json!({"entries": 0, "oldest_ms": 0})));

    rig.runtime.block_on(async {
        let mut last = None;
        for (leaf, payload) in messages() {
            let lamppost = "DF1".parse().unwrap();
            let draft = Draft { received: UtcMillis(START), lamppost, leaf, payload };
            last = Some(journal.append(draft).await.unwrap());
        }
        let mut commits = journal.committed();
        let on_disk = commits.wait_for(|commit| commit.fate(last.unwrap()) == Fate::Committed).await;
        drop(on_disk.unwrap());
    });
    let begun = clock::monotonic();
    let waits = loop {
        let waits = rig.get(SYSTEM).json()["journal"].clone();
        if waits["lag"]["oldest_ms"] != 0 {
            break waits;
        }
        assert!(clock::monotonic().duration_since(begun) < Duration::from_secs(20), "{waits}");
    };
    assert_eq!((&waits["entries"], &waits["lag"]["entries"]), (&json!(4), &json!(4)));
    assert_eq!(waits["segments"], 1);
    assert!(waits["disk_bytes"].as_u64() > waits["bytes"].as_u64());
    assert!(waits["commit"]["p99_ms"].as_f64() >= waits["commit"]["p50_ms"].as_f64());
    let failures = json!({"write": 0, "sync": 0, "cut": 0, "create": 0, "remove": 0});
    assert_eq!((&waits["failures"], &waits["forgotten"]), (&failures, &json!(0)));

    let ingest = Ingest::new(Catalogue::built_in(), rig.figures.ingest.clone());
    let (store, live, lag) = (Arc::clone(&rig.store), rig.live.clone(), rig.figures.journal.lag.clone());
    let thread = IngestThread::new(
        Arc::new(RwLock::new(ingest)),
        store,
        live,
        Box::new(|_, _| {}),
        Box::new(|_| {}),
        lag,
    );
    journal.close();
    thread.run(&batches);
    writer.join().unwrap();
    let after = rig.get(SYSTEM).json();
    assert_eq!(after["journal"]["lag"], json!({"entries": 0, "oldest_ms": 0}));
    assert_eq!(after["journal"]["queue_bytes"], 0);
    let ingest = &after["ingest"];
    let observations = json!({
        "stored": 1, "merged": 1, "older_than_tail": 0, "future": 1, "retention": 0, "type": 0,
        "unknown_property": 0, "too_many_series": 0, "dropped_bytes": 0, "dropped_age": 0,
        "dropped_damaged": 0,
    });
    let malformed = json!({
        "hello": 0, "description": 0, "envelope": 1, "record": 0, "newer": 0, "undescribed": 0, "too_many": 0,
    });
    assert_eq!((&ingest["observations"], &ingest["malformed"]), (&observations, &malformed));
    assert_eq!((&ingest["frames"], &ingest["positions"]), (&json!(1), &json!(1)));
    assert_eq!((&ingest["repeated_records"], &ingest["forks"]), (&json!(0), &json!(0)));
}

/// A hello, a description, a frame with one observation that is new, one that is not and one of the future, and
/// something that cannot be read.
fn messages() -> [(Leaf, Bytes); 4] {
    let (nonce, run) = (Nonce([7; 16]), RunId([1; 16]));
    let hello = Hello {
        nonce,
        count: 1,
        outbox: OutboxId([3; 16]),
        run,
        runs: Vec::new(),
        agent_version: "0.1.0".to_owned(),
        hardware_serial: String::new(),
        generation: 1,
        set_aside: Vec::new(),
    };
    let series = Series {
        property: "air_temperature".parse().unwrap(),
        channel: None,
        value_type: ValueType::Quantity,
        unit: "Cel".to_owned(),
        resolution: "0.1".parse().unwrap(),
    };
    let device = Device {
        name: "weather-9".parse().unwrap(),
        grid: Some(0),
        model: "bme280".to_owned(),
        series: vec![series],
    };
    let description =
        Description { grids: vec![Grid { period_ms: 1000, phase_ms: 0 }], devices: vec![device] };
    let (description, digest) = description.encode();
    let ticks = [START, START, START + 3_600_000];
    let records = ticks.map(|time| {
        let observations = vec![Observation { series: 0, value: Some(161), reason: Reason::GOOD }];
        Record::Tick(Tick { device: 0, time: UtcMillis(time), observations }).encode().into()
    });
    let frame = Frame { nonce, count: 2, run, first: 0, description: digest, records: records.to_vec() };
    [
        (Leaf::Hello, hello.encode().into()),
        (Leaf::Description, description.into()),
        (Leaf::Frames(Log::Samples), frame.encode().into()),
        (Leaf::Frames(Log::Samples), Bytes::from_static(&[0xff; 9])),
    ]
}
