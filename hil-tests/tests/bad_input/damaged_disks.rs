//! `dd` over what real agents and servers have on disk, and a server that is restored from yesterday's copy: what is
//! lost is named, the rest is served, and the lamppost fills up whatever it still has (D9, D11, D12).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::city::{Fidelity, Who};
use hil_tests::fleet::observed::{What, Which, dropped, on_disk, served, told};
use hil_tests::fleet::{
    Api, Binaries, Certificates, Ending, ServerPlace, ServerProcess, Street, StreetProcess, wait_for,
};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde_json::Value;
use tempfile::TempDir;

use super::commands::{binaries, done, ended, names};

/// Fast enough for a lamppost to fill several segments in seconds.
const SPEED: f64 = 100.0;
const EVERY_MS: u32 = 1_000;
/// Segments of 16 KiB: each has some hundred ticks.
const OUTBOX_KIB: &str = "1024";
const HOUR_MS: i64 = 3_600_000;
const SOON: Duration = Duration::from_mins(3);

type Observations = BTreeMap<Which, What>;

#[test]
fn what_dd_writes_over_in_a_backlog_is_named_as_damaged_and_the_rest_is_served() {
    let mut town = Town::new();
    let server = ServerProcess::start(&town.binaries, town.folder.path()).unwrap();
    let certificates = server.register(1).unwrap();
    let place = server.place().clone();
    server.end(Ending::Stop).unwrap();
    town.reads(&place, &certificates, 1_500, Drained::No);
    let read = town.on_disk();
    let runs = town.outbox().join("runs");
    let segments = segments(&runs.join(&names(&runs)[0]));
    assert!(segments.len() > 2, "{segments:?}");
    dd(&segments[1]);

    let server = place.start().unwrap();
    town.only_sends(&server, &certificates);
    town.names_what_is_lost(server.api(), &read);
    let system = server.api().json("/api/v1/system").unwrap();
    let damaged = &system["ingest"]["damaged_records"];
    assert_eq!(damaged.as_u64().unwrap(), dropped(server.api(), &town.number).unwrap(), "{system:#}");
    server.end(Ending::Stop).unwrap();
}

#[test]
fn what_dd_writes_over_in_a_journal_is_named_by_verify_and_filled_up_by_the_lamppost() {
    let mut town = Town::new();
    let server = ServerProcess::start(&town.binaries, town.folder.path()).unwrap();
    let certificates = server.register(1).unwrap();
    town.reads(server.place(), &certificates, 1_000, Drained::Yes);
    let read = town.on_disk();
    let (place, data) = (server.place().clone(), server.data());
    // One that stops in order leaves a checkpoint, and needs the journal no more.
    server.end(Ending::Kill).unwrap();
    let journal = data.join("journal");
    let segment = names(&journal).into_iter().find(|name| name != "journal.lock").unwrap();
    let segment = journal.join(segment);
    dd(&segment);

    let mut verify = town.binaries.server();
    let verified = ended(verify.args(["journal", "verify", "--data"]).arg(&data));
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.out.contains(segment.to_str().unwrap()), "{verified:?}");
    assert!(verified.error.contains("the journal is damaged"), "{verified:?}");

    let server = place.start().unwrap();
    let system = server.api().json("/api/v1/system").unwrap();
    assert!(system["journal"]["damaged_regions"].as_u64().unwrap() > 0, "{system:#}");
    assert_eq!(system["journal"]["damage"][0]["segment"], file_name(&segment), "{system:#}");
    let left = served(server.api(), &town.number).unwrap().observations;
    assert!(!left.is_empty() && left.len() < read.len(), "{} of {} are left", left.len(), read.len());
    assert!(left.iter().all(|(which, what)| read.get(which) == Some(what)), "what is left is as it was");
    town.only_sends(&server, &certificates);
    assert_eq!(served(server.api(), &town.number).unwrap().observations, read);
    assert_eq!(dropped(server.api(), &town.number).unwrap(), 0);
    server.end(Ending::Stop).unwrap();
}

#[test]
fn a_server_that_is_restored_from_yesterdays_copy_is_filled_up_and_names_what_nobody_has_any_more() {
    let mut town = Town::new();
    let server = ServerProcess::start(&town.binaries, town.folder.path()).unwrap();
    let certificates = server.register(1).unwrap();
    town.reads(server.place(), &certificates, 600, Drained::Yes);
    let (place, data) = (server.place().clone(), server.data());
    let yesterday = town.folder.path().join("yesterday");
    server.end(Ending::Stop).unwrap();
    copy(&data, &yesterday);
    let server = place.start().unwrap();
    town.reads(server.place(), &certificates, 1_500, Drained::Yes);
    let read = town.on_disk();
    assert_eq!(served(server.api(), &town.number).unwrap().observations, read);
    server.end(Ending::Stop).unwrap();

    std::fs::remove_dir_all(&data).unwrap();
    copy(&yesterday, &data);
    // Of what came since, the lamppost's card has lost some.
    let runs = town.outbox().join("runs");
    dd(&segments(&runs.join(&names(&runs)[1]))[1]);
    let server = place.start().unwrap();
    let left = served(server.api(), &town.number).unwrap().observations;
    assert!(!left.is_empty() && left.len() < read.len() / 2, "{} of {} are left", left.len(), read.len());
    town.only_sends(&server, &certificates);
    town.names_what_is_lost(server.api(), &read);
    server.end(Ending::Stop).unwrap();
}

/// Whether a lamppost reads until the server has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Yes,
    No,
}

/// A lamppost whose process comes and goes.
struct Town {
    folder: TempDir,
    binaries: Binaries,
    number: LamppostNumber,
    began: UtcMillis,
    /// From when on its next process may read.
    next: UtcMillis,
}

