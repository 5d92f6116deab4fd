//! `kill -9`, ten times for the agents and ten times for the server, during a replay: every observation that is on a
//! lamppost's disk is served, once, and the ticks that were missed while an agent was down are named (D1, D2, D5).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_agent::clock::{Clock as _, SystemClock};
use edge_agent::outbox::{Outbox, OutboxOptions, Place, ReadLimit};
use hil_tests::city::{Fidelity, Who};
use hil_tests::fleet::{
    Api, Binaries, Certificates, Ending, ServerProcess, Street, StreetProcess, monotonic, wait_for,
};
use hil_tests::rig;
use lamplighter_protocol::{Catalogue, Description, LamppostNumber, Log, Record, UtcMillis};

const LAMPPOSTS: usize = 3;
const SPEED: f64 = 30.0;
const EVERY_MS: u32 = 10_000;
const KILLS: u64 = 10;

/// Device and property, time: value (none if bad) and reason, as the API says them.
type Observed = BTreeMap<(String, String, i64), (Option<f64>, String)>;

struct Replay {
    binaries: Binaries,
    certificates: Certificates,
    start: UtcMillis,
    began: Instant,
}

#[test]
fn what_is_on_disk_is_served_once_and_what_was_missed_is_named_however_often_either_end_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let binaries = Binaries::beside_this_program().unwrap();
    let mut server = ServerProcess::start(&binaries, directory.path()).unwrap();
    let certificates = server.register(LAMPPOSTS).unwrap();
    let start = SystemClock::new().now().wall.plus_ms(-24 * 3600 * 1000);
    let replay = Replay { binaries, certificates, start, began: monotonic() };

    let mut lampposts = replay.run(&server, directory.path());
    for round in 0..KILLS {
        // Each time at another point of what goes on, and only after something was sent.
        connected(&lampposts);
        pause(round * 130 % 700);
        server = server.restart(Ending::Kill).unwrap();
        pause(round * 270 % 900);
        lampposts.end(Ending::Kill).unwrap();
        // Long enough for ticks to be missed: 30 s of a lamppost's time pass in each second.
        pause(800);
        lampposts = replay.run(&server, directory.path());
    }
    connected(&lampposts);
    lampposts.end(Ending::Stop).unwrap();

    // What the last process did not get away is sent by one more, which is then stopped in peace.
    let last = replay.run(&server, directory.path());
    connected(&last);
    last.end(Ending::Stop).unwrap();
    for number in 1..=LAMPPOSTS {
        let number: LamppostNumber = format!("KB{number:04}").parse().unwrap();
        let outbox = StreetProcess::state(directory.path()).join(number.as_str()).join("outbox");
        let (read, runs) = on_disk(&outbox, &number);
        assert!(runs > usize::try_from(KILLS).unwrap(), "{runs} runs");
        // The very last records may not have been sent before the stop: they are on the lamppost, and will be.
        let stored = served(server.api(), &number);
        let unsent: Vec<_> = read.keys().filter(|key| !stored.contains_key(*key)).collect();
        let newest = stored.keys().map(|key| key.2).max().unwrap();
        assert!(
            unsent.iter().all(|key| key.2 > newest - 2 * i64::from(EVERY_MS)),
            "{number} lost {unsent:?}"
        );
        let strange: Vec<_> = stored.iter().filter(|(key, seen)| read.get(*key) != Some(*seen)).collect();
        assert!(strange.is_empty(), "{number}: not what the lamppost read: {strange:?}");
        assert!(stored.len() > 500, "{number}: only {} observations", stored.len());
        named(server.api(), &number, &stored);
    }
    server.end(Ending::Stop).unwrap();
}

impl Replay {
    /// Lampposts whose time is where it would be had they never been killed.
    fn run(&self, server: &ServerProcess, directory: &Path) -> StreetProcess {
        #[expect(clippy::cast_possible_truncation, reason = "minutes of a test, in ms")]
        let passed = (self.began.elapsed().as_secs_f64() * SPEED * 1000.0) as i64;
        let street = Street {
            lampposts: LAMPPOSTS,
            speed: SPEED,
            start: self.start.plus_ms(passed),
            fidelity: Fidelity::Exact,
            every_ms: EVERY_MS,
            who: Who::All,
            told: false,
        };
        StreetProcess::start(&self.binaries, server, &self.certificates, directory, &street).unwrap()
    }
}

fn connected(lampposts: &StreetProcess) {
    wait_for("all lampposts to be connected and to have little waiting", Duration::from_mins(2), || {
        let figures = lampposts.figures();
        let connected = figures["connected"].as_u64()?;
        (connected == LAMPPOSTS as u64 && figures["ticks"].as_u64()? > 10).then_some(())
    })
    .unwrap();
}

