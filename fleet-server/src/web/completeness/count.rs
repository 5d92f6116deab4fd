//! Counts what became of the ticks of a series. Pure.

use std::collections::BTreeMap;

use lamplighter_protocol::{DropReason, Grid, UtcMillis};

use crate::ingest::{CoursePart, DroppedCounts, Missing, Rejection, SeriesCourse};
use crate::web::missed::Ticks;

/// What became of a series over a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Observations in the store.
    pub(super) observations: u64,
    /// Of these, those that came late; none if nothing says when they were due.
    pub(super) late: Option<u64>,
    pub(super) rejected: BTreeMap<Rejection, u64>,
    pub(super) dropped: DroppedCounts,
    /// None if nothing says how many there should be.
    pub(super) ticks: Option<TickCount>,
}

/// Ticks by what became of them, besides those that are rejected or dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TickCount {
    pub(super) expected: u64,
    pub(super) stored: u64,
    pub(super) lost: u64,
    pub(super) agent_stopped: u64,
    pub(super) not_yet_here: u64,
    pub(super) not_recorded: u64,
    pub(super) unknown: u64,
}

/// Counts while the stored observations go by, in ascending order of time.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    course: &'a SeriesCourse,
    from: UtcMillis,
    to: UtcMillis,
    groups: Vec<Group>,
    group: usize,
    observations: u64,
    stored: u64,
    missing: BTreeMap<Missing, u64>,
    rejected: BTreeMap<Rejection, u64>,
}

/// Ticks of one grid in a row.
#[derive(Debug)]
struct Group {
    ticks: Ticks,
    /// A tick is stored if there is an observation at it or before the next one; for the last one it ends here.
    until: UtcMillis,
    /// The first tick that no observation has passed yet, counted from the first of the group.
    next: u64,
    parts: Vec<CoursePart>,
    /// The first part that may reach past the next tick.
    part: usize,
}

impl<'a> Counter<'a> {
    /// Counts from `from` to before `to`, by the course of that time.
    pub(super) fn new(course: &'a SeriesCourse, from: UtcMillis, to: UtcMillis) -> Self {
        Self {
            groups: groups(&course.parts, from),
            course,
            from,
            to,
            group: 0,
            observations: 0,
            stored: 0,
            missing: BTreeMap::new(),
            rejected: BTreeMap::new(),
        }
    }

    /// Up to when observations say that a tick is stored, itself not in it: past the end of the range if the last tick
    /// may have been read that late.
    pub(super) fn reads_to(&self) -> UtcMillis {
        self.groups.last().map_or(self.to, |group| group.until.max(self.to))
    }

    /// There is an observation at this time.
    pub(super) fn stored(&mut self, time: UtcMillis) {
        if (self.from..self.to).contains(&time) {
            self.observations += 1;
        }
        while self.groups.get(self.group).is_some_and(|group| group.until <= time) {
            self.close_group();
        }
        let Some(group) = self.groups.get_mut(self.group) else { return };
        let Some(tick) = group.ticks.place_of(time) else { return };
        if tick >= group.next {
            let gap = (group.next, tick);
            group.next = tick + 1;
            self.stored += 1;
            self.missing(gap);
        }
    }

    /// All observations have gone by.
    pub(super) fn finish(mut self) -> Count {
        while self.group < self.groups.len() {
            self.close_group();
        }
        if !self.says_when() {
            return self.without_grid();
        }
        let missing = |why| self.missing.get(&why).copied().unwrap_or(0);
        let dropped = |reason| missing(Missing::Dropped(reason));
        let rejected: u64 = self.rejected.values().sum();
        Count {
            observations: self.observations,
            late: Some(self.course.late.count_in(self.from, self.to).min(self.observations)),
            dropped: DroppedCounts {
                bytes: dropped(DropReason::Bytes),
                age: dropped(DropReason::Age),
                damaged: dropped(DropReason::Damaged),
            },
            ticks: Some(TickCount {
                expected: self.stored + rejected + self.missing.values().sum::<u64>(),
                stored: self.stored,
                lost: missing(Missing::Lost),
                agent_stopped: missing(Missing::AgentStopped),
                not_yet_here: missing(Missing::NotYetHere),
                not_recorded: missing(Missing::NotRecorded),
                unknown: missing(Missing::Unknown),
            }),
            rejected: self.rejected,
        }
    }

    /// Whether a grid says of all of the time when observations were due; it does too where none were.
    fn says_when(&self) -> bool {
        let is_undescribed = self.course.parts.is_empty() && self.observations > 0;
        !is_undescribed && self.course.parts.iter().all(|part| part.grid.is_some())
    }

