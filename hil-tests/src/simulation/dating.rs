//! What the reference knows of runs that did not know the time (D3): by how much their records were off, what they may be
//! dated with, and what they were.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{Dating, Dropped, Log, Reason, RunId, SeriesName, UtcMillis};

use super::model::{FUTURE_MS, Known, Model, Said, State};
use super::world::wall;

/// A run that began without knowing the time.
#[derive(Debug)]
pub(super) struct UndatedRun {
    /// Whose, by its place in the world.
    pub(super) post: usize,
    /// By how much its provisional times are ahead of the true time.
    pub(super) off_ms: i64,
    boot: [u8; 16],
    /// It learnt the time itself, and its outbox said that this is on disk.
    is_dated: bool,
    /// What was seen to be added to its times, and whether that was learnt: a copy may be placed where another one learns that
    /// it was.
    pub(super) shifts: BTreeSet<(i64, Exact)>,
    /// The earliest and the latest of its times that the server was told.
    times: Option<(UtcMillis, UtcMillis)>,
    /// What the server was told of when it was.
    pub(super) told: Vec<Dating>,
}

/// Whether the time of a run was learnt, or chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exact {
    Learnt,
    Placed,
}

/// How often a run is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copies {
    One,
    Several,
}

/// What a server ingested that tells of times.
#[derive(Clone, Debug)]
pub(super) enum TimeSeen {
    Tick(RunId, u64, UtcMillis),
    Dropped(Dropped),
    Dating(Dating),
}

impl TimeSeen {
    /// The run that it tells of.
    pub(super) fn run(&self) -> RunId {
        match self {
            Self::Tick(run, ..) => *run,
            Self::Dropped(dropped) => dropped.run,
            Self::Dating(dating) => dating.run,
        }
    }
}

impl Model {
    /// A run began that does not know the time.
    pub(super) fn opened_undated(&mut self, run: RunId, post: usize, off_ms: i64, boot: [u8; 16]) {
        let (is_dated, shifts, times, told) = (false, BTreeSet::new(), None, Vec::new());
        self.undated.insert(run, UndatedRun { post, off_ms, boot, is_dated, shifts, times, told });
    }

    /// In this boot somebody was told a time that is so much ahead of the true time.
    pub(super) fn boot_learnt(&mut self, boot: [u8; 16], ahead_ms: i64) {
        self.learnt.entry(boot).or_default().insert(ahead_ms);
    }

    /// A run has learnt the time, for good.
    pub(super) fn dated(&mut self, run: RunId) {
        if let Some(undated) = self.undated.get_mut(&run) {
            undated.is_dated = true;
        }
    }

    /// The server has read a time: it is the one time that the record has.
    pub(super) fn time_seen(&mut self, seen: &TimeSeen, copies: Copies) -> Result<(), String> {
        match seen {
            TimeSeen::Tick(run, sequence, time) => {
                let Some(known) = self.records.get(&(*run, Log::Samples, *sequence)) else { return Ok(()) };
                let first = known.observed.first().filter(|_| known.is_provisional);
                let Some(shift_ms) = first.map(|one| time.since_ms(one.time)) else { return Ok(()) };
                self.timed(*run, *time, *time);
                self.shifted(*run, shift_ms, copies)
            }
            TimeSeen::Dropped(dropped) => self.dropped_seen(dropped, copies),
            TimeSeen::Dating(dating) => {
                let Some(undated) = self.undated.get_mut(&dating.run) else {
                    // A start whose disk failed after it had begun its run is not in the model.
                    let began = self.records.contains_key(&(dating.run, Log::Events, 0));
                    let problem = format!("run {} knew the time, and was placed", dating.run);
                    return if began { Err(problem) } else { Ok(()) };
                };
                let same = |told: &Dating| (told.earliest, told.latest) == (dating.earliest, dating.latest);
                if copies == Copies::One && undated.told.iter().any(|told| !same(told)) {
                    return Err(format!(
                        "run {} was placed twice: {:?}, {dating:?}",
                        dating.run, undated.told
                    ));
                }
                undated.told.push(*dating);
                Ok(())
            }
        }
    }

    /// Of what was dropped all times are told as well: of each series from when to when it was.
    fn dropped_seen(&mut self, dropped: &Dropped, copies: Copies) -> Result<(), String> {
        let mut spans: BTreeMap<&SeriesName, (u64, UtcMillis, UtcMillis)> = BTreeMap::new();
        let mut provisional = BTreeSet::new();
        for (first, last) in dropped.pieces.ranges() {
            let range = (dropped.run, dropped.log, first)..=(dropped.run, dropped.log, last);
            for (_, known) in self.records.range(range) {
                provisional.insert(known.is_provisional);
                for one in &known.observed {
                    let span = spans.entry(&one.series.name).or_insert((0, one.time, one.time));
                    *span = (span.0 + 1, span.1.min(one.time), span.2.max(one.time));
                }
            }
        }
        let mut shifts = BTreeSet::new();
        for told in &dropped.series {
            let Some((_, first, last)) = spans.get(&told.series).filter(|span| span.0 == told.count) else {
                // Some of it was damaged.
                return Ok(());
            };
            shifts.extend([told.first.since_ms(*first), told.last.since_ms(*last)]);
        }
        match (provisional.first(), provisional.len(), shifts.first()) {
            (Some(true), 1, Some(&shift_ms)) if shifts.len() == 1 => {
                for told in &dropped.series {
                    self.timed(dropped.run, told.first, told.last);
                }
                self.shifted(dropped.run, shift_ms, copies)
            }
            (Some(false), 1, Some(0)) if shifts.len() == 1 => Ok(()),
            // In part from before the time was known.
            (Some(_), 2, _) | (_, _, None) => Ok(()),
            (..) => Err(format!("a report of run {} is off by {shifts:?}: {dropped:?}", dropped.run)),
        }
    }

