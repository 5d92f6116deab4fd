//! A block: up to [`CAPACITY`] observations of one series that lie together in time, as three arrays.

use lamplighter_protocol::{Reason, UtcMillis};

use super::merge::Candidate;
use super::{Merge, Point};

/// Most observations of a block. Large enough that the block's own 80 bytes do not show, small enough that an insert
/// in its middle moves a few kilobytes at most.
pub(super) const CAPACITY: usize = 512;

/// Observations in strictly ascending order of time; never empty.
#[derive(Debug)]
pub(super) struct Block {
    /// Time of the first observation, ms UTC.
    first: i64,
    /// Milliseconds after `first`: a block spans 49 days at most.
    offsets: Vec<u32>,
    /// In the unit; NaN where there is no value, which no stored value is.
    values: Vec<f64>,
    reasons: Vec<Reason>,
}

/// Whether a block took an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Added,
    Merged(Merge),
    /// It is full, or too far away in time for the observation.
    Refused,
}

impl Block {
    pub(super) fn of(point: Point) -> Self {
        let mut block =
            Self { first: point.time.0, offsets: Vec::new(), values: Vec::new(), reasons: Vec::new() };
        block.place(0, 0, point);
        block
    }

    /// A block of these arrays, if they are those of one.
    pub(super) fn restored(
        first: UtcMillis,
        offsets: Vec<u32>,
        values: Vec<f64>,
        reasons: Vec<Reason>,
    ) -> Option<Self> {
        let is_one = (1..=CAPACITY).contains(&offsets.len())
            && (values.len(), reasons.len()) == (offsets.len(), offsets.len())
            && offsets.first() == Some(&0)
            && offsets.is_sorted_by(|one, next| one < next)
            && first.0.checked_add(i64::from(*offsets.last()?)).is_some()
            && values.iter().all(|value| !value.is_infinite());
        let mut block = Self { first: first.0, offsets, values, reasons };
        block.shrink();
        is_one.then_some(block)
    }

    /// Milliseconds after the first, values (NaN for none) and reasons.
    pub(super) fn arrays(&self) -> (&[u32], &[f64], &[Reason]) {
        (&self.offsets, &self.values, &self.reasons)
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn first(&self) -> UtcMillis {
        UtcMillis(self.first)
    }

    pub(super) fn last(&self) -> UtcMillis {
        self.time(self.len() - 1)
    }

    pub(super) fn time(&self, place: usize) -> UtcMillis {
        UtcMillis(self.first + i64::from(self.offsets[place]))
    }

    pub(super) fn times(&self) -> impl Iterator<Item = UtcMillis> {
        self.offsets.iter().map(|offset| UtcMillis(self.first + i64::from(*offset)))
    }

    pub(super) fn point(&self, place: usize) -> Point {
        let value = Some(self.values[place]).filter(|value| !value.is_nan());
        Point { time: self.time(place), value, reason: self.reasons[place] }
    }

    /// Place of the first observation that is not before `time`.
    pub(super) fn place_of(&self, time: UtcMillis) -> usize {
        match time.0.checked_sub(self.first) {
            Some(offset) => self.offsets.partition_point(|&one| i64::from(one) < offset),
            None if time.0 < self.first => 0,
            None => self.len(),
        }
    }

    /// Adds or merges an observation, where its time belongs.
    pub(super) fn insert(&mut self, point: Point) -> Fit {
        // Nearly all observations are newer than all before.
        let newest = self.last() < point.time;
        let place = if newest { self.len() } else { self.place_of(point.time) };
        if place < self.len() && self.time(place) == point.time {
            return Fit::Merged(self.merge(place, point));
        }
        if self.len() >= CAPACITY || !self.move_first_to(point.time) {
            return Fit::Refused;
        }
        let offset = point.time.0.checked_sub(self.first).and_then(|offset| u32::try_from(offset).ok());
        offset.map_or(Fit::Refused, |offset| {
            self.place(place, offset, point);
            Fit::Added
        })
    }

    /// Gives the later half away.
    pub(super) fn split(&mut self) -> Self {
        let half = self.len() / 2;
        let first = self.time(half);
        let delta = self.offsets[half];
        let mut later = Self {
            first: first.0,
            offsets: self.offsets.split_off(half),
            values: self.values.split_off(half),
            reasons: self.reasons.split_off(half),
        };
        for offset in &mut later.offsets {
            *offset -= delta;
        }
        self.shrink();
        later
    }

    /// Drops the observations before `place`, of which at least one stays.
    pub(super) fn drop_before(&mut self, place: usize) {
        debug_assert!(place < self.len(), "a block is never empty");
        let delta = self.offsets[place];
        self.first += i64::from(delta);
        self.offsets.drain(..place);
        self.values.drain(..place);
        self.reasons.drain(..place);
        for offset in &mut self.offsets {
            *offset -= delta;
        }
        if self.len() * 2 <= self.offsets.capacity() {
            self.shrink();
        }
    }

    /// Gives back memory that is reserved for growth.
    pub(super) fn shrink(&mut self) {
        self.offsets.shrink_to_fit();
        self.values.shrink_to_fit();
        self.reasons.shrink_to_fit();
    }

    /// Bytes behind the block, without its own.
    pub(super) fn bytes(&self) -> usize {
        self.offsets.capacity() * size_of::<u32>()
            + self.values.capacity() * size_of::<f64>()
            + self.reasons.capacity() * size_of::<Reason>()
    }

    fn merge(&mut self, place: usize, new: Point) -> Merge {
        let held = self.point(place);
        let held = Candidate { value: held.value, reason: held.reason };
        if !(Candidate { value: new.value, reason: new.reason }).beats(held) {
            return Merge::Kept;
        }
        self.values[place] = new.value.unwrap_or(f64::NAN);
        self.reasons[place] = new.reason;
        Merge::Replaced
    }

    /// Lets the block begin at `time` if that is earlier; false if its end is too far away for that.
    fn move_first_to(&mut self, time: UtcMillis) -> bool {
        if time.0 >= self.first {
            return true;
        }
        let span = self.last().0.checked_sub(time.0).and_then(|span| u32::try_from(span).ok());
        let Some(delta) = span.and_then(|span| span.checked_sub(self.offsets[self.len() - 1])) else {
            return false;
        };
        self.first = time.0;
        for offset in &mut self.offsets {
            *offset += delta;
        }
        true
    }

    fn place(&mut self, place: usize, offset: u32, point: Point) {
        self.offsets.insert(place, offset);
        self.values.insert(place, point.value.unwrap_or(f64::NAN));
        self.reasons.insert(place, point.reason);
    }
}
