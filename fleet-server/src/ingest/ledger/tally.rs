//! How many observations came late or were rejected, by series and time.

use std::collections::BTreeMap;

use lamplighter_protocol::{SeriesName, UtcMillis};

use super::span::Spans;
use crate::ingest::Verdict;

/// Most series and reasons of one lamppost that are told apart. What finds no place is counted all the same.
const MOST_TALLIED: usize = 2_048;

/// Why an observation of a series is tallied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::ingest) enum Tallied {
    /// It is stored, and was received more than three periods after its time.
    Late,
    /// It is rejected.
    Rejected(Rejection),
}

/// Why an observation is rejected (D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// Its time lies further ahead of its receipt than a clock may be wrong.
    Future,
    /// It is older than anything is kept.
    Retention,
    /// Its type or unit is not the catalogue's.
    Type,
    /// The catalogue does not know its property.
    UnknownProperty,
    /// The lamppost has more series than one may have.
    TooManySeries,
}

/// The tallies of one lamppost. What is not here is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ingest) struct Tallies {
    pub(in crate::ingest) spans: BTreeMap<SeriesName, BTreeMap<Tallied, Spans>>,
    /// How many there are of series and reason.
    pub(in crate::ingest) places: usize,
    /// Observations that found no place, or whose description has no name for them.
    pub(in crate::ingest) unplaced: u64,
    /// Records that cannot be read: nothing is known of what they say.
    pub(in crate::ingest) unreadable: u64,
}

impl Tallies {
    /// Takes observations of a series that is read with this period, or by exception.
    pub(in crate::ingest) fn add(
        &mut self,
        series: &SeriesName,
        why: Tallied,
        spans: &Spans,
        period_ms: Option<u32>,
    ) {
        let is_known = self.spans.get(series).is_some_and(|of_series| of_series.contains_key(&why));
        if !is_known {
            if self.places >= MOST_TALLIED {
                let count = spans.iter().map(|span| span.count).fold(0, u64::saturating_add);
                self.unplaced = self.unplaced.saturating_add(count);
                return;
            }
            self.places += 1;
        }
        let of_series = self.spans.entry(series.clone()).or_default().entry(why).or_default();
        for span in spans.iter() {
            of_series.add(span, period_ms);
        }
    }
}

impl Tallies {
    /// One observation of a series gets another verdict.
    pub(in crate::ingest) fn take_back(&mut self, series: &SeriesName, why: Tallied, time: UtcMillis) {
        let of_series = self.spans.get_mut(series);
        if let Some(of_series) = of_series
            && let Some(spans) = of_series.get_mut(&why)
            && spans.take_out(time)
        {
            if spans.iter().next().is_none() {
                of_series.remove(&why);
                self.places -= 1;
                self.spans.retain(|_, of_series| !of_series.is_empty());
            }
        } else {
            self.unplaced = self.unplaced.saturating_sub(1);
        }
    }

    /// One record that could not be read is tried again.
    pub(in crate::ingest) fn take_back_unreadable(&mut self) {
        self.unreadable = self.unreadable.saturating_sub(1);
    }
}

impl Rejection {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Future, Self::Retention, Self::Type, Self::UnknownProperty, Self::TooManySeries];

    /// Of a verdict; none if it is none of rejection.
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Future => Some(Self::Future),
            Verdict::Retention => Some(Self::Retention),
            Verdict::Type => Some(Self::Type),
            Verdict::UnknownProperty => Some(Self::UnknownProperty),
            Verdict::TooManySeries => Some(Self::TooManySeries),
            Verdict::Stored
            | Verdict::Merged
            | Verdict::OlderThanTail
            | Verdict::DroppedBytes
            | Verdict::DroppedAge
            | Verdict::DroppedDamaged => None,
        }
    }
}
