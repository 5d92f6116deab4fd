//! What is said of records that have to go before the server is known to hold them (D11). Pure.

use std::collections::BTreeMap;

use lamplighter_protocol::{
    Description, DropReason, Dropped, DroppedSeries, Log, Pieces, Record, RunId, SeriesName, UtcMillis,
};

use super::segment::MAX_RECORD_BYTES;

/// Whether a record may go before the server is known to hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drops {
    /// It may, and is then reported.
    Allowed,
    /// It is an opening (D1), says when a run was that did not know (D3), or is itself a report of what was dropped (D11).
    Never,
}

impl Drops {
    pub(super) fn of(record: &Record) -> Self {
        match record {
            Record::Tick(_) | Record::Command(_) => Self::Allowed,
            Record::Opening(_) | Record::Dropped(_) | Record::Dating(_) => Self::Never,
        }
    }
}

/// What all reports of one decision have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    pub(super) run: RunId,
    pub(super) log: Log,
    pub(super) reason: DropReason,
    pub(super) time: UtcMillis,
}

/// Says that these records go: one report, or several if one would be too long for a record. `series_of` tells what is
/// in the records of a set of sequences.
pub(super) fn reports(
    decision: Decision,
    pieces: Pieces,
    series_of: &mut dyn FnMut(&Pieces) -> Vec<DroppedSeries>,
) -> Vec<Dropped> {
    let mut reports = Vec::new();
    let mut open = vec![pieces];
    while let Some(pieces) = open.pop().filter(|pieces| !pieces.is_empty()) {
        let Decision { run, log, reason, time } = decision;
        let series = series_of(&pieces);
        let report = Dropped { run, log, pieces, reason, time, series };
        // Of one record there is always room: it has one device's series, of which there are few.
        if report.pieces.count() > 1 && longest(&report) > MAX_RECORD_BYTES {
            let (first, second) = halves(&report.pieces);
            open.extend([second, first]);
        } else {
            reports.push(report);
        }
    }
    reports
}

/// The most bytes that a report has, whatever times it is sent with (D3).
fn longest(report: &Dropped) -> usize {
    const TIME_BYTES: usize = 10;
    Record::Dropped(report.clone()).encode().len() + TIME_BYTES * (1 + 2 * report.series.len())
}

/// The lower and the upper half of a set, by the number of its sequences.
fn halves(pieces: &Pieces) -> (Pieces, Pieces) {
    let (mut lower, mut upper) = (Pieces::new(), Pieces::new());
    let mut room = pieces.count() / 2;
    for (first, last) in pieces.ranges() {
        let taken = room.min(last - first + 1);
        if taken > 0 {
            lower.insert(first, first + taken - 1);
        }
        if taken <= last - first {
            upper.insert(first + taken, last);
        }
        room -= taken;
    }
    (lower, upper)
}

/// Counts what is in records, series by series.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By place of the device, and of the series in it: how many, the earliest, the latest.
    counted: BTreeMap<(usize, usize), (u64, UtcMillis, UtcMillis)>,
}

impl Tally {
    /// Counts a record. One that cannot be read is in no series.
    /// `time` says what a time in it is in truth, or how it was written if that is not known.
    pub(super) fn add(&mut self, record: &[u8], time: impl Fn(UtcMillis) -> UtcMillis) {
        let Ok(Record::Tick(tick)) = Record::decode(record) else { return };
        let time = time(tick.time);
        for observation in &tick.observations {
            let place = (tick.device, observation.series);
            let (count, first, last) = self.counted.entry(place).or_insert((0, time, time));
            *count += 1;
            (*first, *last) = ((*first).min(time), (*last).max(time));
        }
    }

    /// The counts under the names of the description that the records are written in.
    pub(super) fn named(&self, description: &Description) -> Vec<DroppedSeries> {
        let named = self.counted.iter().filter_map(|((device, series), &(count, first, last))| {
            let device = description.devices.get(*device)?;
            let series = device.series.get(*series)?;
            let (property, channel) = (series.property.clone(), series.channel.clone());
            let series = SeriesName { device: device.name.clone(), property, channel };
            Some(DroppedSeries { series, count, first, last })
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d11_a_report_that_is_too_long_is_split_by_sequences() {
        let mut pieces = Pieces::new();
        (0..8_000).for_each(|piece| pieces.insert(piece * 10, piece * 10 + piece % 3));
        let decision = Decision {
            run: RunId([1; 16]),
            log: Log::Samples,
            reason: DropReason::Bytes,
            time: UtcMillis(1),
        };
        let series = |at: u64| DroppedSeries {
            series: SeriesName {
                device: format!("device-{at}").parse().unwrap(),
                property: "air_temperature".parse().unwrap(),
                channel: None,
            },
            count: 1,
            first: UtcMillis(0),
            last: UtcMillis(0),
        };
        // A series for each hundred sequences.
        let mut series_of = |pieces: &Pieces| {
            let hundreds: std::collections::BTreeSet<_> =
                pieces.ranges().flat_map(|(first, last)| [first / 100, last / 100]).collect();
            hundreds.into_iter().map(series).collect()
        };
        let split = reports(decision, pieces.clone(), &mut series_of);
        assert!(split.len() > 2);
        let mut all = Pieces::new();
        for report in &split {
            assert!(Record::Dropped(report.clone()).encode().len() <= MAX_RECORD_BYTES);
            assert!(all.end() <= report.pieces.ranges().next().unwrap().0);
            assert_eq!(report.series, series_of(&report.pieces));
            all.union(&report.pieces);
        }
        assert_eq!(all, pieces);
    }
}
