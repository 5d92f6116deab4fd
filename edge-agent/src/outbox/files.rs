//! The outbox's files, in the hands of its one thread: runs, the segments being written, what is held and freed.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use lamplighter_protocol::{Digest, Log, Position, RunId, UtcMillis};

use super::disk::{self, Disk};
use super::error::OutboxError;
use super::identity::{self, Home};
use super::pen::{Pen, Written};
use super::queue::Append;
use super::random::Random;
use super::read::{self, Found};
use super::run::{LogIndex, Run, Segment, next_to_free};
use super::sealed::{self, Sealed};
use super::segment::{HEADER_BYTES, Header, MAX_RECORD_BYTES, Offsets, PREFIX_BYTES};
use super::{Chunk, OutboxOptions, OutboxState, Place, ReadLimit, descriptions, opening, recover};

/// How far events may go past the bound: they are few, and reports of what had to go are among them (D11).
const EVENT_RESERVE_BYTES: u64 = 256 * 1024;

/// All files of an open outbox. After an error nothing may be written any more: the run is over (D2).
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    home: Home,
    directory: PathBuf,
    max_bytes: u64,
    segment_bytes: u64,
    /// Oldest first, the current one last; never empty.
    runs: Vec<Run>,
    samples: Option<Pen>,
    events: Option<Pen>,
    /// What is appended from now on is written in this.
    description: Digest,
    bytes: u64,
    refused: u64,
    damaged: u64,
    space: Space,
    oldest: Option<UtcMillis>,
}

/// Whether records find room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Left,
    Full,
}

