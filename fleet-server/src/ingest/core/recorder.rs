//! What the records of one frame come to (D12, D13): each observation is stored, rejected or waits in quarantine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lamplighter_protocol::{DropReason, Frame, Log, Record, Tick, UtcMillis};

use super::super::known::{Known, SeriesKind};
use super::super::lamppost::Lamppost;
use super::super::ledger::{DescribedSpan, Rejection, Spans, Tallied, Times};
use super::super::metrics::{IngestMetrics, Malformed, Verdict, Verdicts};
use super::super::places::Places;
use super::super::quarantine::{Quarantine, Quarantined, RecordPlace, Waits};
use crate::journal::Entry;
use crate::live::{LiveObservation, LiveSeries};
use crate::store::{Inserted, Merge, Point, SeriesId, Tail};

/// An observation may lie this far ahead of its receipt: clocks of lampposts are not always right.
const FUTURE_MS: i64 = 10 * 60 * 1000;

/// An observation may lie this far back: longer than any outbox is kept.
const PAST_MS: i64 = 400 * 24 * 3600 * 1000;

/// An observation is late that is received more than so many periods of its device after its time.
const LATE_PERIODS: i64 = 3;

/// What is late by more than this is a backlog to those who listen: far longer than a busy minute of network or server delays
/// what is live.
const BACKLOG_MS: i64 = 60_000;

/// What is read, and what it is written in.
pub(super) struct Source<'a> {
    pub(super) entry: &'a Entry,
    pub(super) frame: &'a Frame,
    pub(super) log: Log,
    pub(super) known: &'a Arc<Known>,
    pub(super) places: &'a Places,
}

/// Where it goes that records say.
pub(super) struct Sinks<'a> {
    pub(super) lamppost: &'a mut Lamppost,
    pub(super) quarantine: &'a mut Quarantine,
    pub(super) metrics: &'a IngestMetrics,
    pub(super) store: &'a mut Tail,
    pub(super) live: &'a mut dyn FnMut(LiveObservation),
}

/// Reads the records of one frame that are not held yet.
pub(super) struct Recorder<'a> {
    source: Source<'a>,
    sinks: Sinks<'a>,
    latest_received: UtcMillis,
    /// The last receipt of the lamppost.
    now: UtcMillis,
    /// What of the record is tried again; none: all of it comes for the first time.
    again: Option<Waits>,
    /// The newest time of a record so far, of those that can be believed.
    newest: Option<UtcMillis>,
    /// From when to when the ticks of a range are, of those that can be believed.
    times: Option<Times>,
    /// What came late or was rejected, by device and series.
    tallied: BTreeMap<(usize, usize, Tallied), Spans>,
    /// What observations came to.
    verdicts: Verdicts,
    /// The newest of each series, if it is of a backlog: it is told once the frame is read. Feeds that told all of a backlog would
    /// have no room left for what is live.
    backlog: BTreeMap<SeriesId, (&'a Arc<LiveSeries>, Point)>,
}

impl<'a> Recorder<'a> {
    /// For a frame that comes for the first time.
    pub(super) fn new(source: Source<'a>, sinks: Sinks<'a>, latest_received: UtcMillis) -> Self {
        Self {
            now: source.entry.received,
            source,
            sinks,
            latest_received,
            again: None,
            newest: None,
            times: None,
            tallied: BTreeMap::new(),
            verdicts: Verdicts::default(),
            backlog: BTreeMap::new(),
        }
    }

    /// For what waited of one record and is tried again, its lamppost having been heard last at this time.
    pub(super) fn again(self, waits: Waits, now: UtcMillis) -> Self {
        Self { again: Some(waits), now, ..self }
    }

    /// Reads records that were not held before.
    pub(super) fn range(&mut self, first: u64, last: u64) {
        self.times = None;
        for sequence in first..=last {
            self.record(sequence);
        }
        if self.source.log == Log::Samples {
            let span =
                DescribedSpan { first, last, description: self.source.frame.description, times: self.times };
            self.sinks.lamppost.ledger.described(self.source.frame.run, span, self.source.entry.sequence);
        }
    }

