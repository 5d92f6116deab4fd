//! What the journal counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters of one journal; a clone counts into the same place.
#[derive(Debug, Clone)]
pub struct JournalMetrics {
    /// Entries that were committed.
    pub entries: Counter,
    /// Bytes of records that were committed.
    pub bytes: Counter,
    /// Group commits.
    pub commits: Counter,
    /// Seconds from taking a batch out of the queue to its sync.
    pub commit_seconds: Histogram,
    /// Failed operations on the disk.
    pub failures: Family<FailureLabels, Counter>,
    /// Entries that were queued and then forgotten because of a failure: never acknowledged, sent again.
    pub forgotten: Counter,
    /// Bytes that wait for a commit.
    pub queue_bytes: Gauge,
    /// Regions of segments that could not be read at the last start.
    pub damaged_regions: Gauge,
    /// Entries that the numbering shows as missing at the last start.
    pub missing_entries: Gauge,
}

/// Which operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FailureLabels {
    /// The operation.
    pub what: Operation,
}

/// Operations on the disk that may fail while the journal is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Operation {
    /// Writing a batch.
    Write,
    /// Making a batch durable.
    Sync,
    /// Cutting a segment back to its last committed byte.
    Cut,
    /// Creating a segment.
    Create,
}

impl Default for JournalMetrics {
    fn default() -> Self {
        Self {
            entries: Counter::default(),
            bytes: Counter::default(),
            commits: Counter::default(),
            // 0.1 ms (a disk with a protected cache) to 26 s (one that is about to fail).
            commit_seconds: Histogram::new(exponential_buckets(0.0001, 4.0, 10)),
            failures: Family::default(),
            forgotten: Counter::default(),
            queue_bytes: Gauge::default(),
            damaged_regions: Gauge::default(),
            missing_entries: Gauge::default(),
        }
    }
}

impl JournalMetrics {
    /// Makes the counters visible under `lamplighter_journal_..`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("lamplighter_journal");
        registry.register("entries", "Entries committed", self.entries.clone());
        registry.register_with_unit("record", "Bytes of records committed", Unit::Bytes, self.bytes.clone());
        registry.register("commits", "Group commits: one write and one sync each", self.commits.clone());
        registry.register_with_unit(
            "commit",
            "Time from taking a batch out of the queue to its sync",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "failures",
            "Failed disk operations; after each the batch is forgotten, connections close, and senders send again",
            self.failures.clone(),
        );
        registry.register(
            "forgotten",
            "Entries queued and then forgotten because of a failure; none of them was acknowledged",
            self.forgotten.clone(),
        );
        registry.register_with_unit(
            "queue",
            "Bytes that wait for a commit",
            Unit::Bytes,
            self.queue_bytes.clone(),
        );
        registry.register(
            "damaged_regions",
            "Regions of segments that could not be read at the last start",
            self.damaged_regions.clone(),
        );
        registry.register(
            "missing_entries",
            "Entries that were committed and could not be read at the last start",
            self.missing_entries.clone(),
        );
    }
}
