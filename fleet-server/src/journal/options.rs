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
    /// Bytes that may wait for a commit, the batch that is being written included; an append past it waits. So it bounds
    /// the batch that ingest takes next, and with that how long live data waits behind a backlog. At least one entry of the
    /// largest payload fits, whatever this says.
    pub queue_bytes: u32,
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
    /// The journal in this directory, with safe bounds: segments of 64 MiB, a queue of 1 MiB.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            directory,
            segment_bytes: 64 << 20,
            queue_bytes: 1 << 20,
            retry_first: Duration::from_millis(100),
            retry_most: Duration::from_secs(10),
            low_water: LowWater::default(),
            look_every: Duration::from_secs(1),
            random: Random::system(),
            metrics: JournalMetrics::default(),
        }
    }
}
