//! The outbox's files, in the hands of its one thread: runs, the segments being written, what is held and freed.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use lamplighter_protocol::{Digest, LamppostNumber, Log, OutboxId, Position, RunId, UtcMillis};

use super::commands::{self, Kept};
use super::disk::{self, Disk};
use super::dropping::Drops;
use super::error::OutboxError;
use super::growth::Growth;
use super::identity::{self, Home};
use super::pen::{Pen, Written};
use super::place::BootAt;
use super::plan::Plan;
use super::queue::{Append, Times};
use super::random::Random;
use super::read::{self, Found};
use super::reserve::Reserve;
use super::room::{Bound, Purpose};
use super::run::{Run, Segment};
use super::seal;
use super::sealed::{self, Sealed};
use super::segment::{HEADER_BYTES, Header, MAX_RECORD_BYTES, PREFIX_BYTES};
use super::set_aside::{self, Aside};
use super::steady::SteadyTime;
use super::{
    Beginning, Chunk, DropCounts, MOST_RUNS, OutboxOptions, OutboxState, Place, ReadLimit, descriptions,
    opening, recover,
};
use crate::clock::Now;

/// Most bytes of a segment of events.
const MAX_EVENT_SEGMENT_BYTES: u64 = 64 << 10;

/// All files of an open outbox. After an error nothing may be written any more: the run is over (D2).
#[derive(Debug)]
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    home: Home,
    pub(super) lamppost: LamppostNumber,
    /// The outboxes that were set aside.
    pub(super) asides: Arc<[Aside]>,
    pub(super) commands: Vec<Kept>,
    /// Which boot this is and when it began, once that is known.
    pub(super) boot: Option<BootAt>,
    pub(super) plan: Plan,
    pub(super) directory: PathBuf,
    pub(super) bound: Bound,
    pub(super) reserve: Reserve,
    segment_bytes: u64,
    /// Oldest first, the current one last; never empty.
    pub(super) runs: Vec<Run>,
    samples: Option<Pen>,
    events: Option<Pen>,
    /// What is appended from now on is written in this.
    description: Digest,
    pub(super) bytes: u64,
    refused: u64,
    pub(super) dropped: DropCounts,
    pub(super) damaged: u64,
    /// Some damage may not be reported yet.
    pub(super) damage_found: bool,
    /// What time it was when that was last told.
    pub(super) now: UtcMillis,
    pub(super) time: SteadyTime,
    pub(super) growth: Growth,
    oldest: Option<UtcMillis>,
    /// What was dropped may have been the oldest.
    pub(super) oldest_gone: bool,
}

