//! The pure core of ingest.

mod retry;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use lamplighter_protocol::{
    Catalogue, Description, DescriptionError, Digest, Frame, FrameError, Hello, HelloError, LamppostNumber,
    Leaf, Log, Record, Tick, UtcMillis,
};

use super::current::CurrentSeries;
use super::days::Days;
use super::known::{Descriptions, Known, SeriesKind};
use super::lamppost::{Lamppost, LamppostReport};
use super::metrics::{IngestMetrics, Malformed, Verdict};
use super::places::{Places, places};
use super::pulse::Pulse;
use super::quarantine::{KEPT_MS, Quarantine, Quarantined, RecordPlace, Waits};
use crate::journal::Entry;
use crate::live::{LiveObservation, LiveSeries};
use crate::store::{Inserted, Merge, Point, SeriesId, Tail};

pub(crate) use state::IngestRestore;
pub use state::IngestSnapshot;

/// An observation may lie this far ahead of its receipt: clocks of lampposts are not always right.
const FUTURE_MS: i64 = 10 * 60 * 1000;

/// An observation may lie this far back: longer than any outbox is kept.
const PAST_MS: i64 = 400 * 24 * 3600 * 1000;

/// All that the journal has told so far.
#[derive(Debug)]
pub struct Ingest {
    descriptions: Descriptions,
    lampposts: BTreeMap<LamppostNumber, Lamppost>,
    /// Greatest time of receipt so far: a server's clock that was set back does not make good observations future ones.
    latest_received: UtcMillis,
    /// The sequence behind the last entry.
    next: u64,
    days: Days,
    quarantine: Quarantine,
    metrics: IngestMetrics,
}

/// What an entry has changed, besides the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// A hello: its position is due at once.
    Hello,
    /// Something that the next position tells.
    Held,
    /// Nothing that a position would tell.
    Nothing,
}

impl Ingest {
    /// Knows nothing yet.
    pub fn new(catalogue: Catalogue, metrics: IngestMetrics) -> Self {
        Self {
            descriptions: Descriptions::new(catalogue),
            lampposts: BTreeMap::new(),
            latest_received: UtcMillis::default(),
            next: 0,
            days: Days::default(),
            quarantine: Quarantine::default(),
            metrics,
        }
    }

    /// Takes one committed entry. Observations that become the newest of their series, or replace it (D13), are
    /// handed to `live`.
    pub fn apply(&mut self, entry: &Entry, store: &mut Tail, live: &mut dyn FnMut(LiveObservation)) -> Fresh {
        self.next = entry.sequence.saturating_add(1);
        self.days.received(entry.received, entry.sequence);
        self.lamppost(&entry.lamppost).last_acknowledged = Some(entry.received);
        match entry.leaf {
            Leaf::Hello => self.hello(entry),
            Leaf::Description => self.description(entry),
            Leaf::Frames(log) => self.frame(entry, log, store, live),
            // The gateway lets nobody publish downwards.
            Leaf::Position | Leaf::Command => Fresh::Nothing,
        }
    }

    /// The sequence of the entry that comes next.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// All entries below this sequence were received before this time; it is found by whole days, so that some that
    /// lie above it may have been, too.
    pub fn received_before(&self, time: UtcMillis) -> u64 {
        self.days.first_since(time).unwrap_or(self.next)
    }

    /// The position that answers a lamppost's last hello, serialised; none if it never said one.
    pub fn position(&mut self, number: &LamppostNumber, now: UtcMillis) -> Option<Vec<u8>> {
        let descriptions = &self.descriptions;
        let lamppost = self.lampposts.get_mut(number)?;
        let position = lamppost.position(now, |digest| descriptions.get(digest).is_some())?;
        self.metrics.positions.inc();
        Some(position.encode())
    }

    /// What is known of a lamppost; none if it never said hello.
    pub fn report(&self, number: &LamppostNumber) -> Option<LamppostReport> {
        self.lampposts.get(number)?.report()
    }

    /// Whether a lamppost is well; none if it has never sent anything that could be read.
    pub fn pulse(&self, number: &LamppostNumber) -> Option<Pulse> {
        self.lampposts.get(number).map(Lamppost::pulse)
    }

    /// The series that a lamppost has now; none before it has written anything that could be read.
    pub fn current_series(&self, number: &LamppostNumber) -> Option<CurrentSeries> {
        self.lampposts.get(number)?.current_series()
    }

    /// When the last message of a lamppost was received that the journal has; none if there is none.
    pub fn last_acknowledged(&self, number: &LamppostNumber) -> Option<UtcMillis> {
        self.lampposts.get(number)?.last_acknowledged
    }

    fn hello(&mut self, entry: &Entry) -> Fresh {
        match Hello::decode(&entry.payload) {
            Ok(hello) => {
                self.lamppost(&entry.lamppost).hello(hello, entry.received);
                Fresh::Hello
            }
            Err(HelloError::Newer(_)) => self.refuse(entry, Malformed::Newer),
            Err(
                HelloError::Unreadable(_) | HelloError::Id(_) | HelloError::Pieces(_) | HelloError::TooLong,
            ) => self.refuse(entry, Malformed::Hello),
        }
    }

