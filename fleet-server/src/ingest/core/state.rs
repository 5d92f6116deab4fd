//! All that ingest knows as parts of a checkpoint, and back.

use std::collections::BTreeSet;

use bytes::Bytes;
use lamplighter_protocol::{Catalogue, Description, Digest, LamppostNumber, Log, RunId, UtcMillis};

use super::super::lamppost::Lamppost;
use super::super::ledger::LedgerRestore;
use super::super::metrics::{IngestMetrics, Malformed, QuarantineMetrics, Verdict};
use super::super::quarantine::{Quarantined, RecordPlace, Waits};
use super::Ingest;
use crate::checkpoint::{WrongPart, wire};

/// All that [`Ingest`] knows, as it was at one moment.
#[derive(Debug)]
pub struct IngestSnapshot {
    next: u64,
    parts: Vec<wire::part::Body>,
}

/// Ingest that is put together again, part by part.
#[derive(Debug)]
pub(crate) struct IngestRestore {
    ingest: Ingest,
    counted: wire::Ingest,
    /// The one whose runs and openings come now.
    lamppost: Option<(LamppostNumber, Lamppost)>,
    ledger: LedgerRestore,
}

const WITHOUT_LAMPPOST: WrongPart = WrongPart("a part of a lamppost without the lamppost");

impl IngestSnapshot {
    /// The sequence of the first entry that is not in it.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Its parts, in order.
    pub(crate) fn into_parts(self) -> Vec<wire::part::Body> {
        self.parts
    }
}

impl Ingest {
    /// Copies all that it knows.
    pub fn snapshot(&self) -> IngestSnapshot {
        let mut parts = vec![wire::part::Body::Ingest(self.message())];
        for known in self.descriptions.iter() {
            let payload = known.payload.to_vec();
            parts.push(wire::part::Body::Description(wire::Description { payload }));
        }
        for (number, lamppost) in &self.lampposts {
            lamppost.parts(number, &mut parts);
        }
        parts.extend(
            self.quarantine
                .iter()
                .map(|(place, one)| wire::part::Body::Quarantined(quarantined_message(place, one))),
        );
        IngestSnapshot { next: self.next, parts }
    }

    fn message(&self) -> wire::Ingest {
        let metrics = &self.metrics;
        let mut observations = wire::Verdicts::default();
        for verdict in Verdict::ALL {
            *verdict_place(&mut observations, verdict) = metrics.observations(verdict);
        }
        let mut malformed = wire::Malformed::default();
        for what in Malformed::ALL {
            *malformed_place(&mut malformed, what) = metrics.malformed(what);
        }
        wire::Ingest {
            next: self.next,
            latest_received_ms: self.latest_received.0,
            observations: Some(observations),
            malformed: Some(malformed),
            frames: metrics.frames.get(),
            repeated: metrics.repeated.get(),
            damaged: metrics.damaged.get(),
            forks: metrics.forks.get(),
            quarantine: Some(wire::Quarantine {
                released: metrics.quarantine.released.get(),
                expired: metrics.quarantine.expired.get(),
                no_room: metrics.quarantine.no_room.get(),
            }),
            days: self.days.iter().map(|(day, first)| wire::Day { day, first }).collect(),
        }
    }
}

impl IngestRestore {
    pub(crate) fn new(catalogue: Catalogue, metrics: IngestMetrics) -> Self {
        Self {
            ingest: Ingest::new(catalogue, metrics),
            counted: wire::Ingest::default(),
            lamppost: None,
            ledger: LedgerRestore::default(),
        }
    }

    pub(crate) fn ingest(&mut self, message: wire::Ingest) {
        self.ingest.next = message.next;
        self.ingest.latest_received = UtcMillis(message.latest_received_ms);
        for wire::Day { day, first } in &message.days {
            self.ingest.days.add(*day, *first);
        }
        self.counted = message;
    }

    pub(crate) fn description(&mut self, message: wire::Description) -> Result<(), WrongPart> {
        let description = Description::decode(&message.payload);
        let description = description.map_err(|_| WrongPart("a description that cannot be read"))?;
        let digest = Digest::of(&message.payload);
        self.ingest.descriptions.keep(digest, Bytes::from(message.payload), description);
        Ok(())
    }

    pub(crate) fn lamppost(&mut self, message: wire::Lamppost) -> Result<(), WrongPart> {
        self.put_lamppost();
        let number = message.number.parse().map_err(|_| WrongPart("a lamppost whose number is none"))?;
        self.lamppost = Some((number, Lamppost::restored(message, &self.ingest.descriptions)?));
        Ok(())
    }

    pub(crate) fn run(&mut self, message: &wire::Run) -> Result<(), WrongPart> {
        self.present()?.restore_run(message)
    }

    pub(crate) fn opening(&mut self, message: &wire::Opening) -> Result<(), WrongPart> {
        let descriptions = &self.ingest.descriptions;
        let known = Digest::from_slice(&message.description).ok().and_then(|digest| descriptions.get(digest));
        let known = known.ok_or(WrongPart("an opening without its description"))?;
        self.present()?.restore_opening(message, known)
    }

