//! What a checkpoint holds, in memory.

use lamplighter_protocol::{Catalogue, UtcMillis};

use super::error::{Unusable, WrongPart};
use super::file::Header;
use super::shelf::CheckpointInfo;
use super::wire::part::Body;
use crate::ingest::{Ingest, IngestMetrics, IngestRestore, IngestSnapshot};
use crate::store::{Tail, TailOptions, TailRestore, TailSnapshot};

/// All that ingest and store hold, as it was between two entries of the journal.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) header: Header,
    ingest: IngestSnapshot,
    tail: TailSnapshot,
}

/// What a server begins with before it has read anything.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// What is known of properties.
    pub catalogue: Catalogue,
    /// What ingest counts into.
    pub metrics: IngestMetrics,
    /// How much the tail may hold.
    pub tail: TailOptions,
}

/// What was read from a checkpoint.
#[derive(Debug)]
pub struct Restored {
    /// Which one it was.
    pub info: CheckpointInfo,
    /// Ingest, as it was then.
    pub ingest: Ingest,
    /// The tail, as it was then.
    pub tail: Tail,
}

/// Ingest and tail that are put together again, part by part.
#[derive(Debug)]
pub(super) struct Restore {
    ingest: IngestRestore,
    tail: TailRestore,
}

impl Snapshot {
    /// Copies both. They must be at the same entry, so whoever shares them holds both locks until this returns; it
    /// takes about as long as copying the memory does.
    pub fn of(ingest: &Ingest, tail: &Tail, now: UtcMillis) -> Self {
        let header = Header { sequence: ingest.next_sequence(), taken: now };
        Self { header, ingest: ingest.snapshot(), tail: tail.snapshot() }
    }

    /// The first sequence that is not in it.
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// How many observations it holds.
    pub fn observations(&self) -> usize {
        self.tail.observations()
    }

    /// Hands on all parts, in order.
    pub(super) fn parts<E>(self, mut each: impl FnMut(Body) -> Result<(), E>) -> Result<(), E> {
        for part in self.ingest.into_parts() {
            each(part)?;
        }
        self.tail.parts(each)
    }
}

impl Fresh {
    /// Ingest and tail before the first entry.
    pub fn build(&self) -> (Ingest, Tail) {
        (Ingest::new(self.catalogue.clone(), self.metrics.clone()), Tail::new(self.tail))
    }
}

impl Restore {
    pub(super) fn new(fresh: &Fresh) -> Self {
        Self {
            ingest: IngestRestore::new(fresh.catalogue.clone(), fresh.metrics.clone()),
            tail: TailRestore::new(fresh.tail),
        }
    }

    pub(super) fn part(&mut self, part: Body) -> Result<(), WrongPart> {
        match part {
            Body::Ingest(ingest) => self.ingest.ingest(ingest),
            Body::Description(description) => self.ingest.description(description)?,
            Body::Lamppost(lamppost) => self.ingest.lamppost(lamppost)?,
            Body::Run(run) => self.ingest.run(&run)?,
            Body::Opening(opening) => self.ingest.opening(&opening)?,
            Body::Named(named) => self.ingest.named(&named)?,
            Body::Ledger(_)
            | Body::Account(_)
            | Body::Dropped(_)
            | Body::Outbox(_)
            | Body::Life(_)
            | Body::Tallied(_) => self.ingest.ledger(part)?,
            Body::Quarantined(quarantined) => self.ingest.quarantined(quarantined)?,
            Body::Tail(tail) => self.tail.tail(tail)?,
            Body::Series(series) => self.tail.series(series)?,
            Body::Block(block) => self.tail.block(block)?,
            Body::End(_) => return Err(WrongPart("an end in its midst")),
        }
        Ok(())
    }

    /// Ingest counts from here on: not before, for what is not whole must not be counted.
    pub(super) fn finish(self, header: Header) -> Result<(Ingest, Tail), Unusable> {
        let tail = self.tail.finish()?;
        if self.ingest.next_sequence() != header.sequence {
            return Err(Unusable::Part("another sequence than its header says"));
        }
        Ok((self.ingest.finish(), tail))
    }
}
