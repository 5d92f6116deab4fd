//! Sets of sequences as ranges: what an outbox holds, what a server holds, what is under way.

use crate::wire;

/// A set of sequences, kept as disjoint ranges in ascending order that do not touch.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Pieces {
    // (first, last), both included.
    ranges: Vec<(u64, u64)>,
}

/// Why pieces of the wire are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PiecesError {
    /// Ranges out of order, overlapping, or ending before they begin.
    #[error("pieces are disjoint and ascending")]
    Disordered,
}

impl Pieces {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// All sequences from 0 up to `end`, without `end` itself.
    pub fn below(end: u64) -> Self {
        Self { ranges: if end == 0 { Vec::new() } else { vec![(0, end - 1)] } }
    }

    /// Adds `first..=last`. Nothing happens if `last < first`.
    pub fn insert(&mut self, first: u64, last: u64) {
        if last < first {
            return;
        }
        // The ranges that overlap or touch the new one are from..to.
        let from = self.ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let to = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        let merged = match self.ranges.get(from..to) {
            Some([one]) => (first.min(one.0), last.max(one.1)),
            Some([head, .., tail]) => (first.min(head.0), last.max(tail.1)),
            Some([]) | None => (first, last),
        };
        self.ranges.splice(from..to, [merged]);
    }

    /// Takes `first..=last` out.
    pub fn remove(&mut self, first: u64, last: u64) {
        if last < first {
            return;
        }
        let from = self.ranges.partition_point(|range| range.1 < first);
        let to = self.ranges.partition_point(|range| range.0 <= last);
        let mut rest = Vec::new();
        if let Some(head) = self.ranges.get(from..to).and_then(<[_]>::first)
            && head.0 < first
        {
            rest.push((head.0, first - 1));
        }
        if let Some(tail) = self.ranges.get(from..to).and_then(<[_]>::last)
            && tail.1 > last
        {
            rest.push((last + 1, tail.1));
        }
        if from < to {
            self.ranges.splice(from..to, rest);
        }
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &Self) {
        for (first, last) in other.ranges() {
            self.insert(first, last);
        }
    }

    /// Whether `sequence` is in the set.
    pub fn contains(&self, sequence: u64) -> bool {
        self.covering(sequence).is_some()
    }

    /// Whether all of `first..=last` is in the set.
    pub fn contains_all(&self, first: u64, last: u64) -> bool {
        self.covering(first).is_some_and(|range| range.1 >= last)
    }

    /// The parts of `first..=last` that are not in the set, ascending.
    pub fn missing_in(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut next = first;
        let from = self.ranges.partition_point(|range| range.1 < first);
        for range in self.ranges.iter().skip(from).take_while(|range| range.0 <= last) {
            if range.0 > next {
                missing.push((next, range.0 - 1));
            }
            if range.1 >= last {
                return missing;
            }
            next = range.1 + 1;
        }
        if next <= last {
            missing.push((next, last));
        }
        missing
    }

    /// The ranges, both ends included, ascending.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + DoubleEndedIterator + '_ {
        self.ranges.iter().copied()
    }

    /// The first `most` ranges of the set.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        Self { ranges: self.ranges.iter().take(most).copied().collect() }
    }

    /// The set with each of its gaps filled, the one before its first range included, that `others` has the whole of.
    #[must_use]
    pub fn bridged(&self, others: &Self) -> Self {
        let mut bridged = self.clone();
        let gaps = self.end().checked_sub(1).map(|last| self.missing_in(0, last));
        for (first, last) in gaps.into_iter().flatten() {
            if others.contains_all(first, last) {
                bridged.insert(first, last);
            }
        }
        bridged
    }

    /// How many sequences are in the set.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|range| (range.1 - range.0).saturating_add(1)).fold(0, u64::saturating_add)
    }

    /// One past the greatest sequence in the set; 0 if it is empty.
    pub fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.1.saturating_add(1))
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn covering(&self, sequence: u64) -> Option<(u64, u64)> {
        let at = self.ranges.partition_point(|range| range.1 < sequence);
        self.ranges.get(at).copied().filter(|range| range.0 <= sequence)
    }

    /// The first `most` ranges as the wire writes them.
    pub fn to_wire(&self, most: usize) -> Vec<wire::Piece> {
        self.ranges.iter().take(most).map(|&(first, last)| wire::Piece { first, last }).collect()
    }
}

