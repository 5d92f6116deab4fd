//! The session against a server that loses, forgets and cuts off: whatever happens, in the end it holds everything.

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
        let log = |run: RunId, log| LogHeld::cut(self.held.get(&(run, log)).unwrap_or(&Pieces::new()));
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

#[test]
fn live_data_runs_ahead_while_a_backlog_drains() {
    let mut world = World::new(&[(20_000, 1), (50, 1)]);
    world.connect();
    while world.pump() {}
    world.append(3);
    while !world.wire.is_empty() {
        world.deliver(false);
        if world.pump() {
            break;
        }
    }
    let live = RunId([2; 16]);
    let is_live = |message: &Message| matches!(message, Message::Frame(Log::Samples, frame) if frame.run == live && frame.first == 50);
    assert!(
        world.wire.iter().any(is_live),
        "the first thing sent after three live records are those records"
    );
}

#[test]
fn a_position_of_another_connection_or_an_older_one_is_ignored() {
    let mut world = World::new(&[(10, 1)]);
    world.connect();
    let position = |nonce, time| Position {
        nonce: Nonce([nonce; 16]),
        count: 0,
        server_time: UtcMillis(time),
        runs: Vec::new(),
        lacking: Vec::new(),
        newest_version: 1,
        clock: ServerClock::Unsaid,
    };
    assert_eq!(world.session.position(&position(1, 5), world.now), Heard::Believed { asked: world.now });
    assert_eq!(world.session.position(&position(2, 6), world.now), Heard::Ignored);
    assert_eq!(world.session.position(&position(1, 5), world.now), Heard::Ignored);
    assert_eq!(world.session.position(&position(1, 6), world.now), Heard::Believed { asked: world.now });
}

#[test]
fn d3_what_waits_for_its_time_is_named_and_not_sent_and_others_do_not_wait_for_it() {
    let mut world = World::new(&[(10, 1), (20, 1)]);
    let mut waits = outbox(&[(10, 1), (20, 1)]);
    let of = |run: &Arc<RunState>, may_be_sent| Arc::new(RunState { may_be_sent, ..(**run).clone() });
    waits.runs = vec![of(&waits.runs[0], true), of(&waits.runs[1], false)];
    world.session.outbox_changed(waits);
    assert_eq!(world.session.to_send(), 11);
    world.connect();
    while world.pump() {}
    let runs = |message: &Message| match message {
        Message::Hello(hello) => hello.runs.iter().map(|run| (run.run, true)).collect(),
        Message::Frame(_, frame) => vec![(frame.run, false)],
        Message::Description(_) => Vec::new(),
    };
    let told: BTreeSet<_> = world.wire.iter().flat_map(runs).collect();
    let (first, second) = (RunId([1; 16]), RunId([2; 16]));
    assert_eq!(told, BTreeSet::from([(first, false), (first, true), (second, true)]));
    // Once its times are known it goes out.
    world.session.outbox_changed(outbox(&[(10, 1), (20, 1)]));
    while world.pump() {}
    assert!(world.wire.iter().any(|message| runs(message).contains(&(second, false))));
}

#[test]
fn d3_a_lamppost_that_does_not_know_the_time_asks_again_each_minute_and_then_less_often() {
    let mut world = World::new(&[(0, 0)]);
    world.connect();
    world.session.clock_is(ClockTrust::Unknown);
    let mut said = Vec::new();
    for second in 0..700 {
        world.now = Duration::from_secs(second);
        while world.pump() {}
        while let Some(message) = world.wire.front() {
            said.extend(matches!(message, Message::Hello(_)).then_some(second));
            world.deliver(true);
        }
    }
    assert_eq!(said, [0, 60, 180, 420]);
}

#[test]
fn d7_what_an_earlier_connection_sent_counts_as_read_before_everything_of_this_one() {
    let mut world = World::new(&[(30, 1)]);
    world.connect();
    while world.pump() {}
    while !world.wire.is_empty() {
        world.deliver(true);
    }
    world.cut();
    world.connect();
    // Acknowledged, so not owed: only the hello goes out, and its position shows that all of it is missing.
    while world.pump() {}
    assert_eq!(world.wire.len(), 1);
    world.deliver(false);
    while world.pump() {}
    let is_frame = |message: &&Message| matches!(message, Message::Frame(..));
    let resent: u64 = world
        .wire
        .iter()
        .filter(is_frame)
        .map(|message| match message {
            Message::Frame(_, frame) => frame.records.len() as u64,
            Message::Hello(_) | Message::Description(_) => 0,
        })
        .sum();
    assert_eq!(resent, 31);
}