/// A time at which something else is under way: the moment of a kill is the test's input, not a wait for anything.
fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Every observation on a lamppost's disk, of all its runs; and how many runs those are.
fn on_disk(directory: &Path, number: &LamppostNumber) -> (Observed, usize) {
    let options = OutboxOptions {
        directory: directory.to_owned(),
        lamppost: number.clone(),
        hardware_serial: rig::hardware_serial(number),
        max_bytes: 1 << 30,
        segment_bytes: OutboxOptions::segment_bytes_of(1 << 30),
        max_age: Duration::MAX,
        sync_every: Duration::ZERO,
    };
    let nothing = Description { grids: Vec::new(), devices: Vec::new() };
    let (outbox, thread) = Outbox::open(options, &nothing, Arc::new(SystemClock::new())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let state = outbox.state().borrow().clone();
    let (mut observed, catalogue) = (Observed::new(), Catalogue::built_in());
    for run in &state.runs {
        for (first, last) in run.samples.on_disk.ranges() {
            let mut sequence = first;
            while sequence <= last {
                let place = Place { run: run.run, log: Log::Samples, sequence };
                let limit = ReadLimit { bytes: 1 << 20, records: 1000, last };
                let chunk = runtime.block_on(outbox.read(place, limit)).unwrap().unwrap();
                let payload = runtime.block_on(outbox.description(chunk.description)).unwrap().unwrap();
                let description = Description::decode(&payload).unwrap();
                sequence += chunk.records.len() as u64;
                for record in &chunk.records {
                    let Record::Tick(tick) = Record::decode(record).unwrap() else { continue };
                    let device = &description.devices[tick.device];
                    for one in &tick.observations {
                        let series = &device.series[one.series];
                        assert!(catalogue.get(&series.property).is_some());
                        let value = one.value.map(|value| series.resolution.to_f64(value));
                        let key = (device.name.to_string(), series.property.to_string(), tick.time.0);
                        let twice = observed.insert(key, (value, one.reason.name()));
                        assert!(twice.is_none(), "two runs read one tick: their times overlap");
                    }
                }
            }
        }
    }
    drop(outbox);
    thread.join().unwrap();
    (observed, state.runs.len())
}

/// Every observation that the API serves of a lamppost.
fn served(api: &Api, number: &LamppostNumber) -> Observed {
    let mut observed = Observed::new();
    let list = api.json(&format!("/api/v1/lampposts/{number}/series")).unwrap();
    for series in list["series"].as_array().unwrap() {
        let (device, property) = (series["device"].as_str().unwrap(), series["property"].as_str().unwrap());
        let mut after = String::new();
        loop {
            let path =
                format!("/api/v1/lampposts/{number}/series/{device}/{property}?from=0&limit=10000{after}");
            let page = api.json(&path).unwrap();
            for one in page["observations"].as_array().unwrap() {
                let time = millis(one["time"].as_str().unwrap());
                let reason = one["reason"].as_str().unwrap_or("good").to_owned();
                let key = (device.to_owned(), property.to_owned(), time);
                let twice = observed.insert(key, (one["value"].as_f64(), reason));
                assert!(twice.is_none(), "{number} {device}/{property} twice at {time}");
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
    }
    observed
}

/// Every tick of a device's grid that nothing was stored for is one that a stop names, and no other is named.
fn named(api: &Api, number: &LamppostNumber, served: &Observed) {
    let stops = api.json(&format!("/api/v1/lampposts/{number}/stops?limit=1000")).unwrap();
    let stops = stops["stops"].as_array().unwrap();
    assert!(stops.len() >= usize::try_from(KILLS).unwrap(), "{} stops", stops.len());
    for device in ["weather-1", "air-1"] {
        let times: BTreeSet<i64> = served.keys().filter(|key| key.0 == device).map(|key| key.2).collect();
        let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
        let grid = i64::from(EVERY_MS);
        let missing: BTreeSet<i64> = (first / grid..=last / grid)
            .map(|tick| tick * grid)
            .filter(|tick| !times.contains(tick))
            .collect();
        let named: BTreeSet<i64> = stops
            .iter()
            .flat_map(|stop| stop["devices"].as_array().unwrap())
            .filter(|missed| missed["device"] == device)
            .flat_map(|missed| missed["ticks"].as_array().unwrap())
            .map(|tick| millis(tick.as_str().unwrap()))
            .filter(|tick| (first..=last).contains(tick))
            .collect();
        assert!(!missing.is_empty(), "{number} {device}: nothing was missed, so nothing was tested");
        assert_eq!(named, missing, "{number} {device}");
    }
}

fn millis(text: &str) -> i64 {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap()
}
