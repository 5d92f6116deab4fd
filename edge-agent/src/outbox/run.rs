//! What is known of the runs on disk, kept in memory: which segments there are, and where in them records begin.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use lamplighter_protocol::{Log, Opening, Pieces, Position, RunId, UtcMillis};

use super::dating::{Dating, RunTime};
use super::dropping::Drops;
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
    /// What is known of its times (D3).
    pub(super) time: RunTime,
    /// If it was placed: whether the server was told, or is told by what is on disk.
    pub(super) is_told: bool,
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
    /// Sequences whose bytes were read and are not those that were written: no later reading finds their records. Those of
    /// removed segments stay.
    pub(super) damaged: Pieces,
    /// Sequences that a report on disk, or of this run, says were dropped: they are not reported again (D11).
    pub(super) reported: Pieces,
}

/// One segment on disk.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    /// One past the sequence of its last whole record.
    pub(super) end: u64,
    /// Bytes of its file up to the end of its records; its seal is not among them.
    pub(super) bytes: u64,
    /// What its header says; none if that is damaged, and with it every record.
    pub(super) header: Option<(Header, u32)>,
    pub(super) offsets: Offsets,
    /// Some of it could not be read. The next start may be able to: until then it is not freed, whatever the server
    /// holds, because what is in it is not known.
    pub(super) unread: bool,
    /// Time of its last record; none if it has none, or that cannot be read.
    pub(super) newest: Option<UtcMillis>,
    pub(super) drops: Drops,
}

/// Whether it was known before that some of a segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    News,
    KnownBefore,
}

/// A segment: place of its run, its log, the sequence that it begins with. Its place in the log changes when others go.
pub(super) type At = (usize, Log, u64);

impl Run {
    pub(super) fn new(id: RunId, number: u64, directory: PathBuf) -> Self {
        let (samples, events) = (LogIndex::default(), LogIndex::default());
        let (opening, time, is_told, published) = (None, RunTime::Known, false, None);
        Self { id, number, directory, opening, time, is_told, samples, events, published }
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

impl LogIndex {
    /// Bytes of its segments.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The segment that holds this sequence, if one does.
    pub(super) fn segment_of(&self, sequence: u64) -> Option<&Segment> {
        self.segments.get(self.place_of(sequence)?).filter(|segment| sequence < segment.end)
    }

    /// The segment that holds this sequence could not be read: what is in it from there on is not tried again, and
    /// not freed, in this run. Says what the last sequence of it is, and whether that is news.
    pub(super) fn mark_unread(&mut self, sequence: u64) -> Option<(u64, Unread)> {
        let at = self.place_of(sequence)?;
        let segment = self.segments.get_mut(at).filter(|segment| sequence < segment.end)?;
        let known = if segment.unread { Unread::KnownBefore } else { Unread::News };
        segment.unread = true;
        Some((segment.end - 1, known))
    }

    fn place_of(&self, sequence: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= sequence).checked_sub(1)
    }

    /// The time of the newest record that is still on disk, by the time that it was written with, and where its segment begins:
    /// also if that record is damaged by now.
    pub(super) fn newest(&self) -> Option<(u64, UtcMillis)> {
        self.segments.iter().rev().find_map(|segment| Some((segment.first, segment.newest?)))
    }

    /// One more record in the last segment, at this place and offset in it.
    pub(super) fn extend(&mut self, (place, offset): (u32, u64), bytes: u64, time: UtcMillis) {
        let sequence = self.state.end;
        self.state.end += 1;
        self.state.on_disk.insert(sequence, sequence);
        if let Some(segment) = self.segments.back_mut() {
            segment.end = self.state.end;
            segment.bytes += bytes;
            segment.newest = segment.newest.max(Some(time));
            segment.offsets.note(place, usize::try_from(offset).unwrap_or(usize::MAX));
        }
    }

    /// The place of the segment that begins with this sequence.
    pub(super) fn place_of_segment(&self, first: u64) -> Option<usize> {
        self.segments.binary_search_by_key(&first, |segment| segment.first).ok()
    }

    /// Sequences that may be in the segment that begins with this one and that nothing speaks of: the server does not hold them, and
    /// no report says that they were dropped.
    pub(super) fn unspoken_of(&self, first: u64) -> Pieces {
        let mut unspoken_of = Pieces::new();
        let Some(at) = self.place_of_segment(first) else { return unspoken_of };
        let segment = &self.segments[at];
        let next = || self.segments.get(at + 1).map_or(self.state.end, |next| next.first);
        // What a segment holds that cannot be read is known from what follows it.
        let end = if segment.unread { next().max(segment.end) } else { segment.end };
        if let Some(last) = end.checked_sub(1).filter(|last| *last >= segment.first) {
            for (first, last) in self.state.held.missing_in(segment.first, last) {
                for (first, last) in self.reported.missing_in(first, last) {
                    unspoken_of.insert(first, last);
                }
            }
        }
        unspoken_of
    }

    /// Whether this segment was to go with these sequences: what else was owed of it is damaged.
    pub(super) fn was_dropped(&self, segment: &Segment, gone: &Pieces) -> bool {
        let may_go = segment.drops == Drops::Allowed;
        let owed = self.unspoken_of(segment.first);
        let left = owed.ranges().flat_map(|(first, last)| gone.missing_in(first, last)).collect::<Vec<_>>();
        let left_count: u64 = left.iter().map(|(first, last)| last - first + 1).sum();
        let is_damaged = |(first, last): (u64, u64)| self.damaged.contains_all(first, last);
        may_go && left_count < owed.count() && left.into_iter().all(is_damaged)
    }

    /// Proven damage that nothing speaks of.
    pub(super) fn damage_unspoken_of(&self) -> Pieces {
        let mut unspoken_of = Pieces::new();
        for (first, last) in self.damaged.ranges() {
            for (first, last) in self.state.held.missing_in(first, last) {
                for (first, last) in self.reported.missing_in(first, last) {
                    unspoken_of.insert(first, last);
                }
            }
        }
        unspoken_of
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
    /// A segment without records.
    pub(super) fn new(first: u64, bytes: u64, header: Option<(Header, u32)>, drops: Drops) -> Self {
        let offsets = Offsets::default();
        Self { first, end: first, bytes, header, offsets, unread: false, newest: None, drops }
    }

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
