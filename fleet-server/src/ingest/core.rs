//! The pure core of ingest.

mod recorder;
mod retry;
mod state;

use std::collections::BTreeMap;

use bytes::Bytes;
use lamplighter_protocol::limits::RESERVED_NUMBER;
use lamplighter_protocol::{
    Catalogue, CommandId, Description, DescriptionError, Digest, Frame, FrameError, Hello, HelloError,
    LamppostNumber, Leaf, Log, OutboxId, RunId, UtcMillis,
};

use self::recorder::{Recorder, Sinks, Source};
use super::current::CurrentSeries;
use super::days::{DAY_MS, Days};
use super::known::Descriptions;
use super::lamppost::{Lamppost, LamppostReport};
use super::ledger::{CommandFate, Course, LamppostLedger, OutboxDecision, RecordVerdict};
use super::metrics::{IngestMetrics, Malformed};
use super::places::places;
use super::pulse::Pulse;
use super::quarantine::{KEPT_DAYS, Quarantine, RecordPlace};
use crate::journal::Entry;
use crate::live::LiveObservation;
use crate::store::Tail;

pub(crate) use state::IngestRestore;
pub use state::IngestSnapshot;

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
    /// handed to `live`; of those that came late, the newest of each series.
    pub fn apply(&mut self, entry: &Entry, store: &mut Tail, live: &mut dyn FnMut(LiveObservation)) -> Fresh {
        self.next = entry.sequence.saturating_add(1);
        self.days.received(entry.received, entry.sequence);
        if entry.lamppost.as_str() == RESERVED_NUMBER {
            self.metrics.probes.inc();
            return Fresh::Nothing;
        }
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

    /// All entries below this sequence were received more than so many days before this time; some that lie above it may
    /// have been, too. It is found by whole days, and only those count on which something was received: a server's clock
    /// that leaps ahead makes nothing old.
    pub fn older_than_days(&self, days: u32, now: UtcMillis) -> u64 {
        self.days.first_within(days, now).unwrap_or(self.next)
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

    /// Whether a record of a lamppost waits in quarantine, all of it or in part (D12).
    pub fn is_quarantined(&self, number: &LamppostNumber, run: RunId, log: Log, sequence: u64) -> bool {
        self.quarantine.contains(&RecordPlace { lamppost: number.clone(), run, log, sequence })
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

    /// An operator has decided of an outbox (D14). It lasts as long as this value and its snapshots do. False: the lamppost
    /// has no outbox of this id.
    pub fn decide(&mut self, number: &LamppostNumber, outbox: OutboxId, decision: OutboxDecision) -> bool {
        self.lampposts.get_mut(number).is_some_and(|lamppost| lamppost.decide(outbox, decision))
    }

    /// What a lamppost has reported of a command; none if it has not yet.
    pub fn command(&self, number: &LamppostNumber, id: CommandId) -> Option<&CommandFate> {
        self.lampposts.get(number)?.command(id)
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
        self.expire_quarantine();
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
        lamppost.took(fresh, entry.received);
        self.metrics.repeated.inc_by(frame.records.len() as u64 - fresh);
        let source = Source { entry, frame: &frame, log, known: &known, places: &places };
        let (quarantine, metrics) = (&mut self.quarantine, &self.metrics);
        let sinks = Sinks { lamppost, quarantine, metrics, store, live };
        let mut recorder = Recorder::new(source, sinks, self.latest_received);
        for (first, last) in missing {
            recorder.range(first, last);
        }
        recorder.finish();
        Fresh::Held
    }

    /// Lets those records go that have waited for too long; not by a clock alone that leaps ahead.
    fn expire_quarantine(&mut self) {
        let now = self.latest_received;
        // For each frame, so the rough look comes first.
        if self.quarantine.has_older(now.plus_ms(-i64::from(KEPT_DAYS) * DAY_MS))
            && let Some(before) = self.days.start_of(KEPT_DAYS, now)
        {
            self.quarantine.expire(before, &self.metrics.quarantine);
        }
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
