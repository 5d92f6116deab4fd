//! Dating the runs that never learnt the time, a few at a time (D3).
//!
//! Once the time is known, it is found out of all of them at once when they were: in memory alone, which takes no time.
//! What dates each is then written in steps, because a dating takes syncs, and of a lamppost without a battery there may be
//! thousands. Until its own is on disk a run waits, whatever became of the others. A power cut costs nothing: the next run
//! that knows the time finds out the rest again, between what is dated by then.
//!
//! None of this is worth a sample, or the reserve, without which a full disk would stop the agent. Where there is no room
//! it waits, and is tried again with the next minute. Only what dates the run before this one exactly may use the reserve:
//! this run knows when their boot was, keeps that in memory alone, and may be the last one that does.

use std::collections::VecDeque;

use lamplighter_protocol::{Log, Record, RunId};

use super::dating::{self, Bounds, Dating, How, RunTime};
use super::dropping::Drops;
use super::error::OutboxError;
use super::files::Files;
use super::room::Purpose;
use super::run::Run;
use super::twin::{self, Lacking};

/// Most runs that one step dates, if there is time. Each takes up to a quarter of a second on a slow card, in which nothing
/// else is written: the queue before the outbox's thread holds the samples of many more.
const MOST_DATED: usize = 8;

/// Most runs of which one step tells where they were placed: that takes one sync for all of them.
const MOST_TOLD: usize = 64;

/// What is still to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What dates the runs that are not dated yet, oldest first.
    datings: VecDeque<(RunId, Dating)>,
    /// What dates runs, where one copy is not whole.
    lacking: VecDeque<(RunId, Lacking)>,
    untold: Untold,
    room: Room,
}

/// Of how many of the runs that were placed the server is not told by records on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Untold {
    /// They have to be looked for.
    #[default]
    Unknown,
    Left(usize),
}

/// Whether there is room on the disk, and in the outbox, for any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Room {
    #[default]
    NotKnownToLack,
    Lacking,
    /// It lacked when that was last tried, which is a while ago.
    WasLacking,
}

/// Nothing waits for the end of a step.
pub(super) fn no_hurry() -> bool {
    true
}

impl Plan {
    /// Takes what dates runs in place of what was planned. There may be runs that were placed elsewhere.
    pub(super) fn replace(&mut self, datings: Vec<(RunId, Dating)>) {
        (self.datings, self.untold) = (datings.into(), Untold::Unknown);
    }

    /// Plans to write the copies that are not whole.
    pub(super) fn mend(&mut self, lacking: Vec<(RunId, Lacking)>) {
        self.lacking.extend(lacking);
    }

    /// What is to date this run.
    pub(super) fn of(&self, run: RunId) -> Option<&Dating> {
        self.datings.iter().find(|(planned, _)| *planned == run).map(|(_, dating)| dating)
    }

    /// Whether the next step has something to do.
    pub(super) fn is_due(&self) -> bool {
        let is_done = self.datings.is_empty() && self.lacking.is_empty() && self.untold == Untold::Left(0);
        !is_done && self.room != Room::Lacking
    }

    /// How many runs wait for room, and for nothing else.
    pub(super) fn waiting_for_room(&self) -> usize {
        let untold = match self.untold {
            Untold::Unknown => 0,
            Untold::Left(runs) => runs,
        };
        match self.room {
            Room::NotKnownToLack => 0,
            Room::Lacking | Room::WasLacking => self.datings.len() + untold,
        }
    }

    /// There may be room again.
    pub(super) fn try_again(&mut self) {
        if self.room == Room::Lacking {
            self.room = Room::WasLacking;
        }
    }

    fn lacks_room(&mut self) {
        if self.room == Room::NotKnownToLack {
            tracing::warn!("there is no room for what dates runs that did not know the time: that waits");
        }
        self.room = Room::Lacking;
    }
}

impl Files {
    /// Does a bounded part of what is planned, if anything is due: dates runs on disk and in memory, tells the server of
    /// those that were placed, and sees to it that each dating is there twice. Once it is no longer `in_time`, it ends with what
    /// it has begun: the first part of each step is done in any case.
    pub(super) fn step_plan(&mut self, in_time: &dyn Fn() -> bool) -> Result<(), OutboxError> {
        if !self.plan.is_due() {
            return Ok(());
        }
        for _ in 0..MOST_DATED {
            let Some(&(run, dating)) = self.plan.datings.front() else { break };
            if self.date_run(run, dating, Purpose::Later)? == Dated::NoRoom {
                self.plan.lacks_room();
                break;
            }
            self.plan.datings.pop_front();
            if !in_time() {
                break;
            }
        }
        self.tell_placed()?;
        if self.plan.datings.is_empty() || in_time() {
            self.mend_datings(in_time)?;
        }
        Ok(())
    }

