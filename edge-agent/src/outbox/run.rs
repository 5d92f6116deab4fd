//! What is known of the runs on disk, kept in memory: which segments there are, and where in them records begin.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use lamplighter_protocol::{Log, Opening, Pieces, Position, RunId};

use super::segment::{Header, Offsets};
use super::{LogState, RunState};

/// One run on disk.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    /// Of its directory: a hint for the order of runs.
    pub(super) number: u64,
    pub(super) directory: PathBuf,
    /// None if it is damaged.
    pub(super) opening: Option<Opening>,
    pub(super) samples: LogIndex,
    pub(super) events: LogIndex,
    /// What was last published, while it is still true.
    published: Option<Arc<RunState>>,
}

/// One log of a run on disk.
#[derive(Debug, Default)]
pub(super) struct LogIndex {
    /// Ascending by first sequence.
    pub(super) segments: VecDeque<Segment>,
    pub(super) state: LogState,
    /// Sequences in these segments whose bytes were read and are not those that were written: no later reading finds
    /// their records.
    pub(super) damaged: Pieces,
}

/// One segment on disk.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    /// One past the sequence of its last whole record.
    pub(super) end: u64,
    /// Bytes of its file.
    pub(super) bytes: u64,
    /// What its header says; none if that is damaged, and with it every record.
    pub(super) header: Option<(Header, u32)>,
    pub(super) offsets: Offsets,
    /// Some of it could not be read. The next start may be able to: until then it is not freed, whatever the server
    /// holds, because what is in it is not known.
    pub(super) unread: bool,
}

impl Run {
    pub(super) fn new(id: RunId, number: u64, directory: PathBuf) -> Self {
        let (samples, events) = (LogIndex::default(), LogIndex::default());
        Self { id, number, directory, opening: None, samples, events, published: None }
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

    /// What is to be published of this run.
    pub(super) fn publish(&mut self) -> Arc<RunState> {
        let (id, samples, events) = (self.id, &self.samples.state, &self.events.state);
        let state = || Arc::new(RunState { run: id, samples: samples.clone(), events: events.clone() });
        Arc::clone(self.published.get_or_insert_with(state))
    }
}

impl LogIndex {
    /// Bytes of its files.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The segment that holds this sequence, if one does.
    pub(super) fn segment_of(&self, sequence: u64) -> Option<&Segment> {
        self.segments.get(self.place_of(sequence)?).filter(|segment| sequence < segment.end)
    }

    /// The segment that holds this sequence could not be read: what is in it from there on is not tried again, and
    /// not freed, in this run. Says what the last sequence of it is.
    pub(super) fn mark_unread(&mut self, sequence: u64) -> Option<u64> {
        let at = self.place_of(sequence)?;
        let segment = self.segments.get_mut(at).filter(|segment| sequence < segment.end)?;
        segment.unread = true;
        Some(segment.end - 1)
    }

    fn place_of(&self, sequence: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= sequence).checked_sub(1)
    }

    /// One more record in the last segment, at this place and offset in it.
    pub(super) fn extend(&mut self, place: u32, offset: u64, bytes: u64) {
        let sequence = self.state.end;
        self.state.end += 1;
        self.state.on_disk.insert(sequence, sequence);
        if let Some(segment) = self.segments.back_mut() {
            segment.end = self.state.end;
            segment.bytes += bytes;
            segment.offsets.note(place, usize::try_from(offset).unwrap_or(usize::MAX));
        }
    }

    /// Whether there is a segment of which not even the header could be read.
    pub(super) fn has_unread_header(&self) -> bool {
        self.segments.iter().any(|segment| segment.unread && segment.header.is_none())
    }

    /// The first sequence on disk that the server does not hold.
    pub(super) fn first_owed(&self) -> Option<u64> {
        self.state.on_disk.ranges().find_map(|(first, last)| first_missing(&self.state.held, first, last))
    }
}

impl Segment {
    /// Whether the server holds every record that this segment ever held and that is not proven damaged. What cannot
    /// be read at the moment counts: it may be readable after a restart.
    pub(super) fn is_held(&self, log: &LogIndex) -> bool {
        if self.unread {
            return false;
        }
        let Some(last) = self.end.checked_sub(1).filter(|last| *last >= self.first) else { return true };
        let missing = log.state.held.missing_in(self.first, last);
        missing.into_iter().all(|(first, last)| log.damaged.contains_all(first, last))
    }
}

/// The oldest segment that the server holds whole: its run, log and place in the log. Openings stay (D1), and so do
/// the segments that the current run, the last one, is writing.
pub(super) fn next_to_free(runs: &[Run]) -> Option<(usize, Log, usize)> {
    runs.iter().enumerate().flat_map(|(place, run)| Log::ALL.map(|log| (place, run, log))).find_map(
        |(place, run, log)| {
            let index = run.log(log);
            let written = usize::from(place + 1 == runs.len());
            let closed = index.segments.len().saturating_sub(written);
            let may_go = |one: &Segment| !(log == Log::Events && one.first == 0) && one.is_held(index);
            index.segments.iter().take(closed).position(may_go).map(|at| (place, log, at))
        },
    )
}

/// The least sequence of `first..=last` that is not in the set.
pub(super) fn first_missing(set: &Pieces, first: u64, last: u64) -> Option<u64> {
    set.missing_in(first, last).first().map(|missing| missing.0)
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
