//! `kill -9`, ten times for the agents and ten times for the server, during a replay: every observation that is on a
//! lamppost's disk is served, once, and the ticks that were missed while an agent was down are named (D1, D2, D5).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::city::{Fidelity, Who};
use hil_tests::fleet::observed::{What, Which, on_disk, served, stops};
use hil_tests::fleet::{
    Api, Binaries, Certificates, Ending, ServerProcess, Street, StreetProcess, monotonic, wait_for,
};
use lamplighter_protocol::{LamppostNumber, UtcMillis};

const LAMPPOSTS: usize = 3;
const SPEED: f64 = 30.0;
const EVERY_MS: u32 = 10_000;
const KILLS: u64 = 10;

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
        let (read, runs) = on_disk(directory.path(), &number).unwrap();
        assert!(runs > usize::try_from(KILLS).unwrap(), "{runs} runs");
        assert_eq!(read.twice, [], "two runs read one tick: their times overlap");
        // The very last records may not have been sent before the stop: they are on the lamppost, and will be.
        let stored = served(server.api(), &number).unwrap();
        assert_eq!(stored.twice, [], "{number} serves something twice");
        let (read, stored) = (read.observations, stored.observations);
        let unsent: Vec<_> = read.keys().filter(|key| !stored.contains_key(*key)).collect();
        let newest = stored.keys().map(|key| key.time).max().unwrap();
        assert!(
            unsent.iter().all(|key| key.time > newest.plus_ms(-2 * i64::from(EVERY_MS))),
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

/// Every tick of a device's grid that nothing was stored for is one that a stop names, and no other is named.
fn named(api: &Api, number: &LamppostNumber, served: &BTreeMap<Which, What>) {
    let stops = stops(api, number).unwrap();
    assert!(stops.len() >= usize::try_from(KILLS).unwrap(), "{} stops", stops.len());
    for device in ["weather-1", "air-1"] {
        let times: BTreeSet<UtcMillis> =
            served.keys().filter(|key| key.device == device).map(|key| key.time).collect();
        let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
        let grid = i64::from(EVERY_MS);
        let missing: BTreeSet<UtcMillis> = (first.0 / grid..=last.0 / grid)
            .map(|tick| UtcMillis(tick * grid))
            .filter(|tick| !times.contains(tick))
            .collect();
        let named = stops.iter().filter_map(|stop| stop.missed.get(device)).flatten().copied();
        let named: BTreeSet<UtcMillis> = named.filter(|tick| (first..=last).contains(tick)).collect();
        assert!(!missing.is_empty(), "{number} {device}: nothing was missed, so nothing was tested");
        assert_eq!(named, missing, "{number} {device}");
    }
}
