//! How the outbox keeps to its bounds: what the server holds is freed (D9), and then what it does not hold has to go.

use std::time::Duration;

use lamplighter_protocol::{DropReason, Log};

use super::dropping::Drops;
use super::error::{OutboxError, manage};
use super::files::Files;
use super::run::{aged, next_to_drop, next_to_free};
use super::{OutboxOptions, disk, recover};
use crate::clock::Now;

/// How far events may go past the bound: they are few, and what had to go is reported among them (D11).
const EVENT_RESERVE_BYTES: u64 = 256 * 1024;

/// A segment spans no more than this part of the longest age, so that what is dropped with its newest record is hardly
/// older than that.
const SPANS_PER_AGE: u32 = 32;

/// What the outbox may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    max_bytes: u64,
    max_age: Duration,
    space: Space,
}

/// Whether samples find room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Left,
    Full,
}

/// What space on the disk is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A sample: the oldest one goes for it.
    Sample,
    /// An event, a position, a description: the reserve goes for it, and then samples.
    Kept,
    /// What says that something goes, or comes before anything can go: the reserve goes for it.
    Report,
    /// What can wait: nothing goes for it but what the server holds.
    Later,
}

impl Bound {
    pub(super) fn new(options: &OutboxOptions) -> Self {
        Self { max_bytes: options.max_bytes, max_age: options.max_age, space: Space::Left }
    }

    /// The longest age.
    pub(super) fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Longest time from a segment's first record to its last.
    pub(super) fn span_ms(&self) -> i64 {
        lamplighter_protocol::whole_ms(self.max_age / SPANS_PER_AGE)
    }
}

impl Files {
    /// Makes room for `wanted` bytes: frees what the server holds, the oldest first and never more than is needed, and
    /// then drops what it does not hold.
    pub(super) fn make_room(&mut self, log: Log, wanted: u64) -> Result<bool, OutboxError> {
        let bound = match log {
            Log::Samples => self.bound.max_bytes,
            Log::Events => self.bound.max_bytes.saturating_add(EVENT_RESERVE_BYTES),
        };
        while self.bytes + wanted > self.bound.max_bytes {
            if self.free_one()? {
                continue;
            }
            let Some(at) = next_to_drop(&self.runs, log) else { break };
            self.drop_segments(&[at], DropReason::Bytes)?;
        }
        let fits = self.bytes + wanted <= bound;
        if log == Log::Samples {
            self.say_space(if fits { Space::Left } else { Space::Full });
        }
        Ok(fits)
    }

    /// Makes room for `wanted` bytes that can wait: nothing goes for them but what the server holds, and they take no place from
    /// a sample that would have to go with the next one.
    pub(super) fn make_room_later(&mut self, wanted: u64) -> Result<bool, OutboxError> {
        while self.bytes.saturating_add(wanted) > self.bound.max_bytes {
            if self.free_one()? {
                continue;
            }
            // Where what may never be dropped takes all of the room, no sample is left that could go for them.
            let has_samples = next_to_drop(&self.runs, Log::Samples).is_some();
            let bound = self.bound.max_bytes.saturating_add(EVENT_RESERVE_BYTES);
            return Ok(!has_samples && self.bytes.saturating_add(wanted) <= bound);
        }
        Ok(true)
    }

    fn say_space(&mut self, space: Space) {
        match (self.bound.space, space) {
            (Space::Left, Space::Full) => tracing::error!(
                bytes = self.bytes,
                max_bytes = self.bound.max_bytes,
                "the outbox is full of what may never be dropped: samples are refused"
            ),
            (Space::Full, Space::Left) => tracing::info!("the outbox has room again"),
            (Space::Left, Space::Left) | (Space::Full, Space::Full) => {}
        }
        self.bound.space = space;
    }

    /// Frees one segment that the server holds whole; says whether there was one.
    pub(super) fn free_one(&mut self) -> Result<bool, OutboxError> {
        let Some(at) = next_to_free(&self.runs) else { return Ok(false) };
        self.remove_segment(at)?;
        Ok(true)
    }