    pub(super) fn record(&mut self, sequence: u64) {
        let place = usize::try_from(sequence - self.source.frame.first).unwrap_or(usize::MAX);
        let Some(bytes) = self.source.frame.records.get(place) else { return };
        if self.again == Some(Waits::Record) {
            self.sinks.metrics.take_back_refused(Malformed::Record);
            self.sinks.lamppost.ledger.tallies.take_back_unreadable();
        }
        match Record::decode(bytes) {
            Ok(Record::Tick(tick)) => self.tick(sequence, tick),
            Ok(Record::Opening(opening)) if self.source.log == Log::Events && sequence == 0 => {
                self.dated(opening.opened);
                let written = (self.source.frame.description, self.source.known);
                let brought = (self.source.entry.received, self.source.entry.sequence);
                if self.sinks.lamppost.opened(self.source.frame.run, opening, written, brought).is_err() {
                    self.sinks.metrics.forks.inc();
                    tracing::warn!(
                        lamppost = %self.source.entry.lamppost, run = %self.source.frame.run,
                        "two runs follow the same run: an outbox was copied; both are stored"
                    );
                }
            }
            Ok(Record::Command(report)) => {
                self.dated(report.time);
                self.sinks.lamppost.ledger.command(&report, self.source.entry.sequence);
                tracing::info!(lamppost = %self.source.entry.lamppost, command = %report.id, state = ?report.state, "command");
            }
            Ok(Record::Dropped(dropped)) if self.source.log == Log::Events => {
                self.verdicts.add(Verdict::dropped(dropped.reason), dropped.observations());
                if dropped.reason == DropReason::Damaged {
                    self.sinks.metrics.damaged.inc_by(dropped.pieces.count());
                }
                self.sinks.lamppost.ledger.dropped(&dropped, self.source.entry.sequence);
            }
            Ok(Record::Dating(dating)) if self.source.log == Log::Events => {
                self.dated(dating.time);
                self.sinks.lamppost.ledger.placed(&dating, self.source.entry.sequence);
                tracing::info!(
                    lamppost = %self.source.entry.lamppost, run = %dating.run, earliest = ?dating.earliest, latest = ?dating.latest,
                    "a run that never learnt the time was placed between its neighbours"
                );
            }
            // An opening is the first of its run's events, and nothing else (D1); what was dropped, or placed, is told in
            // events (D3, D11).
            Ok(Record::Opening(_) | Record::Dropped(_) | Record::Dating(_)) => {
                self.sinks.metrics.refuse(Malformed::Record);
            }
            Err(error) => {
                self.sinks.metrics.refuse(Malformed::Record);
                self.quarantine(sequence, Waits::Record);
                self.sinks.lamppost.ledger.tallies.unreadable += 1;
                tracing::debug!(lamppost = %self.source.entry.lamppost, run = %self.source.frame.run, sequence, %error, "unreadable");
            }
        }
    }

    fn tick(&mut self, sequence: u64, mut tick: Tick) {
        if let Some(Waits::Series(waits)) = &self.again {
            tick.observations.retain(|observation| waits.contains(&observation.series));
            self.sinks.metrics.take_back(Verdict::UnknownProperty, tick.observations.len() as u64);
            self.take_back(&tick);
        }
        let count = tick.observations.len() as u64;
        if self.is_ahead(tick.time) {
            self.note_all(&tick, Tallied::Rejected(Rejection::Future));
            return self.verdicts.add(Verdict::Future, count);
        }
        self.dated(tick.time);
        if self.source.entry.received.since_ms(tick.time) > PAST_MS {
            self.note_all(&tick, Tallied::Rejected(Rejection::Retention));
            return self.verdicts.add(Verdict::Retention, count);
        }
        self.times = Some(Times::with(self.times, tick.time));
        let known = self.source.known;
        let Some(kinds) = known.series.get(tick.device) else {
            self.sinks.lamppost.ledger.tallies.unplaced += count;
            return self.verdicts.add(Verdict::Type, count);
        };
        let period_ms = self.period_ms(tick.device);
        let age_ms = self.source.entry.received.since_ms(tick.time);
        let is_late = period_ms.is_some_and(|period_ms| age_ms > LATE_PERIODS * i64::from(period_ms));
        let is_backlog = is_late && age_ms > BACKLOG_MS;
        let mut unknown = BTreeSet::new();
        for observation in &tick.observations {
            let verdict = match kinds.get(observation.series) {
                None => Verdict::Type,
                Some(SeriesKind::Rejected(verdict)) => *verdict,
                Some(SeriesKind::Taken { resolution, live, .. }) => {
                    let value = observation.value.map(|value| resolution.to_f64(value));
                    let point = Point { time: tick.time, value, reason: observation.reason };
                    match self.source.places.id(tick.device, observation.series) {
                        None => Verdict::TooManySeries,
                        Some(id) => self.store(id, live, point, is_backlog),
                    }
                }
            };
            if verdict == Verdict::UnknownProperty {
                unknown.insert(observation.series);
            }
            self.verdicts.add(verdict, 1);
            let tallied = match Rejection::of(verdict) {
                None => (is_late && verdict == Verdict::Stored).then_some(Tallied::Late),
                Some(rejection) => Some(Tallied::Rejected(rejection)),
            };
            if let Some(why) = tallied {
                self.note(&tick, observation.series, why, period_ms);
            }
        }
        if !unknown.is_empty() {
            self.quarantine(sequence, Waits::Series(unknown));
        }
        self.sinks.lamppost.observed(tick.time, self.now);
    }

