//! What ingest counts.

use std::sync::atomic::Ordering;

use lamplighter_protocol::DropReason;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of an observation (D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Verdict {
    /// In the store, as the first of its series and time.
    Stored,
    /// One of the same series and time was there, and the better of both is (D13).
    Merged,
    /// Held in the journal, but older than what the store keeps in memory.
    OlderThanTail,
    /// Rejected: its time lies further ahead of its receipt than a clock may be wrong.
    Future,
    /// Rejected: older than anything is kept.
    Retention,
    /// Rejected: its type or unit is not the catalogue's, or its description does not know it.
    Type,
    /// Rejected, for now: a property that the catalogue does not know. It waits in quarantine.
    UnknownProperty,
    /// Rejected: the lamppost has more series than one may have.
    TooManySeries,
    /// Dropped by the lamppost: newer records needed the space (D11).
    DroppedBytes,
    /// Dropped by the lamppost: older than it keeps anything.
    DroppedAge,
    /// Dropped by the lamppost: damaged on its disk.
    DroppedDamaged,
}

/// What could not be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Malformed {
    /// A hello that cannot be read.
    Hello,
    /// A description that cannot be read.
    Description,
    /// A frame whose envelope cannot be read.
    Envelope,
    /// A record that cannot be read; the others of its frame are not touched.
    Record,
    /// A frame or hello of a newer version of the language; it is not held.
    Newer,
    /// A frame whose description is not here; it is not held, and the description is asked for.
    Undescribed,
    /// A description too many for one lamppost, or a frame that the store has no series left for; it is not held.
    TooMany,
}

impl Verdict {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Stored,
        Self::Merged,
        Self::OlderThanTail,
        Self::Future,
        Self::Retention,
        Self::Type,
        Self::UnknownProperty,
        Self::TooManySeries,
        Self::DroppedBytes,
        Self::DroppedAge,
        Self::DroppedDamaged,
    ];

    /// The verdict on what a lamppost reports as dropped for this reason.
    pub fn dropped(reason: DropReason) -> Self {
        match reason {
            DropReason::Bytes => Self::DroppedBytes,
            DropReason::Age => Self::DroppedAge,
            DropReason::Damaged => Self::DroppedDamaged,
        }
    }
}

impl Malformed {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Hello,
        Self::Description,
        Self::Envelope,
        Self::Record,
        Self::Newer,
        Self::Undescribed,
        Self::TooMany,
    ];
}

/// Observations by verdict, gathered while a frame is read: finding a counter costs more than storing an observation.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts([u64; Verdict::ALL.len()]);

