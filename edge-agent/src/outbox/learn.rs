//! When the outbox learns what time it is, and what was (D3).

use std::time::Duration;

use lamplighter_protocol::{Dropped, Log, Record, RunId, UtcMillis, whole_ms};

use super::dating::{self, BootTime, Dating, How, RunTime, SpansOff, Undated};
use super::dropping::Drops;
use super::error::OutboxError;
use super::files::Files;
use super::place::{self, BootAt, Known, Life};
use super::room::Purpose;
use super::run::Run;
use super::{Beginning, Chunk, ReadLimit, opening, read};
use crate::clock::{Boot, ClockTrust, Learnt, LearntFrom};

impl Files {
    /// What is known of the time of a run that opens now. If it knows the time, those before it are dated.
    pub(super) fn time_of_opening(&mut self, beginning: Beginning) -> Result<RunTime, OutboxError> {
        let (opened, monotonic) = (beginning.now.wall, beginning.now.monotonic);
        let boot = beginning.boot.map(|boot| boot_time(boot, monotonic));
        if beginning.now.trust == ClockTrust::Unknown {
            let before = self.runs.last().filter(|run| matches!(run.time, RunTime::Undated(_)));
            let before = before.map(|_| self.runs.len() - 1);
            let before_ended = before.and_then(|before| self.life(before)).map(|life| life.ended);
            return Ok(RunTime::Undated(Undated { opened, before_ended, boot }));
        }
        let trust = beginning.now.trust;
        let boot = boot.map(|at| BootAt { boot: at.boot, booted: opened.plus_ms(-at.ms), trust });
        self.boot = boot;
        for (place, dating) in self.date_earlier(self.runs.len(), opened, boot, Purpose::Report)? {
            self.runs[place].date(dating);
        }
        Ok(RunTime::Known)
    }

    /// A record was read by provisional time. If this run is dated by now, so is it.
    pub(super) fn date_late(&mut self, bytes: &mut Vec<u8>, time: &mut UtcMillis) {
        let RunTime::Dated(_, dating) = self.current().time else { return };
        if let Ok(mut record) = Record::decode(bytes) {
            dating::shift(&mut record, dating.shift_ms, &|_| SpansOff::By(0));
            dating.doubt(&mut record);
            *bytes = record.encode();
            *time = opening::time_in(&record);
        }
    }

    /// Whether this run does not know the time.
    pub(super) fn is_undated(&self) -> bool {
        self.runs.last().is_some_and(|run| matches!(run.time, RunTime::Undated(_)))
    }

    /// The time is learnt: this run, and all before it that never learnt it, are dated. All of it is on disk when this
    /// returns; what is appended from then on has the time that was learnt.
    pub(super) fn date(&mut self, learnt: Learnt) -> Result<(), OutboxError> {
        let (id, place) = (self.current().id, self.runs.len() - 1);
        let RunTime::Undated(undated) = self.current().time else { return Ok(()) };
        self.write()?;
        let opened = undated.opened.plus_ms(learnt.shift_ms);
        let (how, trust) = match learnt.from {
            LearntFrom::OwnClock => (How::OwnClock, ClockTrust::Sure),
            LearntFrom::Server => (How::Server, ClockTrust::Sure),
            LearntFrom::SlowServer => (How::SlowServer, ClockTrust::Unsure),
        };
        let boot = undated.boot.map(|at| BootAt { boot: at.boot, booted: opened.plus_ms(-at.ms), trust });
        // What this run knows is written last: without it the next run finds out the rest again.
        let earlier = self.date_earlier(place, opened, boot, Purpose::Kept)?;
        let own = self.in_space(Purpose::Kept, |files| {
            // A segment has times of one kind.
            Log::ALL.into_iter().try_for_each(|log| files.close_segment(log))?;
            let run = files.current();
            let dating = Dating {
                shift_ms: learnt.shift_ms,
                samples_below: run.samples.state.end,
                events_below: run.events.state.end,
                after: id,
                how,
            };
            dating::write(&*files.disk, &files.runs[place], &dating)?;
            Ok(dating)
        })?;
        for (place, dating) in earlier.into_iter().chain([(place, own)]) {
            self.runs[place].date(dating);
        }
        self.now = self.now.plus_ms(learnt.shift_ms);
        self.boot = boot;
        tracing::info!(shift_ms = learnt.shift_ms, from = ?learnt.from, "the time is known: what was read is dated");
        self.tell_placed()?;
        self.oldest_gone = true;
        self.write()
    }