impl Files {
    /// Opens the outbox, and a new run in it; says when it opened, which is asked of `now` once all else is done.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        random: &Random,
        options: &OutboxOptions,
        (payload, description): (&[u8], Digest),
        now: impl FnOnce() -> Beginning,
    ) -> Result<(Self, Now), OutboxError> {
        let home = identity::settle(&*disk, random, options)?;
        let directory = options.directory.clone();
        let (runs, kept) = (directory.join("runs"), directory.join("descriptions"));
        disk::create_directory(&*disk, &kept)?;
        disk::create_directory(&*disk, &runs)?;
        disk::sync_directory(&*disk, &directory)?;
        // A description that is there may have been named by a process that died before its name was durable (D2).
        disk::sync_directory(&*disk, &kept)?;
        let mut asides = set_aside::find(&*disk, &directory, (&options.lamppost, home.outbox));
        let (commands, unread_commands) = commands::load(&*disk, &directory)?;
        let resumed = commands::resume(&*disk, &directory, &commands, &asides)?;
        if !resumed.is_empty() {
            asides = set_aside::find(&*disk, &directory, (&options.lamppost, home.outbox));
        }
        let recovered = recover::recover(&*disk, &runs)?;

        let logs = recovered.runs.iter().flat_map(|run| [&run.samples, &run.events]);
        let headers = logs.flat_map(|log| &log.segments).filter_map(|segment| segment.header.as_ref());
        let mut needed: HashSet<Digest> = headers.map(|(header, _)| header.description).collect();
        needed.insert(description);
        // Which description a segment is written in is not known until its header can be read (D4).
        let unknown = |run: &Run| Log::ALL.into_iter().any(|log| run.log(log).has_unread_header());
        if !recovered.runs.iter().any(unknown) {
            descriptions::retain(&*disk, &kept, &needed)?;
        }

        let bytes = recovered.runs.iter().map(Run::bytes).sum();
        let mut files = Self {
            home,
            lamppost: options.lamppost.clone(),
            asides: asides.into(),
            commands,
            boot: None,
            plan: Plan::default(),
            bound: Bound::new(options),
            reserve: Reserve::find(&*disk, &directory),
            segment_bytes: options.segment_bytes,
            runs: recovered.runs,
            samples: None,
            events: None,
            description,
            bytes,
            refused: 0,
            dropped: DropCounts::default(),
            damaged: recovered.damaged.len() as u64 + unread_commands,
            damage_found: true,
            // Nothing is dated before the run has opened.
            now: UtcMillis::default(),
            time: SteadyTime::default(),
            growth: Growth::new(options.max_bytes),
            oldest: None,
            oldest_gone: false,
            directory,
            disk,
        };
        if let Some(position) = files.last_position()? {
            files.runs.iter_mut().for_each(|run| run.believe(&position));
            files.runs.iter_mut().for_each(Run::end_behind_held);
        }
        for run in &mut files.runs {
            // What is held was sent, and nothing is sent before that is told.
            let is_held = |log: Log| !run.log(log).state.held.is_empty();
            run.is_told = recovered.placed.contains(&run.id) || Log::ALL.into_iter().any(is_held);
        }
        files.plan.mend(recovered.lacking);
        files.finish_drops(&recovered.reports)?;
        // Before there is a run there is nothing to report in that samples go for it.
        files.keep_description(Purpose::Report, description, payload)?;
        let beginning = now();
        let opened = beginning.now;
        files.now = opened.wall;
        files.begin_run(random, beginning)?;
        files.keep_reserve();
        files.report_damage()?;
        files.step_plan()?;
        files.report_resumed(resumed)?;
        files.find_oldest();
        Ok((files, opened))
    }

    /// Begins this process's run. On a full disk its opening is what the space of held records is needed for, or the
    /// reserve.
    fn begin_run(&mut self, random: &Random, beginning: Beginning) -> Result<(), OutboxError> {
        let opened = beginning.now.wall;
        let time = self.time_of_opening(beginning)?;
        let opening = opening::opening_after(self.runs.last(), opened);
        // Behind those of adopted runs, whatever their ids.
        let number = self.runs.iter().map(|run| run.number).max().map_or(1, |last| last.saturating_add(1));
        let runs = self.directory.join("runs");
        let run = self.in_space(Purpose::Report, |files| {
            let id = RunId(random.id()?);
            opening::begin_run(&*files.disk, &runs, (number, id), files.description, opening, time)
        })?;
        self.bytes += run.events.bytes();
        self.runs.push(run);
        Ok(())
    }

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

    /// Reads records. What turns out damaged is no longer stated as on disk.
    pub(super) fn read(&mut self, from: Place, limit: ReadLimit) -> Result<Option<Chunk>, OutboxError> {
        let Some(at) = self.runs.iter().rposition(|run| run.id == from.run) else { return Ok(None) };
        let found = read::read(&*self.disk, &self.runs[at], from.log, from.sequence, limit);
        match &found {
            Ok(Found::Damaged { first, last }) => self.found_damaged((at, from.log), *first, *last),
            // The segment is gone, or its place on the card is: the rest of it is not tried record by record.
            Err(error) if error.is_damage() => self.found_unreadable((at, from.log), from.sequence),
            Ok(Found::Nothing | Found::Chunk(_)) | Err(_) => {}
        }
        Ok(found?.chunk().and_then(|chunk| self.dated(at, chunk, limit)))
    }

    /// How many places on disk were found unreadable.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The payload of a description.
    pub(super) fn description(&self, digest: Digest) -> Result<Option<Vec<u8>>, OutboxError> {
        descriptions::load(&*self.disk, &self.directory.join("descriptions"), digest)
    }

    /// Keeps this position in place of the last one, and then goes by it (D9).
    pub(super) fn believe(&mut self, position: &Position) -> Result<(), OutboxError> {
        let (path, body) = (self.directory.join("position"), position.encode());
        self.in_space(Purpose::Kept, |files| sealed::write(&*files.disk, &path, &body))?;
        self.runs.iter_mut().for_each(|run| run.believe(position));
        self.fold(MOST_RUNS)?;
        self.find_oldest();
        Ok(())
    }

    /// What is to be published.
    pub(super) fn state(&mut self) -> OutboxState {
        OutboxState {
            outbox: self.home.outbox,
            run: self.current().id,
            runs: self.runs.iter_mut().map(Run::publish).collect(),
            bytes: self.bytes,
            capacity: self.growth.capacity,
            appended_per_hour: self.growth.per_hour,
            oldest: self.oldest,
            refused: self.refused,
            dropped: self.dropped,
            damaged: self.damaged,
            undated_for_room: self.plan.waiting_for_room() as u64,
            set_aside: Arc::clone(&self.asides),
        }
    }

    pub(super) fn outbox(&self) -> OutboxId {
        self.home.outbox
    }

    pub(super) fn current(&mut self) -> &mut Run {
        self.runs.last_mut().expect("a run is opened before anything else is done")
    }

    pub(super) fn pen(&mut self, log: Log) -> &mut Option<Pen> {
        match log {
            Log::Samples => &mut self.samples,
            Log::Events => &mut self.events,
        }
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

    /// Whether there is space on the disk for a record that can wait, so that it may be [put](Self::put).
    pub(super) fn has_space_later(
        &mut self,
        log: Log,
        record: &[u8],
        time: UtcMillis,
        drops: Drops,
    ) -> Result<bool, OutboxError> {
        let wanted = (PREFIX_BYTES + record.len()) as u64;
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

    fn keep_description(
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

    fn last_position(&self) -> Result<Option<Position>, OutboxError> {
        let path = self.directory.join("position");
        let body = match sealed::read(&*self.disk, &path)? {
            Sealed::Absent => return Ok(None),
            Sealed::Damaged => None,
            Sealed::Whole(body) => Position::decode(&body).ok(),
        };
        if body.is_none() {
            let path = path.display();
            tracing::error!(%path, "the last position is damaged: until the next one nothing is freed");
        }
        Ok(body)
    }

    /// Finds the oldest sample that the server does not hold.
    fn find_oldest(&mut self) {
        let owed = self.runs.iter().find_map(|run| Some((run, run.samples.first_owed()?)));
        let time = |(run, sequence)| opening::time_of(&*self.disk, run, Log::Samples, sequence);
        self.oldest = owed.and_then(time);
    }
}