    /// Dates the last of the planned runs, the one before the run that is about to begin: its opening then tells when that
    /// one ended. If there is no room, it does not. By this one those before it of the same boot are dated, whoever does that.
    pub(super) fn date_run_before(&mut self) -> Result<(), OutboxError> {
        let before = self.runs.last().map(|run| run.id);
        let Some(&(run, dating)) = self.plan.datings.back().filter(|(run, _)| Some(*run) == before) else {
            return Ok(());
        };
        // There is no run yet in which that could be told.
        if matches!(dating.how, How::Placed(_)) && self.runs.last().is_some_and(|run| run.is_told) {
            return Ok(());
        }
        let purpose = match dating.how {
            How::SameBoot | How::SameBootRoughly => Purpose::Report,
            How::OwnClock | How::Server | How::SlowServer | How::Placed(_) => Purpose::Later,
        };
        if self.date_run(run, dating, purpose)? == Dated::Yes {
            self.plan.datings.pop_back();
        }
        Ok(())
    }

    /// Dates the run at this place before the times of what goes of it are reported, if that is planned and there is room. What
    /// is only planned may be found out otherwise by the next start, and a run has one dating.
    pub(super) fn date_for_report(&mut self, place: usize) -> Result<(), OutboxError> {
        let run = self.runs[place].id;
        if let Some(&dating) = self.plan.of(run)
            && self.date_run(run, dating, Purpose::Later)? == Dated::NoRoom
        {
            self.plan.lacks_room();
        }
        Ok(())
    }

    fn date_run(&mut self, run: RunId, dating: Dating, purpose: Purpose) -> Result<Dated, OutboxError> {
        let is_it = |files: &Self, place: usize| {
            files.runs[place].id == run && matches!(files.runs[place].time, RunTime::Undated(_))
        };
        // It may be dated by now, or gone.
        let Some(place) = (0..self.runs.len()).find(|place| is_it(self, *place)) else {
            return Ok(Dated::Yes);
        };
        if let How::Placed(bounds) = dating.how
            && self.runs[place].is_told
        {
            // What dated it is damaged, and the server has bounds of its own or takes it for exact. That these come first is what
            // a later start rests on, which finds them told.
            if !self.tell(place, bounds)? {
                return Ok(Dated::NoRoom);
            }
            self.sync_reports()?;
        }
        let written = match purpose {
            Purpose::Later => self.in_space(purpose, |files| {
                files.reserve.keep(&*files.disk)?;
                dating::write(&*files.disk, &files.runs[place], &dating)
            }),
            Purpose::Sample | Purpose::Kept | Purpose::Report => {
                self.in_space(purpose, |files| dating::write(&*files.disk, &files.runs[place], &dating))
            }
        };
        match written {
            Err(error) if error.is_full_disk() => return Ok(Dated::NoRoom),
            written => written?,
        }
        self.runs[place].date(dating);
        (self.plan.room, self.plan.untold) = (Room::NotKnownToLack, Untold::Unknown);
        self.oldest_gone = true;
        let Dating { shift_ms, how, .. } = dating;
        tracing::info!(%run, shift_ms, ?how, "a run that did not know the time is dated");
        Ok(Dated::Yes)
    }

    /// Where one copy of what dates a run is not whole, writes it again.
    fn mend_datings(&mut self, in_time: &dyn Fn() -> bool) -> Result<(), OutboxError> {
        for _ in 0..MOST_DATED {
            let Some((run, lacking)) = self.plan.lacking.front().cloned() else { break };
            // It may be gone by now.
            if let Some(place) = self.runs.iter().position(|one| one.id == run) {
                let mended = self.in_space(Purpose::Later, |files| {
                    files.reserve.keep(&*files.disk)?;
                    twin::mend(&*files.disk, &files.runs[place].directory, &lacking)
                });
                match mended {
                    Err(error) if error.is_full_disk() => {
                        self.plan.lacks_room();
                        break;
                    }
                    mended => mended?,
                }
            }
            self.plan.lacking.pop_front();
            if !in_time() {
                break;
            }
        }
        Ok(())
    }

    /// Tells the server of runs that were placed, if nothing says that it was told: before anything of them is sent.
    fn tell_placed(&mut self) -> Result<(), OutboxError> {
        let is_untold = |run: &Run| run.time.bounds().is_some() && !run.is_told;
        let untold: Vec<usize> = (0..self.runs.len()).filter(|place| is_untold(&self.runs[*place])).collect();
        let mut told = Vec::new();
        for place in untold.iter().copied().take(MOST_TOLD) {
            let Some(bounds) = self.runs[place].time.bounds() else { continue };
            if !self.tell(place, bounds)? {
                self.plan.lacks_room();
                break;
            }
            told.push(place);
        }
        self.plan.untold = Untold::Left(untold.len() - told.len());
        if told.is_empty() {
            return Ok(());
        }
        self.sync_reports()?;
        for place in told {
            self.runs[place].told();
        }
        Ok(())
    }

    /// Appends that the run at this place lies between these bounds; not if there is no room.
    fn tell(&mut self, place: usize, bounds: Bounds) -> Result<bool, OutboxError> {
        let (run, earliest, latest, time) = (self.runs[place].id, bounds.earliest, bounds.latest, self.now);
        let record = Record::Dating(lamplighter_protocol::Dating { run, earliest, latest, time }).encode();
        let has_room = self.has_space_later(Log::Events, &record, time, Drops::Never)?;
        if has_room {
            self.put(Log::Events, &record, time, Drops::Never)?;
        }
        Ok(has_room)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dated {
    Yes,
    NoRoom,
}
