//! The figures of ingest.

use serde::Serialize;
use utoipa::ToSchema;

use super::size;
use crate::ingest::{IngestMetrics, Malformed, QUARANTINE_BYTES, Verdict};

/// From journalled bytes to observations. What the journal told at the start is counted too.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct IngestDocument {
    /// Frames read: messages that carry records.
    frames: u64,
    /// Observations, by what became of them.
    observations: VerdictsDocument,
    /// What could not be used at all, by kind; the journal keeps the bytes of it.
    malformed: MalformedDocument,
    /// Records that wait for what they could not be taken without.
    quarantine: QuarantineDocument,
    /// Records that came again although they were held; they are not ingested twice.
    repeated_records: u64,
    /// Records that lampposts reported as damaged on their disks. What was in them is known of few: those observations are
    /// counted as `dropped_damaged`.
    damaged_records: u64,
    /// Runs of an agent that follow the same run as another one: an outbox or its card was copied.
    forks: u64,
    /// Positions sent: what tells a lamppost what the server holds.
    positions: u64,
}

/// Observations, by what became of them.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::web) struct VerdictsDocument {
    /// In the store, as the first of their series and time.
    stored: u64,
    /// One of the same series and time was there, and the better of both is kept.
    merged: u64,
    /// Older than what the store keeps in memory; the journal has them.
    older_than_tail: u64,
    /// Rejected: their time lies further ahead of their receipt than a clock may be wrong.
    future: u64,
    /// Rejected: older than anything is kept.
    retention: u64,
    /// Rejected: type or unit is not the catalogue's, or the description does not know the series.
    #[serde(rename = "type")]
    kind: u64,
    /// Rejected, for now: of a property that the catalogue does not know. They wait in quarantine.
    unknown_property: u64,
    /// Rejected: the lamppost has more series than one may have.
    too_many_series: u64,
    /// Dropped by a lamppost whose outbox was full: newer ones needed the space.
    dropped_bytes: u64,
    /// Dropped by a lamppost: older than it keeps anything.
    dropped_age: u64,
    /// Dropped by a lamppost: damaged on its disk.
    dropped_damaged: u64,
}

/// Records that could not be taken for want of a property in the catalogue, or of a release that can read them. They are
/// tried again at every start.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct QuarantineDocument {
    /// Records that wait.
    records: u64,
    /// Bytes of these, with what it costs to keep them.
    bytes: u64,
    /// Most bytes.
    bytes_limit: u64,
    /// Records that left it because they could be taken.
    released: u64,
    /// Records that left it because they were too old.
    expired: u64,
    /// Records that found no room; the journal has them for as long as it is kept.
    no_room: u64,
}

/// What could not be used at all, by kind.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::web) struct MalformedDocument {
    /// Hellos that cannot be read.
    hello: u64,
    /// Descriptions that cannot be read.
    description: u64,
    /// Frames whose envelope cannot be read.
    envelope: u64,
    /// Records that cannot be read; the others of their frames are not touched.
    record: u64,
    /// Messages in a newer version of the language; their records are not held, and come again.
    newer: u64,
    /// Frames whose description is not here; they are not held, and come again after it.
    undescribed: u64,
    /// Descriptions too many for one lamppost, or frames that the store has no series left for; they are not held.
    too_many: u64,
}

impl IngestDocument {
    pub(super) fn new(metrics: &IngestMetrics) -> Self {
        let mut observations = VerdictsDocument::default();
        for verdict in Verdict::ALL {
            *observations.place(verdict) = metrics.observations(verdict);
        }
        let mut malformed = MalformedDocument::default();
        for what in Malformed::ALL {
            *malformed.place(what) = metrics.malformed(what);
        }
        Self {
            frames: metrics.frames.get(),
            observations,
            malformed,
            quarantine: QuarantineDocument {
                records: size(&metrics.quarantine.records),
                bytes: size(&metrics.quarantine.bytes),
                bytes_limit: QUARANTINE_BYTES as u64,
                released: metrics.quarantine.released.get(),
                expired: metrics.quarantine.expired.get(),
                no_room: metrics.quarantine.no_room.get(),
            },
            repeated_records: metrics.repeated.get(),
            damaged_records: metrics.damaged.get(),
            forks: metrics.forks.get(),
            positions: metrics.positions.get(),
        }
    }
}

impl VerdictsDocument {
    fn place(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Stored => &mut self.stored,
            Verdict::Merged => &mut self.merged,
            Verdict::OlderThanTail => &mut self.older_than_tail,
            Verdict::Future => &mut self.future,
            Verdict::Retention => &mut self.retention,
            Verdict::Type => &mut self.kind,
            Verdict::UnknownProperty => &mut self.unknown_property,
            Verdict::TooManySeries => &mut self.too_many_series,
            Verdict::DroppedBytes => &mut self.dropped_bytes,
            Verdict::DroppedAge => &mut self.dropped_age,
            Verdict::DroppedDamaged => &mut self.dropped_damaged,
        }
    }
}

impl MalformedDocument {
    fn place(&mut self, what: Malformed) -> &mut u64 {
        match what {
            Malformed::Hello => &mut self.hello,
            Malformed::Description => &mut self.description,
            Malformed::Envelope => &mut self.envelope,
            Malformed::Record => &mut self.record,
            Malformed::Newer => &mut self.newer,
            Malformed::Undescribed => &mut self.undescribed,
            Malformed::TooMany => &mut self.too_many,
        }
    }
}
