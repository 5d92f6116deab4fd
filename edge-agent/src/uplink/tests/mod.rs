//! The session against a server that loses, forgets and cuts off, by the rules of DELIVERY; helpers for them all.

mod d14_bound;
mod d1_runs;
mod d3_dated;
mod d6_paced;
mod d7_owed;
mod d8_hello_and_position;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lamplighter_protocol::{
    Digest, Frame, Hello, Log, LogHeld, Nonce, OutboxId, Pieces, Position, RunId, RunPosition, ServerClock,
    SetAside, SetAsideReason, UtcMillis, limits,
};
use proptest::prelude::*;

use super::session::{Heard, Next, Session, Speaker};
use super::stretch::{Sent, SentList, Stretch};
use crate::clock::ClockTrust;
use crate::outbox::{Aside, Chunk, DropCounts, LogState, MOST_RUNS, OutboxState, Place, RunState};

const RECORD_BYTES: usize = 100;

/// What the outbox holds, as the session sees it.
fn outbox(ends: &[(u64, u64)]) -> OutboxState {
    let log = |end| LogState { on_disk: Pieces::below(end), synced_end: end, end, held: Arc::default() };
    let runs = ends.iter().zip(1u8..).map(|(&(samples, events), id)| {
        Arc::new(RunState {
            run: RunId([id; 16]),
            may_be_sent: true,
            samples: log(samples),
            events: log(events),
        })
    });
    let runs: Vec<_> = runs.collect();
    OutboxState {
        outbox: OutboxId([9; 16]),
        run: runs.last().map_or(RunId([0; 16]), |run| run.run),
        runs,
        bytes: 0,
        capacity: 0,
        appended_per_hour: None,
        oldest: None,
        refused: 0,
        dropped: DropCounts::default(),
        damaged: 0,
        undated_for_room: 0,
        set_aside: Arc::new([]),
    }
}

fn session(ends: &[(u64, u64)]) -> Session {
    let speaker = Speaker { agent_version: "1".into(), hardware_serial: String::new(), generation: 1 };
    Session::new(speaker, outbox(ends))
}

enum Message {
    Hello(Hello),
    Description(Digest),
    Frame(Log, Frame),
}

/// Session, wire and server.
struct World {
    session: Session,
    ends: Vec<(u64, u64)>,
    now: Duration,
    nonces: u8,
    up: bool,
    wire: VecDeque<Message>,
    unacknowledged: usize,
    held: BTreeMap<(RunId, Log), Pieces>,
    known: BTreeSet<Digest>,
    lacking: BTreeSet<Digest>,
    hello: Option<(Hello, u64)>,
    server_time: i64,
    sent_descriptions: BTreeSet<Digest>,
}

/// The description that a record is written in: it changes every 40 records.
fn description_of(sequence: u64) -> Digest {
    Digest([u8::try_from(sequence / 40 % 250).unwrap_or(0); 32])
}

impl World {
    fn new(ends: &[(u64, u64)]) -> Self {
        Self {
            session: session(ends),
            ends: ends.to_vec(),
            now: Duration::ZERO,
            nonces: 0,
            up: false,
            wire: VecDeque::new(),
            unacknowledged: 0,
            held: BTreeMap::new(),
            known: BTreeSet::new(),
            lacking: BTreeSet::new(),
            hello: None,
            server_time: 0,
            sent_descriptions: BTreeSet::new(),
        }
    }

    fn connect(&mut self) {
        self.nonces += 1;
        self.wire.clear();
        self.unacknowledged = 0;
        self.sent_descriptions.clear();
        self.session.connected(Nonce([self.nonces; 16]), self.now);
        self.up = true;
    }

    fn cut(&mut self) {
        self.session.disconnected();
        self.wire.clear();
        self.unacknowledged = 0;
        self.up = false;
    }

    fn append(&mut self, records: u64) {
        if let Some((samples, _)) = self.ends.last_mut() {
            *samples += records;
        }
        self.session.outbox_changed(outbox(&self.ends));
    }

