//! Sets of sequences as a checkpoint writes them: lengths, in turn of what is not in the set and of what is. So nothing
//! that is read can be out of order.

use lamplighter_protocol::Pieces;

use crate::checkpoint::WrongPart;

/// The lengths of a set.
pub(super) fn lengths(pieces: &Pieces) -> Vec<u64> {
    let mut lengths = Vec::with_capacity(pieces.ranges().len() * 2);
    let mut next = 0;
    for (first, last) in pieces.ranges() {
        lengths.extend([first - next, last - first + 1]);
        next = last + 1;
    }
    lengths
}

/// The set of these lengths.
pub(super) fn pieces(lengths: &[u64]) -> Result<Pieces, WrongPart> {
    const WRONG: WrongPart = WrongPart("a set of sequences that is none");
    let mut pieces = Pieces::new();
    let mut next: u64 = 0;
    let (pairs, rest) = lengths.as_chunks::<2>();
    for &[out, held] in pairs {
        let first = next.checked_add(out).ok_or(WRONG)?;
        next = first.checked_add(held).filter(|_| held > 0).ok_or(WRONG)?;
        pieces.insert(first, next - 1);
    }
    rest.is_empty().then_some(pieces).ok_or(WRONG)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_set_comes_back(ranges in prop::collection::vec((0_u64..1 << 62, 0_u64..9), 0..20)) {
            let mut set = Pieces::new();
            for (first, more) in ranges {
                set.insert(first, first + more);
            }
            prop_assert_eq!(pieces(&lengths(&set)), Ok(set));
        }

        #[test]
        fn any_lengths_are_a_set_or_refused(lengths in prop::collection::vec(any::<u64>(), 0..6)) {
            if let Ok(set) = pieces(&lengths) {
                prop_assert_eq!(set.count(), lengths.chunks(2).map(|pair| pair[1]).sum::<u64>());
            }
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        assert_eq!(lengths(&pieces(&[5, 3, 1, 2]).unwrap()), [5, 3, 1, 2]);
        for wrong in [&[1][..], &[0, 0], &[0, 1, 2], &[u64::MAX, 1], &[1, u64::MAX]] {
            assert!(pieces(wrong).is_err(), "{wrong:?}");
        }
    }
}
