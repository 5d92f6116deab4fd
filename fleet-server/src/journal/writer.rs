//! Writing: group commit, and what follows a failure of the disk (D15). It has no thread, no clock, and waits for
//! nothing but the disk.

use std::io;

use super::batch::Batch;
use super::disk::Disk;
use super::error::JournalFailure;
use super::low_water::{Room, Shortage};
use super::metrics::{FailureLabels, Operation};
use super::open::{self, Found, Segment};
use super::segment::{self, HEADER_BYTES};
use super::{Commit, JournalOptions, SegmentInfo, Trimmed};

/// What the buffer of records keeps after a batch that was larger.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    options: JournalOptions,
    disk: Box<dyn Disk>,
    /// All segments on disk, ascending.
    segments: Vec<SegmentInfo>,
    /// None until the first batch that needs a new one.
    segment: Option<Segment>,
    /// After a failure: what was written of the batch is to be cut off, and a new segment begun.
    is_failing: bool,
    /// The sequence behind the last committed one.
    next: u64,
    epoch: u64,
    room: Room,
    /// The batch as it is written; kept for its memory.
    records: Vec<u8>,
}

impl Writer {
    pub(super) fn new(options: JournalOptions, found: Found) -> Self {
        Self {
            options,
            disk: found.disk,
            segments: found.segments,
            segment: found.tail,
            is_failing: false,
            next: found.next,
            epoch: 0,
            room: found.room,
            records: Vec::new(),
        }
    }

    pub(super) fn committed(&self) -> Commit {
        Commit { epoch: self.epoch, below: self.next }
    }

    pub(super) fn options(&self) -> &JournalOptions {
        &self.options
    }

    pub(super) fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// Whether the last write failed and nothing has been written since.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Looks how much room there is. In a shortage nothing is to be committed.
    pub(super) fn look(&mut self) -> Option<Shortage> {
        self.room.look(&*self.disk, &self.options.metrics)
    }

    /// The shortage of room, as of the last look.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        self.room.shortage()
    }

    /// Makes a batch durable: one write, one sync. After a failure a new epoch has begun, in which nothing is
    /// committed before [`Self::recover`] has succeeded.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), JournalFailure> {
        assert!(!self.is_failing, "a failed write is recovered from before the next one");
        let metrics = self.options.metrics.clone();
        if let Err(failure) = self.write(batch) {
            self.epoch += 1;
            self.is_failing = true;
            metrics.forgotten.inc_by(batch.entries.len() as u64);
            return Err(self.counted(failure));
        }
        metrics.entries.inc_by(batch.entries.len() as u64);
        metrics.bytes.inc_by(batch.bytes);
        metrics.disk_bytes.inc_by(i64::try_from(batch.bytes).unwrap_or(i64::MAX));
        metrics.commits.inc();
        Ok(())
    }

    /// Removes the segments all of whose entries are below this sequence, oldest first, but never the newest, whose
    /// name says which sequence comes next.
    pub(super) fn trim_below(&mut self, sequence: u64) -> Result<Trimmed, JournalFailure> {
        let (mut segments, mut bytes) = (0, 0);
        while let [oldest, next, ..] = *self.segments.as_slice()
            && next.first <= sequence
        {
            self.remove_oldest(oldest).map_err(|source| {
                let path = open::path(&self.options, oldest.first);
                self.counted(JournalFailure { operation: Operation::Remove, path, source })
            })?;
            segments += 1;
            bytes += oldest.bytes;
        }
        let first = self.segments.first().map_or(self.next, |oldest| oldest.first);
        Ok(Trimmed { segments, bytes, first })
    }

    /// Durably, before the next one goes: a power cut must not bring an older one back behind a hole.
    fn remove_oldest(&mut self, oldest: SegmentInfo) -> io::Result<()> {
        match self.disk.remove(&segment::name(oldest.first)) {
            // It was removed, and perhaps not durably.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.disk.sync_names()?;
        self.segments.remove(0);
        let metrics = &self.options.metrics;
        metrics.segments.dec();
        metrics.disk_bytes.dec_by(i64::try_from(oldest.bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Tries once to cut the failed segment back and to begin a new one.
    pub(super) fn recover(&mut self) -> Result<(), JournalFailure> {
        if !self.is_failing {
            return Ok(());
        }
        match self.cut_back().and_then(|()| self.create_segment()) {
            Ok(segment) => {
                tracing::info!(file = %open::path(&self.options, segment.first).display(), "the journal goes on");
                self.segment = Some(segment);
                self.is_failing = false;
                Ok(())
            }
            Err(failure) => Err(self.counted(failure)),
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<(), JournalFailure> {
        let full = |segment: &Segment| {
            let empty = segment.committed_bytes == HEADER_BYTES as u64;
            !empty && segment.committed_bytes + batch.bytes > self.options.segment_bytes
        };
        let mut segment = match self.segment.take() {
            Some(segment) if !full(&segment) => segment,
            _ => self.create_segment()?,
        };
        self.records.clear();
        for (place, entry) in (0..).zip(&batch.entries) {
            segment::write_record(&mut self.records, segment.mark, place, entry);
        }
        let written = segment.file.write_at(&self.records, segment.committed_bytes);
        let written = written
            .map_err(|source| (Operation::Write, source))
            .and_then(|()| segment.file.sync().map_err(|source| (Operation::Sync, source)));
        let path = open::path(&self.options, segment.first);
        let segment = self.segment.insert(segment);
        written.map_err(|(operation, source)| JournalFailure { operation, path, source })?;

        segment.committed_bytes += self.records.len() as u64;
        if let Some(newest) = self.segments.last_mut() {
            newest.bytes = segment.committed_bytes;
        }
        self.next += batch.entries.len() as u64;
        self.records.clear();
        self.records.shrink_to(KEPT_BUFFER_BYTES);
        Ok(())
    }

    fn cut_back(&mut self) -> Result<(), JournalFailure> {
        if let Some(segment) = &mut self.segment {
            let cut = segment.file.cut(segment.committed_bytes).and_then(|()| segment.file.sync());
            let path = open::path(&self.options, segment.first);
            cut.map_err(|source| JournalFailure { operation: Operation::Cut, path, source })?;
        }
        self.segment = None;
        Ok(())
    }

    /// Creates the segment of the next sequence, durable before anything relies on it. A segment of that name can
    /// only be one that holds no entry: it is created anew.
    fn create_segment(&mut self) -> Result<Segment, JournalFailure> {
        let first = self.next;
        let segment = self.put_segment(first).map_err(|source| {
            let path = open::path(&self.options, first);
            JournalFailure { operation: Operation::Create, path, source }
        })?;
        if self.segments.last().map(|newest| newest.first) != Some(first) {
            self.segments.push(SegmentInfo { first, bytes: HEADER_BYTES as u64 });
            self.options.metrics.segments.inc();
            self.options.metrics.disk_bytes.inc_by(i64::try_from(HEADER_BYTES).unwrap_or(i64::MAX));
        }
        Ok(segment)
    }

    fn put_segment(&self, first: u64) -> io::Result<Segment> {
        let mark = open::new_mark(&self.options.random)?;
        let header = segment::write_header(first, mark);
        let mut file = self.disk.create(&segment::name(first))?;
        file.write_at(&header, 0)?;
        file.sync()?;
        self.disk.sync_names()?;
        Ok(Segment { first, file, mark, committed_bytes: header.len() as u64 })
    }

    fn counted(&self, failure: JournalFailure) -> JournalFailure {
        let what = FailureLabels { what: failure.operation };
        self.options.metrics.failures.get_or_create(&what).inc();
        failure
    }
}