impl Town {
    fn new() -> Self {
        let began = SystemClock::new().now().wall.plus_ms(-24 * HOUR_MS);
        let (folder, binaries) = (tempfile::tempdir().unwrap(), binaries());
        Self { folder, binaries, number: "KB0001".parse().unwrap(), began, next: began }
    }

    fn outbox(&self) -> PathBuf {
        StreetProcess::state(self.folder.path()).join(self.number.as_str()).join("outbox")
    }

    /// Its agent runs until it has read so many ticks.
    fn reads(&mut self, place: &ServerPlace, certificates: &Certificates, ticks: u64, drained: Drained) {
        let process = self.start(place, certificates, SPEED, EVERY_MS);
        wait_for("enough to be read", SOON, || (process.figures()["ticks"].as_u64()? >= ticks).then_some(()))
            .unwrap();
        if drained == Drained::Yes {
            wait_for("a connection", SOON, || (process.figures()["connected"] == 1).then_some(())).unwrap();
        }
        // It stops its time first, and sends what was read if there is a connection.
        let last = process.figures()["virtual_time_ms"].as_i64().unwrap();
        process.end(Ending::Stop).unwrap();
        self.next = UtcMillis(last + HOUR_MS);
    }

    /// Its agent runs, and has no tick within the hour, until the server knows what became of all that was read.
    fn only_sends(&self, server: &ServerProcess, certificates: &Certificates) {
        const SLOWLY: u32 = 3_600_000;
        let last_hello = || {
            let lamppost = server.api().json(&format!("/api/v1/lampposts/{}", self.number)).unwrap();
            lamppost["report"]["last_hello"].clone()
        };
        let before = last_hello();
        let process = self.start(server.place(), certificates, 1.001, SLOWLY);
        let settled = || {
            let records = self.records(server.api());
            let open = records["not_yet_here"].as_u64()? + records["lost"].as_u64()?;
            (last_hello() != before && open == 0).then_some(())
        };
        wait_for("all that is owed to be here or explained", SOON, settled).unwrap();
        process.end(Ending::Stop).unwrap();
    }

    fn start(
        &self,
        place: &ServerPlace,
        certificates: &Certificates,
        speed: f64,
        every_ms: u32,
    ) -> StreetProcess {
        let past_the_hour = UtcMillis((self.next.0.div_euclid(HOUR_MS) + 1) * HOUR_MS + 1_000);
        let street = Street {
            lampposts: 1,
            speed,
            start: if every_ms == EVERY_MS { self.next } else { past_the_hour },
            fidelity: Fidelity::Exact,
            every_ms,
            who: Who::All,
            told: false,
        };
        let (folder, options) = (self.folder.path(), ["--outbox-kib", OUTBOX_KIB]);
        StreetProcess::start_through(&self.binaries, place.mqtt(), certificates, folder, &street, &options)
            .unwrap()
    }

    /// All that it has read and not freed. Reading an outbox adds a run to it, so that is done to a copy.
    fn on_disk(&self) -> Observations {
        let elsewhere = tempfile::tempdir().unwrap();
        copy(&StreetProcess::state(self.folder.path()), &StreetProcess::state(elsewhere.path()));
        let (observed, _) = on_disk(elsewhere.path(), &self.number).unwrap();
        assert_eq!(observed.twice, []);
        observed.observations
    }

    fn records(&self, api: &Api) -> Value {
        api.json(&format!("/api/v1/lampposts/{}/outboxes", self.number)).unwrap()["records"].clone()
    }

    /// What is served is what was read, except for some that the ledger names, series by series.
    fn names_what_is_lost(&self, api: &Api, read: &Observations) {
        let served = served(api, &self.number).unwrap().observations;
        assert!(
            served.iter().all(|(which, what)| read.get(which) == Some(what)),
            "what is served is as it was"
        );
        let mut gone: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for which in read.keys() {
            let of_series = gone.entry((&which.device, &which.property)).or_default();
            *of_series += u64::from(!served.contains_key(which));
        }
        let in_all: u64 = gone.values().sum();
        assert!(in_all > 0 && in_all < read.len() as u64 / 4, "{in_all} of {} are gone", read.len());
        for (series, gone) in gone {
            let of_series = |which: &&Which| (which.device.as_str(), which.property.as_str()) == series;
            let stored = served.keys().filter(of_series).count() as u64;
            let last = read.keys().filter(of_series).map(|which| which.time).max().unwrap();
            let told = told(api, &self.number, series, (self.began, last.plus_ms(1))).unwrap();
            assert_eq!((told.stored, told.dropped, told.unsettled), (stored, gone, 0), "{series:?}");
        }
        let records = self.records(api);
        assert_eq!(records["dropped"]["damaged"].as_u64().unwrap(), dropped(api, &self.number).unwrap());
        assert_eq!((&records["lost"], &records["not_yet_here"]), (&Value::from(0), &Value::from(0)));
    }
}

/// The segments of samples of a run, oldest first.
fn segments(run: &Path) -> Vec<PathBuf> {
    names(run).into_iter().filter(|name| name.starts_with("samples")).map(|name| run.join(name)).collect()
}

/// Writes noise over some of the middle of a file.
fn dd(file: &Path) {
    let middle = std::fs::metadata(file).unwrap().len() / 2;
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/urandom", "bs=1", "count=600", "conv=notrunc", &format!("seek={middle}")]);
    dd.arg(format!("of={}", file.display()));
    done(&mut dd);
}

fn copy(from: &Path, to: &Path) {
    done(Command::new("cp").arg("-a").arg(from).arg(to));
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
