//! Divides sequences among verdicts.

use lamplighter_protocol::Pieces;

use super::RecordVerdict;

/// Tells of each part of `first..=last`, in ascending order, its verdict: that of the first level whose pieces it is in,
/// and else that it is lost.
pub(super) fn divide(
    levels: &[(&Pieces, RecordVerdict)],
    first: u64,
    last: u64,
    each: &mut dyn FnMut(u64, u64, RecordVerdict),
) {
    let Some(((pieces, verdict), others)) = levels.split_first() else {
        return each(first, last, RecordVerdict::Lost);
    };
    let mut next = first;
    for (from, to) in pieces.missing_in(first, last) {
        if from > next {
            each(next, from - 1, *verdict);
        }
        divide(others, from, to, each);
        next = to.saturating_add(1);
    }
    if next <= last {
        each(next, last, *verdict);
    }
}