    fn description(&mut self, entry: &Entry) -> Fresh {
        let digest = Digest::of(&entry.payload);
        if self.descriptions.get(digest).is_some() {
            return Fresh::Nothing;
        }
        match Description::decode(&entry.payload) {
            Ok(description) => {
                if !self.lamppost(&entry.lamppost).introduces(entry.payload.len()) {
                    return self.refuse(entry, Malformed::TooMany);
                }
                // Copied: the entry may be part of a larger buffer.
                let payload = Bytes::copy_from_slice(&entry.payload);
                self.descriptions.keep(digest, payload, description);
                Fresh::Held
            }
            Err(DescriptionError::Newer(_)) => self.refuse(entry, Malformed::Newer),
            Err(
                DescriptionError::Unreadable(_)
                | DescriptionError::Name(_)
                | DescriptionError::Resolution(_)
                | DescriptionError::Rule(_),
            ) => self.refuse(entry, Malformed::Description),
        }
    }

    fn frame(
        &mut self,
        entry: &Entry,
        log: Log,
        store: &mut Tail,
        live: &mut dyn FnMut(LiveObservation),
    ) -> Fresh {
        self.latest_received = self.latest_received.max(entry.received);
        self.quarantine.expire(self.latest_received.plus_ms(-KEPT_MS), &self.metrics.quarantine);
        let frame = match Frame::decode(entry.payload.clone()) {
            Ok(frame) => frame,
            Err(FrameError::Newer(_)) => return self.refuse(entry, Malformed::Newer),
            Err(FrameError::Unreadable(_) | FrameError::Id(_) | FrameError::Sequences { .. }) => {
                return self.refuse(entry, Malformed::Envelope);
            }
        };
        self.metrics.frames.inc();
        let known = self.descriptions.get(frame.description);
        let lamppost = self.lampposts.entry(entry.lamppost.clone()).or_default();
        lamppost.counted(frame.nonce, frame.count);
        lamppost.sent(frame.run, log, frame.first, frame.last());
        let Some(known) = known else {
            // Not held: it comes again, after its description (D12).
            lamppost.lacks(frame.description);
            self.refuse(entry, Malformed::Undescribed);
            return Fresh::Held;
        };
        lamppost.described(frame.description, &known);
        let Ok(places) = places(&entry.lamppost, lamppost, frame.description, &known, store) else {
            // Not held: it is good, and may come again.
            return self.refuse(entry, Malformed::TooMany);
        };
        let run = lamppost.run(frame.run, entry.sequence);
        let missing = run.missing_in(log, frame.first, frame.last());
        run.hold(log, frame.first, frame.last());
        let fresh: u64 = missing.iter().map(|(first, last)| last - first + 1).sum();
        self.metrics.repeated.inc_by(frame.records.len() as u64 - fresh);
        let mut record = Recorder {
            entry,
            frame: &frame,
            log,
            known: &known,
            places: &places,
            lamppost,
            latest_received: self.latest_received,
            now: entry.received,
            again: None,
            quarantine: &mut self.quarantine,
            metrics: &self.metrics,
            store,
            live,
            newest: None,
        };
        for (first, last) in missing {
            for sequence in first..=last {
                record.record(sequence);
            }
        }
        if let Some(newest) = record.newest
            && lamppost.written(frame.description, &known, newest, entry.received)
        {
            places.describe(&known, store);
        }
        Fresh::Held
    }

    fn lamppost(&mut self, number: &LamppostNumber) -> &mut Lamppost {
        self.lampposts.entry(number.clone()).or_default()
    }

    fn refuse(&self, entry: &Entry, what: Malformed) -> Fresh {
        self.metrics.refuse(what);
        tracing::debug!(lamppost = %entry.lamppost, entry = entry.sequence, ?what, "not usable");
        Fresh::Nothing
    }
}

/// Reads the records of one frame that are not held yet.
struct Recorder<'a> {
    entry: &'a Entry,
    frame: &'a Frame,
    log: Log,
    known: &'a Arc<Known>,
    places: &'a Places,
    lamppost: &'a mut Lamppost,
    latest_received: UtcMillis,
    /// The last receipt of the lamppost.
    now: UtcMillis,
    /// What of the record is tried again; none: all of it comes for the first time.
    again: Option<Waits>,
    quarantine: &'a mut Quarantine,
    metrics: &'a IngestMetrics,
    store: &'a mut Tail,
    live: &'a mut dyn FnMut(LiveObservation),
    /// The newest time of a record so far, of those that can be believed.
    newest: Option<UtcMillis>,
}

