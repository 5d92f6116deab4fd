//! `bench outbox`: what a lamppost's agent costs in an outage of months: a backlog of 1 GB on its disk, 20 series and
//! more each second on top of it, and a server that does not answer.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use edge_agent::clock::{Clock as _, SystemClock};
use edge_agent::outbox::{OutboxOptions, Random, SteppedOutbox, SystemDisk};
use edge_agent::status::{self, Status};
use lamplighter_protocol::{Log, Observation, Reason, Record, Tick, UtcMillis};

use super::figures::Figures;
use super::outbox_writes::{self, Counter, Written};
use super::process::{cpu_seconds, resident_bytes};
use super::replay::description;
use crate::fleet::{Binaries, monotonic, wait_for};
use crate::rig::Scene;
use crate::rig::serial::SerialInstruments;
use crate::world::faults::Faults;
use crate::world::{Recordings, Site, Variation, World};

const LAMPPOST: &str = "BENCH1";
const SERIAL: &str = "bench";
const MAX_MB: u64 = 4096;

/// Six particle sensors of three series, and the four that the agent observes of itself.
const INSTRUMENTS: usize = 6;

/// A record on disk has so many bytes besides itself.
const FRAMING_BYTES: u64 = 8;

/// The agent's process; killed if the bench fails.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // Fails if it has ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Writes an outbox of about this many bytes, opens it as a start does, and then runs the shipped agent on it.
///
/// | figure | |
/// | --- | --- |
/// | `outbox.open` | seconds, with the files in the system's cache; of a cold card a start reads 4 KiB of each segment |
/// | `outbox.agent_rss` | most bytes resident |
/// | `outbox.agent_cpu` | of one core |
/// | `outbox.write_amplification` | bytes written for each byte of records, with records of 220 bytes and 20 of them per sync |
/// | `outbox.agent_write_amplification` | the same of the agent, which syncs every two seconds what 22 series gave in them |
/// | `outbox.disk_amplification`, `outbox.agent_disk_amplification` | the same two, but what the disk was given |
///
/// Bytes written are pages of 4 KiB that the process gave the system to write, each as often as it was given: a page that is not
/// full is given again by the next sync. Bytes of records are without framing. What the file system writes besides, above all
/// its journal, is in the disk's figures alone. Those are there if the directory (`TMPDIR`) is on a disk of its own, to which
/// nobody else writes.
///
/// # Errors
/// If the outbox cannot be written, or the agent does not run.
pub fn outbox(binaries: &Binaries, directory: &Path, bytes: u64, seconds: u64) -> anyhow::Result<Figures> {
    let records = write(directory, bytes)?;
    let mut figures = Figures::default();
    let began = monotonic();
    let mut opened = open(directory)?;
    figures.add("outbox.open", began.elapsed().as_secs_f64(), "s");
    anyhow::ensure!(opened.state().damaged == 0, "it is damaged");
    drop(opened);
    let apart = directory.join("apart");
    std::fs::create_dir(&apart)?;
    let (written, records_bytes) = outbox_writes::append(&mut open(&apart)?, &apart)?;
    let names = ["outbox.write_amplification", "outbox.disk_amplification"];
    add_written(&mut figures, names, written, records_bytes);

    let mut instruments = SerialInstruments::start()?;
    let config = configure(directory, &mut instruments)?;
    let log = File::create(directory.join("agent.log"))?;
    let mut command = binaries.agent();
    command.arg("run").arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let agent = Agent(command.spawn().context("cannot start the agent")?);
    let process = agent.0.id();
    let socket = status::socket_path(directory);
    let ask = || status::ask(&socket).ok();
    wait_for("the agent to read all its sensors", Duration::from_mins(3), || {
        let sensors = ask()?.sensors;
        let read = |status: &status::SensorStatus| status.read > 5;
        (sensors.len() > INSTRUMENTS - 1 && sensors.iter().all(read)).then_some(())
    })?;

    let before = ask().context("the agent says nothing")?;
    anyhow::ensure!(before.backlog.records > records, "the agent has another outbox");
    let (cpu, counter) = (cpu_seconds(process)?, Counter::start(process, directory)?);
    let began = monotonic();
    let mut resident = 0f64;
    while began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_secs(1));
        resident = resident.max(resident_bytes(process)?);
    }
    let elapsed = began.elapsed().as_secs_f64();
    let (cpu, written) = (cpu_seconds(process)? - cpu, counter.written()?);
    let after = ask().context("the agent says nothing")?;
    figures.add("outbox.agent_rss", resident, "bytes");
    figures.add("outbox.agent_cpu", cpu / elapsed * 100.0, "% of a core");
    let names = ["outbox.agent_write_amplification", "outbox.agent_disk_amplification"];
    add_written(&mut figures, names, written, appended(&before, &after));
    Ok(figures)
}

