//! Which description held for which sequences and times of a run's samples.

use lamplighter_protocol::{Digest, UtcMillis};

/// Most spans of one run: many times as many as it has configurations. Past it, the two of one description that are
/// nearest become one, as if all between them were here.
const MOST_SPANS: usize = 64;

/// Samples that are held, all in one description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct DescribedSpan {
    pub(in crate::ingest) first: u64,
    pub(in crate::ingest) last: u64,
    pub(in crate::ingest) description: Digest,
    /// The least and the greatest time of their ticks; none if none can be believed.
    pub(in crate::ingest) times: Option<Times>,
}

/// From when to when, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Times {
    pub(in crate::ingest) first: UtcMillis,
    pub(in crate::ingest) last: UtcMillis,
}

/// All of a run, in ascending order of sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ingest) struct Described(pub(in crate::ingest) Vec<DescribedSpan>);

impl Times {
    /// A time among others.
    pub(in crate::ingest) fn with(times: Option<Self>, time: UtcMillis) -> Self {
        let one = Self { first: time, last: time };
        times.map_or(one, |times| times.union(one))
    }

    pub(in crate::ingest) fn union(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

impl Described {
    /// Samples that were not held before.
    pub(in crate::ingest) fn add(&mut self, mut span: DescribedSpan) {
        let mut place = self.0.partition_point(|one| one.last < span.first);
        if self.0.get(place).is_some_and(|after| after.first <= span.last) {
            // The server had forgotten that it held them: their spans are here.
            return;
        }
        if let Some(before) = place.checked_sub(1).and_then(|before| self.0.get(before)).copied()
            && before.last + 1 == span.first
            && before.description == span.description
        {
            place -= 1;
            self.0.remove(place);
            span = before.joined(span);
        }
        if let Some(after) = self.0.get(place).copied()
            && span.last + 1 == after.first
            && after.description == span.description
        {
            self.0.remove(place);
            span = span.joined(after);
        }
        self.0.insert(place, span);
        if self.0.len() > MOST_SPANS {
            self.join_nearest();
        }
    }

    /// The greatest time of a sample.
    pub(in crate::ingest) fn last_time(&self) -> Option<UtcMillis> {
        self.0.iter().filter_map(|span| span.times).map(|times| times.last).max()
    }

    fn join_nearest(&mut self) {
        let pairs = self.0.windows(2).enumerate();
        let of_one = pairs.filter(|(_, pair)| pair[0].description == pair[1].description);
        match of_one.min_by_key(|(_, pair)| pair[1].first - pair[0].last).map(|(place, _)| place) {
            Some(place) => {
                let after = self.0.remove(place + 1);
                self.0[place] = self.0[place].joined(after);
            }
            // As many configurations: nothing is said of the earliest.
            None => drop(self.0.remove(0)),
        }
    }
}

impl DescribedSpan {
    fn joined(self, after: Self) -> Self {
        let times = match (self.times, after.times) {
            (Some(one), Some(other)) => Some(one.union(other)),
            (one, other) => one.or(other),
        };
        Self { last: after.last, times, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: u64, last: u64, description: u8) -> DescribedSpan {
        let at = |sequence: u64| UtcMillis(i64::try_from(sequence).unwrap() * 1000);
        let times = Some(Times { first: at(first), last: at(last) });
        DescribedSpan { first, last, description: Digest([description; 32]), times }
    }

    fn described(spans: impl IntoIterator<Item = DescribedSpan>) -> Described {
        let mut described = Described::default();
        spans.into_iter().for_each(|span| described.add(span));
        described
    }

    #[test]
    fn a_run_has_as_many_spans_as_descriptions_in_whatever_order_its_samples_come() {
        let samples = [(0, 9, 1), (10, 19, 1), (20, 29, 2), (30, 39, 2), (40, 49, 1)];
        let expected = [span(0, 19, 1), span(20, 39, 2), span(40, 49, 1)];
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]] {
            let parts = order.map(|place| samples[place]);
            assert_eq!(
                described(parts.map(|(first, last, of)| span(first, last, of))).0,
                expected,
                "{order:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_between_two_spans_keeps_them_apart() {
        let described = described([span(0, 9, 1), span(20, 29, 1), span(5, 25, 1)]);
        assert_eq!(described.0, [span(0, 9, 1), span(20, 29, 1)], "what was held before says nothing new");
    }

    #[test]
    fn a_run_that_is_torn_to_pieces_takes_a_bounded_memory() {
        let torn = described((0..1000).map(|piece| span(piece * 3, piece * 3, 1)));
        assert_eq!((torn.0.len(), torn.last_time()), (MOST_SPANS, Some(UtcMillis(2_997_000))));
        let many = described((0..100).map(|piece| span(piece * 3, piece * 3, u8::try_from(piece).unwrap())));
        assert_eq!((many.0.len(), many.0[0].first), (MOST_SPANS, 36 * 3));
    }
}
