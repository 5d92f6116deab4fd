//! What is known of one log of a run on disk: which segments there are, where in them records begin, what is held, damaged and
//! reported of it.

use std::collections::VecDeque;

use lamplighter_protocol::{Pieces, UtcMillis};

use super::LogState;
use super::dropping::Drops;
use super::segment::{Header, Offsets};

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

/// The least sequence of `first..=last` that is not in the set.
pub(super) fn first_missing(set: &Pieces, first: u64, last: u64) -> Option<u64> {
    set.missing_in(first, last).first().map(|missing| missing.0)
}