/// Adds what was written for each byte of records: pages, and, where that is known, what the disk was given.
fn add_written(
    figures: &mut Figures,
    [pages, disk]: [&'static str; 2],
    written: Written,
    records_bytes: f64,
) {
    figures.add(pages, written.pages / records_bytes, "bytes per byte");
    if let Some(bytes) = written.disk {
        figures.add(disk, bytes / records_bytes, "bytes per byte");
    }
}

/// Bytes of the records that came in between.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn appended(before: &Status, after: &Status) -> f64 {
    let records = after.backlog.records.saturating_sub(before.backlog.records);
    let bytes = after.backlog.bytes.saturating_sub(before.backlog.bytes);
    bytes.saturating_sub(records * FRAMING_BYTES) as f64
}

fn open(directory: &Path) -> anyhow::Result<SteppedOutbox> {
    let max_bytes = MAX_MB << 20;
    let options = OutboxOptions {
        directory: directory.join("outbox"),
        lamppost: LAMPPOST.parse()?,
        hardware_serial: SERIAL.to_owned(),
        max_bytes,
        segment_bytes: OutboxOptions::segment_bytes_of(max_bytes),
        max_age: Duration::MAX,
        sync_every: Duration::ZERO,
    };
    let now = || SystemClock::believed().now();
    Ok(SteppedOutbox::open(Arc::new(SystemDisk), Random::system(), options, &description()?, now)?)
}

/// Ticks of two devices of three series each, a second apart, up to now. Says how many.
fn write(directory: &Path, bytes: u64) -> anyhow::Result<u64> {
    let mut outbox = open(directory)?;
    let now = SystemClock::believed().now().wall;
    let mut records = 0_u64;
    while outbox.state().bytes < bytes {
        for _ in 0..10_000 {
            let age = i64::try_from(records / 2)?;
            let observation =
                |series| Observation { series, value: Some(2_512 + age % 7), reason: Reason::GOOD };
            let time = UtcMillis(now.0 - 200 * 86_400_000 + age * 1000);
            let tick = Tick {
                device: usize::from(records % 2 == 1),
                time,
                observations: (0..3).map(observation).collect(),
            };
            outbox.append(Log::Samples, &Record::Tick(tick))?;
            records += 1;
        }
        outbox.write()?;
    }
    outbox.sync()?;
    Ok(records)
}

/// The agent's configuration, with instruments behind pseudo-terminals. Nobody listens where its server is said to be.
fn configure(directory: &Path, instruments: &mut SerialInstruments) -> anyhow::Result<PathBuf> {
    let world = World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None);
    let mut text = format!(
        "lamppost = \"{LAMPPOST}\"\nhardware_serial = \"{SERIAL}\"\nstate_dir = \"{}\"\n\
         [server]\nhost = \"127.0.0.1\"\nport = 9\nca_file = \"ca\"\ncertificate_file = \"certificate\"\n\
         key_file = \"key\"\n[outbox]\nmax_mb = {MAX_MB}\nmax_age_days = 3650\n[health]\nevery_s = 1\n",
        directory.display()
    );
    for number in 0..INSTRUMENTS {
        let scene = Scene::new(world.clone(), Faults::None, 0, Arc::new(SystemClock::believed()));
        let port = instruments.plug_in_pms5003(scene)?;
        writeln!(
            text,
            "[[bus]]\nname = \"air-{number}\"\nkind = \"serial\"\npath = \"{}\"\n\
             [[device]]\nname = \"air-{number}\"\nbus = \"air-{number}\"\nsensor = \"pms5003\"\nevery_s = 1",
            port.display()
        )?;
    }
    let path = directory.join("agent.toml");
    File::create(&path)?.write_all(text.as_bytes())?;
    Ok(path)
}