    fn without_grid(self) -> Count {
        let (from, to) = (self.from, self.to);
        let rejected = self.course.rejected.iter().map(|(reason, spans)| (*reason, spans.count_in(from, to)));
        let mut dropped = DroppedCounts::default();
        for part in &self.course.dropped {
            let count = u128::from(part.span.count_in(from, to)) * u128::from(part.gone);
            let count = u64::try_from(count.div_ceil(u128::from(part.records.max(1)))).unwrap_or(u64::MAX);
            let place = match part.reason {
                DropReason::Bytes => &mut dropped.bytes,
                DropReason::Age => &mut dropped.age,
                DropReason::Damaged => &mut dropped.damaged,
            };
            *place = place.saturating_add(count);
        }
        Count {
            observations: self.observations,
            late: None,
            rejected: rejected.filter(|(_, count)| *count > 0).collect(),
            dropped,
            ticks: None,
        }
    }

    fn close_group(&mut self) {
        let Some(group) = self.groups.get_mut(self.group) else { return };
        let gap = (group.next, group.ticks.count());
        group.next = gap.1;
        self.missing(gap);
        self.group += 1;
    }

    /// Nothing is stored of these ticks of the group, of which the second is not one.
    fn missing(&mut self, (first, end): (u64, u64)) {
        let Some(group) = self.groups.get_mut(self.group).filter(|_| first < end) else { return };
        let mut by_reason: BTreeMap<Missing, u64> = BTreeMap::new();
        let mut next = first;
        while let Some(part) = group.parts.get(group.part).filter(|_| next < end) {
            let to = group.ticks.places_before(part.to).min(end);
            if to > next {
                *by_reason.entry(part.missing).or_default() += to - next;
                next = to;
            }
            if next < end {
                group.part += 1;
            }
        }
        let (from, until) = (group.ticks.time(first), group.ticks.time(end).min(group.until));
        for (reason, spans) in &self.course.rejected {
            let mut rejected = spans.count_in(from, until);
            // A rejected observation has arrived: its tick is among those of which nothing else is known.
            for count in by_reason.values_mut() {
                let taken = rejected.min(*count);
                (*count, rejected) = (*count - taken, rejected - taken);
                if taken > 0 {
                    *self.rejected.entry(*reason).or_default() += taken;
                }
            }
        }
        for (why, count) in by_reason {
            *self.missing.entry(why).or_default() += count;
        }
    }
}

