//! What is known of the runs on disk, kept in memory, and what of them goes first.

use std::path::PathBuf;
use std::sync::Arc;

use lamplighter_protocol::{Dropped, Log, Opening, Position, RunId, UtcMillis};

use super::RunState;
use super::dating::{Dating, RunTime};
use super::dropping::Drops;
use super::log_index::{LogIndex, Segment};

/// One run on disk.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    /// Of its directory: a hint for the order of runs.
    pub(super) number: u64,
    pub(super) directory: PathBuf,
    /// None if it is damaged.
    pub(super) opening: Option<Opening>,
    /// What is known of its times (D3).
    pub(super) time: RunTime,
    /// If it was placed: whether the server was told, or is told by what is on disk. If it is to be placed: whether the server
    /// was told, or sent, anything by what dated it before.
    pub(super) is_told: bool,
    /// The newest time of what was dropped of it while its time was not known, by its own clock: it went on until then at least.
    pub(super) dropped_until: Option<UtcMillis>,
    pub(super) samples: LogIndex,
    pub(super) events: LogIndex,
    /// What was last published, while it is still true.
    published: Option<Arc<RunState>>,
}

/// A segment: place of its run, its log, the sequence that it begins with. Its place in the log changes when others go.
pub(super) type At = (usize, Log, u64);

impl Run {
    pub(super) fn new(id: RunId, number: u64, directory: PathBuf) -> Self {
        let (samples, events) = (LogIndex::default(), LogIndex::default());
        let (opening, time, is_told, dropped_until, published) = (None, RunTime::Known, false, None, None);
        Self { id, number, directory, opening, time, is_told, dropped_until, samples, events, published }
    }

    pub(super) fn log(&self, log: Log) -> &LogIndex {
        match log {
            Log::Samples => &self.samples,
            Log::Events => &self.events,
        }
    }

    /// The log, to be changed: what was published of the run is then no longer true.
    pub(super) fn log_mut(&mut self, log: Log) -> &mut LogIndex {
        self.published = None;
        match log {
            Log::Samples => &mut self.samples,
            Log::Events => &mut self.events,
        }
    }

    /// Bytes of its segments.
    pub(super) fn bytes(&self) -> u64 {
        self.samples.bytes() + self.events.bytes()
    }

    /// Whether the server holds all that is on disk of it, its opening included.
    pub(super) fn is_held(&self) -> bool {
        Log::ALL.into_iter().all(|log| {
            let index = self.log(log);
            index.segments.iter().all(|segment| segment.is_held(index))
        })
    }

    pub(super) fn segment_path(&self, log: Log, first: u64) -> PathBuf {
        self.directory.join(segment_name(log, first))
    }

    /// What the server holds of this run is what the position lists, and nothing else (D9).
    pub(super) fn believe(&mut self, position: &Position) {
        let held = position.of(self.id);
        for log in Log::ALL {
            let listed = held.map(|held| &held.log(log).pieces);
            let unchanged = listed
                .map_or(self.log(log).state.held.is_empty(), |listed| *listed == *self.log(log).state.held);
            if !unchanged {
                self.log_mut(log).state.held = Arc::new(listed.cloned().unwrap_or_default());
            }
        }
    }

    /// Where a log ended is not known from a last segment that could not be read. What the server holds was written.
    pub(super) fn end_behind_held(&mut self) {
        for log in Log::ALL {
            if self.log(log).segments.back().is_some_and(|last| last.unread) {
                let state = &mut self.log_mut(log).state;
                state.end = state.end.max(state.held.end());
                state.synced_end = state.end;
            }
        }
    }

    /// This goes of it, or has gone, and is reported. If its time is not known, nobody who knew it reported that.
    pub(super) fn report(&mut self, report: &Dropped) {
        self.log_mut(report.log).reported.union(&report.pieces);
        if matches!(self.time, RunTime::Undated(_)) {
            let last = report.series.iter().map(|series| series.last).max();
            self.dropped_until = self.dropped_until.max(last);
        }
    }

    /// Its times are known from now on.
    pub(super) fn date(&mut self, dating: Dating) {
        if let RunTime::Undated(undated) = self.time {
            self.time = RunTime::Dated(undated, dating);
            self.published = None;
        }
    }

    /// The server is told between which times it was placed, by what is synced.
    pub(super) fn told(&mut self) {
        self.is_told = true;
        self.published = None;
    }

