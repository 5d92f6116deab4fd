//! The journal's figures.

use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

use super::size;
use crate::journal::{CommitTimes, Damage, DamageKind, JournalMetrics, Operation};

/// What is acknowledged is here first, on disk.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct JournalDocument {
    /// Entries committed since the start: messages of lampposts, as they came.
    entries: u64,
    /// Bytes of these on disk.
    bytes: u64,
    /// Group commits since the start: one write and one sync each, for all that had gathered.
    commits: u64,
    /// How long commits took.
    commit: CommitDocument,
    /// Segments on disk.
    segments: u64,
    /// Bytes of all segments.
    disk_bytes: u64,
    /// How much room there is for more.
    room: RoomDocument,
    /// Bytes that wait for a commit; acknowledgements wait with them.
    queue_bytes: u64,
    /// How far ingest is behind.
    lag: LagDocument,
    /// Operations on the disk that failed, by operation. After a failed write, sync or create nothing of what
    /// was queued is acknowledged, connections close, and lampposts send again.
    failures: FailuresDocument,
    /// Entries that were queued and then forgotten because of a failure; none of them was acknowledged.
    forgotten: u64,
    /// Regions on disk that could not be read at the start.
    damaged_regions: u64,
    /// Entries that had been committed and could not be read at the start.
    missing_entries: u64,
    /// The first 32 of the damaged regions; `fleet-server journal verify` names all.
    #[schema(max_items = 32)]
    damage: Vec<DamageDocument>,
}

/// How long commits took, from taking what had gathered to the end of its sync.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "each number says its unit")]
pub(in crate::web) struct CommitDocument {
    /// The mean since the start, in milliseconds; null without a commit.
    #[schema(required = true)]
    mean_ms: Option<f64>,
    /// Half of all commits took no longer, in milliseconds and within a factor of two; null without a commit.
    #[schema(required = true)]
    p50_ms: Option<f64>,
    /// 99 of 100 commits took no longer, in milliseconds and within a factor of two; null without a commit.
    #[schema(required = true)]
    p99_ms: Option<f64>,
}

/// How much room the journal has.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct RoomDocument {
    /// Bytes that the file system has left for the server.
    free_bytes: u64,
    /// Low water: below so many free bytes nothing new is acknowledged.
    low_water_bytes: u64,
    /// Whether that is so: lampposts keep their data until there is an eighth more than that.
    is_short: bool,
}

/// How far ingest is behind the journal.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct LagDocument {
    /// Entries that are committed and not ingested yet.
    entries: u64,
    /// How long the oldest of them has waited, in milliseconds; 0 if none waits.
    oldest_ms: u64,
}

/// Operations on the disk that failed, by operation.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::web) struct FailuresDocument {
    /// Writing what had gathered: as a rule the disk is full.
    write: u64,
    /// Making it durable: as a rule the disk is broken.
    sync: u64,
    /// Cutting off what had failed.
    cut: u64,
    /// Creating a segment.
    create: u64,
    /// Removing a segment that is not needed any more; what is acknowledged is not touched by it.
    remove: u64,
}

/// A region of the journal that could not be read at the start.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct DamageDocument {
    /// The segment, by its file name.
    #[schema(example = "00000000000000000000.log")]
    segment: String,
    /// Where in it, in bytes.
    offset: u64,
    /// How many bytes are not understood; 0 where only the numbering shows that something is missing.
    bytes: u64,
    /// What is wrong.
    kind: DamageName,
    /// With `gap` and `repeated`: the sequence that should have come; else null.
    #[schema(required = true)]
    expected: Option<u64>,
    /// With `gap` and `repeated`: the sequence that came; else null.
    #[schema(required = true)]
    found: Option<u64>,
}

/// What is wrong with a region of the journal. `header`: the beginning of a segment. `records`: bytes that are no
/// records. `gap`: entries are missing before this place. `repeated`: an entry came again, and was left out.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DamageKind)]
pub(in crate::web) enum DamageName {
    Header,
    Records,
    Gap,
    Repeated,
}

impl JournalDocument {
    pub(super) fn new(metrics: &JournalMetrics, now: Instant) -> Self {
        let mut failures = FailuresDocument::default();
        for operation in Operation::ALL {
            *failures.place(operation) = metrics.failures_of(operation);
        }
        let (entries, oldest) = metrics.lag.waiting(now);
        Self {
            entries: metrics.entries.get(),
            bytes: metrics.bytes.get(),
            commits: metrics.commits.get(),
            commit: CommitDocument::new(&metrics.commit_times),
            segments: size(&metrics.segments),
            disk_bytes: size(&metrics.disk_bytes),
            room: RoomDocument {
                free_bytes: size(&metrics.free_bytes),
                low_water_bytes: size(&metrics.low_water_bytes),
                is_short: metrics.below_low_water.get() > 0,
            },
            queue_bytes: size(&metrics.queue_bytes),
            lag: LagDocument { entries, oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX) },
            failures,
            forgotten: metrics.forgotten.get(),
            damaged_regions: size(&metrics.damaged_regions),
            missing_entries: size(&metrics.missing_entries),
            damage: metrics.damage_seen.regions().iter().map(DamageDocument::new).collect(),
        }
    }
}

impl DamageDocument {
    fn new(damage: &Damage) -> Self {
        let kind = match damage.kind {
            DamageKind::Header => DamageName::Header,
            DamageKind::Records => DamageName::Records,
            DamageKind::Gap { .. } => DamageName::Gap,
            DamageKind::Repeated { .. } => DamageName::Repeated,
        };
        let segment = damage.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (expected, found) = damage.kind.sequences().unzip();
        Self {
            segment: segment.unwrap_or_default(),
            offset: damage.offset,
            bytes: damage.bytes,
            kind,
            expected,
            found,
        }
    }
}

impl CommitDocument {
    fn new(times: &CommitTimes) -> Self {
        let ms = |seconds: f64| seconds * 1000.0;
        Self {
            mean_ms: times.mean_seconds().map(ms),
            p50_ms: times.quantile_seconds(0.5).map(ms),
            p99_ms: times.quantile_seconds(0.99).map(ms),
        }
    }
}

impl FailuresDocument {
    fn place(&mut self, operation: Operation) -> &mut u64 {
        match operation {
            Operation::Write => &mut self.write,
            Operation::Sync => &mut self.sync,
            Operation::Cut => &mut self.cut,
            Operation::Create => &mut self.create,
            Operation::Remove => &mut self.remove,
        }
    }
}