    fn quarantine(&mut self, sequence: u64, waits: Waits) {
        let place = RecordPlace {
            lamppost: self.source.entry.lamppost.clone(),
            run: self.source.frame.run,
            log: self.source.log,
            sequence,
        };
        let index = usize::try_from(sequence - self.source.frame.first).unwrap_or(usize::MAX);
        let Some(record) = self.source.frame.records.get(index) else { return };
        let one = Quarantined {
            description: self.source.frame.description,
            received: self.source.entry.received,
            // Copied: it is part of a larger buffer.
            record: record.as_ref().into(),
            waits,
        };
        self.sinks.quarantine.put(place, one, &self.sinks.metrics.quarantine);
    }

    fn note_all(&mut self, tick: &Tick, why: Tallied) {
        let period_ms = self.period_ms(tick.device);
        for observation in &tick.observations {
            self.note(tick, observation.series, why, period_ms);
        }
    }

    fn note(&mut self, tick: &Tick, series: usize, why: Tallied, period_ms: Option<u32>) {
        self.tallied.entry((tick.device, series, why)).or_default().insert(tick.time, period_ms);
    }

    /// Observations of an unknown property are tried again: they are not tallied as such any more.
    fn take_back(&mut self, tick: &Tick) {
        let Some(device) = self.source.known.description.devices.get(tick.device) else { return };
        let tallies = &mut self.sinks.lamppost.ledger.tallies;
        for observation in &tick.observations {
            if let Some(series) = device.series.get(observation.series) {
                let why = Tallied::Rejected(Rejection::UnknownProperty);
                tallies.take_back(&device.name_of(series), why, tick.time);
            }
        }
    }

    /// The records are read: counts and tells what they came to, and if any of them is the newest of its lamppost, describes
    /// its series by what that one is written in.
    pub(super) fn finish(mut self) {
        self.tally();
        let Source { frame, known, places, .. } = self.source;
        if let Some(newest) = self.newest
            && self.sinks.lamppost.written(frame.description, known, newest, self.now)
        {
            places.describe(known, self.sinks.store);
        }
    }

    /// Counts what observations came to, and hands on what came late or was rejected, by the names of its series. Tells of
    /// what is the newest of a backlog.
    fn tally(&mut self) {
        for (series, point) in std::mem::take(&mut self.backlog).into_values() {
            self.tell(series, point);
        }
        self.sinks.metrics.observed_all(&std::mem::take(&mut self.verdicts));
        for ((device, series, why), spans) in std::mem::take(&mut self.tallied) {
            let period_ms = self.period_ms(device);
            let tallies = &mut self.sinks.lamppost.ledger.tallies;
            let of_device = self.source.known.description.devices.get(device);
            match of_device.and_then(|device| Some(device.name_of(device.series.get(series)?))) {
                Some(name) => tallies.add(&name, why, &spans, period_ms),
                None => tallies.unplaced += spans.iter().map(|span| span.count).sum::<u64>(),
            }
        }
    }

    /// The period at which the device at this place is read; none: by exception, or there is no such device.
    fn period_ms(&self, device: usize) -> Option<u32> {
        let description = &self.source.known.description;
        let grid = description.grid_of(description.devices.get(device)?)?;
        Some(grid.period_ms)
    }

    fn dated(&mut self, time: UtcMillis) {
        if !self.is_ahead(time) {
            self.newest = self.newest.max(Some(time));
        }
    }

    fn is_ahead(&self, time: UtcMillis) -> bool {
        time.since_ms(self.latest_received) > FUTURE_MS
    }

    fn store(
        &mut self,
        id: SeriesId,
        series: &'a Arc<LiveSeries>,
        point: Point,
        is_backlog: bool,
    ) -> Verdict {
        match self.sinks.store.insert(id, point) {
            Inserted::Stored { latest } => {
                if latest && is_backlog {
                    self.backlog.insert(id, (series, point));
                } else if latest {
                    // It stands for the backlog before it.
                    self.backlog.remove(&id);
                    self.tell(series, point);
                }
                Verdict::Stored
            }
            Inserted::Merged(merge) => {
                let is_latest =
                    || self.sinks.store.latest(id).is_some_and(|latest| latest.time == point.time);
                if merge == Merge::Replaced && is_latest() {
                    self.backlog.remove(&id);
                    self.tell(series, point);
                }
                Verdict::Merged
            }
            Inserted::OlderThanTail => Verdict::OlderThanTail,
        }
    }

    fn tell(&mut self, series: &Arc<LiveSeries>, point: Point) {
        (self.sinks.live)(LiveObservation {
            lamppost: Arc::clone(&self.source.places.lamppost),
            series: Arc::clone(series),
            time: point.time,
            value: point.value,
            reason: point.reason,
            received: self.source.entry.received,
        });
    }
}
