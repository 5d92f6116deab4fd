//! How records get to the disk: appended to the segment that is being written, written and synced (D2).

use std::sync::Arc;

use lamplighter_protocol::{Digest, Log, UtcMillis};

use super::descriptions;
use super::dropping::Drops;
use super::error::OutboxError;
use super::files::Files;
use super::log_index::Segment;
use super::pen::{Pen, Written};
use super::queue::{Append, Times};
use super::room::Purpose;
use super::seal;
use super::segment::{HEADER_BYTES, Header, MAX_RECORD_BYTES, PREFIX_BYTES};

/// Most bytes of a segment of events.
const MAX_EVENT_SEGMENT_BYTES: u64 = 64 << 10;

impl Files {
    /// Takes one append. What it leads to is written by [`Self::write`] at the latest.
    pub(super) fn append(&mut self, append: Append) -> Result<(), OutboxError> {
        match append {
            Append::Record { log, mut bytes, mut time, drops, times } => {
                if times == Times::Provisional {
                    self.date_late(&mut bytes, &mut time);
                }
                self.append_record(log, &bytes, time, drops)
            }
            Append::Description { digest, payload } => {
                self.keep_description(Purpose::Kept, digest, &payload)?;
                self.description = digest;
                Ok(())
            }
        }
    }

    /// Writes what is appended: one write per log. Events are synced (D2).
    pub(super) fn write(&mut self) -> Result<(), OutboxError> {
        self.report_damage()?;
        let pens = [&mut self.samples, &mut self.events].into_iter().flatten();
        pens.into_iter().try_for_each(Pen::write)?;
        self.sync_log(Log::Events)?;
        if std::mem::take(&mut self.oldest_gone) {
            self.find_oldest();
        }
        Ok(())
    }

    /// Whether a sample is written and not synced.
    pub(super) fn has_unsynced(&self) -> bool {
        self.samples.as_ref().is_some_and(|pen| pen.written != Written::Synced)
    }

    /// Syncs both logs, all that is appended included.
    pub(super) fn sync(&mut self) -> Result<(), OutboxError> {
        self.write()?;
        Log::ALL.into_iter().try_for_each(|log| self.sync_log(log))
    }

    fn append_record(
        &mut self,
        log: Log,
        record: &[u8],
        time: UtcMillis,
        drops: Drops,
    ) -> Result<(), OutboxError> {
        if record.is_empty() || record.len() > MAX_RECORD_BYTES {
            self.refused += 1;
            tracing::error!(bytes = record.len(), "a record of this length fits in no frame: it is refused");
            return Ok(());
        }
        let wanted = (PREFIX_BYTES + record.len()) as u64;
        if !self.make_room(log, wanted + HEADER_BYTES as u64)? {
            self.refused += 1;
            return Ok(());
        }
        self.put(log, record, time, drops)?;
        if log == Log::Samples && !self.is_undated() {
            self.oldest = self.oldest.or(Some(time));
        }
        Ok(())
    }

    /// Appends a record that there is room for, or that is owed room.
    pub(super) fn put(
        &mut self,
        log: Log,
        record: &[u8],
        time: UtcMillis,
        drops: Drops,
    ) -> Result<(), OutboxError> {
        let wanted = (PREFIX_BYTES + record.len()) as u64;
        if !self.fits(log, wanted, time, drops) {
            self.begin_segment(log, drops, wanted)?;
        }
        let index = self.runs.last_mut().map(|run| run.log_mut(log));
        let pen = match log {
            Log::Samples => self.samples.as_mut(),
            Log::Events => self.events.as_mut(),
        };
        if let (Some(index), Some(pen)) = (index, pen) {
            let place = pen.append(index.state.end, record, time);
            index.extend(place, wanted, time);
            self.growth.add(wanted);
        }
        self.bytes += wanted;
        Ok(())
    }

    /// Whether there is room in the outbox and space on the disk for a record that can wait, so that it may be
    /// [put](Self::put).
    pub(super) fn has_space_later(
        &mut self,
        log: Log,
        record: &[u8],
        time: UtcMillis,
        drops: Drops,
    ) -> Result<bool, OutboxError> {
        let wanted = (PREFIX_BYTES + record.len()) as u64;
        if !self.make_room_later(wanted + HEADER_BYTES as u64)? {
            return Ok(false);
        }
        if self.fits(log, wanted, time, drops) {
            return Ok(true);
        }
        match self.begin_segment_for(Purpose::Later, log, drops, wanted) {
            Err(error) if error.is_full_disk() => Ok(false),
            begun => begun.map(|()| true),
        }
    }