impl Files {
    /// Opens the outbox, and a new run in it.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        random: &Random,
        options: &OutboxOptions,
        (payload, description): (&[u8], Digest),
        opened: UtcMillis,
    ) -> Result<Self, OutboxError> {
        let home = identity::settle(&*disk, random, options)?;
        let directory = options.directory.clone();
        let (runs, kept) = (directory.join("runs"), directory.join("descriptions"));
        disk::create_directory(&*disk, &kept)?;
        disk::create_directory(&*disk, &runs)?;
        disk::sync_directory(&*disk, &directory)?;
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
        descriptions::keep(&*disk, &kept, description, payload)?;

        let bytes =
            recovered.runs.iter().flat_map(|run| [&run.samples, &run.events]).map(LogIndex::bytes).sum();
        let mut files = Self {
            home,
            max_bytes: options.max_bytes,
            segment_bytes: options.segment_bytes,
            runs: recovered.runs,
            samples: None,
            events: None,
            description,
            bytes,
            refused: 0,
            damaged: recovered.damaged,
            space: Space::Left,
            oldest: None,
            directory,
            disk,
        };
        if let Some(position) = files.last_position()? {
            files.runs.iter_mut().for_each(|run| run.believe(&position));
            files.runs.iter_mut().for_each(Run::end_behind_held);
        }
        files.begin_run(random, opened)?;
        files.find_oldest();
        Ok(files)
    }

    /// Begins this process's run. On a full disk its opening is what the space of held records is needed for.
    fn begin_run(&mut self, random: &Random, opened: UtcMillis) -> Result<(), OutboxError> {
        let opening = opening::opening_after(&*self.disk, self.runs.last(), opened);
        let number = self.runs.iter().map(|run| run.number).max().map_or(0, |last| last.saturating_add(1));
        let runs = self.directory.join("runs");
        let run = loop {
            let id = RunId(random.id()?);
            match opening::begin_run(&*self.disk, &runs, (number, id), self.description, opening) {
                Err(error) if error.is_full_disk() && self.free_one()? => {
                    tracing::warn!("the disk is full: records that the server holds are freed");
                }
                begun => break begun?,
            }
        };
        self.bytes += run.events.bytes();
        self.runs.push(run);
        Ok(())
    }

    /// Takes one append. What it leads to is written by [`Self::write`] at the latest.
    pub(super) fn append(&mut self, append: Append) -> Result<(), OutboxError> {
        match append {
            Append::Record { log, bytes, time } => self.append_record(log, &bytes, time),
            Append::Description { digest, payload } => {
                let kept = self.directory.join("descriptions");
                descriptions::keep(&*self.disk, &kept, digest, &payload)?;
                self.description = digest;
                Ok(())
            }
        }
    }

    /// Writes what is appended: one write per log. Events are synced (D2).
    pub(super) fn write(&mut self) -> Result<(), OutboxError> {
        let pens = [&mut self.samples, &mut self.events].into_iter().flatten();
        pens.into_iter().try_for_each(Pen::write)?;
        self.sync_log(Log::Events)
    }

    /// Whether a sample is written and not synced.
    pub(super) fn has_unsynced(&self) -> bool {
        self.samples.as_ref().is_some_and(|pen| pen.written != Written::Synced)
    }

    /// Syncs both logs.
    pub(super) fn sync(&mut self) -> Result<(), OutboxError> {
        Log::ALL.into_iter().try_for_each(|log| self.sync_log(log))
    }

    /// Reads records. What turns out damaged is no longer stated as on disk.
    pub(super) fn read(&mut self, from: Place, limit: ReadLimit) -> Result<Option<Chunk>, OutboxError> {
        let Some(at) = self.runs.iter().rposition(|run| run.id == from.run) else { return Ok(None) };
        let found = read::read(&*self.disk, &self.runs[at], from.log, from.sequence, limit);
        let unreadable = match &found {
            Ok(Found::Damaged { first, last }) => {
                // Those behind the first may be found again at the next start, and are not freed until then.
                self.runs[at].log_mut(from.log).damaged.insert(*first, *first);
                Some((*first, *last))
            }
            // The segment is gone, or its place on the card is: the rest of it is not tried record by record.
            Err(error) if error.is_damage() => {
                let last = self.runs[at].log_mut(from.log).mark_unread(from.sequence);
                last.map(|last| (from.sequence, last))
            }
            Ok(Found::Nothing | Found::Chunk(_)) | Err(_) => None,
        };
        if let Some((first, last)) = unreadable {
            let (run, log) = (from.run, from.log.as_str());
            self.damaged += 1;
            self.runs[at].log_mut(from.log).state.on_disk.remove(first, last);
            tracing::error!(%run, log, first, last, "records on disk cannot be read: the next start tries them again");
        }
        found.map(Found::chunk)
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
        sealed::write(&*self.disk, &self.directory.join("position"), &position.encode())?;
        self.runs.iter_mut().for_each(|run| run.believe(position));
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
            oldest: self.oldest,
            refused: self.refused,
            damaged: self.damaged,
        }
    }

    fn current(&mut self) -> &mut Run {
        self.runs.last_mut().expect("a run is opened before anything else is done")
    }

    fn pen(&mut self, log: Log) -> &mut Option<Pen> {
        match log {
            Log::Samples => &mut self.samples,
            Log::Events => &mut self.events,
        }
    }

    fn append_record(&mut self, log: Log, record: &[u8], time: Option<UtcMillis>) -> Result<(), OutboxError> {
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
        let (description, segment_bytes) = (self.description, self.segment_bytes);
        let fits = |pen: &Pen| pen.description == description && pen.bytes + wanted <= segment_bytes;
        if !self.pen(log).as_ref().is_some_and(fits) {
            self.begin_segment(log)?;
        }
        let index = self.runs.last_mut().map(|run| run.log_mut(log));
        let pen = match log {
            Log::Samples => self.samples.as_mut(),
            Log::Events => self.events.as_mut(),
        };
        if let (Some(index), Some(pen)) = (index, pen) {
            let (place, offset) = pen.append(index.state.end, record);
            index.extend(place, offset, wanted);
        }
        self.bytes += wanted;
        self.oldest = self.oldest.or(time);
        Ok(())
    }

    /// Begins the next segment of the current run. The one before is synced first, so that of each log of a run at
    /// most the last segment can be torn.
    fn begin_segment(&mut self, log: Log) -> Result<(), OutboxError> {
        if let Some(pen) = self.pen(log).as_mut() {
            pen.write()?;
        }
        self.sync_log(log)?;
        let (description, disk) = (self.description, Arc::clone(&self.disk));
        let run = self.current();
        let header = Header { run: run.id, log, first: run.log(log).state.end, description };
        let path = run.segment_path(log, header.first);
        let pen = Pen::begin(&*disk, path, &header)?;
        let (first, seed, bytes) = (header.first, pen.seed, pen.bytes);
        let offsets = Offsets::default();
        if let Some(before) = run.log_mut(log).segments.back_mut() {
            before.offsets.settle();
        }
        run.log_mut(log).segments.push_back(Segment {
            first,
            end: first,
            bytes,
            header: Some((header, seed)),
            offsets,
            unread: false,
        });
        self.bytes += bytes;
        *self.pen(log) = Some(pen);
        Ok(())
    }

    fn sync_log(&mut self, log: Log) -> Result<(), OutboxError> {
        let disk = Arc::clone(&self.disk);
        if let Some(pen) = self.pen(log).as_mut().filter(|pen| pen.written != Written::Synced) {
            pen.sync(&*disk)?;
            let index = self.current().log_mut(log);
            index.state.synced_end = index.state.end;
        }
        Ok(())
    }

    /// Frees what the server holds, oldest first, until `wanted` bytes fit; never more than that needs.
    fn make_room(&mut self, log: Log, wanted: u64) -> Result<bool, OutboxError> {
        let bound = match log {
            Log::Samples => self.max_bytes,
            Log::Events => self.max_bytes.saturating_add(EVENT_RESERVE_BYTES),
        };
        while self.bytes + wanted > self.max_bytes && self.free_one()? {}
        let fits = self.bytes + wanted <= bound;
        if log == Log::Samples {
            let space = if fits { Space::Left } else { Space::Full };
            match (self.space, space) {
                (Space::Left, Space::Full) => tracing::error!(
                    bytes = self.bytes,
                    max_bytes = self.max_bytes,
                    "the outbox is full and nothing of it may be freed: samples are refused"
                ),
                (Space::Full, Space::Left) => {
                    tracing::info!(refused = self.refused, "the outbox has room again");
                }
                (Space::Left, Space::Left) | (Space::Full, Space::Full) => {}
            }
            self.space = space;
        }
        Ok(fits)
    }

    /// Frees one segment that the server holds whole; says whether there was one.
    fn free_one(&mut self) -> Result<bool, OutboxError> {
        let found = next_to_free(&self.runs);
        let Some((run, log, at)) = found else { return Ok(false) };
        let run = &mut self.runs[run];
        let Some(freed) = run.log_mut(log).segments.remove(at) else { return Ok(false) };
        disk::remove_file(&*self.disk, &run.segment_path(log, freed.first))?;
        if freed.end > freed.first {
            let index = run.log_mut(log);
            index.state.on_disk.remove(freed.first, freed.end - 1);
            index.damaged.remove(freed.first, freed.end - 1);
        }
        self.bytes -= freed.bytes;
        let (run, log, first, end) = (run.id, log.as_str(), freed.first, freed.end);
        tracing::debug!(%run, log, first, end, "freed what the server holds");
        Ok(true)
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