/// Parts in a row with one grid are one group, for a tick may be read after the part in which it was due.
fn groups(parts: &[CoursePart], from: UtcMillis) -> Vec<Group> {
    let same = |one: &CoursePart, next: &CoursePart| (one.to, one.grid) == (next.from, next.grid);
    let mut groups: Vec<Group> = Vec::new();
    for parts in parts.chunk_by(same) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { continue };
        if let Some(before) = groups.last_mut() {
            before.until = before.until.min(first.from);
        }
        let ticks = |grid: Grid| Ticks::between(grid, first.from.max(from).plus_ms(-1), last.to);
        let Some(ticks) = first.grid.and_then(ticks) else { continue };
        let until = ticks.time(ticks.count());
        groups.push(Group { ticks, until, next: 0, parts: parts.to_vec(), part: 0 });
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{DroppedSpan, Span};

    const SECOND: Option<Grid> = Some(Grid { period_ms: 1000, phase_ms: 0 });

    fn part(from: i64, to: i64, grid: Option<Grid>, missing: Missing) -> CoursePart {
        CoursePart { from: UtcMillis(from), to: UtcMillis(to), grid, missing }
    }

    fn counted(course: &SeriesCourse, to: i64, stored: &[i64]) -> Count {
        let mut counter = Counter::new(course, UtcMillis(0), UtcMillis(to));
        for time in stored {
            counter.stored(UtcMillis(*time));
        }
        let count = counter.finish();
        if let Some(ticks) = count.ticks {
            let TickCount { expected, stored, lost, agent_stopped, not_yet_here, not_recorded, unknown } =
                ticks;
            let others = count.rejected.values().sum::<u64>() + count.dropped.total();
            let missing = lost + agent_stopped + not_yet_here + not_recorded + unknown;
            assert_eq!(expected, stored + missing + others, "each tick has one verdict");
        }
        count
    }

    #[test]
    fn each_tick_that_is_not_stored_is_missing_for_the_reason_of_its_time() {
        let course = SeriesCourse {
            parts: vec![
                part(0, 3000, SECOND, Missing::NotRecorded),
                part(3000, 5500, SECOND, Missing::Lost),
                part(5500, 8000, SECOND, Missing::AgentStopped),
                part(8000, 10_000, SECOND, Missing::Dropped(DropReason::Age)),
            ],
            ..SeriesCourse::default()
        };
        let count = counted(&course, 10_000, &[0, 1000, 4000, 9000]);
        let ticks = count.ticks.unwrap();
        assert_eq!((ticks.expected, ticks.stored, ticks.not_recorded, ticks.lost), (10, 4, 1, 2));
        assert_eq!((ticks.agent_stopped, count.dropped.age, count.observations), (2, 1, 4));
    }

    #[test]
    fn a_tick_that_was_read_late_is_stored_and_one_that_was_read_twice_counts_once() {
        let course =
            SeriesCourse { parts: vec![part(0, 4000, SECOND, Missing::Lost)], ..SeriesCourse::default() };
        // The last one was read after the end of the range.
        let count = counted(&course, 4000, &[0, 10, 20, 1900, 3000 + 1200]);
        assert_eq!(count.ticks.unwrap().stored, 2);
        let count = counted(&course, 4000, &[0, 1900, 3999]);
        assert_eq!((count.ticks.unwrap().stored, count.ticks.unwrap().lost), (3, 1));
        let later = counted(&course, 3500, &[0, 3600]);
        assert_eq!((later.ticks.unwrap().stored, later.observations), (2, 1));
    }

    #[test]
    fn where_the_period_changes_no_tick_is_taken_for_one_of_the_other_grid() {
        let slow = Some(Grid { period_ms: 10_000, phase_ms: 0 });
        let parts =
            vec![part(0, 13_000, slow, Missing::Lost), part(13_000, 16_000, SECOND, Missing::NotYetHere)];
        let course = SeriesCourse { parts, ..SeriesCourse::default() };
        let ticks = counted(&course, 16_000, &[0, 13_000, 15_000]).ticks.unwrap();
        assert_eq!((ticks.expected, ticks.stored, ticks.lost, ticks.not_yet_here), (5, 3, 1, 1));
    }

    #[test]
    fn a_device_that_is_not_there_misses_nothing() {
        let parts = vec![part(0, 2000, SECOND, Missing::Lost), part(8000, 9000, SECOND, Missing::Lost)];
        let course = SeriesCourse { parts, ..SeriesCourse::default() };
        let ticks = counted(&course, 10_000, &[0, 5000]).ticks.unwrap();
        assert_eq!((ticks.expected, ticks.stored, ticks.lost), (3, 1, 2));
    }

    #[test]
    fn what_is_rejected_is_not_missing_and_what_is_stored_is_not_rejected() {
        let mut course = SeriesCourse {
            parts: vec![part(0, 5000, SECOND, Missing::NotRecorded), part(5000, 6000, SECOND, Missing::Lost)],
            ..SeriesCourse::default()
        };
        let mut spans = crate::ingest::Spans::default();
        for tick in 0..4 {
            spans.insert(UtcMillis(tick * 1000), Some(1000));
        }
        course.rejected = vec![(Rejection::Future, spans.clone()), (Rejection::Type, spans)];
        let count = counted(&course, 6000, &[0, 1000]);
        assert_eq!(count.rejected, BTreeMap::from([(Rejection::Future, 2), (Rejection::Type, 1 + 1)]));
        assert_eq!((count.ticks.unwrap().not_recorded, count.ticks.unwrap().lost), (0, 0));
    }

    #[test]
    fn without_a_grid_what_is_missing_is_unknown_and_what_is_reported_is_counted() {
        let span = Span { first: UtcMillis(0), last: UtcMillis(9000), count: 10 };
        let dropped = DroppedSpan { reason: DropReason::Bytes, span, records: 10, gone: 5 };
        let course = SeriesCourse {
            parts: vec![part(0, 5000, None, Missing::Lost)],
            dropped: vec![dropped],
            ..SeriesCourse::default()
        };
        let count = counted(&course, 8000, &[0, 1000]);
        assert_eq!((count.ticks, count.late, count.observations), (None, None, 2));
        assert_eq!(count.dropped.bytes, 4, "half of those eight came all the same");
        let nothing = counted(&SeriesCourse::default(), 8000, &[0]);
        assert_eq!(nothing.ticks, None, "nothing says when it was due");
        assert_eq!(counted(&SeriesCourse::default(), 8000, &[]).ticks, Some(TickCount::default()));
    }
}
