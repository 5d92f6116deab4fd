//! The account of one run: how much of it is owed, and what of it was dropped.

use std::collections::BTreeMap;

use lamplighter_protocol::{Digest, DropReason, Dropped, Log, Pieces, RunId, SeriesName, UtcMillis};

use super::described::{Described, Times};
use super::divide::divide;
use super::span::Span;
use super::{LogCounts, RecordVerdict};

/// What is known of a run, besides what is held of it.
#[derive(Clone, Debug, Default)]
pub(in crate::ingest) struct RunAccount {
    /// The journal's sequence of the last entry that told of it.
    pub(in crate::ingest) touched: u64,
    /// Whether anything of it is held.
    pub(in crate::ingest) is_held: bool,
    pub(in crate::ingest) opening: Option<RunOpening>,
    /// It never learnt the time: this is what its lamppost knows of when it was (D3).
    pub(in crate::ingest) placed: Option<PlacedBetween>,
    pub(in crate::ingest) samples: LogAccount,
    pub(in crate::ingest) events: LogAccount,
    /// Its samples that are held.
    pub(in crate::ingest) described: Described,
}

/// How a run began (D1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct RunOpening {
    /// The run before.
    pub(in crate::ingest) before: Option<RunId>,
    /// Where the logs of the run before ended on disk.
    pub(in crate::ingest) ends: Ends,
    /// When the run before is last known to have been alive.
    pub(in crate::ingest) ended: Option<UtcMillis>,
    pub(in crate::ingest) opened: UtcMillis,
    /// What the opening is written in.
    pub(in crate::ingest) description: Digest,
    /// When the server received it.
    pub(in crate::ingest) received: UtcMillis,
}

/// Between which times a run lies that never learnt the time (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedBetween {
    /// It was not before this; none: nothing is known of that.
    pub earliest: Option<UtcMillis>,
    /// It was not after this.
    pub latest: UtcMillis,
}

impl PlacedBetween {
    /// What is certain if both are said: it should be the same, and the order of arrival does not show.
    pub(super) fn or_else(self, other: Self) -> Self {
        let earliest = self.earliest.zip(other.earliest).map(|(one, other)| one.min(other));
        Self { earliest, latest: self.latest.max(other.latest) }
    }
}

/// Ends of both logs of a run: one past the last sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Ends {
    pub(in crate::ingest) samples: u64,
    pub(in crate::ingest) events: u64,
}

/// When a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It was last alive at this time, as the opening after it states.
    Stated(UtcMillis),
    /// That opening could not tell: this is the newest time that is known of it, and it may have gone on.
    NotBefore(UtcMillis),
}

#[derive(Clone, Debug, Default)]
pub(in crate::ingest) struct LogAccount {
    /// One past the greatest sequence that an opening, a report or a hello has named.
    pub(in crate::ingest) stated: u64,
    pub(in crate::ingest) dropped: BTreeMap<DropReason, DroppedPart>,
}

/// What of a log was dropped for one reason.
#[derive(Clone, Debug, Default)]
pub(in crate::ingest) struct DroppedPart {
    pub(in crate::ingest) pieces: Pieces,
    /// What was in them, as far as they could be read.
    series: BTreeMap<SeriesName, Span>,
    /// From when to when all of that is: openings ask for it, as many as there are.
    times: Option<Times>,
}

/// What a part takes of the room that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) pieces: usize,
    pub(super) series: usize,
}

impl RunAccount {
    /// The newest time that is known of it: of what is held, of what was dropped, or of its opening.
    pub(super) fn newest(&self) -> Option<UtcMillis> {
        let opened = self.opening.as_ref().map(|opening| opening.opened);
        let dropped = self.logs().into_iter().flat_map(|log| log.dropped.values());
        let dropped = dropped.filter_map(|part| part.times).map(|times| times.last).max();
        opened.max(self.described.last_time()).max(dropped)
    }

    pub(in crate::ingest) fn log(&self, log: Log) -> &LogAccount {
        match log {
            Log::Samples => &self.samples,
            Log::Events => &self.events,
        }
    }

    pub(super) fn log_mut(&mut self, log: Log) -> &mut LogAccount {
        match log {
            Log::Samples => &mut self.samples,
            Log::Events => &mut self.events,
        }
    }

    pub(super) fn logs(&self) -> [&LogAccount; 2] {
        [&self.samples, &self.events]
    }
}

impl RunEnd {
    /// The time, be it exact or not.
    pub fn time(self) -> UtcMillis {
        match self {
            Self::Stated(time) | Self::NotBefore(time) => time,
        }
    }

    /// Whether an opening states it; else the run may have gone on.
    pub fn is_stated(self) -> bool {
        match self {
            Self::Stated(_) => true,
            Self::NotBefore(_) => false,
        }
    }
}

impl LogAccount {
    /// Somebody says that the log goes up to here.
    pub(super) fn state(&mut self, end: u64) {
        self.stated = self.stated.max(end);
    }

    /// Tells of each part of `first..=last` what became of it.
    pub(in crate::ingest) fn divide(
        &self,
        held: &Pieces,
        claimed: &Pieces,
        (first, last): (u64, u64),
        each: &mut dyn FnMut(u64, u64, RecordVerdict),
    ) {
        let mut levels = vec![(held, RecordVerdict::Held)];
        let dropped = self.dropped.iter();
        levels.extend(dropped.map(|(reason, part)| (&part.pieces, RecordVerdict::Dropped(*reason))));
        levels.push((claimed, RecordVerdict::NotYetHere));
        divide(&levels, first, last, each);
    }

    /// How much of the log has which verdict.
    pub(super) fn counts(&self, held: &Pieces, claimed: &Pieces) -> LogCounts {
        let owed = self.stated.max(held.end());
        let mut counts = LogCounts { owed, ..LogCounts::default() };
        if let Some(last) = owed.checked_sub(1) {
            self.divide(held, claimed, (0, last), &mut |first, last, verdict| {
                counts.add(verdict, (last - first).saturating_add(1));
            });
        }
        counts
    }
}

impl DroppedPart {
    /// Of these nothing is known but that they were dropped.
    pub(super) fn of(pieces: Pieces) -> Self {
        Self { pieces, ..Self::default() }
    }

    pub(super) fn take(&mut self, dropped: &Dropped) {
        self.pieces.union(&dropped.pieces);
        for series in &dropped.series {
            let span = Span { first: series.first, last: series.last, count: series.count };
            self.add(series.series.clone(), span);
        }
    }

    /// Notes what was in it of a series.
    pub(super) fn add(&mut self, series: SeriesName, span: Span) {
        let times = Times { first: span.first, last: span.last };
        self.times = Some(self.times.map_or(times, |known| known.union(times)));
        self.series.entry(series).and_modify(|known| known.blur(span)).or_insert(span);
    }

    /// What was in it, as far as it could be read.
    pub(super) fn series(&self) -> impl Iterator<Item = (&SeriesName, Span)> {
        self.series.iter().map(|(series, span)| (series, *span))
    }

    /// From when to when that is; none if nothing could be read.
    pub(super) fn times(&self) -> Option<Times> {
        self.times
    }

    /// How many of them did not come all the same.
    pub(super) fn gone(&self, held: &Pieces) -> u64 {
        let gone = self.pieces.ranges().flat_map(|(first, last)| held.missing_in(first, last));
        gone.map(|(first, last)| (last - first).saturating_add(1)).fold(0, u64::saturating_add)
    }

    pub(super) fn size(&self) -> Size {
        Size { pieces: self.pieces.ranges().len(), series: self.series.len() }
    }
}
