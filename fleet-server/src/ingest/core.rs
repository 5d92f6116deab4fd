//! The pure core of ingest.

use std::collections::BTreeMap;
use std::sync::Arc;

use lamplighter_protocol::{
    Catalogue, Description, DescriptionError, Digest, Frame, FrameError, Hello, HelloError, LamppostNumber,
    Leaf, Log, OutboxId, Record, RunId, Tick, UtcMillis,
};

use super::current::CurrentSeries;
use super::known::{Descriptions, Known, SeriesKind};
use super::lamppost::{Lamppost, LamppostReport};
use super::ledger::{
    Course, DescribedSpan, LamppostLedger, OutboxDecision, RecordVerdict, Rejection, Spans, Tallied, Times,
};
use super::metrics::{IngestMetrics, Malformed, Verdict};
use super::places::{Places, places};
use super::pulse::Pulse;
use crate::journal::Entry;
use crate::live::{LiveObservation, LiveSeries};
use crate::store::{Inserted, Merge, Point, SeriesId, Tail};

/// An observation may lie this far ahead of its receipt: clocks of lampposts are not always right.
const FUTURE_MS: i64 = 10 * 60 * 1000;

/// An observation may lie this far back: longer than any outbox is kept.
const PAST_MS: i64 = 400 * 24 * 3600 * 1000;

/// An observation is late that is received more than so many periods of its device after its time.
const LATE_PERIODS: i64 = 3;

