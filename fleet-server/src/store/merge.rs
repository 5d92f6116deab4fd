//! Rule D13: which of two observations of one series and time is kept.

use std::cmp::Ordering;

use lamplighter_protocol::Reason;

/// What is stored at one time of a series: the value, if there is one, and the reason code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) value: Option<f64>,
    pub(super) reason: Reason,
}

impl Candidate {
    /// Whether D13 prefers this one to `other`: better quality, then a value over none, then the greater value, then
    /// the lower reason code. A total order, so that the order of arrival cannot matter.
    pub(super) fn beats(self, other: Self) -> bool {
        // Qualities are in order from the best.
        let quality = other.reason.quality().cmp(&self.reason.quality());
        let value = || match (self.value, other.value) {
            (Some(ours), Some(theirs)) => ours.total_cmp(&theirs),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (None, None) => Ordering::Equal,
        };
        let reason = || other.reason.cmp(&self.reason);
        quality.then_with(value).then_with(reason) == Ordering::Greater
    }
}
