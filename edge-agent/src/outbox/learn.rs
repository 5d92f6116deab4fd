//! When the outbox learns what time it is, and what was (D3).

use std::time::Duration;

use lamplighter_protocol::{Dropped, Log, Record, RunId, UtcMillis, whole_ms};

use super::dating::{self, BootTime, Dating, How, RunTime, SpansOff, Undated};
use super::error::OutboxError;
use super::files::Files;
use super::place::{self, BootAt, Boots, Known, Life};
use super::plan::no_hurry;
use super::room::Purpose;
use super::run::Run;
use super::{Beginning, Chunk, ReadLimit, opening, read};
use crate::clock::{Boot, ClockTrust, Learnt, LearntFrom};

impl Files {
    /// What is known of the time of a run that opens now. If it knows the time, those before it are to be dated: the one
    /// before it at once, the others in steps once it has begun.
    pub(super) fn time_of_opening(&mut self, beginning: Beginning) -> Result<RunTime, OutboxError> {
        let (opened, monotonic) = (beginning.now.wall, beginning.now.monotonic);
        let boot = beginning.boot.map(|boot| boot_time(boot, monotonic));
        if beginning.now.trust == ClockTrust::Unknown {
            let before = self.runs.last().filter(|run| matches!(run.time, RunTime::Undated(_)));
            let before = before.map(|_| self.runs.len() - 1);
            let before_ended = before.and_then(|before| self.life(before)).map(|life| life.ended);
            return Ok(RunTime::Undated(Undated { opened, before_ended, boot }));
        }
        let boot = boot.map(|at| BootAt::of(at, opened, beginning.now.trust));
        self.boot = boot;
        self.plan_earlier(self.runs.len(), opened, Known::trusted(beginning.now.trust));
        self.date_run_before()?;
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

    /// The time is learnt: this run is dated, on disk when this returns, and those before it that never learnt it are to be
    /// dated in steps. What is appended from then on has the time that was learnt.
    pub(super) fn date(&mut self, learnt: Learnt) -> Result<(), OutboxError> {
        let (id, place) = (self.current().id, self.runs.len() - 1);
        let RunTime::Undated(undated) = self.current().time else { return Ok(()) };
        self.write()?;
        let opened = undated.opened.plus_ms(learnt.shift_ms);
        let how = match learnt.from {
            LearntFrom::OwnClock => How::OwnClock,
            LearntFrom::Server => How::Server,
            LearntFrom::SlowServer => How::SlowServer,
        };
        let boot = undated.boot.map(|at| BootAt::of(at, opened, how.trust()));
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
        self.runs[place].date(own);
        self.now = self.now.plus_ms(learnt.shift_ms);
        self.boot = boot;
        tracing::info!(shift_ms = learnt.shift_ms, from = ?learnt.from, "the time is known: what was read is dated");
        self.plan_earlier(place, opened, Known::trusted(how.trust()));
        self.oldest_gone = true;
        self.write()
    }

    /// Runs were adopted: those of them that do not know the time are to be dated as if they had been here when this run
    /// learnt it. Until then they wait with all others.
    pub(super) fn date_adopted(&mut self) -> Result<(), OutboxError> {
        if self.is_undated() {
            return Ok(());
        }
        let place = self.runs.len() - 1;
        let Some(Life { opened, known, .. }) = self.life(place) else { return Ok(()) };
        self.plan_earlier(place, opened, known);
        self.step_plan(&no_hurry)
    }

    /// Finds out when the runs were that come before the one at this place, which opened at a time that is so well known,
    /// and plans to date them so.
    fn plan_earlier(&mut self, place: usize, opened: UtcMillis, known: Known) {
        let is_undated = |run: &Run| matches!(run.time, RunTime::Undated(_));
        let mut datings = Vec::new();
        if self.runs.iter().take(place).any(is_undated) {
            let lives = (0..place).filter_map(|at| Some((at, self.life(at)?)));
            let (places, mut lives): (Vec<usize>, Vec<Life>) = lives.unzip();
            lives.push(Life { opened, ended: opened, known });
            let found = place::date(&lives, &self.boots(place), self.bound.max_age());
            let after = self.runs.last().map_or(RunId([0; 16]), |run| run.id);
            for (at, found) in places.into_iter().zip(found) {
                let Some((shift_ms, how)) = found else { continue };
                let (samples_below, events_below) = (u64::MAX, u64::MAX);
                datings
                    .push((self.runs[at].id, Dating { shift_ms, samples_below, events_below, after, how }));
            }
        }
        self.plan.replace(datings);
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

    /// When the boots were of which a run before this place learnt the time, and the present one; each as exactly as any of
    /// them says it.
    fn boots(&self, place: usize) -> Boots {
        let dated = self.runs.iter().take(place).filter_map(|run| match &run.time {
            RunTime::Dated(undated, dating) if run.time.bounds().is_none() => {
                let opened = undated.opened.plus_ms(dating.shift_ms);
                Some(BootAt::of(undated.boot?, opened, dating.how.trust()))
            }
            RunTime::Dated(..) | RunTime::Known | RunTime::Undated(_) | RunTime::Unread => None,
        });
        let mut boots = Boots::new();
        for at in dated.chain(self.boot) {
            let known = boots.entry(at.boot).or_insert(at);
            if known.trust != ClockTrust::Sure {
                *known = at;
            }
        }
        boots
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
            RunTime::Dated(_, dating) => Known::trusted(dating.how.trust()),
            RunTime::Known => Known::Exactly,
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
        let dropped = run.dropped_until.map(|until| match &run.time {
            RunTime::Dated(_, dating) => until.plus_ms(dating.shift_ms),
            RunTime::Known | RunTime::Undated(_) | RunTime::Unread => until,
        });
        let ended = last(Log::Samples).max(last(Log::Events)).max(stated()).max(dropped);
        let opened = opened.or(ended)?;
        Some(Life { opened, ended: ended.map_or(opened, |ended| ended.max(opened)), known })
    }
}

/// The moment of a boot at which a run opens.
fn boot_time(boot: Boot, monotonic: Duration) -> BootTime {
    let since = boot.at_zero.saturating_add(monotonic);
    BootTime { boot: boot.id, ms: whole_ms(since) }
}
