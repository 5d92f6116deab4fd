//! Whether the server has stored exactly what it has acknowledged.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;

use super::client::Shared;
use super::crew::say;
use super::load::of_ticks;
use crate::fleet::{Api, monotonic, wait_for};

/// What had been counted when a measurement began.
pub(super) struct Account {
    ticks: u64,
    before: Counts,
}

/// What the server counts.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// Observations, whatever became of them.
    all: f64,
    /// Those that were stored; of them the tail may have let some go since.
    stored: f64,
    /// Of what must not be: frames that cannot be read, records that came twice, refusals of the gateway.
    faults: f64,
}

/// Ingest may be behind the journal by so much: it shares the machine with those who send.
const INGESTS_WITHIN: Duration = Duration::from_mins(5);

impl Account {
    pub(super) fn begin(api: &Api, shared: &Shared) -> anyhow::Result<Self> {
        Ok(Self { ticks: shared.acknowledged.load(Ordering::Relaxed), before: Counts::of(api)? })
    }

    /// Waits until all is ingested, and compares. Nothing may be in flight. Says how many seconds that took.
    pub(super) fn settle(&self, api: &Api, shared: &Shared) -> anyhow::Result<f64> {
        let acknowledged = of_ticks(shared.acknowledged.load(Ordering::Relaxed) - self.ticks);
        say(&format!("  {acknowledged:.0} observations are acknowledged; the server is asked for them"));
        let began = monotonic();
        let is_all = |counts: Counts| (counts.all - self.before.all - acknowledged).abs() < 0.5;
        let waited = wait_for("the server to ingest what it has acknowledged", INGESTS_WITHIN, || {
            Counts::of(api).ok().filter(|counts| is_all(*counts))
        });
        let behind = began.elapsed().as_secs_f64();
        let counts = Counts::of(api)?;
        let (all, stored) = (counts.all - self.before.all, counts.stored - self.before.stored);
        ensure!(
            waited.is_ok() && (stored - acknowledged).abs() < 0.5,
            "{acknowledged} observations were acknowledged, {all} ingested, {stored} stored"
        );
        let faults = counts.faults - self.before.faults;
        ensure!(faults < 0.5, "{faults} times something was refused, unreadable, or came twice");
        Ok(behind)
    }
}

impl Counts {
    fn of(api: &Api) -> anyhow::Result<Self> {
        let verdicts = |label: &str| api.metric("lamplighter_ingest_observations", label);
        let mut faults = 0.0;
        for never in [
            "lamplighter_ingest_malformed",
            "lamplighter_ingest_repeated_records",
            "lamplighter_gateway_refusals",
        ] {
            faults += api.metric(never, "")?;
        }
        let stored = verdicts("\"Stored\"")? + verdicts("\"OlderThanTail\"")?;
        Ok(Self { all: verdicts("")?, stored, faults })
    }
}