impl Verdicts {
    pub(super) fn add(&mut self, verdict: Verdict, count: u64) {
        let counted = &mut self.0[verdict as usize];
        *counted = counted.saturating_add(count);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MalformedLabel {
    what: Malformed,
}

/// Counters of ingest. They count what the journal has told since its beginning, whichever life of the server took it
/// in; positions count from the start of the process.
#[derive(Clone, Debug, Default)]
pub struct IngestMetrics {
    /// Frames read.
    pub frames: Counter,
    /// Records that were held already when they came again (D13).
    pub repeated: Counter,
    /// Records that lampposts report as damaged on their disks: what was in most of them nobody can tell (D11).
    pub damaged: Counter,
    /// Runs that name the same run before: two lives of one outbox (D1).
    pub forks: Counter,
    /// Positions sent.
    pub positions: Counter,
    /// Messages of the server's own, of which nothing is kept.
    pub probes: Counter,
    /// Records that wait.
    pub quarantine: QuarantineMetrics,
    observations: Family<VerdictLabel, Counter>,
    malformed: Family<MalformedLabel, Counter>,
}

/// Figures of the quarantine; a clone is the same.
#[derive(Clone, Debug, Default)]
pub struct QuarantineMetrics {
    /// Records in it.
    pub records: Gauge,
    /// Their bytes, with what it costs to keep them.
    pub bytes: Gauge,
    /// Records that left it because they could be taken.
    pub released: Counter,
    /// Records that left it because they were too old.
    pub expired: Counter,
    /// Records that found no room in it.
    pub no_room: Counter,
}

impl IngestMetrics {
    /// Counts observations with a verdict.
    pub fn observed(&self, verdict: Verdict, count: u64) {
        self.observations.get_or_create(&VerdictLabel { verdict }).inc_by(count);
    }

    /// Counts observations with their verdicts.
    pub(super) fn observed_all(&self, verdicts: &Verdicts) {
        for verdict in Verdict::ALL {
            match verdicts.0[verdict as usize] {
                0 => {}
                count => self.observed(verdict, count),
            }
        }
    }

    /// Takes this verdict back from observations that get another one: each has one.
    pub(super) fn take_back(&self, verdict: Verdict, count: u64) {
        let counter = self.observations.get_or_create(&VerdictLabel { verdict });
        counter.inner().fetch_sub(count, Ordering::Relaxed);
    }

    /// Takes back that something could not be used.
    pub(super) fn take_back_refused(&self, what: Malformed) {
        let counter = self.malformed.get_or_create(&MalformedLabel { what });
        counter.inner().fetch_sub(1, Ordering::Relaxed);
    }

    /// How many observations had this verdict.
    pub fn observations(&self, verdict: Verdict) -> u64 {
        self.observations.get(&VerdictLabel { verdict }).map_or(0, |count| count.get())
    }

    /// Counts something that could not be used.
    pub fn refuse(&self, what: Malformed) {
        self.refused(what, 1);
    }

    /// Counts so much that could not be used.
    pub fn refused(&self, what: Malformed, count: u64) {
        self.malformed.get_or_create(&MalformedLabel { what }).inc_by(count);
    }

    /// How many of these could not be used.
    pub fn malformed(&self, what: Malformed) -> u64 {
        self.malformed.get(&MalformedLabel { what }).map_or(0, |count| count.get())
    }

    /// Makes the counters visible.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("lamplighter_ingest_frames", "Frames read from the journal", self.frames.clone());
        registry.register(
            "lamplighter_ingest_repeated_records",
            "Records that came again although they were held: not ingested twice",
            self.repeated.clone(),
        );
        registry.register(
            "lamplighter_ingest_damaged_records",
            "Records that lampposts reported as damaged on their disks",
            self.damaged.clone(),
        );
        registry.register(
            "lamplighter_ingest_forks",
            "Runs that name the same run before as another one: a copied outbox or card",
            self.forks.clone(),
        );
        registry.register(
            "lamplighter_ingest_positions",
            "Positions sent to lampposts",
            self.positions.clone(),
        );
        registry.register(
            "lamplighter_ingest_probes",
            "Messages of the server's own, by which /healthz asks whether the path works; nothing of them is kept",
            self.probes.clone(),
        );
        registry.register(
            "lamplighter_ingest_observations",
            "Observations by verdict: Stored, Merged, OlderThanTail (journal only), or why one was rejected",
            self.observations.clone(),
        );
        let quarantine = &self.quarantine;
        registry.register(
            "lamplighter_ingest_quarantine_records",
            "Records that wait for a property in the catalogue, or for a release that can read them",
            quarantine.records.clone(),
        );
        registry.register("lamplighter_ingest_quarantine_bytes", "Bytes of these", quarantine.bytes.clone());
        registry.register(
            "lamplighter_ingest_quarantine_released",
            "Records that left the quarantine because they could be taken",
            quarantine.released.clone(),
        );
        registry.register(
            "lamplighter_ingest_quarantine_expired",
            "Records that left the quarantine because they were too old",
            quarantine.expired.clone(),
        );
        registry.register(
            "lamplighter_ingest_quarantine_no_room",
            "Records that found no room in the quarantine; the journal has them for as long as it is kept",
            quarantine.no_room.clone(),
        );
        registry.register(
            "lamplighter_ingest_malformed",
            "What could not be used, by kind; the journal keeps the bytes of all of it",
            self.malformed.clone(),
        );
    }
}
