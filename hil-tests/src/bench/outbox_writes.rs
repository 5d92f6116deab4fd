//! What an outbox writes for each byte of records.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edge_agent::outbox::SteppedOutbox;
use lamplighter_protocol::{Log, Observation, Reason, Record, Tick, UtcMillis};

use super::process::written_bytes;

/// Of a record without its framing.
const RECORD_BYTES: usize = 220;

const RECORDS_PER_SYNC: u64 = 20;

const SYNCS: u64 = 500;

/// Bytes written in between, two ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// The pages of 4 KiB that a process gave the system to write, each as often as it was given.
    pub(super) pages: f64,
    /// What a disk was given to write, the file system's own journal and tables included. None if others write to that disk.
    pub(super) disk: Option<f64>,
}

/// Counts what is written.
#[derive(Debug)]
pub(super) struct Counter {
    process: u32,
    disk: Option<PathBuf>,
    began: Written,
}

impl Counter {
    /// Counts from now on what this process writes, and what the disk does on which this directory is, unless it is also the
    /// system's: then everybody writes to it.
    pub(super) fn start(process: u32, directory: &Path) -> anyhow::Result<Self> {
        let device = std::fs::metadata(directory)?.dev();
        let own = device != std::fs::metadata("/")?.dev();
        let disk = Some(statistics(device)).filter(|path| own && path.exists());
        let began = Written { pages: 0.0, disk: None };
        let mut counter = Self { process, disk, began };
        counter.began = counter.total()?;
        Ok(counter)
    }

    /// What was written since.
    pub(super) fn written(&self) -> anyhow::Result<Written> {
        let now = self.total()?;
        let disk = now.disk.zip(self.began.disk).map(|(now, began)| now - began);
        Ok(Written { pages: now.pages - self.began.pages, disk })
    }

    fn total(&self) -> anyhow::Result<Written> {
        let disk = self.disk.as_deref().map(disk_bytes).transpose()?;
        Ok(Written { pages: written_bytes(self.process)?, disk })
    }
}

/// Where the kernel counts what a block device does; its number has 12 bits of major and, around them, 20 of minor.
fn statistics(device: u64) -> PathBuf {
    let (major, minor) = ((device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xF_FF00));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"))
}

/// The seventh field of a block device's statistics: sectors of 512 bytes that were written.
fn disk_bytes(statistics: &Path) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(statistics)?;
    let sectors: f64 = text.split_whitespace().nth(6).context("no sectors written")?.parse()?;
    Ok(sectors * 512.0)
}

/// Appends records and syncs every few of them; says what was written, and how many bytes of records.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn append(outbox: &mut SteppedOutbox, directory: &Path) -> anyhow::Result<(Written, f64)> {
    let record = |time| {
        let observation = |series| Observation { series, value: Some(2_512), reason: Reason::GOOD };
        let mut tick =
            Tick { device: 0, time: UtcMillis(1_900_000_000_000 + time), observations: Vec::new() };
        while Record::Tick(tick.clone()).encode().len() < RECORD_BYTES {
            tick.observations.push(observation(tick.observations.len()));
        }
        Record::Tick(tick)
    };
    // The first sync also writes the names of new files.
    outbox.append(Log::Samples, &record(0))?;
    outbox.sync()?;
    let counter = Counter::start(std::process::id(), directory)?;
    let mut bytes = 0;
    for number in 0..SYNCS * RECORDS_PER_SYNC {
        let record = record(i64::try_from(number)? + 1);
        bytes += record.encode().len();
        outbox.append(Log::Samples, &record)?;
        if number % RECORDS_PER_SYNC == RECORDS_PER_SYNC - 1 {
            outbox.sync()?;
        }
    }
    Ok((counter.written()?, bytes as f64))
}