    pub(crate) fn named(&mut self, message: &wire::NamedLog) -> Result<(), WrongPart> {
        self.present()?.restore_named(message)
    }

    /// A part of the lamppost's ledger.
    pub(crate) fn ledger(&mut self, part: wire::part::Body) -> Result<(), WrongPart> {
        let (_, lamppost) = self.lamppost.as_mut().ok_or(WITHOUT_LAMPPOST)?;
        self.ledger.restore(&mut lamppost.ledger, part)
    }

    pub(crate) fn quarantined(&mut self, message: wire::Quarantined) -> Result<(), WrongPart> {
        let place = RecordPlace {
            lamppost: message.lamppost.parse().map_err(|_| WrongPart("a lamppost whose number is none"))?,
            run: RunId::from_slice(&message.run).map_err(|_| WrongPart("an id that is none"))?,
            log: if message.events { Log::Events } else { Log::Samples },
            sequence: message.sequence,
        };
        let series: BTreeSet<usize> = message.series.iter().map(|series| *series as usize).collect();
        let digest = Digest::from_slice(&message.description);
        let one = Quarantined {
            description: digest.map_err(|_| WrongPart("an id that is none"))?,
            received: UtcMillis(message.received_ms),
            record: message.record.into(),
            waits: if series.is_empty() { Waits::Record } else { Waits::Series(series) },
        };
        // Shown and counted once all of the checkpoint is known to be whole.
        self.ingest.quarantine.put(place, one, &QuarantineMetrics::default());
        Ok(())
    }

    /// The sequence of the entry that it goes on with.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.ingest.next
    }

    /// Ingest, which goes on with the next entry. From here on its counters count on from what was counted before.
    pub(crate) fn finish(mut self) -> Ingest {
        self.put_lamppost();
        let metrics = &self.ingest.metrics;
        let mut observations = self.counted.observations.unwrap_or_default();
        for verdict in Verdict::ALL {
            metrics.observed(verdict, *verdict_place(&mut observations, verdict));
        }
        let mut malformed = self.counted.malformed.unwrap_or_default();
        for what in Malformed::ALL {
            metrics.refused(what, *malformed_place(&mut malformed, what));
        }
        let wire::Quarantine { released, expired, no_room } = self.counted.quarantine.unwrap_or_default();
        self.ingest.quarantine.tell(&metrics.quarantine);
        metrics.quarantine.released.inc_by(released);
        metrics.quarantine.expired.inc_by(expired);
        metrics.quarantine.no_room.inc_by(no_room);
        metrics.frames.inc_by(self.counted.frames);
        metrics.repeated.inc_by(self.counted.repeated);
        metrics.damaged.inc_by(self.counted.damaged);
        metrics.forks.inc_by(self.counted.forks);
        self.ingest
    }

    fn present(&mut self) -> Result<&mut Lamppost, WrongPart> {
        let lamppost = self.lamppost.as_mut().map(|(_, lamppost)| lamppost);
        lamppost.ok_or(WITHOUT_LAMPPOST)
    }

    fn put_lamppost(&mut self) {
        self.ingest.lampposts.extend(self.lamppost.take());
    }
}

fn quarantined_message(place: &RecordPlace, one: &Quarantined) -> wire::Quarantined {
    let series = match &one.waits {
        Waits::Record => Vec::new(),
        Waits::Series(series) => {
            series.iter().map(|series| u32::try_from(*series).unwrap_or(u32::MAX)).collect()
        }
    };
    wire::Quarantined {
        lamppost: place.lamppost.to_string(),
        run: place.run.0.to_vec(),
        events: place.log == Log::Events,
        sequence: place.sequence,
        description: one.description.0.to_vec(),
        received_ms: one.received.0,
        record: one.record.to_vec(),
        series,
    }
}

fn verdict_place(verdicts: &mut wire::Verdicts, verdict: Verdict) -> &mut u64 {
    match verdict {
        Verdict::Stored => &mut verdicts.stored,
        Verdict::Merged => &mut verdicts.merged,
        Verdict::OlderThanTail => &mut verdicts.older_than_tail,
        Verdict::Future => &mut verdicts.future,
        Verdict::Retention => &mut verdicts.retention,
        Verdict::Type => &mut verdicts.r#type,
        Verdict::UnknownProperty => &mut verdicts.unknown_property,
        Verdict::TooManySeries => &mut verdicts.too_many_series,
        Verdict::DroppedBytes => &mut verdicts.dropped_bytes,
        Verdict::DroppedAge => &mut verdicts.dropped_age,
        Verdict::DroppedDamaged => &mut verdicts.dropped_damaged,
    }
}

fn malformed_place(malformed: &mut wire::Malformed, what: Malformed) -> &mut u64 {
    match what {
        Malformed::Hello => &mut malformed.hello,
        Malformed::Description => &mut malformed.description,
        Malformed::Envelope => &mut malformed.envelope,
        Malformed::Record => &mut malformed.record,
        Malformed::Newer => &mut malformed.newer,
        Malformed::Undescribed => &mut malformed.undescribed,
        Malformed::TooMany => &mut malformed.too_many,
    }
}
