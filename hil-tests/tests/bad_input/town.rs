//! A lamppost that reads into a server, in lives that a test begins and ends, and the comparison of what it read with what the
//! server serves.

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

use super::commands::{binaries, done};

/// Fast enough for a lamppost to fill several segments in seconds.
const SPEED: f64 = 100.0;
const EVERY_MS: u32 = 1_000;
/// Segments of 16 KiB: each has some hundred ticks.
const OUTBOX_KIB: &str = "1024";
const HOUR_MS: i64 = 3_600_000;
const SOON: Duration = Duration::from_mins(3);

type Observations = BTreeMap<Which, What>;

/// Whether a lamppost reads until the server has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    Yes,
    No,
}

/// A lamppost whose process comes and goes.
pub(crate) struct Town {
    pub(crate) folder: TempDir,
    pub(crate) binaries: Binaries,
    pub(crate) number: LamppostNumber,
    began: UtcMillis,
    /// From when on its next process may read.
    next: UtcMillis,
}

impl Town {
    pub(crate) fn new() -> Self {
        let began = SystemClock::new().now().wall.plus_ms(-24 * HOUR_MS);
        let (folder, binaries) = (tempfile::tempdir().unwrap(), binaries());
        Self { folder, binaries, number: "KB0001".parse().unwrap(), began, next: began }
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        StreetProcess::state(self.folder.path()).join(self.number.as_str()).join("outbox")
    }

    /// Its agent runs until it has read so many ticks.
    pub(crate) fn reads(
        &mut self,
        place: &ServerPlace,
        certificates: &Certificates,
        ticks: u64,
        drained: Drained,
    ) {
        self.reads_while(place, certificates, ticks, drained, || {});
    }

    /// The same; when it has read half of them, something is done while it goes on.
    pub(crate) fn reads_while(
        &mut self,
        place: &ServerPlace,
        certificates: &Certificates,
        ticks: u64,
        drained: Drained,
        meanwhile: impl FnOnce(),
    ) {
        let process = self.start(place, certificates, SPEED, EVERY_MS);
        let has_read = |ticks| {
            let enough = || (process.figures()["ticks"].as_u64()? >= ticks).then_some(());
            wait_for("enough to be read", SOON, enough).unwrap();
        };
        has_read(ticks / 2);
        meanwhile();
        has_read(ticks);
        if drained == Drained::Yes {
            wait_for("a connection", SOON, || (process.figures()["connected"] == 1).then_some(())).unwrap();
        }
        // It stops its time first, and sends what was read if there is a connection.
        let last = process.figures()["virtual_time_ms"].as_i64().unwrap();
        process.end(Ending::Stop).unwrap();
        self.next = UtcMillis(last + HOUR_MS);
    }

    /// Its agent runs, and has no tick within the hour, until the server knows what became of all that was read.
    pub(crate) fn only_sends(&self, server: &ServerProcess, certificates: &Certificates) {
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
    pub(crate) fn on_disk(&self) -> Observations {
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
    pub(crate) fn names_what_is_lost(&self, api: &Api, read: &Observations) {
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

/// A copy of a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    done(Command::new("cp").arg("-a").arg(from).arg(to));
}