#[test]
fn a_hello_is_said_again_a_minute_after_something_that_no_position_names() {
    let mut world = World::new(&[(10, 1)]);
    world.connect();
    while world.pump() {}
    // The server acknowledges and forgets all of it.
    while !world.wire.is_empty() {
        world.deliver(true);
    }
    let hellos: Vec<u64> = (0..600)
        .filter(|second| {
            world.now = Duration::from_secs(*second);
            while world.pump() {}
            let said = world.wire.iter().any(|message| matches!(message, Message::Hello(_)));
            while !world.wire.is_empty() {
                world.deliver(true);
            }
            said
        })
        .collect();
    assert_eq!(hellos, [60, 180, 420], "doubling");
}

#[test]
fn d1_a_hello_names_the_runs_that_are_one_too_many_so_that_they_may_go() {
    let mut session = session(&[]);
    let log = |end| LogState { on_disk: Pieces::below(end), synced_end: end, end, held: Arc::default() };
    let runs = (0..MOST_RUNS + 2).map(|number| {
        let mut id = [1; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Arc::new(RunState { run: RunId(id), may_be_sent: true, samples: log(0), events: log(1) })
    });
    let state = OutboxState { runs: runs.collect(), ..outbox(&[]) };
    let ids: Vec<RunId> = state.runs.iter().map(|run| run.run).collect();
    session.outbox_changed(state);
    session.connected(Nonce([1; 16]), Duration::ZERO);
    let named = |session: &mut Session| {
        let hello = Hello::decode(&session.hello(Duration::ZERO).unwrap()).unwrap();
        hello.runs.into_iter().map(|run| run.run).collect::<Vec<_>>()
    };
    assert_eq!(
        named(&mut session)[1..],
        ids[..limits::MAX_RUNS_PER_HELLO - 1],
        "what nobody holds comes first"
    );
    // Position by position all of them are held.
    for (time, some) in (1..).zip(ids.chunks(limits::MAX_RUNS_PER_HELLO)) {
        let held = |end| LogHeld { pieces: Pieces::below(end), complete_below: u64::MAX };
        let of = |run: &RunId| RunPosition { run: *run, samples: held(0), events: held(1) };
        let position = Position {
            nonce: Nonce([1; 16]),
            count: 1,
            server_time: UtcMillis(time),
            runs: some.iter().map(of).collect(),
            lacking: Vec::new(),
            newest_version: 1,
            clock: ServerClock::Unsaid,
        };
        let believed = Heard::Believed { asked: Duration::ZERO };
        assert_eq!(session.position(&position, Duration::ZERO), believed);
    }
    let named = named(&mut session);
    assert_eq!(named[1..3], ids[..2], "the oldest, which are too many");
    assert_eq!(named[3], ids[MOST_RUNS], "then the newest");
}

#[test]
fn a_connection_without_acknowledgements_is_given_up_after_ten_minutes() {
    let mut world = World::new(&[(10, 1)]);
    world.connect();
    while world.pump() {}
    world.now = Duration::from_secs(599);
    assert!(!matches!(world.session.next(world.now), Next::GiveUp));
    world.now = Duration::from_secs(601);
    // A hello may still be due first.
    while world.up && world.pump() {}
    assert!(!world.up);
}

#[test]
fn d6_a_full_window_is_waited_on_and_not_asked_about_again_and_again() {
    // Each log of each run needs a frame of its own: the window in publishes is full first.
    let mut world = World::new(&[vec![(2_000, 1)], vec![(1, 1); 60]].concat());
    world.connect();
    // The oldest run is long, and acknowledged at once: the backlog's share grows with it.
    let oldest = (RunId([1; 16]), Log::Samples);
    while !world.held.get(&oldest).is_some_and(|held| held.contains_all(0, 1_999)) {
        while world.pump() {}
        world.deliver(false);
    }
    while world.pump() {}
    assert!(world.unacknowledged >= limits::WINDOW_PUBLISHES - 1, "{}", world.unacknowledged);
    world.now = Duration::from_secs(90);
    let Next::Idle { until } = world.session.next(world.now) else { panic!("there is no room for anything") };
    assert!(until > world.now + Duration::from_mins(5), "{until:?}");
}

#[test]
fn d7_what_waited_was_held_and_is_missing_again_is_sent_again() {
    let mut world = World::new(&[(30, 1)]);
    world.connect();
    while world.pump() {}
    // Lost twice: the second time it has to wait for its turn.
    for _ in 0..2 {
        while !world.wire.is_empty() {
            let loses = !matches!(world.wire.front(), Some(Message::Hello(_)));
            world.deliver(loses);
        }
        world.hello.as_mut().unwrap().1 = 1_000;
        world.answer();
        while world.pump() {}
    }
    assert!(world.wire.is_empty(), "it waits");
    // A copy arrives after all, and then the server is restored from a backup that does not have it.
    world.held.insert((RunId([1; 16]), Log::Samples), Pieces::below(30));
    world.answer();
    world.held.clear();
    world.cut();
    world.connect();
    while world.pump() {}
    world.deliver(false);
    while world.pump() {}
    let resent =
        |message: &Message| matches!(message, Message::Frame(Log::Samples, frame) if frame.first == 0);
    assert!(world.wire.iter().any(resent));
}

#[test]
fn what_is_acknowledged_and_never_named_takes_bounded_memory() {
    let mut sent = SentList::default();
    let stretch = |first| Stretch { run: RunId([1; 16]), log: Log::Samples, first, last: first };
    for first in 0..100_000 {
        sent.push(Sent { stretch: stretch(first), count: Some(first), at: Duration::from_secs(first) });
    }
    assert_eq!(sent.oldest(), Some(Duration::ZERO));
    let all = sent.into_inner();
    assert!(all.len() <= 4_096, "{}", all.len());
    // Nothing is forgotten, and what was joined counts as sent when the last of it was.
    assert_eq!(all.iter().map(|one| one.stretch.len()).sum::<usize>(), 100_000);
    assert!(all.iter().all(|one| one.count == Some(one.stretch.last)));
}

#[test]
fn what_is_to_be_sent_is_neither_held_nor_under_way() {
    let (mut session, now) = (session(&[(10, 1), (5, 1)]), Duration::ZERO);
    assert_eq!(session.to_send(), 17);
    session.connected(Nonce([1; 16]), now);
    assert!(session.hello(now).is_some());
    assert_eq!(session.acknowledged(now), 0);
    let chunk = Chunk {
        place: Place { run: RunId([2; 16]), log: Log::Samples, sequence: 0 },
        description: Digest([1; 32]),
        records: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
    };
    assert!(session.frame(chunk, now).is_some());
    assert_eq!(session.to_send(), 15);
    assert_eq!(session.acknowledged(now), 2);
    assert_eq!(session.to_send(), 15);
    session.disconnected();
    assert_eq!(session.to_send(), 15);
}

#[test]
fn d14_a_change_of_what_is_set_aside_is_told_at_once() {
    let told = |outbox: u8| SetAside {
        outbox: OutboxId([outbox; 16]),
        lamppost: None,
        hardware_serial: String::new(),
        reason: SetAsideReason::NoIdentity,
        bytes: 1,
        runs: 1,
        first: None,
        last: None,
    };
    let mut session = session(&[(0, 1)]);
    let second = Duration::from_secs(1);
    session.connected(Nonce([1; 16]), Duration::ZERO);
    assert_eq!(session.next(Duration::ZERO), Next::Hello);
    let hello = |session: &mut Session, now| Hello::decode(&session.hello(now).unwrap()).unwrap();
    assert!(hello(&mut session, Duration::ZERO).set_aside.is_empty());
    let many: Vec<_> = (1..=20).map(|outbox| Aside::of(told(outbox))).collect();
    session.outbox_changed(OutboxState { set_aside: many.into(), ..outbox(&[(0, 1)]) });
    assert_ne!(session.next(second), Next::Hello, "one hello at a time");
    session.acknowledged(second);
    assert_eq!(session.next(second), Next::Hello);
    let named = hello(&mut session, second).set_aside;
    assert_eq!(named, (1..=16).map(told).collect::<Vec<_>>());
    session.acknowledged(second);
    assert_ne!(session.next(second), Next::Hello, "it is told");
}