    /// Runs were adopted: those of them that do not know the time are dated as if they had been here when this run learnt
    /// it. Until then they wait with all others.
    pub(super) fn date_adopted(&mut self) -> Result<(), OutboxError> {
        if self.is_undated() {
            return Ok(());
        }
        let place = self.runs.len() - 1;
        let Some(opened) = self.life(place).map(|life| life.opened) else { return Ok(()) };
        let datings = self.date_earlier(place, opened, self.boot, Purpose::Kept)?;
        for (place, dating) in datings {
            self.runs[place].date(dating);
        }
        self.tell_placed()
    }

    /// Dates the runs before the one at this place, which opened at a time that is known, on disk and not yet in memory.
    fn date_earlier(
        &mut self,
        place: usize,
        opened: UtcMillis,
        boot: Option<BootAt>,
        purpose: Purpose,
    ) -> Result<Vec<(usize, Dating)>, OutboxError> {
        let is_undated = |run: &Run| matches!(run.time, RunTime::Undated(_));
        if !self.runs.iter().take(place).any(is_undated) {
            return Ok(Vec::new());
        }
        let (places, mut lives): (Vec<usize>, Vec<Life>) =
            (0..place).filter_map(|at| Some((at, self.life(at)?))).unzip();
        lives.push(Life { opened, ended: opened, known: Known::Exactly });
        let found = place::date(&lives, boot, self.bound.max_age());
        let after = self.runs.last().map_or(RunId([0; 16]), |run| run.id);
        let mut datings = Vec::new();
        for (at, (shift_ms, how)) in
            places.into_iter().zip(found).filter_map(|(at, found)| Some((at, found?)))
        {
            let dating = Dating { shift_ms, samples_below: u64::MAX, events_below: u64::MAX, after, how };
            self.in_space(purpose, |files| dating::write(&*files.disk, &files.runs[at], &dating))?;
            tracing::info!(run = %self.runs[at].id, shift_ms, ?how, "a run that did not know the time is dated");
            datings.push((at, dating));
        }
        Ok(datings)
    }

    /// Tells the server of runs that were placed, if nothing says that it was told: before anything of them is sent.
    pub(super) fn tell_placed(&mut self) -> Result<(), OutboxError> {
        let mut told = Vec::new();
        for place in 0..self.runs.len() {
            let run = &self.runs[place];
            let Some(bounds) = run.time.bounds().filter(|_| !run.is_told) else { continue };
            let (earliest, latest, time) = (bounds.earliest, bounds.latest, self.now);
            let record = Record::Dating(lamplighter_protocol::Dating { run: run.id, earliest, latest, time });
            self.put(Log::Events, &record.encode(), time, Drops::Never)?;
            told.push(place);
        }
        if told.is_empty() {
            return Ok(());
        }
        self.sync_reports()?;
        for place in told {
            self.runs[place].told();
        }
        Ok(())
    }

    /// Records of the run at this place as they are sent. None while they may not be.
    pub(super) fn dated(&self, place: usize, chunk: Chunk, limit: ReadLimit) -> Option<Chunk> {
        let run = &self.runs[place];
        let dating = match &run.time {
            RunTime::Known => return Some(chunk),
            RunTime::Dated(_, dating) if run.may_be_sent() => dating,
            RunTime::Dated(..) | RunTime::Undated(_) | RunTime::Unread => return None,
        };
        let log = chunk.place.log;
        let mut records = Vec::with_capacity(chunk.records.len());
        let mut room = limit.bytes;
        for (sequence, record) in (chunk.place.sequence..).zip(&chunk.records) {
            let spans_off = |report: &Dropped| self.spans_off(place, sequence, report);
            let record = dating.date((log, sequence), record, &spans_off);
            // A time may take more bytes than it did.
            let bytes = read::bytes_in_frame(record.len());
            if bytes > room && !records.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            records.push(record);
        }
        Some(Chunk { records, ..chunk })
    }

