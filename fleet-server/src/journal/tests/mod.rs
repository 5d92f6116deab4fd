//! Tests of the whole journal; helpers below them all.

mod damage;
mod faults;
mod low_water;
mod reading;
mod slow_disk;
mod stepping;
mod trimming;
mod verifying;
mod writing;

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::{LamppostNumber, Leaf, Log, UtcMillis};
use prometheus_client::metrics::gauge::Gauge;

use super::memory_disk::MemoryDisk;
use super::{
    Disk, Draft, Entry, Fate, Journal, JournalError, JournalHandle, JournalMetrics, JournalOptions,
    JournalThread, LowWater, ReplayReport, Ticket,
};

/// A journal that is being written.
struct Running {
    handle: JournalHandle,
    thread: JournalThread,
    committed: Receiver<Vec<Entry>>,
}

/// Small bounds: a batch takes a few entries, so that what was queued together meets the disk in parts.
fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 700,
        batch_bytes: 250,
        largest_batch_bytes: 250,
        low_water: LowWater::of_bytes(0),
        retry_first: Duration::from_millis(1),
        retry_most: Duration::from_millis(4),
        ..JournalOptions::in_directory("journal".into())
    }
}

fn open(disk: &MemoryDisk) -> Result<(Journal, Vec<Entry>, ReplayReport), JournalError> {
    let options = options();
    let metrics = options.metrics.clone();
    let mut journal = Journal::open_on(options, Box::new(disk.clone()))?;
    let (entries, report) = replay(&mut journal)?;
    assert_eq!(on_disk(&metrics), (report.segments, report.bytes));
    Ok((journal, entries, report))
}

/// Segments and their bytes, as the metrics say.
fn on_disk(metrics: &JournalMetrics) -> (u64, u64) {
    let count = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap();
    (count(&metrics.segments), count(&metrics.disk_bytes))
}

fn replay(journal: &mut Journal) -> Result<(Vec<Entry>, ReplayReport), JournalError> {
    let mut entries = Vec::new();
    let report = journal.replay(|entry| entries.push(entry))?;
    assert_eq!(report.entries, entries.len() as u64);
    Ok((entries, report))
}

fn start(journal: Journal) -> Running {
    // Wider than any test's number of batches, so that a test may look at it when all is over.
    let (sender, committed) = sync_channel(4096);
    let (handle, thread) = journal.start(sender).unwrap();
    Running { handle, thread, committed }
}

impl Running {
    /// Commits a batch of these payload sizes, entry by entry or all at once.
    async fn append(&self, sizes: &[usize], from: u64) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for (id, &size) in (from..).zip(sizes) {
            tickets.push(self.handle.append(draft(id, size)).await.unwrap());
        }
        tickets
    }

    /// Closes, waits for the end, and returns what was handed on.
    fn finish(self) -> Vec<Entry> {
        self.handle.close();
        self.thread.join().unwrap();
        self.committed.iter().flatten().collect()
    }
}

/// Whoever looks how much room there is on the disk has looked since, and made up its mind: a look may be under way, and so
/// may what follows from the next one.
async fn looked(disk: &MemoryDisk) {
    let enough = disk.asked() + 3;
    let patience = crate::clock::monotonic() + Duration::from_secs(20);
    while disk.asked() < enough {
        assert!(crate::clock::monotonic() < patience, "nobody looks");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the ticket is settled.
async fn settled(handle: &JournalHandle, ticket: Ticket) -> Fate {
    let mut commits = handle.committed();
    let commit = *commits.wait_for(|commit| commit.fate(ticket) != Fate::Waiting).await.unwrap();
    commit.fate(ticket)
}

/// Writes entries 0.. of these sizes, each in a batch of its own, and returns them.
fn write_singly(disk: &MemoryDisk, sizes: &[usize]) -> Vec<Entry> {
    block_on(async {
        let running = start(open(disk).unwrap().0);
        for (id, &size) in (0..).zip(sizes) {
            let tickets = running.append(&[size], id).await;
            assert_eq!(settled(&running.handle, tickets[0]).await, Fate::Committed);
        }
        running.finish()
    })
}

/// A draft that can be told from others by its content.
fn draft(id: u64, size: usize) -> Draft {
    let mut payload = id.to_le_bytes().to_vec();
    payload.extend((0..size).map(|place| place.to_le_bytes()[0]));
    Draft {
        received: UtcMillis(i64::try_from(id).unwrap() * 1000),
        lamppost: LamppostNumber::new(&format!("DF{}", id % 100)).unwrap(),
        leaf: if id.is_multiple_of(2) { Leaf::Frames(Log::Samples) } else { Leaf::Hello },
        payload: payload.into(),
    }
}

fn id_of(entry: &Entry) -> u64 {
    u64::from_le_bytes(entry.payload[..8].try_into().unwrap())
}

fn segment_names(disk: &MemoryDisk) -> Vec<String> {
    disk.names().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn is_slice_of_one_buffer(entries: &[Entry]) -> bool {
    let start = |payload: &Bytes| payload.as_ptr() as usize;
    entries.windows(2).all(|pair| start(&pair[1].payload).abs_diff(start(&pair[0].payload)) < 1 << 20)
}
