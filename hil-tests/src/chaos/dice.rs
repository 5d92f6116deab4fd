//! A sequence of numbers that look like chance and follow from a seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::world::dice::mixed;

/// Draws one number after the other.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.drawn += 1;
        mixed([self.seed, self.drawn, 0, 0]) % end
    }

    /// A number of this range.
    pub(super) fn number(&mut self, range: RangeInclusive<u32>) -> u32 {
        let (first, last) = range.into_inner();
        let drawn = self.below(u64::from(last.saturating_sub(first)) + 1);
        first + u32::try_from(drawn).unwrap_or(0)
    }

    /// A time of this range, in milliseconds.
    pub(super) fn time(&mut self, milliseconds: RangeInclusive<u32>) -> Duration {
        Duration::from_millis(self.number(milliseconds).into())
    }

    /// A place of a list that is not empty.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// One of a list that is not empty.
    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.place(of.len())]
    }
}
