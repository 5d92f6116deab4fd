//! The outbox's files, in the hands of its one thread: runs, the segments being written, what is held and freed.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use lamplighter_protocol::{Digest, LamppostNumber, Log, OutboxId, Position, RunId, UtcMillis};

use super::commands;
use super::disk::{self, Disk};
use super::error::OutboxError;
use super::growth::Growth;
use super::identity::{self, Home};
use super::kept::{self, Kept};
use super::pen::Pen;
use super::place::BootAt;
use super::plan::{Plan, no_hurry};
use super::random::Random;
use super::read::{self, Found};
use super::reserve::Reserve;
use super::room::{Bound, Purpose};
use super::run::Run;
use super::sealed::{self, Sealed};
use super::set_aside::{self, Aside};
use super::steady::SteadyTime;
use super::{
    Beginning, Chunk, DropCounts, MOST_RUNS, OutboxOptions, OutboxState, Place, ReadLimit, descriptions,
    opening, recover,
};
use crate::clock::Now;

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
    pub(super) segment_bytes: u64,
    /// Oldest first, the current one last; never empty.
    pub(super) runs: Vec<Run>,
    pub(super) samples: Option<Pen>,
    pub(super) events: Option<Pen>,
    /// What is appended from now on is written in this.
    pub(super) description: Digest,
    pub(super) bytes: u64,
    pub(super) refused: u64,
    pub(super) dropped: DropCounts,
    pub(super) damaged: u64,
    /// Some damage may not be reported yet.
    pub(super) damage_found: bool,
    /// What time it was when that was last told.
    pub(super) now: UtcMillis,
    pub(super) time: SteadyTime,
    pub(super) growth: Growth,
    pub(super) oldest: Option<UtcMillis>,
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
        let (commands, unread_commands) = kept::load(&*disk, &directory)?;
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
            // What is held was sent, and nothing is sent before that is told: not even if it is placed for a second time.
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
        files.step_plan(&no_hurry)?;
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
    pub(super) fn find_oldest(&mut self) {
        let owed = self.runs.iter().find_map(|run| Some((run, run.samples.first_owed()?)));
        let time = |(run, sequence)| opening::time_of(&*self.disk, run, Log::Samples, sequence);
        self.oldest = owed.and_then(time);
    }
}
