//! `bench replay`: how long a start takes for each gigabyte of journal, and from a checkpoint of a full store.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::Context as _;
use edge_agent::clock::{Clock as _, SystemClock};
use fleet_server::checkpoint::{Checkpoints, Fresh, Snapshot, start};
use fleet_server::ingest::{Ingest, IngestMetrics};
use fleet_server::journal::{Draft, Journal, JournalOptions};
use fleet_server::store::{Tail, TailOptions};
use lamplighter_protocol::{
    Catalogue, Description, Device, Digest, Frame, Grid, LamppostNumber, Leaf, Log, Nonce, Observation,
    Reason, Record, RunId, Series, Tick, UtcMillis,
};

use super::figures::Figures;
use crate::fleet::monotonic;

const LAMPPOSTS: u64 = 50;

/// Writes a journal of about this many bytes, as fifty lampposts would with two sensors of three series each, a frame
/// for each tick; then opens and replays it as a start does.
///
/// # Errors
/// If the journal cannot be written or read.
pub fn replay(directory: &Path, bytes: u64) -> anyhow::Result<Figures> {
    let (written, entries) = write(directory, bytes)?;
    let began = monotonic();
    let mut journal = Journal::open(JournalOptions::in_directory(directory.to_owned()))?;
    let mut ingest = Ingest::new(Catalogue::built_in(), IngestMetrics::default());
    let mut store = Tail::new(TailOptions::default());
    journal.replay(|entry| {
        ingest.apply(&entry, &mut store, &mut |_| {});
    })?;
    let seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(store.size().observations > 0, "nothing was replayed");
    let mut figures = Figures::default();
    checkpoint(&directory.join("checkpoints"), &mut journal, &ingest, &store, &mut figures)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    {
        figures.add("replay.seconds_per_gb", seconds / (written as f64 / 1e9), "s");
        figures.add("replay.entries", entries as f64 / seconds, "1/s");
    }
    Ok(figures)
}

/// Writes a checkpoint of what was replayed, and starts from it.
fn checkpoint(
    directory: &Path,
    journal: &mut Journal,
    ingest: &Ingest,
    store: &Tail,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let now = SystemClock::new().now().wall;
    let began = monotonic();
    let snapshot = Snapshot::of(ingest, store, now);
    let copied = began.elapsed();
    let began = monotonic();
    let written = Checkpoints::in_directory(directory)?.write(snapshot)?;
    let wrote = began.elapsed();
    let began = monotonic();
    let fresh = Fresh {
        catalogue: Catalogue::built_in(),
        metrics: IngestMetrics::default(),
        tail: TailOptions::default(),
    };
    let started = start(&mut Checkpoints::in_directory(directory)?, journal, &fresh, |_, _| {})?;
    let restarted = began.elapsed();
    anyhow::ensure!(
        started.checkpoint == Some(written),
        "the start took another checkpoint than was written"
    );
    anyhow::ensure!(
        started.tail.size().observations == store.size().observations,
        "observations are missing"
    );
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    {
        figures.add("checkpoint.observations", store.size().observations as f64, "");
        figures.add("checkpoint.bytes", written.bytes as f64, "B");
    }
    figures.add("checkpoint.copy", copied.as_secs_f64(), "s");
    figures.add("checkpoint.write", wrote.as_secs_f64(), "s");
    figures.add("checkpoint.start", restarted.as_secs_f64(), "s");
    Ok(())
}

/// Bytes of the files, and how many entries they hold.
fn write(directory: &Path, bytes: u64) -> anyhow::Result<(u64, u64)> {
    let journal = Journal::open(JournalOptions::in_directory(directory.to_owned()))?;
    let (committed, batches) = sync_channel(4);
    let drain =
        std::thread::spawn(move || batches.iter().map(|batch: Vec<_>| batch.len() as u64).sum::<u64>());
    let (handle, writer) = journal.start(committed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let now = SystemClock::new().now().wall;
    let (description, digest) = description()?.encode();
    runtime.block_on(async {
        let mut queued = 0;
        for tick in 0u64.. {
            for number in 0..LAMPPOSTS {
                let lamppost: LamppostNumber = format!("KB{number:04}").parse()?;
                let mut put = async |leaf, payload: Vec<u8>| {
                    queued += payload.len() as u64 + 40;
                    handle
                        .append(Draft {
                            received: now,
                            lamppost: lamppost.clone(),
                            leaf,
                            payload: payload.into(),
                        })
                        .await
                };
                if tick == 0 {
                    put(Leaf::Description, description.clone()).await?;
                }
                put(Leaf::Frames(Log::Samples), frame(number, tick, digest, now)).await?;
            }
            if queued >= bytes {
                return anyhow::Ok(());
            }
        }
        Ok(())
    })?;
    handle.close();
    writer.join()?;
    let entries = drain.join().ok().context("the drain panicked")?;
    let mut written = 0;
    for file in std::fs::read_dir(directory)? {
        written += file?.metadata()?.len();
    }
    Ok((written, entries))
}

fn frame(lamppost: u64, tick: u64, description: Digest, now: UtcMillis) -> Vec<u8> {
    let age = i64::try_from(tick).unwrap_or(i64::MAX);
    let observation = |series, value| Observation { series, value: Some(value), reason: Reason::GOOD };
    let record = |device, values: [i64; 3]| {
        let observations = (0..3).zip(values).map(|(series, value)| observation(series, value)).collect();
        Record::Tick(Tick { device, time: now.plus_ms(age * 1000 - 300 * 24 * 3_600_000), observations })
            .encode()
            .into()
    };
    let run = u8::try_from(lamppost).unwrap_or(u8::MAX);
    let frame = Frame {
        nonce: Nonce([run; 16]),
        count: tick + 2,
        run: RunId([run; 16]),
        first: tick * 2,
        description,
        records: vec![
            record(0, [2_512 + age % 7, 6_341 + age % 11, 101_325]),
            record(1, [90, 140 + age % 5, 210]),
        ],
    };
    frame.encode()
}

pub(super) fn description() -> anyhow::Result<Description> {
    let catalogue = Catalogue::built_in();
    let device = |name: &str, properties: [&str; 3]| -> anyhow::Result<Device> {
        let series = properties.into_iter().map(|property| {
            let property = catalogue.get(&property.parse()?).context("not in the catalogue")?;
            Ok(Series {
                property: property.name.clone(),
                channel: None,
                value_type: property.value_type,
                unit: property.unit.clone(),
                resolution: property.resolution,
            })
        });
        let series = series.collect::<anyhow::Result<_>>()?;
        Ok(Device { name: name.parse()?, grid: Some(0), model: name.to_owned(), series })
    };
    let period_ms = u32::try_from(Duration::from_secs(1).as_millis())?;
    Ok(Description {
        grids: vec![Grid { period_ms, phase_ms: 0 }],
        devices: vec![
            device("weather-1", ["air_temperature", "relative_humidity", "barometric_pressure"])?,
            device("air-1", ["pm1", "pm2_5", "pm10"])?,
        ],
    })
}