    /// Lets the oldest runs past so many go whole, openings and all, for as long as the server holds all of them (D1). The
    /// oldest opening that stays names the last of them, and where it ended.
    pub(super) fn fold(&mut self, most_runs: usize) -> Result<(), OutboxError> {
        let excess = self.runs.len().saturating_sub(most_runs);
        let held = self.runs.iter().take(excess).take_while(|run| run.is_held()).count();
        let runs = self.directory.join("runs");
        for _ in 0..held {
            let run = self.runs.remove(0);
            // Under this name what a power cut leaves of it is no run.
            let leaving = runs.join(format!("{}{}", recover::UNOPENED, run.id));
            self.disk.rename(&run.directory, &leaving).map_err(manage("remove", &run.directory))?;
            disk::sync_directory(&*self.disk, &runs)?;
            disk::remove_directory(&*self.disk, &leaving)?;
            self.bytes -= run.bytes();
            tracing::debug!(run = %run.id, "the oldest run was removed: the server holds all of it");
        }
        Ok(())
    }

    /// Does what takes space on the disk, wholly or not at all. If the disk is full, makes space and tries again, for as
    /// long as something can be given up.
    pub(super) fn in_space<T>(
        &mut self,
        purpose: Purpose,
        mut act: impl FnMut(&mut Self) -> Result<T, OutboxError>,
    ) -> Result<T, OutboxError> {
        loop {
            match act(self) {
                Err(error) if error.is_full_disk() && self.make_space(purpose)? => {}
                done => return done,
            }
        }
    }

    /// Gives up one thing on a full disk: what the server holds, the reserve, samples; says whether there was any.
    pub(super) fn make_space(&mut self, purpose: Purpose) -> Result<bool, OutboxError> {
        if self.free_one()? {
            tracing::warn!("the disk is full: records that the server holds are freed");
            return Ok(true);
        }
        let (may_use_reserve, log) = match purpose {
            Purpose::Sample => (false, Some(Log::Samples)),
            Purpose::Kept => (true, Some(Log::Events)),
            Purpose::Report => (true, None),
            Purpose::Later => (false, None),
        };
        if may_use_reserve && self.reserve.give_up(&*self.disk)? {
            return Ok(true);
        }
        let Some(at) = log.and_then(|log| next_to_drop(&self.runs, log)) else { return Ok(false) };
        tracing::warn!("the disk is full: the oldest records are dropped");
        self.drop_segments(&[at], DropReason::Bytes)?;
        Ok(true)
    }

    /// Makes the reserve, if there is space for it.
    pub(super) fn keep_reserve(&mut self) {
        if let Err(error) = self.reserve.keep(&*self.disk) {
            tracing::debug!(%error, "there is no space for the reserve");
        }
    }

    /// Hears what time it is. Drops what is older than the longest age and still not held, once that time counts.
    pub(super) fn hear_time(&mut self, now: Now) -> Result<(), OutboxError> {
        self.now = now.wall;
        self.keep_reserve();
        self.plan.try_again();
        // Where the disk does not say, the bound is all that is known.
        let free = self.disk.free_bytes(&self.directory).ok();
        self.growth.look(now.monotonic, self.bytes, free);
        if !self.time.hear(now) {
            return Ok(());
        }
        let age_ms = lamplighter_protocol::whole_ms(self.bound.max_age);
        let before = now.wall.plus_ms(age_ms.saturating_neg());
        for log in Log::ALL {
            // A segment that is being written, and to which nothing was added for so long, is closed first.
            let written = self.pen(log).as_ref().map(|pen| pen.drops);
            let last = self.current().log(log).segments.back();
            let old = last.is_some_and(|last| last.newest.is_some_and(|newest| newest < before));
            if let Some(drops) = written.filter(|drops| old && *drops == Drops::Allowed) {
                self.begin_segment(log, drops, 0)?;
            }
        }
        self.drop_segments(&aged(&self.runs, before), DropReason::Age)
    }
}
