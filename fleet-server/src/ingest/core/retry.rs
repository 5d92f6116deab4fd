//! Trying again what is in quarantine (D12).

use bytes::Bytes;
use lamplighter_protocol::{Frame, Leaf, Nonce};

use super::super::places::places;
use super::super::quarantine::{Quarantined, RecordPlace};
use super::Ingest;
use super::recorder::{Recorder, Sinks, Source};
use crate::journal::Entry;
use crate::live::LiveObservation;
use crate::store::Tail;

impl Ingest {
    /// Tries again what is in quarantine: the catalogue may know more than it did, and the release may read more. What
    /// can be taken leaves it, and gets the verdict that it deserves by its time of receipt; the rest goes on waiting.
    pub fn retry_quarantine(&mut self, store: &mut Tail, live: &mut dyn FnMut(LiveObservation)) {
        for place in self.quarantine.places() {
            self.retry(&place, store, live);
            if !self.quarantine.contains(&place) {
                self.metrics.quarantine.released.inc();
            }
        }
        self.quarantine.tell(&self.metrics.quarantine);
    }

    fn retry(&mut self, place: &RecordPlace, store: &mut Tail, live: &mut dyn FnMut(LiveObservation)) {
        let Some(Quarantined { description, received, record, waits }) = self.quarantine.take(place) else {
            return;
        };
        let put_back = Quarantined { description, received, record: record.clone(), waits: waits.clone() };
        let lamppost = self.lampposts.entry(place.lamppost.clone()).or_default();
        let known = self.descriptions.get(description);
        let found = known.and_then(|known| {
            let places = places(&place.lamppost, lamppost, description, &known, store).ok()?;
            Some((known, places))
        });
        let Some((known, places)) = found else {
            // The store has no room for its series now.
            return self.quarantine.put(place.clone(), put_back, &self.metrics.quarantine);
        };
        let last_acknowledged = lamppost.last_acknowledged;
        // As if it had come alone.
        let frame = Frame {
            nonce: Nonce([0; 16]),
            count: 0,
            run: place.run,
            first: place.sequence,
            description,
            records: vec![Bytes::from(record)],
        };
        let entry = Entry {
            sequence: self.next,
            received,
            lamppost: place.lamppost.clone(),
            leaf: Leaf::Frames(place.log),
            payload: Bytes::new(),
        };
        // How recent a lamppost's data is goes by its last receipt, which is not this one.
        let now = last_acknowledged.map_or(received, |last| last.max(received));
        let source = Source { entry: &entry, frame: &frame, log: place.log, known: &known, places: &places };
        let (quarantine, metrics) = (&mut self.quarantine, &self.metrics);
        let sinks = Sinks { lamppost, quarantine, metrics, store, live };
        let mut recorder = Recorder::new(source, sinks, self.latest_received).again(waits, now);
        recorder.record(place.sequence);
        recorder.finish();
    }
}