impl Recorder<'_> {
    fn record(&mut self, sequence: u64) {
        let place = usize::try_from(sequence - self.frame.first).unwrap_or(usize::MAX);
        let Some(bytes) = self.frame.records.get(place) else { return };
        if self.again == Some(Waits::Record) {
            self.metrics.take_back_refused(Malformed::Record);
        }
        match Record::decode(bytes) {
            Ok(Record::Tick(tick)) => self.tick(sequence, tick),
            Ok(Record::Opening(opening)) if self.log == Log::Events && sequence == 0 => {
                self.dated(opening.opened);
                if self.lamppost.opened(self.frame.run, opening, self.known).is_err() {
                    self.metrics.forks.inc();
                    tracing::warn!(
                        lamppost = %self.entry.lamppost, run = %self.frame.run,
                        "two runs follow the same run: an outbox was copied; both are stored"
                    );
                }
            }
            Ok(Record::Command(report)) => {
                self.dated(report.time);
                tracing::info!(lamppost = %self.entry.lamppost, command = %report.id, state = ?report.state, "command");
            }
            // An opening is the first of its run's events, and nothing else (D1).
            Ok(Record::Opening(_)) => self.metrics.refuse(Malformed::Record),
            Err(error) => {
                self.metrics.refuse(Malformed::Record);
                self.quarantine(sequence, Waits::Record);
                tracing::debug!(lamppost = %self.entry.lamppost, run = %self.frame.run, sequence, %error, "unreadable");
            }
        }
    }

    fn tick(&mut self, sequence: u64, mut tick: Tick) {
        if let Some(Waits::Series(waits)) = &self.again {
            tick.observations.retain(|observation| waits.contains(&observation.series));
            self.metrics.take_back(Verdict::UnknownProperty, tick.observations.len() as u64);
        }
        let count = tick.observations.len() as u64;
        if self.is_ahead(tick.time) {
            return self.metrics.observed(Verdict::Future, count);
        }
        self.dated(tick.time);
        if self.entry.received.since_ms(tick.time) > PAST_MS {
            return self.metrics.observed(Verdict::Retention, count);
        }
        let Some(kinds) = self.known.series.get(tick.device) else {
            return self.metrics.observed(Verdict::Type, count);
        };
        let mut unknown = BTreeSet::new();
        for observation in &tick.observations {
            let verdict = match kinds.get(observation.series) {
                None => Verdict::Type,
                Some(SeriesKind::Rejected(verdict)) => *verdict,
                Some(SeriesKind::Taken { resolution, live, .. }) => {
                    let value = observation.value.map(|value| resolution.to_f64(value));
                    let point = Point { time: tick.time, value, reason: observation.reason };
                    match self.places.id(tick.device, observation.series) {
                        None => Verdict::TooManySeries,
                        Some(id) => self.store(id, live, point),
                    }
                }
            };
            if verdict == Verdict::UnknownProperty {
                unknown.insert(observation.series);
            }
            self.metrics.observed(verdict, 1);
        }
        if !unknown.is_empty() {
            self.quarantine(sequence, Waits::Series(unknown));
        }
        self.lamppost.observed(tick.time, self.now);
    }

    fn quarantine(&mut self, sequence: u64, waits: Waits) {
        let place = RecordPlace {
            lamppost: self.entry.lamppost.clone(),
            run: self.frame.run,
            log: self.log,
            sequence,
        };
        let index = usize::try_from(sequence - self.frame.first).unwrap_or(usize::MAX);
        let Some(record) = self.frame.records.get(index) else { return };
        let one = Quarantined {
            description: self.frame.description,
            received: self.entry.received,
            // Copied: it is part of a larger buffer.
            record: record.as_ref().into(),
            waits,
        };
        self.quarantine.put(place, one, &self.metrics.quarantine);
    }

    fn dated(&mut self, time: UtcMillis) {
        if !self.is_ahead(time) {
            self.newest = self.newest.max(Some(time));
        }
    }

    fn is_ahead(&self, time: UtcMillis) -> bool {
        time.since_ms(self.latest_received) > FUTURE_MS
    }

    fn store(&mut self, id: SeriesId, series: &Arc<LiveSeries>, point: Point) -> Verdict {
        match self.store.insert(id, point) {
            Inserted::Stored { latest } => {
                if latest {
                    self.tell(series, point);
                }
                Verdict::Stored
            }
            Inserted::Merged(merge) => {
                let is_latest = || self.store.latest(id).is_some_and(|latest| latest.time == point.time);
                if merge == Merge::Replaced && is_latest() {
                    self.tell(series, point);
                }
                Verdict::Merged
            }
            Inserted::OlderThanTail => Verdict::OlderThanTail,
        }
    }

    fn tell(&mut self, series: &Arc<LiveSeries>, point: Point) {
        (self.live)(LiveObservation {
            lamppost: Arc::clone(&self.places.lamppost),
            series: Arc::clone(series),
            time: point.time,
            value: point.value,
            reason: point.reason,
            received: self.entry.received,
        });
    }
}
