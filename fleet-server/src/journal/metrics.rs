//! What the journal counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::commit_times::CommitTimes;
use super::damage_seen::DamageSeen;
use super::lag::Lag;

/// Counters of one journal; a clone counts into the same place.
#[derive(Debug, Clone, Default)]
pub struct JournalMetrics {
    /// Entries that were committed.
    pub entries: Counter,
    /// Bytes of records that were committed.
    pub bytes: Counter,
    /// Group commits.
    pub commits: Counter,
    /// Time from taking a batch out of the queue to its sync.
    pub commit_times: CommitTimes,
    /// Segments on disk.
    pub segments: Gauge,
    /// Bytes of these, as far as they are committed.
    pub disk_bytes: Gauge,
    /// What is committed and not ingested yet.
    pub lag: Lag,
    /// Failed operations on the disk.
    pub failures: Family<FailureLabels, Counter>,
    /// Entries that were queued and then forgotten because of a failure: never acknowledged, sent again.
    pub forgotten: Counter,
    /// Bytes that wait for a commit.
    pub queue_bytes: Gauge,
    /// Bytes that the file system has left for us.
    pub free_bytes: Gauge,
    /// Below so many nothing new is acknowledged.
    pub low_water_bytes: Gauge,
    /// 1 while that is so.
    pub below_low_water: Gauge,
    /// Regions of segments that could not be read at the last start.
    pub damaged_regions: Gauge,
    /// The first of them. They are text, and so no metric.
    pub damage_seen: DamageSeen,
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
    /// Removing a segment that is not needed any more.
    Remove,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Write, Self::Sync, Self::Cut, Self::Create, Self::Remove];

    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Cut => "cut back",
            Self::Create => "create",
            Self::Remove => "remove",
        }
    }
}

impl JournalMetrics {
    /// How often this operation failed.
    pub fn failures_of(&self, what: Operation) -> u64 {
        self.failures.get(&FailureLabels { what }).map_or(0, |count| count.get())
    }

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
            self.commit_times.clone(),
        );
        registry.register("segments", "Segments on disk", self.segments.clone());
        registry.register_with_unit(
            "disk",
            "Bytes of all segments, as far as they are committed",
            Unit::Bytes,
            self.disk_bytes.clone(),
        );
        registry.register_collector(Box::new(self.lag.clone()));
        registry.register(
            "failures",
            "Failed disk operations; after write, sync and create the batch is forgotten, connections close, and senders send again",
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
        registry.register_with_unit(
            "free",
            "Bytes that the file system has left for the server",
            Unit::Bytes,
            self.free_bytes.clone(),
        );
        registry.register_with_unit(
            "low_water",
            "Below so many free bytes nothing new is acknowledged",
            Unit::Bytes,
            self.low_water_bytes.clone(),
        );
        registry.register(
            "below_low_water",
            "1 while nothing new is acknowledged because the disk is nearly full, else 0",
            self.below_low_water.clone(),
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