    /// By how much the times are off that a report in the events of the run at this place gives for what was dropped.
    fn spans_off(&self, place: usize, sequence: u64, report: &Dropped) -> SpansOff {
        let place_of = |id: RunId| self.runs.iter().rposition(|run| run.id == id);
        let is_provisional = |run: usize| match &self.runs[run].time {
            RunTime::Dated(_, dating) => dating.is_provisional(Log::Events, sequence),
            RunTime::Known | RunTime::Undated(_) | RunTime::Unread => false,
        };
        let of = place_of(report.run);
        if of == Some(place) {
            // It was counted by the times that the run had then.
            return match &self.runs[place].time {
                RunTime::Dated(_, dating) => SpansOff::By(dating.shift_of(Log::Events, sequence)),
                RunTime::Known | RunTime::Undated(_) | RunTime::Unread => SpansOff::By(0),
            };
        }
        if !is_provisional(place) {
            // Who knew the time had dated all before it.
            return SpansOff::By(0);
        }
        let Some(of) = of else { return SpansOff::Unknown };
        match &self.runs[of].time {
            RunTime::Known => SpansOff::By(0),
            RunTime::Dated(_, dating) => {
                let was_dated = place_of(dating.after).is_some_and(|after| after < place);
                SpansOff::By(if was_dated { 0 } else { dating.shift_of(report.log, 0) })
            }
            RunTime::Undated(_) | RunTime::Unread => SpansOff::Unknown,
        }
    }

    /// From when to when a run was, by its own times where those are not known.
    fn life(&self, place: usize) -> Option<Life> {
        let run = &self.runs[place];
        let opened = run.opening.map(|opening| opening.opened);
        let last = |log: Log| {
            let (sequence, time) = run.log(log).newest()?;
            Some(run.time.of(log, sequence, time).unwrap_or(time))
        };
        let known = match &run.time {
            RunTime::Dated(_, Dating { how: How::Placed(_), .. }) => Known::Placed,
            RunTime::Known | RunTime::Dated(..) => Known::Exactly,
            RunTime::Undated(undated) => Known::Not(undated.boot),
            RunTime::Unread => return None,
        };
        let opened = match &run.time {
            RunTime::Undated(undated) => Some(undated.opened),
            RunTime::Dated(undated, dating) => Some(undated.opened.plus_ms(dating.shift_ms)),
            RunTime::Known | RunTime::Unread => opened,
        };
        // What is gone by now was there when the next run began.
        let stated = || {
            let next = self.runs.get(place + 1)?;
            let opening = next.opening.filter(|opening| opening.run_before == Some(run.id))?;
            let provisional = match &next.time {
                RunTime::Undated(undated) | RunTime::Dated(undated, _) => undated.before_ended,
                RunTime::Known | RunTime::Unread => None,
            };
            let off_ms = match &run.time {
                RunTime::Dated(_, dating) => dating.shift_ms,
                RunTime::Known | RunTime::Undated(_) | RunTime::Unread => 0,
            };
            opening.ended.max(provisional.map(|ended| ended.plus_ms(off_ms)))
        };
        let ended = last(Log::Samples).max(last(Log::Events)).max(stated());
        let opened = opened.or(ended)?;
        Some(Life { opened, ended: ended.map_or(opened, |ended| ended.max(opened)), known })
    }
}

/// The moment of a boot at which a run opens.
fn boot_time(boot: Boot, monotonic: Duration) -> BootTime {
    let since = boot.at_zero.saturating_add(monotonic);
    BootTime { boot: boot.id, ms: whole_ms(since) }
}