    /// Whether its records have their times, and the server is told what there is to know of them (D3).
    pub(super) fn may_be_sent(&self) -> bool {
        match self.time {
            RunTime::Known => true,
            RunTime::Dated(..) => self.time.bounds().is_none() || self.is_told,
            RunTime::Undated(_) | RunTime::Unread => false,
        }
    }

    /// What is to be published of this run.
    pub(super) fn publish(&mut self) -> Arc<RunState> {
        let (id, may_be_sent) = (self.id, self.may_be_sent());
        let (samples, events) = (&self.samples.state, &self.events.state);
        let state =
            || Arc::new(RunState { run: id, may_be_sent, samples: samples.clone(), events: events.clone() });
        Arc::clone(self.published.get_or_insert_with(state))
    }
}

/// The oldest segment that the server holds whole: its run, log and place in the log. Openings stay (D1), and so do
/// the segments that the current run, the last one, is writing.
pub(super) fn next_to_free(runs: &[Run]) -> Option<At> {
    runs.iter().enumerate().flat_map(|(place, run)| Log::ALL.map(|log| (place, run, log))).find_map(
        |(place, run, log)| {
            let index = run.log(log);
            let written = usize::from(place + 1 == runs.len());
            let closed = index.segments.len().saturating_sub(written);
            let may_go = |one: &Segment| !(log == Log::Events && one.first == 0) && one.is_held(index);
            index.segments.iter().take(closed).find(|one| may_go(one)).map(|one| (place, log, one.first))
        },
    )
}

/// The segment to drop first, if any may be: samples before events, the oldest before all others; of samples only to
/// make room for a sample. The segments that the current run is writing stay.
pub(super) fn next_to_drop(runs: &[Run], to_make_room_for: Log) -> Option<At> {
    let logs = match to_make_room_for {
        Log::Samples => &Log::ALL[..1],
        Log::Events => &Log::ALL[..],
    };
    logs.iter().find_map(|&log| {
        runs.iter().enumerate().find_map(|(place, run)| {
            let index = run.log(log);
            let written = usize::from(place + 1 == runs.len());
            let closed = index.segments.len().saturating_sub(written);
            let found = index.segments.iter().take(closed).find(|one| one.drops == Drops::Allowed)?;
            Some((place, log, found.first))
        })
    })
}

/// Closed segments all of whose records are older than `before`, and of which the server does not hold all.
pub(super) fn aged(runs: &[Run], before: UtcMillis) -> Vec<At> {
    let mut aged = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        for log in Log::ALL {
            let index = run.log(log);
            let written = usize::from(place + 1 == runs.len());
            let closed = index.segments.len().saturating_sub(written);
            // Of a segment that cannot be read the next one tells: it is not older. A time that is not known is no age (D3).
            let time = |segment: &Segment| run.time.of(log, segment.first, segment.newest?);
            let newest = |at: usize| index.segments.iter().skip(at).find_map(time);
            aged.extend(index.segments.iter().take(closed).enumerate().filter_map(|(at, segment)| {
                let old = segment.drops == Drops::Allowed && newest(at).is_some_and(|newest| newest < before);
                (old && !segment.is_held(index)).then_some((place, log, segment.first))
            }));
        }
    }
    aged
}

/// `samples-00000000000000000000.log`
pub(super) fn segment_name(log: Log, first: u64) -> String {
    format!("{}-{first:020}.log", log.as_str())
}

/// What a segment's name says.
pub(super) fn parse_segment_name(name: &str) -> Option<(Log, u64)> {
    let (log, first) = name.strip_suffix(".log")?.split_once('-')?;
    let log = Log::ALL.into_iter().find(|one| one.as_str() == log)?;
    Some((log, first.parse().ok()?)).filter(|(log, first)| segment_name(*log, *first) == name)
}

/// `00000000-0123456789abcdef0123456789abcdef`
pub(super) fn run_name(number: u64, run: RunId) -> String {
    format!("{number:08}-{run}")
}

/// What the name of a run's directory says.
pub(super) fn parse_run_name(name: &str) -> Option<(u64, RunId)> {
    let (number, run) = name.split_once('-')?;
    let parsed = (number.parse().ok()?, run.parse().ok()?);
    Some(parsed).filter(|(number, run)| run_name(*number, *run) == name)
}
