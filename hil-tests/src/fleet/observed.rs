//! What a lamppost observed, as its outbox has it on disk and as the API serves it: two accounts of the same thing, to
//! be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use edge_agent::clock::SystemClock;
use edge_agent::outbox::{Outbox, OutboxOptions, Place, ReadLimit};
use lamplighter_protocol::{Description, LamppostNumber, Log, Record, UtcMillis};
use serde_json::Value;

use super::api::Api;
use super::street::StreetProcess;
use crate::city::timestamp;
use crate::rig;

/// Which observation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Which {
    /// Name of the device.
    pub device: String,
    /// What it observed.
    pub property: String,
    /// Phenomenon time.
    pub time: UtcMillis,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq)]
pub struct What {
    /// In the unit of the catalogue; none if it is bad.
    pub value: Option<f64>,
    /// The word for its reason: `good`, or why it is less.
    pub reason: String,
}

/// The observations of one lamppost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Each once.
    pub observations: BTreeMap<Which, What>,
    /// Those that are there more than once.
    pub twice: Vec<Which>,
}

/// A time in which the agent of a lamppost was stopped, as the API names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedStop {
    /// When the run before ended.
    pub ended: UtcMillis,
    /// Whether that is known exactly.
    pub ended_known: bool,
    /// When the next one opened.
    pub opened: UtcMillis,
    /// The ticks that each device missed.
    pub missed: BTreeMap<String, BTreeSet<UtcMillis>>,
}

/// What the server says became of the ticks of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// All of them.
    pub expected: u64,
    /// Stored.
    pub stored: u64,
    /// Dropped, as reported.
    pub dropped: u64,
    /// Neither here nor explained: lost, rejected, still to come, unknown.
    pub unsettled: u64,
}

impl Observed {
    fn put(&mut self, which: Which, what: What) {
        if self.observations.insert(which.clone(), what).is_some() {
            self.twice.push(which);
        }
    }
}

/// All that the outbox of a lamppost has on disk, of all its runs, and how many runs those are. The folder is that in
/// which streets keep their state; no agent may use it. Opening the outbox adds a run, which is counted.
///
/// # Errors
/// If the outbox cannot be opened or read.
pub fn on_disk(directory: &Path, number: &LamppostNumber) -> anyhow::Result<(Observed, usize)> {
    let outbox = StreetProcess::state(directory).join(number.as_str()).join("outbox");
    in_outbox(&outbox, number, &rig::hardware_serial(number))
}

