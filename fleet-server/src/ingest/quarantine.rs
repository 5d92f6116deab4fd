//! The quarantine (D12): records that could not be taken for want of something that may still come, a property in the
//! catalogue or a release that can read them. They are tried again at every start.
//!
//! It is part of what a checkpoint holds, together with what became of the records that have left it: so a record is in
//! a checkpoint's quarantine or in its result, whatever happens between two of them.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{Digest, LamppostNumber, Log, RunId, UtcMillis};

use super::metrics::QuarantineMetrics;

/// Most bytes of all records, with what it costs to keep them.
pub(crate) const MOST_BYTES: usize = 32 << 20;

/// Most bytes of one lamppost, so that what one of them makes up leaves room for the others.
const MOST_BYTES_OF_LAMPPOST: usize = 1 << 20;

/// What a record costs besides its bytes.
const COST_BYTES: usize = 256;

/// A record that was received more days ago than this goes, if something was received on as many: what it tells is older than
/// anything that is taken.
pub(super) const KEPT_DAYS: u32 = 400;

/// Whose record it is, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordPlace {
    pub(super) lamppost: LamppostNumber,
    pub(super) run: RunId,
    pub(super) log: Log,
    pub(super) sequence: u64,
}

/// A record as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quarantined {
    pub(super) description: Digest,
    pub(super) received: UtcMillis,
    pub(super) record: Box<[u8]>,
    pub(super) waits: Waits,
}

/// What of a record could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// All of it: it could not be read.
    Record,
    /// The observations of these series of its device: the catalogue does not know their property. All else of it has
    /// been taken.
    Series(BTreeSet<usize>),
}

/// All records that wait.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    records: BTreeMap<RecordPlace, Quarantined>,
    bytes: usize,
    by_lamppost: BTreeMap<LamppostNumber, usize>,
    /// No record was received before this.
    oldest: Option<UtcMillis>,
}

impl Quarantine {
    /// Takes a record in, if there is room. The position is held in any case, and its verdict stays what it was.
    pub(super) fn put(&mut self, place: RecordPlace, one: Quarantined, metrics: &QuarantineMetrics) {
        self.take(&place);
        let cost = one.cost();
        let of_lamppost = self.by_lamppost.get(&place.lamppost).copied().unwrap_or(0);
        if self.bytes + cost > MOST_BYTES || of_lamppost + cost > MOST_BYTES_OF_LAMPPOST {
            metrics.no_room.inc();
        } else {
            self.bytes += cost;
            self.by_lamppost.insert(place.lamppost.clone(), of_lamppost + cost);
            self.oldest = Some(self.oldest.map_or(one.received, |oldest| oldest.min(one.received)));
            self.records.insert(place, one);
        }
        self.tell(metrics);
    }

    /// Whether one may have been received before this.
    pub(super) fn has_older(&self, than: UtcMillis) -> bool {
        self.oldest.is_some_and(|oldest| oldest < than)
    }

    /// Lets those go that were received before this.
    pub(super) fn expire(&mut self, before: UtcMillis, metrics: &QuarantineMetrics) {
        if !self.has_older(before) {
            return;
        }
        let old: Vec<RecordPlace> =
            self.records.iter().filter(|(_, one)| one.received < before).map(place).collect();
        for place in &old {
            self.take(place);
        }
        self.oldest = self.records.values().map(|one| one.received).min();
        metrics.expired.inc_by(old.len() as u64);
        self.tell(metrics);
    }

    /// Which there are.
    pub(super) fn places(&self) -> Vec<RecordPlace> {
        self.records.iter().map(place).collect()
    }

    pub(super) fn contains(&self, place: &RecordPlace) -> bool {
        self.records.contains_key(place)
    }

    /// Takes a record out.
    pub(super) fn take(&mut self, place: &RecordPlace) -> Option<Quarantined> {
        let one = self.records.remove(place)?;
        self.bytes -= one.cost();
        if let Some(bytes) = self.by_lamppost.get_mut(&place.lamppost) {
            *bytes -= one.cost();
            if *bytes == 0 {
                self.by_lamppost.remove(&place.lamppost);
            }
        }
        Some(one)
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RecordPlace, &Quarantined)> {
        self.records.iter()
    }

    /// Shows how much there is.
    pub(super) fn tell(&self, metrics: &QuarantineMetrics) {
        metrics.records.set(i64::try_from(self.records.len()).unwrap_or(i64::MAX));
        metrics.bytes.set(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

impl Quarantined {
    fn cost(&self) -> usize {
        let series = match &self.waits {
            Waits::Record => 0,
            Waits::Series(series) => series.len(),
        };
        COST_BYTES + self.record.len() + series * size_of::<usize>()
    }
}

fn place((place, _): (&RecordPlace, &Quarantined)) -> RecordPlace {
    place.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(lamppost: &str, sequence: u64, bytes: usize, received: i64) -> (RecordPlace, Quarantined) {
        let place = RecordPlace {
            lamppost: lamppost.parse().unwrap(),
            run: RunId([1; 16]),
            log: Log::Samples,
            sequence,
        };
        let one = Quarantined {
            description: Digest([2; 32]),
            received: UtcMillis(received),
            record: vec![0; bytes].into(),
            waits: Waits::Record,
        };
        (place, one)
    }

    #[test]
    fn it_is_bounded_in_bytes_for_each_lamppost_and_in_all() {
        let (mut quarantine, metrics) = (Quarantine::default(), QuarantineMetrics::default());
        for sequence in 0..50 {
            let (place, one) = record("A1", sequence, 32_000, 0);
            quarantine.put(place, one, &metrics);
        }
        assert_eq!((metrics.records.get(), metrics.no_room.get()), (32, 18));
        for lamppost in 0..50 {
            for sequence in 0..32 {
                let (place, one) = record(&format!("B{lamppost}"), sequence, 32_000, 0);
                quarantine.put(place, one, &metrics);
            }
        }
        assert!(metrics.bytes.get() <= i64::try_from(MOST_BYTES).unwrap());
        assert_eq!(metrics.records.get() + i64::try_from(metrics.no_room.get()).unwrap(), 50 + 50 * 32);
        // The same once more costs nothing; what went makes room.
        let (place, one) = record("A1", 3, 32_000, 0);
        let before = metrics.no_room.get();
        quarantine.put(place.clone(), one.clone(), &metrics);
        quarantine.take(&place).unwrap();
        quarantine.put(place, one, &metrics);
        assert_eq!(metrics.no_room.get(), before);
    }

    #[test]
    fn it_is_bounded_in_age() {
        let (mut quarantine, metrics) = (Quarantine::default(), QuarantineMetrics::default());
        for sequence in 0..10 {
            let (place, one) = record("A1", sequence, 10, i64::try_from(sequence).unwrap());
            quarantine.put(place, one, &metrics);
        }
        quarantine.expire(UtcMillis(0), &metrics);
        assert_eq!(metrics.expired.get(), 0);
        quarantine.expire(UtcMillis(4), &metrics);
        assert_eq!((metrics.records.get(), metrics.expired.get()), (6, 4));
        quarantine.expire(UtcMillis(100), &metrics);
        assert_eq!((metrics.records.get(), metrics.bytes.get()), (0, 0));
        assert!(quarantine.by_lamppost.is_empty());
    }
}