    /// Does what the session says is next; returns whether it was anything.
    fn pump(&mut self) -> bool {
        if !self.up {
            return false;
        }
        match self.session.next(self.now) {
            Next::Idle { .. } => false,
            Next::GiveUp => {
                self.cut();
                true
            }
            Next::Hello => {
                let payload = self.session.hello(self.now).unwrap();
                self.put(Message::Hello(Hello::decode(&payload).unwrap()));
                true
            }
            Next::Read(place, limit) => {
                let description = description_of(place.sequence);
                let records = (place.sequence..=limit.last)
                    .take_while(|sequence| description_of(*sequence) == description)
                    .take(limit.records.min(limit.bytes / RECORD_BYTES))
                    .map(|_| Bytes::from_static(&[0; RECORD_BYTES - 4]));
                let chunk = Chunk { place, description, records: records.collect() };
                if !self.session.is_described(description) {
                    self.session.describe(description, 50, self.now);
                    self.sent_descriptions.insert(description);
                    self.put(Message::Description(description));
                }
                assert!(self.sent_descriptions.contains(&description), "D4: described before the frame");
                let payload = self.session.frame(chunk, self.now).unwrap();
                assert!(payload.len() <= limits::MAX_PAYLOAD_BYTES);
                self.put(Message::Frame(place.log, Frame::decode(payload.into()).unwrap()));
                true
            }
        }
    }

    fn put(&mut self, message: Message) {
        self.wire.push_back(message);
        self.unacknowledged += 1;
        assert!(self.unacknowledged <= limits::WINDOW_PUBLISHES + 1);
        let in_flight = usize::try_from(self.session.records_in_flight()).unwrap();
        assert!(in_flight <= limits::WINDOW_RECORDS);
    }

    /// The server reads one message; `loses` makes it acknowledge and forget, as a broker in between may.
    fn deliver(&mut self, loses: bool) {
        let Some(message) = self.wire.pop_front() else { return };
        self.unacknowledged -= 1;
        self.session.acknowledged(self.now);
        if loses {
            return;
        }
        match message {
            Message::Hello(hello) => {
                let count = hello.count;
                self.hello = Some((hello, count));
                self.answer();
            }
            Message::Description(digest) => {
                self.known.insert(digest);
                self.lacking.remove(&digest);
            }
            Message::Frame(log, frame) => {
                if let Some((hello, count)) = &mut self.hello
                    && hello.nonce == frame.nonce
                {
                    *count = frame.count;
                }
                if self.known.contains(&frame.description) {
                    self.held.entry((frame.run, log)).or_default().insert(frame.first, frame.last());
                } else {
                    self.lacking.insert(frame.description);
                }
            }
        }
    }

    /// The server answers its last hello.
    fn answer(&mut self) {
        let Some((hello, count)) = &self.hello else { return };
        self.server_time += 1;
        let log = |run: RunId, log| {
            LogHeld::cut(self.held.get(&(run, log)).unwrap_or(&Pieces::new()), limits::MAX_PIECES_PER_LOG)
        };
        let position = Position {
            nonce: hello.nonce,
            count: *count,
            server_time: UtcMillis(self.server_time),
            runs: hello
                .runs
                .iter()
                .map(|named| RunPosition {
                    run: named.run,
                    samples: log(named.run, Log::Samples),
                    events: log(named.run, Log::Events),
                })
                .collect(),
            lacking: self.lacking.iter().copied().collect(),
            newest_version: 1,
            clock: ServerClock::Unsaid,
        };
        self.session.position(&position, self.now);
    }

    /// The server comes back from a backup that knew only the first half of everything.
    fn restore(&mut self) {
        for pieces in self.held.values_mut() {
            let end = pieces.end();
            pieces.remove(end / 2, end.max(1));
        }
        self.known.clear();
        self.hello = None;
        self.cut();
    }

    fn is_complete(&self) -> bool {
        self.ends.iter().zip(1u8..).all(|(&(samples, events), id)| {
            let holds = |log, end: u64| {
                end == 0
                    || self
                        .held
                        .get(&(RunId([id; 16]), log))
                        .is_some_and(|held| held.contains_all(0, end - 1))
            };
            holds(Log::Samples, samples) && holds(Log::Events, events)
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_lost_or_cut_the_server_holds_everything_in_the_end(
        ends in prop::collection::vec((0u64..300, 1u64..5), 1..4),
        steps in prop::collection::vec((0u8..12, 0u64..90), 0..200),
    ) {
        let mut world = World::new(&ends);
        for (step, amount) in steps {
            world.now += Duration::from_millis(amount * 100);
            match step {
                0 => world.append(amount),
                1 => world.connect(),
                2 => world.cut(),
                3 => world.deliver(true),
                4 => world.answer(),
                5 if amount == 0 => world.restore(),
                5..=8 => world.deliver(false),
                _ => { world.pump(); }
            }
        }
        // The faults stop.
        if !world.up {
            world.connect();
        }
        for _ in 0..5_000 {
            if world.is_complete() {
                break;
            }
            while world.pump() {}
            while !world.wire.is_empty() {
                world.deliver(false);
            }
            world.now += Duration::from_secs(30);
            world.answer();
            if !world.up {
                world.connect();
            }
        }
        prop_assert!(world.is_complete(), "{:?} of {:?}", world.held, world.ends);
    }
}