/// The same of the outbox in this directory, which belongs to this lamppost and hardware.
///
/// # Errors
/// As [`on_disk`].
pub fn in_outbox(
    directory: &Path,
    number: &LamppostNumber,
    hardware_serial: &str,
) -> anyhow::Result<(Observed, usize)> {
    let options = OutboxOptions {
        directory: directory.to_owned(),
        lamppost: number.clone(),
        hardware_serial: hardware_serial.to_owned(),
        max_bytes: 1 << 30,
        segment_bytes: OutboxOptions::segment_bytes_of(1 << 30),
        max_age: Duration::MAX,
        sync_every: Duration::ZERO,
    };
    let nothing = Description { grids: Vec::new(), devices: Vec::new() };
    let (outbox, thread) = Outbox::open(options, &nothing, Arc::new(SystemClock::believed()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let state = outbox.state().borrow().clone();
    let mut observed = Observed::default();
    for run in &state.runs {
        for (first, last) in run.samples.on_disk.ranges() {
            let mut sequence = first;
            while sequence <= last {
                let place = Place { run: run.run, log: Log::Samples, sequence };
                sequence += runtime.block_on(read(&outbox, place, last, &mut observed))?;
            }
        }
    }
    drop(outbox);
    thread.join()?;
    Ok((observed, state.runs.len()))
}

/// Reads records from `place` on, up to `last`; says how many.
async fn read(outbox: &Outbox, place: Place, last: u64, observed: &mut Observed) -> anyhow::Result<u64> {
    let limit = ReadLimit { bytes: 1 << 20, records: 1000, last };
    let gone = || format!("{place:?} is stated to be on disk and is not");
    let chunk = outbox.read(place, limit).await?.with_context(gone)?;
    let payload = outbox.description(chunk.description).await?;
    let payload = payload.with_context(|| format!("the description {} is gone", chunk.description))?;
    let description = Description::decode(&payload)?;
    for record in &chunk.records {
        let Record::Tick(tick) = Record::decode(record)? else { continue };
        let device = description.devices.get(tick.device).context("a tick of no device")?;
        for one in &tick.observations {
            let series = device.series.get(one.series).context("an observation of no series")?;
            let which = Which {
                device: device.name.to_string(),
                property: series.property.to_string(),
                time: tick.time,
            };
            let value = one.value.map(|value| series.resolution.to_f64(value));
            observed.put(which, What { value, reason: one.reason.name() });
        }
    }
    Ok(chunk.records.len() as u64)
}

/// All that the API serves of a lamppost.
///
/// # Errors
/// If it does not answer as it should.
pub fn served(api: &Api, number: &LamppostNumber) -> anyhow::Result<Observed> {
    let mut observed = Observed::default();
    let list = api.json(&format!("/api/v1/lampposts/{number}/series"))?;
    for series in members(&list, "series")? {
        let (device, property) = (text(series, "device")?, text(series, "property")?);
        let path = format!("/api/v1/lampposts/{number}/series/{device}/{property}?from=0&limit=10000");
        each_page(api, &path, |page| {
            for one in members(page, "observations")? {
                let reason = one["reason"].as_str().unwrap_or("good").to_owned();
                let (device, property) = (device.to_owned(), property.to_owned());
                let which = Which { device, property, time: time(one, "time")? };
                observed.put(which, What { value: one["value"].as_f64(), reason });
            }
            Ok(())
        })?;
    }
    Ok(observed)
}

/// The times in which the agent of a lamppost was stopped.
///
/// # Errors
/// If the API does not answer as it should, or does not list all ticks that it counts.
pub fn stops(api: &Api, number: &LamppostNumber) -> anyhow::Result<Vec<NamedStop>> {
    let mut stops = Vec::new();
    // One answer lists a bounded number of ticks.
    each_page(api, &format!("/api/v1/lampposts/{number}/stops?limit=5"), |page| {
        for stop in members(page, "stops")? {
            let mut missed = BTreeMap::new();
            for device in members(stop, "devices")? {
                let ticks: BTreeSet<UtcMillis> = members(device, "ticks")?
                    .iter()
                    .map(|tick| tick.as_str().and_then(timestamp::parse).context("a tick is no time"))
                    .collect::<Result<_, _>>()?;
                let complete = device["missed"].as_u64() == Some(ticks.len() as u64);
                anyhow::ensure!(complete, "{number}: not all missed ticks are listed: {device}");
                missed.insert(text(device, "device")?.to_owned(), ticks);
            }
            let (ended, opened) = (time(stop, "ended")?, time(stop, "opened")?);
            let ended_known = stop["ended_known"].as_bool().context("a stop whose begin is not judged")?;
            stops.push(NamedStop { ended, ended_known, opened, missed });
        }
        Ok(())
    })?;
    Ok(stops)
}

/// What the server says became of a series from `from` to before `to`.
///
/// # Errors
/// If the API does not answer as it should.
pub fn told(
    api: &Api,
    number: &LamppostNumber,
    (device, property): (&str, &str),
    (from, to): (UtcMillis, UtcMillis),
) -> anyhow::Result<Told> {
    let path = format!("/api/v1/lampposts/{number}/series/{device}/{property}/completeness");
    let counts = api.json(&format!("{path}?from={}&to={}", from.0, to.0))?;
    let sum_of =
        |names: &[&str]| names.iter().map(|name| sum(&counts[name], name)).sum::<anyhow::Result<_>>();
    Ok(Told {
        expected: sum_of(&["expected"])?,
        stored: sum_of(&["stored"])?,
        dropped: sum_of(&["dropped"])?,
        unsettled: sum_of(&["lost", "rejected", "not_yet_here", "unknown"])?,
    })
}

/// How many samples of a lamppost the server counts as dropped and not here, of all its runs.
///
/// # Errors
/// If the API does not answer as it should.
pub fn dropped(api: &Api, number: &LamppostNumber) -> anyhow::Result<u64> {
    let mut dropped = 0;
    each_page(api, &format!("/api/v1/lampposts/{number}/outboxes?limit=1000"), |page| {
        for run in members(page, "runs")? {
            dropped += sum(&run["samples"]["dropped"], "dropped")?;
        }
        Ok(())
    })?;
    Ok(dropped)
}

/// A count, or all counts of an object.
fn sum(counts: &Value, name: &str) -> anyhow::Result<u64> {
    match counts.as_object() {
        Some(parts) => parts.iter().map(|(name, part)| sum(part, name)).sum(),
        None => counts.as_u64().with_context(|| format!("{name} is no count")),
    }
}

/// Follows `next` from page to page.
fn each_page(
    api: &Api,
    path: &str,
    mut take: impl FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after = String::new();
    loop {
        let page = api.json(&format!("{path}{after}"))?;
        take(&page).with_context(|| format!("{path}{after}"))?;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(()),
        }
    }
}

fn members<'a>(document: &'a Value, name: &str) -> anyhow::Result<&'a [Value]> {
    document[name].as_array().map(Vec::as_slice).with_context(|| format!("there are no {name}"))
}

fn text<'a>(document: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    document[name].as_str().with_context(|| format!("there is no {name}"))
}

fn time(document: &Value, name: &str) -> anyhow::Result<UtcMillis> {
    timestamp::parse(text(document, name)?).with_context(|| format!("{name} is no time"))
}