    /// Whether the segment that is being written takes this record.
    fn fits(&mut self, log: Log, wanted: u64, time: UtcMillis, drops: Drops) -> bool {
        let (description, span_ms, segment_bytes) =
            (self.description, self.bound.span_ms(), self.segment_bytes(log));
        self.pen(log).as_ref().is_some_and(|pen| {
            let spans = pen.began.map_or(0, |began| time.since_ms(began));
            (pen.description, pen.drops) == (description, drops)
                && pen.bytes + wanted <= segment_bytes
                && spans <= span_ms
        })
    }

    /// Begins the next segment of the current run, with space for `wanted` bytes of a record at least. The one before is
    /// synced first, so that of each log of a run at most the last segment can be torn.
    pub(super) fn begin_segment(&mut self, log: Log, drops: Drops, wanted: u64) -> Result<(), OutboxError> {
        let purpose = match (log, drops) {
            (Log::Samples, _) => Purpose::Sample,
            (Log::Events, Drops::Allowed) => Purpose::Kept,
            (Log::Events, Drops::Never) => Purpose::Report,
        };
        self.begin_segment_for(purpose, log, drops, wanted)
    }

    fn begin_segment_for(
        &mut self,
        purpose: Purpose,
        log: Log,
        drops: Drops,
        wanted: u64,
    ) -> Result<(), OutboxError> {
        let segment_bytes = self.segment_bytes(log).max(HEADER_BYTES as u64 + wanted);
        let ahead = segment_bytes + seal::most_bytes(segment_bytes);
        loop {
            // Making space may have written reports. A write that fails here ends the run: it is not tried again.
            self.close_segment(log)?;
            // No sample takes the place of the reserve, and nothing that can wait.
            let ready = match purpose {
                Purpose::Sample | Purpose::Later => self.reserve.keep(&*self.disk),
                Purpose::Kept | Purpose::Report => Ok(()),
            };
            match ready.and_then(|()| self.try_segment(log, drops, ahead)) {
                Err(error) if error.is_full_disk() && self.make_space(purpose)? => {}
                // Better no reserve than no sample.
                Err(error) if error.is_full_disk() && purpose != Purpose::Later => {
                    return self.try_segment(log, drops, ahead);
                }
                done => return done,
            }
        }
    }

    fn try_segment(&mut self, log: Log, drops: Drops, ahead: u64) -> Result<(), OutboxError> {
        let (disk, description) = (Arc::clone(&self.disk), self.description);
        let run = self.current();
        let header = Header { run: run.id, log, first: run.log(log).state.end, description };
        let path = run.segment_path(log, header.first);
        if let Some(pen) = self.pen(log) {
            // It has no record yet, and the name of this one.
            pen.restart(&header, drops, ahead)?;
            let segment = Segment::new(header.first, pen.bytes, Some((header, pen.seed)), drops);
            if let Some(last) = self.current().log_mut(log).segments.back_mut() {
                *last = segment;
            }
            return Ok(());
        }
        let pen = Pen::begin(&*disk, path, &header, drops, ahead)?;
        let segment = Segment::new(header.first, pen.bytes, Some((header, pen.seed)), drops);
        self.current().log_mut(log).segments.push_back(segment);
        self.bytes += pen.bytes;
        *self.pen(log) = Some(pen);
        Ok(())
    }

    /// Closes the segment that is being written, unless there is nothing in it: it is sealed and synced before another one
    /// is begun.
    pub(super) fn close_segment(&mut self, log: Log) -> Result<(), OutboxError> {
        let Some(pen) = self.pen(log).as_mut().filter(|pen| pen.began.is_some()) else { return Ok(()) };
        pen.write()?;
        let seal = self.current().log(log).segments.back().and_then(seal::seal);
        if let Some(pen) = self.pen(log) {
            pen.close(seal.as_deref())?;
        }
        self.sync_log(log)?;
        *self.pen(log) = None;
        if let Some(segment) = self.current().log_mut(log).segments.back_mut() {
            segment.offsets.settle();
        }
        Ok(())
    }

    /// Events have small segments: they are few, and of two kinds that do not share one.
    fn segment_bytes(&self, log: Log) -> u64 {
        match log {
            Log::Samples => self.segment_bytes,
            Log::Events => self.segment_bytes.min(MAX_EVENT_SEGMENT_BYTES),
        }
    }

    pub(super) fn keep_description(
        &mut self,
        purpose: Purpose,
        digest: Digest,
        payload: &[u8],
    ) -> Result<(), OutboxError> {
        let kept = self.directory.join("descriptions");
        self.in_space(purpose, |files| descriptions::keep(&*files.disk, &kept, digest, payload))
    }

    pub(super) fn sync_log(&mut self, log: Log) -> Result<(), OutboxError> {
        let disk = Arc::clone(&self.disk);
        if let Some(pen) = self.pen(log).as_mut().filter(|pen| pen.written != Written::Synced) {
            pen.sync(&*disk)?;
            let index = self.current().log_mut(log);
            index.state.synced_end = index.state.end;
        }
        Ok(())
    }
}