impl TryFrom<&[wire::Piece]> for Pieces {
    type Error = PiecesError;
    fn try_from(pieces: &[wire::Piece]) -> Result<Self, PiecesError> {
        let mut set = Self::new();
        for piece in pieces {
            if piece.last < piece.first
                || (!set.is_empty() && piece.first < set.end())
                || piece.last == u64::MAX
            {
                return Err(PiecesError::Disordered);
            }
            set.insert(piece.first, piece.last);
        }
        Ok(set)
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ranges.iter().map(|(first, last)| first..=last)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn pieces_are_the_set_that_they_stand_for(steps in prop::collection::vec((any::<bool>(), 0u64..40, 0u64..8), 0..40)) {
            let mut pieces = Pieces::new();
            let mut model = BTreeSet::new();
            for (insert, first, length) in steps {
                let last = first + length;
                if insert {
                    pieces.insert(first, last);
                    model.extend(first..=last);
                } else {
                    pieces.remove(first, last);
                    model.retain(|s| !(first..=last).contains(s));
                }
                prop_assert_eq!(pieces.count(), u64::try_from(model.len()).unwrap());
                prop_assert_eq!(pieces.end(), model.last().map_or(0, |s| s + 1));
                for s in 0..50 {
                    prop_assert_eq!(pieces.contains(s), model.contains(&s));
                }
                let missing: Vec<u64> = pieces.missing_in(3, 45).into_iter().flat_map(|(a, b)| a..=b).collect();
                prop_assert_eq!(missing, (3..=45).filter(|s| !model.contains(s)).collect::<Vec<_>>());
                // Never two ranges where one would do.
                prop_assert!(pieces.ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0));
            }
        }

        #[test]
        fn a_gap_is_bridged_if_the_others_have_all_of_it(
            pieces in prop::collection::vec((0u64..60, 0u64..4), 0..12),
            others in prop::collection::vec((0u64..60, 0u64..12), 0..8),
        ) {
            let set = |ranges: Vec<(u64, u64)>| {
                let mut set = Pieces::new();
                for (first, length) in ranges {
                    set.insert(first, first + length);
                }
                set
            };
            let (pieces, others) = (set(pieces), set(others));
            let bridged = pieces.bridged(&others);
            prop_assert_eq!(bridged.end(), pieces.end());
            for s in 0..80 {
                // The gap that it is in.
                let first = (0..=s).rev().take_while(|s| !pieces.contains(*s)).last();
                let behind = (s..80).find(|s| pieces.contains(*s));
                let is_filled = first.zip(behind).is_some_and(|(first, behind)| others.contains_all(first, behind - 1));
                prop_assert_eq!(bridged.contains(s), pieces.contains(s) || is_filled);
            }
        }

        #[test]
        fn pieces_survive_the_wire(ranges in prop::collection::vec((0u64..1000, 0u64..10), 0..20)) {
            let mut pieces = Pieces::new();
            for (first, length) in ranges {
                pieces.insert(first, first + length);
            }
            prop_assert_eq!(Pieces::try_from(&pieces.to_wire(usize::MAX)[..]), Ok(pieces));
        }
    }

    #[test]
    fn disordered_pieces_are_refused() {
        let piece = |first, last| wire::Piece { first, last };
        assert!(Pieces::try_from(&[piece(5, 4)][..]).is_err());
        assert!(Pieces::try_from(&[piece(5, 9), piece(9, 10)][..]).is_err());
        assert!(Pieces::try_from(&[piece(5, 9), piece(0, 1)][..]).is_err());
        assert!(Pieces::try_from(&[piece(0, u64::MAX)][..]).is_err());
    }
}