    /// Something of a run was from then to then.
    fn timed(&mut self, run: RunId, first: UtcMillis, last: UtcMillis) {
        if let Some(undated) = self.undated.get_mut(&run) {
            let (earliest, latest) = undated.times.unwrap_or((first, last));
            undated.times = Some((earliest.min(first), latest.max(last)));
        }
    }

    /// So much was added to the times of a run.
    fn shifted(&mut self, run: RunId, shift_ms: i64, copies: Copies) -> Result<(), String> {
        let Some(undated) = self.undated.get_mut(&run) else { return Ok(()) };
        let ahead_ms = shift_ms + undated.off_ms;
        let learnt = self.learnt.get(&undated.boot).is_some_and(|learnt| learnt.contains(&ahead_ms));
        let exact = if learnt { Exact::Learnt } else { Exact::Placed };
        let is_same =
            |(shift, seen): &(i64, Exact)| *shift == shift_ms && (*seen == exact || copies == Copies::One);
        if undated.shifts.iter().any(is_same) {
            return Ok(());
        }
        if copies == Copies::One && !undated.shifts.is_empty() {
            return Err(format!("run {run} was dated twice: by {:?} and {shift_ms}", undated.shifts));
        }
        if copies == Copies::One && undated.is_dated && !learnt {
            return Err(format!("run {run} learnt the time and is {ahead_ms} ms off"));
        }
        undated.shifts.insert((shift_ms, exact));
        let keys = (run, Log::Samples, 0)..=(run, Log::Events, u64::MAX);
        let keys: Vec<_> = self.records.range(keys).map(|(key, _)| *key).collect();
        for key in keys {
            self.may_say_shifted(&key, shift_ms, exact);
        }
        Ok(())
    }

    /// What a record with provisional times says once it is dated.
    pub(super) fn may_say_shifted(&mut self, key: &super::model::RecordKey, shift_ms: i64, exact: Exact) {
        let Some(known) = self.records.get_mut(key).filter(|known| known.is_provisional) else { return };
        let observed = known.observed.clone();
        let ahead = |time: UtcMillis| time.plus_ms(shift_ms).since_ms(wall(known.true_ms));
        known.may_be_rejected |= observed.iter().any(|one| ahead(one.time) > FUTURE_MS);
        for one in &observed {
            let said = exact.said(one.said);
            self.say(&one.series, one.time.plus_ms(shift_ms), said);
        }
    }

    /// Everything that was placed lies within the bounds that were told, and, if no clock was wrong, in truth as well.
    /// `jumped` says of which lampposts the clocks ever were; of `uncertain` runs nothing is certain.
    pub(super) fn check_bounds(&self, jumped: &[bool], uncertain: &BTreeSet<RunId>) -> Result<(), String> {
        for (run, undated) in self.undated.iter().filter(|(run, _)| !uncertain.contains(run)) {
            let is_placed = undated.shifts.iter().any(|(_, exact)| *exact == Exact::Placed);
            let [dating] = &undated.told[..undated.told.len().min(1)] else { continue };
            if !is_placed {
                continue;
            }
            let is_true = !jumped.get(undated.post).copied().unwrap_or(true);
            let (earliest, latest) = (dating.earliest.unwrap_or(UtcMillis(i64::MIN)), dating.latest);
            let lies = |time: UtcMillis| {
                // So far off may be a time that the server told.
                time.plus_ms(2_000) >= earliest && time.plus_ms(-2_000) <= latest
            };
            // Of what had to go while there was no room to date it no times are told.
            let times = undated.times.into_iter().flat_map(|(first, last)| [first, last]);
            if let Some(time) = times.into_iter().find(|time| *time > latest || (is_true && !lies(*time))) {
                return Err(format!("something of run {run} is placed at {time:?}, outside of {dating:?}"));
            }
            let keys = (*run, Log::Samples, 0)..=(*run, Log::Events, u64::MAX);
            // What was never read was not known to be of the run.
            let read = |known: &Known| known.is_provisional && known.state == State::Read;
            let mut read = self.records.range(keys).filter(|(_, known)| read(known));
            if let Some((key, known)) = read.find(|(_, known)| is_true && !lies(wall(known.true_ms))) {
                let true_time = wall(known.true_ms);
                return Err(format!("{key:?} was read at {true_time:?}, outside of {dating:?}"));
            }
        }
        Ok(())
    }
}

impl Exact {
    /// What is said by a run that was dated so.
    pub(super) fn said(self, said: Said) -> Said {
        if self == Self::Placed && said.reason == Reason::GOOD {
            return Said { reason: Reason::CLOCK_UNSURE, ..said };
        }
        said
    }
}
