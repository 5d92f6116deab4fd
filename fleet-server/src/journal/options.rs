//! Where the journal is, and what bounds it.

use std::path::PathBuf;
use std::time::Duration;

use super::low_water::LowWater;
use super::metrics::JournalMetrics;
use super::random::Random;

/// Where the journal is and what bounds it.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// The directory of the segments. It is created if its parent exists.
    pub directory: PathBuf,
    /// A batch that would make its segment longer than this begins a new one.
    pub segment_bytes: u64,
    /// Bytes that may wait for a commit, the batch that is being written included; an append past it waits. A batch is in
    /// memory twice while it is written, and once more while ingest takes it: so the journal holds at most this and two of
    /// the largest batches. At least one entry of the largest payload fits, whatever this says.
    pub queue_bytes: u32,
    /// What one commit takes of these, if there is more, while the disk is fast or ingest is behind: ingest takes batch by
    /// batch, and live data waits behind the backlog in its own.
    pub batch_bytes: u64,
    /// What one commit takes at most, when the disk takes so long to sync that everybody waits for that anyway.
    pub largest_batch_bytes: u64,
    /// How long to wait after the first failure of the disk; it doubles with each further one.
    pub retry_first: Duration,
    /// The longest wait between two tries.
    pub retry_most: Duration,
    /// How much of the file system new entries leave alone.
    pub low_water: LowWater,
    /// How often to look at least how much room there is.
    pub look_every: Duration,
    /// Where the marks of segments come from.
    pub random: Random,
    /// Where to count.
    pub metrics: JournalMetrics,
}

impl JournalOptions {
    /// The journal in this directory, with safe bounds: segments of 64 MiB, a queue of 16 MiB, batches
    /// of 1 to 8 MiB.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            segment_bytes: 64 << 20,
            queue_bytes: 16 << 20,
            batch_bytes: 1 << 20,
            largest_batch_bytes: 8 << 20,
            retry_first: Duration::from_millis(100),
            retry_most: Duration::from_secs(10),
            low_water: LowWater::default(),
            look_every: Duration::from_secs(1),
            random: Random::system(),
            metrics: JournalMetrics::default(),
        }
    }
}