/// All that the journal has told so far.
#[derive(Debug)]
pub struct Ingest {
    descriptions: Descriptions,
    lampposts: BTreeMap<LamppostNumber, Lamppost>,
    /// Greatest time of receipt so far: a server's clock that was set back does not make good observations future ones.
    latest_received: UtcMillis,
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
            metrics,
        }
    }

    /// Takes one committed entry. Observations that become the newest of their series, or replace it (D13), are
    /// handed to `live`.
    pub fn apply(&mut self, entry: &Entry, store: &mut Tail, live: &mut dyn FnMut(LiveObservation)) -> Fresh {
        self.lamppost(&entry.lamppost).last_acknowledged = Some(entry.received);
        match entry.leaf {
            Leaf::Hello => self.hello(entry),
            Leaf::Description => self.description(entry),
            Leaf::Frames(log) => self.frame(entry, log, store, live),
            // The gateway lets nobody publish downwards.
            Leaf::Position | Leaf::Command => Fresh::Nothing,
        }
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

    /// What became of one record of a lamppost (D12). A function of the journal and of what operators have
    /// [decided](Self::decide).
    pub fn verdict(&self, number: &LamppostNumber, run: RunId, log: Log, sequence: u64) -> RecordVerdict {
        self.lampposts
            .get(number)
            .map_or(RecordVerdict::NotYetHere, |lamppost| lamppost.verdict(run, log, sequence))
    }

    /// What became of all that a lamppost has written; none if it has never sent anything.
    pub fn ledger(&self, number: &LamppostNumber) -> Option<LamppostLedger> {
        self.lampposts.get(number).map(Lamppost::account)
    }

    /// The course of a lamppost's series from `from` to before `to`, which is not in the future; none if it has never
    /// sent anything.
    pub fn course(&self, number: &LamppostNumber, from: UtcMillis, to: UtcMillis) -> Option<Course> {
        let known = |digest| self.descriptions.get(digest);
        self.lampposts.get(number).map(|lamppost| lamppost.course(known, (from, to)))
    }

    /// An operator has decided of an outbox (D14). It lasts as long as this value does. False: the lamppost has no
    /// outbox of this id.
    pub fn decide(&mut self, number: &LamppostNumber, outbox: OutboxId, decision: OutboxDecision) -> bool {
        self.lampposts.get_mut(number).is_some_and(|lamppost| lamppost.decide(outbox, decision))
    }

    fn hello(&mut self, entry: &Entry) -> Fresh {
        match Hello::decode(&entry.payload) {
            Ok(hello) => {
                self.lamppost(&entry.lamppost).hello(hello, entry.received, entry.sequence);
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
                self.descriptions.keep(digest, description);
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
            metrics: &self.metrics,
            store,
            live,
            newest: None,
            times: None,
            tallied: BTreeMap::new(),
        };
        for (first, last) in missing {
            record.range(first, last);
        }
        record.tally();
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
    metrics: &'a IngestMetrics,
    store: &'a mut Tail,
    live: &'a mut dyn FnMut(LiveObservation),
    /// The newest time of a record so far, of those that can be believed.
    newest: Option<UtcMillis>,
    /// From when to when the ticks of a range are, of those that can be believed.
    times: Option<Times>,
    /// What came late or was rejected, by device and series.
    tallied: BTreeMap<(usize, usize, Tallied), Spans>,
}

impl Recorder<'_> {
    /// Reads records that were not held before.
    fn range(&mut self, first: u64, last: u64) {
        self.times = None;
        for sequence in first..=last {
            self.record(sequence);
        }
        if self.log == Log::Samples {
            let span = DescribedSpan { first, last, description: self.frame.description, times: self.times };
            self.lamppost.ledger.described(self.frame.run, span, self.entry.sequence);
        }
    }

    fn record(&mut self, sequence: u64) {
        let place = usize::try_from(sequence - self.frame.first).unwrap_or(usize::MAX);
        let Some(bytes) = self.frame.records.get(place) else { return };
        match Record::decode(bytes) {
            Ok(Record::Tick(tick)) => self.tick(&tick),
            Ok(Record::Opening(opening)) if self.log == Log::Events && sequence == 0 => {
                self.dated(opening.opened);
                let written = (self.frame.description, self.known);
                let brought = (self.entry.received, self.entry.sequence);
                if self.lamppost.opened(self.frame.run, opening, written, brought).is_err() {
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
            Ok(Record::Dropped(dropped)) if self.log == Log::Events => {
                self.metrics.observed(Verdict::dropped(dropped.reason), dropped.observations());
                self.lamppost.ledger.dropped(&dropped, self.entry.sequence);
            }
            // An opening is the first of its run's events, and nothing else (D1); what was dropped is told in events (D11).
            Ok(Record::Opening(_) | Record::Dropped(_)) => self.metrics.refuse(Malformed::Record),
            Err(error) => {
                self.metrics.refuse(Malformed::Record);
                self.lamppost.ledger.tallies.unreadable += 1;
                tracing::debug!(lamppost = %self.entry.lamppost, run = %self.frame.run, sequence, %error, "unreadable");
            }
        }
    }

    fn tick(&mut self, tick: &Tick) {
        let count = tick.observations.len() as u64;
        if self.is_ahead(tick.time) {
            self.note_all(tick, Tallied::Rejected(Rejection::Future));
            return self.metrics.observed(Verdict::Future, count);
        }
        self.dated(tick.time);
        if self.entry.received.since_ms(tick.time) > PAST_MS {
            self.note_all(tick, Tallied::Rejected(Rejection::Retention));
            return self.metrics.observed(Verdict::Retention, count);
        }
        self.times = Some(Times::with(self.times, tick.time));
        let Some(kinds) = self.known.series.get(tick.device) else {
            self.lamppost.ledger.tallies.unplaced += count;
            return self.metrics.observed(Verdict::Type, count);
        };
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
            self.metrics.observed(verdict, 1);
            if let Some(why) = self.tallied_as(verdict, tick) {
                self.note(tick, observation.series, why);
            }
        }
        self.lamppost.observed(tick.time, self.entry.received);
    }

    /// What is to be counted by series and time, of an observation with this verdict.
    fn tallied_as(&self, verdict: Verdict, tick: &Tick) -> Option<Tallied> {
        if verdict != Verdict::Stored {
            return Rejection::of(verdict).map(Tallied::Rejected);
        }
        let period_ms = i64::from(self.period_ms(tick.device)?);
        (self.entry.received.since_ms(tick.time) > LATE_PERIODS * period_ms).then_some(Tallied::Late)
    }

    fn note_all(&mut self, tick: &Tick, why: Tallied) {
        for observation in &tick.observations {
            self.note(tick, observation.series, why);
        }
    }

    fn note(&mut self, tick: &Tick, series: usize, why: Tallied) {
        let period_ms = self.period_ms(tick.device);
        self.tallied.entry((tick.device, series, why)).or_default().insert(tick.time, period_ms);
    }

    /// Hands on what came late or was rejected, by the names of its series.
    fn tally(&mut self) {
        for ((device, series, why), spans) in std::mem::take(&mut self.tallied) {
            let period_ms = self.period_ms(device);
            let tallies = &mut self.lamppost.ledger.tallies;
            let of_device = self.known.description.devices.get(device);
            match of_device.and_then(|device| Some(device.name_of(device.series.get(series)?))) {
                Some(name) => tallies.add(&name, why, &spans, period_ms),
                None => tallies.unplaced += spans.iter().map(|span| span.count).sum::<u64>(),
            }
        }
    }

    /// The period at which the device at this place is read; none: by exception, or there is no such device.
    fn period_ms(&self, device: usize) -> Option<u32> {
        let description = &self.known.description;
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
