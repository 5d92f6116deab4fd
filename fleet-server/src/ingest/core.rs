//! The pure core of ingest.

use std::collections::BTreeMap;
use std::sync::Arc;

use lamplighter_protocol::{
    Catalogue, Description, DescriptionError, Digest, Frame, FrameError, Hello, HelloError, LamppostNumber,
    Leaf, Log, Record, Tick, UtcMillis,
};

use super::known::{Descriptions, Known, SeriesKind};
use super::lamppost::{Lamppost, LamppostReport};
use super::metrics::{IngestMetrics, Malformed, Verdict};
use crate::journal::Entry;
use crate::live::LiveObservation;
use crate::store::{Inserted, Point, SeriesId, SeriesKey, SeriesMeta, Tail};

/// An observation may lie this far ahead of its receipt: clocks of lampposts are not always right.
const FUTURE_MS: i64 = 10 * 60 * 1000;

/// An observation may lie this far back: longer than any outbox is kept.
const PAST_MS: i64 = 400 * 24 * 3600 * 1000;

/// Most descriptions of which a lamppost's places in the store are remembered at once.
const MOST_SERIES_TABLES: usize = 16;

/// All that the journal has told so far.
#[derive(Debug)]
pub struct Ingest {
    descriptions: Descriptions,
    lampposts: BTreeMap<LamppostNumber, Lamppost>,
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
        Self { descriptions: Descriptions::new(catalogue), lampposts: BTreeMap::new(), metrics }
    }

    /// Takes one committed entry. Observations that are the newest of their series are handed to `live`.
    pub fn apply(&mut self, entry: &Entry, store: &mut Tail, live: &mut dyn FnMut(LiveObservation)) -> Fresh {
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
                if self.descriptions.keep(digest, description) {
                    return Fresh::Held;
                }
                self.refuse(entry, Malformed::TooMany)
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
        let Some(known) = known else {
            // Not held: it comes again, after its description (D12).
            lamppost.lacks(frame.description);
            self.refuse(entry, Malformed::Undescribed);
            return Fresh::Held;
        };
        lamppost.described(frame.description, &known);
        let Some(run) = lamppost.run(frame.run) else { return self.refuse(entry, Malformed::TooMany) };
        let missing = run.missing_in(log, frame.first, frame.last());
        run.hold(log, frame.first, frame.last());
        let fresh: u64 = missing.iter().map(|(first, last)| last - first + 1).sum();
        self.metrics.repeated.inc_by(frame.records.len() as u64 - fresh);
        let mut record =
            Recorder { entry, frame: &frame, known: &known, lamppost, metrics: &self.metrics, store, live };
        for (first, last) in missing {
            for sequence in first..=last {
                record.record(sequence);
            }
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
    known: &'a Arc<Known>,
    lamppost: &'a mut Lamppost,
    metrics: &'a IngestMetrics,
    store: &'a mut Tail,
    live: &'a mut dyn FnMut(LiveObservation),
}

impl Recorder<'_> {
    fn record(&mut self, sequence: u64) {
        let place = usize::try_from(sequence - self.frame.first).unwrap_or(usize::MAX);
        let Some(bytes) = self.frame.records.get(place) else { return };
        match Record::decode(bytes) {
            Ok(Record::Tick(tick)) => self.tick(&tick),
            Ok(Record::Opening(opening)) => {
                if self.lamppost.opened(self.frame.run, opening, self.known).is_err() {
                    self.metrics.forks.inc();
                    tracing::warn!(
                        lamppost = %self.entry.lamppost, run = %self.frame.run,
                        "two runs follow the same run: an outbox was copied; both are stored"
                    );
                }
            }
            Ok(Record::Command(report)) => {
                tracing::info!(lamppost = %self.entry.lamppost, command = %report.id, state = ?report.state, "command");
            }
            Err(error) => {
                self.metrics.refuse(Malformed::Record);
                tracing::debug!(lamppost = %self.entry.lamppost, run = %self.frame.run, sequence, %error, "unreadable");
            }
        }
    }

    fn tick(&mut self, tick: &Tick) {
        let count = tick.observations.len() as u64;
        let ahead = tick.time.since_ms(self.entry.received);
        if ahead > FUTURE_MS {
            return self.metrics.observed(Verdict::Future, count);
        }
        if ahead < -PAST_MS {
            return self.metrics.observed(Verdict::Retention, count);
        }
        let Some(kinds) = self.known.series.get(tick.device) else {
            return self.metrics.observed(Verdict::Type, count);
        };
        for observation in &tick.observations {
            let verdict = match kinds.get(observation.series) {
                None => Verdict::Type,
                Some(SeriesKind::Rejected(verdict)) => *verdict,
                Some(SeriesKind::Taken { resolution, .. }) => {
                    let value = observation.value.map(|value| resolution.to_f64(value));
                    let point = Point { time: tick.time, value, reason: observation.reason };
                    self.store(tick.device, observation.series, point)
                }
            };
            self.metrics.observed(verdict, 1);
        }
        self.lamppost.observed(tick.time);
    }

    fn store(&mut self, device: usize, series: usize, point: Point) -> Verdict {
        let Some(id) = self.series(device, series) else { return Verdict::TooManySeries };
        match self.store.insert(id, point) {
            Inserted::Stored { latest } => {
                if latest {
                    self.tell(device, series, point);
                }
                Verdict::Stored
            }
            Inserted::Merged(_) => Verdict::Merged,
            Inserted::OlderThanTail => Verdict::OlderThanTail,
        }
    }

    fn series(&mut self, device: usize, series: usize) -> Option<SeriesId> {
        let digest = self.frame.description;
        if !self.lamppost.series.contains_key(&digest) {
            if self.lamppost.series.len() >= MOST_SERIES_TABLES {
                self.lamppost.series.clear();
            }
            let table = self.table();
            self.lamppost.series.insert(digest, table);
        }
        *self.lamppost.series.get(&digest)?.get(device)?.get(series)?
    }

    /// Makes known to the store every series of the description, in which this lamppost writes for the first time.
    fn table(&mut self) -> Vec<Vec<Option<SeriesId>>> {
        let description = &self.known.description;
        let mut table = Vec::with_capacity(description.devices.len());
        for (device, kinds) in description.devices.iter().zip(&self.known.series) {
            let mut places = Vec::with_capacity(device.series.len());
            for (series, kind) in device.series.iter().zip(kinds) {
                places.push(match *kind {
                    SeriesKind::Rejected(_) => None,
                    SeriesKind::Taken { statistic, resolution } => {
                        let key =
                            SeriesKey { lamppost: self.entry.lamppost.clone(), name: device.name_of(series) };
                        let grid = description.grid_of(device);
                        let meta = SeriesMeta { key, unit: series.unit.clone(), statistic, resolution, grid };
                        self.store.series(meta).ok()
                    }
                });
            }
            table.push(places);
        }
        table
    }

    fn tell(&mut self, device: usize, series: usize, point: Point) {
        let Some(device) = self.known.description.devices.get(device) else { return };
        let Some(series) = device.series.get(series) else { return };
        (self.live)(LiveObservation {
            lamppost: self.entry.lamppost.clone(),
            series: device.name_of(series),
            time: point.time,
            value: point.value,
            unit: series.unit.clone(),
            quality: point.reason.quality(),
            reason: point.reason,
            received: self.entry.received,
        });
    }
}
