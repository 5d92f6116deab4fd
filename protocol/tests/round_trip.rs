//! Every valid message survives the wire, no bytes whatever make a reader panic, and what is written in a later
//! version is told from what is wrong.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use lamplighter_protocol::wire::{self, CommandState};
use lamplighter_protocol::{
    Command, CommandAction, CommandId, CommandReport, Dating, Decimal, Description, DescriptionError, Device,
    Digest, DropReason, Dropped, DroppedSeries, Frame, FrameError, Grid, Hello, HelloError, LamppostNumber,
    Leaf, Log, LogHeld, Nonce, Observation, Opening, OutboxId, Pieces, Position, PositionError, Quality,
    Reason, Record, RecordError, RunHeld, RunId, RunPosition, Series, SeriesName, ServerClock, SetAside,
    SetAsideReason, Tick, Topic, UtcMillis, ValueType, limits,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use prost::bytes::Bytes;

proptest! {
    #[test]
    fn every_command_survives_the_wire(command in command()) {
        prop_assert_eq!(Command::decode(&command.encode()).unwrap(), command);
    }

    #[test]
    fn every_hello_survives_the_wire(hello in hello()) {
        prop_assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
    }

    #[test]
    fn every_description_survives_the_wire_under_one_digest(description in description()) {
        let (payload, digest) = description.encode();
        let read = Description::decode(&payload).unwrap();
        prop_assert_eq!(&read, &description);
        prop_assert_eq!(digest, Digest::of(&payload));
        prop_assert_eq!(read.encode().1, digest);
    }

    #[test]
    fn every_record_survives_the_wire(record in record()) {
        prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }

    #[test]
    fn every_frame_survives_the_wire(frame in frame()) {
        prop_assert_eq!(Frame::decode(frame.encode().into()).unwrap(), frame);
    }

    #[test]
    fn every_position_survives_the_wire(position in position()) {
        prop_assert_eq!(Position::decode(&position.encode()).unwrap(), position);
    }

    #[test]
    fn every_topic_survives_its_text(number in "[A-Za-z0-9_-]{1,32}", leaf in leaf()) {
        let topic = Topic::new(LamppostNumber::new(&number).unwrap(), leaf);
        let text = topic.to_string();
        prop_assert!(text.len() <= 68, "the limit of a packet allows for {text}");
        prop_assert_eq!(text.parse(), Ok(topic));
    }

    #[test]
    fn a_hello_names_the_nearest_pieces_if_there_are_too_many(ends in vec(1u64..5, limits::MAX_PIECES_PER_LOG + 1..100)) {
        let mut pieces = Pieces::new();
        for (place, length) in ends.iter().enumerate() {
            let first = place as u64 * 10;
            pieces.insert(first, first + length);
        }
        let run = RunHeld { run: RunId([1; 16]), samples: pieces.clone(), events: Pieces::new() };
        let named = Hello::decode(&hello_of(vec![run]).encode()).unwrap().runs.remove(0).samples;
        let nearest: Vec<(u64, u64)> = pieces.ranges().take(limits::MAX_PIECES_PER_LOG).collect();
        prop_assert_eq!(named.ranges().collect::<Vec<_>>(), nearest);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_as_anything(&bytes);
    }

    /// Random bytes hardly get past the first field; damaged payloads do.
    #[test]
    fn no_damage_to_a_payload_makes_a_reader_panic(
        payload in payload(),
        cuts in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut payload = payload;
        for (place, byte) in cuts {
            if !payload.is_empty() {
                let place = place.index(payload.len());
                payload[place] = byte;
            }
        }
        read_as_anything(&payload);
        payload.truncate(end.index(payload.len() + 1));
        read_as_anything(&payload);
    }

    #[test]
    fn a_later_version_is_told_from_a_wrong_message(version in limits::VERSION + 1.., id in vec(any::<u8>(), 0..40)) {
        let hello = wire::Hello { version, nonce: id.clone(), ..Default::default() }.encode_to_vec();
        prop_assert!(matches!(Hello::decode(&hello), Err(HelloError::Newer(needs)) if needs == version));

        let grids = vec![wire::Grid { period_ms: 0, phase_ms: 0 }];
        let description = wire::Description { version, grids, ..Default::default() }.encode_to_vec();
        prop_assert!(matches!(Description::decode(&description), Err(DescriptionError::Newer(needs)) if needs == version));

        let frame = wire::Frame { version, run: id.clone(), ..Default::default() }.encode_to_vec();
        prop_assert!(matches!(Frame::decode(frame.into()), Err(FrameError::Newer(needs)) if needs == version));

        let position = wire::Position { version, nonce: id, ..Default::default() }.encode_to_vec();
        prop_assert!(matches!(Position::decode(&position), Err(PositionError::Newer(needs)) if needs == version));
    }

    #[test]
    fn a_report_of_drops_that_makes_no_sense_is_refused(dropped in dropped(), flaw in 0..5) {
        let body = wire::Record::decode(&Record::Dropped(dropped).encode()[..]).unwrap().body;
        let Some(wire::record::Body::Dropped(mut report)) = body else { panic!("{body:?}") };
        let series = wire::DroppedSeries {
            device: "weather-1".to_owned(), property: "air_temperature".to_owned(), count: 1, ..Default::default()
        };
        match flaw {
            0 => report.pieces.clear(),
            1 => report.pieces.push(wire::Piece { first: 1 << 62, last: 1 << 62 }),
            2 => report.series.push(wire::DroppedSeries { count: 0, ..series }),
            3 => report.series.push(wire::DroppedSeries { first_ms: 1, last_ms: 0, ..series }),
            _ => report.reason = 9,
        }
        let bytes = wire::Record { body: Some(wire::record::Body::Dropped(report)) }.encode_to_vec();
        let refused = Record::decode(&bytes);
        let expected = if flaw == 4 {
            matches!(refused, Err(RecordError::Unknown))
        } else {
            matches!(refused, Err(RecordError::Dropped(_)))
        };
        prop_assert!(expected, "{refused:?}");
    }

    /// Fields are only ever added: whoever does not know one reads the rest.
    #[test]
    fn a_field_that_is_added_later_changes_nothing_for_who_does_not_know_it(
        (hello, description, frame) in (hello(), description(), frame()),
        (record, position) in (record(), position()),
        added in any::<u64>(),
    ) {
        prop_assert_eq!(Hello::decode(&with_added(hello.encode(), added)).unwrap(), hello);
        prop_assert_eq!(Description::decode(&with_added(description.encode().0, added)).unwrap(), description);
        prop_assert_eq!(Frame::decode(with_added(frame.encode(), added).into()).unwrap(), frame);
        prop_assert_eq!(Record::decode(&with_added(record.encode(), added)).unwrap(), record);
        prop_assert_eq!(Position::decode(&with_added(position.encode(), added)).unwrap(), position);
    }
}

/// What any reader makes of the bytes is its own affair, as long as it returns; what it reads can be written again.
fn read_as_anything(bytes: &[u8]) {
    if let Ok(hello) = Hello::decode(bytes) {
        assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
    }
    if let Ok(command) = Command::decode(bytes) {
        assert_eq!(Command::decode(&command.encode()).unwrap(), command);
    }
    if let Ok(description) = Description::decode(bytes) {
        assert_eq!(Description::decode(&description.encode().0).unwrap(), description);
    }
    if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(bytes)) {
        assert_eq!(Frame::decode(frame.encode().into()).unwrap(), frame);
    }
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }
    if let Ok(position) = Position::decode(bytes) {
        assert_eq!(Position::decode(&position.encode()).unwrap(), position);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(topic) = text.parse::<Topic>()
    {
        assert_eq!(topic.to_string(), text);
    }
}

/// Appends field 1000, a varint (Protocol Buffers, "Encoding").
fn with_added(mut payload: Vec<u8>, mut value: u64) -> Vec<u8> {
    payload.extend([0xc0, 0x3e]);
    while value >= 0x80 {
        payload.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    payload.push(u8::try_from(value).unwrap());
    payload
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        hello().prop_map(|hello| hello.encode()),
        description().prop_map(|description| description.encode().0),
        frame().prop_map(|frame| frame.encode()),
        record().prop_map(|record| record.encode()),
        position().prop_map(|position| position.encode()),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let run = (any::<[u8; 16]>(), pieces(), pieces());
    let run = run.prop_map(|(run, samples, events)| RunHeld { run: RunId(run), samples, events });
    let texts = ("\\PC{0,16}", "\\PC{0,16}");
    (ids, any::<u64>(), vec(run, 0..4), texts, any::<u64>(), vec(set_aside(), 0..4)).prop_map(
        |((nonce, outbox, run), count, runs, (agent_version, hardware_serial), generation, set_aside)| {
            Hello {
                nonce: Nonce(nonce),
                count,
                outbox: OutboxId(outbox),
                run: RunId(run),
                runs,
                agent_version,
                hardware_serial,
                generation,
                set_aside,
            }
        },
    )
}

#[test]
fn the_longest_hello_fits_a_payload() {
    let mut pieces = Pieces::new();
    (0..limits::MAX_PIECES_PER_LOG as u64)
        .for_each(|piece| pieces.insert((1 << 60) + piece * 2, (1 << 60) + piece * 2));
    let run = |run: usize| RunHeld {
        run: RunId([u8::try_from(run).unwrap(); 16]),
        samples: pieces.clone(),
        events: pieces.clone(),
    };
    let aside = |outbox: usize| SetAside {
        outbox: OutboxId([u8::try_from(outbox).unwrap(); 16]),
        lamppost: Some("X".repeat(32).parse().unwrap()),
        hardware_serial: "s".repeat(limits::MAX_SERIAL_BYTES),
        reason: SetAsideReason::NoIdentity,
        bytes: u64::MAX,
        runs: u32::MAX,
        first: Some(UtcMillis(i64::MIN)),
        last: Some(UtcMillis(i64::MIN)),
    };
    let hello = Hello {
        set_aside: (0..limits::MAX_SET_ASIDE_PER_HELLO).map(aside).collect(),
        ..hello_of((0..limits::MAX_RUNS_PER_HELLO).map(run).collect())
    };
    let payload = hello.encode();
    assert!(payload.len() <= limits::MAX_PAYLOAD_BYTES, "{}", payload.len());
    assert_eq!(Hello::decode(&payload).unwrap().set_aside, hello.set_aside);
}

fn set_aside() -> impl Strategy<Value = SetAside> {
    let reason = prop::sample::select(vec![
        SetAsideReason::OtherLamppost,
        SetAsideReason::OtherHardware,
        SetAsideReason::DamagedIdentity,
        SetAsideReason::NoIdentity,
        SetAsideReason::Unknown,
    ]);
    let lamppost = option::of("[A-Z0-9]{1,8}");
    let times = (option::of(any::<i64>()), option::of(any::<i64>()));
    (any::<[u8; 16]>(), lamppost, "\\PC{0,16}", reason, any::<u64>(), any::<u32>(), times).prop_map(
        |(outbox, lamppost, hardware_serial, reason, bytes, runs, (first, last))| SetAside {
            outbox: OutboxId(outbox),
            lamppost: lamppost.map(|number| number.parse().unwrap()),
            hardware_serial,
            reason,
            bytes,
            runs,
            first: first.map(UtcMillis),
            last: last.map(UtcMillis),
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let id = any::<[u8; 16]>();
    let action = prop_oneof![
        Just(None),
        Just(Some(CommandAction::ReadNow("weather-1".parse().unwrap()))),
        id.prop_map(|id| Some(CommandAction::ReleaseOutbox(OutboxId(id)))),
        id.prop_map(|id| Some(CommandAction::CloseOutbox(OutboxId(id)))),
    ];
    (any::<[u8; 16]>(), any::<i64>(), action).prop_map(|(id, expires, action)| Command {
        id: CommandId(id),
        expires: UtcMillis(expires),
        action,
    })
}

fn hello_of(runs: Vec<RunHeld>) -> Hello {
    Hello {
        nonce: Nonce([0; 16]),
        count: 1,
        outbox: OutboxId([0; 16]),
        run: RunId([1; 16]),
        runs,
        agent_version: String::new(),
        hardware_serial: String::new(),
        generation: 0,
        set_aside: Vec::new(),
    }
}

fn pieces() -> impl Strategy<Value = Pieces> {
    let first = prop_oneof![0u64..1000, 0u64..1 << 61];
    vec((first, 0u64..50), 0..limits::MAX_PIECES_PER_LOG).prop_map(|ranges| {
        let mut pieces = Pieces::new();
        for (first, more) in ranges {
            pieces.insert(first, first + more);
        }
        pieces
    })
}

fn description() -> impl Strategy<Value = Description> {
    let grid = (1u32.., any::<prop::sample::Index>()).prop_map(|(period_ms, phase)| Grid {
        period_ms,
        phase_ms: u32::try_from(phase.index(period_ms as usize)).unwrap(),
    });
    let device = (option::of(any::<prop::sample::Index>()), "[ -~]{0,20}", all_series());
    (vec(grid, 0..4), btree_map("[a-z0-9-]{1,32}", device, 0..6)).prop_map(|(grids, devices)| {
        let devices = devices.into_iter().map(|(name, (grid, model, series))| Device {
            name: name.parse().unwrap(),
            grid: grid.filter(|_| !grids.is_empty()).map(|place| place.index(grids.len())),
            model,
            series,
        });
        Description { devices: devices.collect(), grids }
    })
}

fn all_series() -> impl Strategy<Value = Vec<Series>> {
    let name = ("[a-z][a-z0-9_]{0,47}", option::of("[a-z0-9_-]{1,32}"));
    let value_type = prop_oneof![Just(ValueType::Quantity), Just(ValueType::Count)];
    let resolution = (1u32..=1_000_000, -9i32..=9).prop_map(|(m, e)| Decimal::new(m, e).unwrap());
    let rest = (value_type, "[ -~]{0,32}", resolution);
    btree_map(name, rest, 0..8).prop_map(|all: BTreeMap<(String, Option<String>), _>| {
        let series = all.into_iter().map(|((property, channel), (value_type, unit, resolution))| Series {
            property: property.parse().unwrap(),
            channel: channel.map(|name| name.parse().unwrap()),
            value_type,
            unit,
            resolution,
        });
        series.collect()
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u8; 32]>());
    let first = prop_oneof![0u64..1000, 0u64..1 << 61];
    let record = record().prop_map(|record| Bytes::from(record.encode()));
    (ids, any::<u64>(), first, vec(record, 1..12)).prop_map(
        |((nonce, run, description), count, first, records)| Frame {
            nonce: Nonce(nonce),
            count,
            run: RunId(run),
            first,
            description: Digest(description),
            records,
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        tick().prop_map(Record::Tick),
        opening().prop_map(Record::Opening),
        command_report().prop_map(Record::Command),
        dropped().prop_map(Record::Dropped),
        dating().prop_map(Record::Dating),
    ]
}

fn tick() -> impl Strategy<Value = Tick> {
    (0..=u32::MAX, any::<i64>(), vec(observation(), 0..20)).prop_map(|(device, time, observations)| Tick {
        device: device as usize,
        time: UtcMillis(time),
        observations,
    })
}

fn dating() -> impl Strategy<Value = Dating> {
    let times = (option::of(any::<i64>()), any::<i64>(), any::<i64>());
    (any::<[u8; 16]>(), times).prop_map(|(run, (earliest, latest, time))| Dating {
        run: RunId(run),
        earliest: earliest.map(|earliest| UtcMillis(earliest.min(latest))),
        latest: UtcMillis(latest),
        time: UtcMillis(time),
    })
}

fn dropped() -> impl Strategy<Value = Dropped> {
    let log = prop_oneof![Just(Log::Samples), Just(Log::Events)];
    let reason = prop_oneof![Just(DropReason::Bytes), Just(DropReason::Age), Just(DropReason::Damaged)];
    let pieces = (pieces(), 0u64..1 << 61).prop_map(|(mut pieces, one)| {
        pieces.insert(one, one);
        pieces
    });
    (any::<[u8; 16]>(), log, pieces, reason, any::<i64>(), vec(dropped_series(), 0..8)).prop_map(
        |(run, log, pieces, reason, time, series)| Dropped {
            run: RunId(run),
            log,
            pieces,
            reason,
            time: UtcMillis(time),
            series,
        },
    )
}

fn dropped_series() -> impl Strategy<Value = DroppedSeries> {
    let name = ("[a-z0-9-]{1,32}", "[a-z][a-z0-9_]{0,47}", option::of("[a-z0-9_-]{1,32}"));
    (name, 1u64.., any::<i64>(), any::<i64>()).prop_map(|((device, property, channel), count, one, other)| {
        let series = SeriesName {
            device: device.parse().unwrap(),
            property: property.parse().unwrap(),
            channel: channel.map(|name| name.parse().unwrap()),
        };
        DroppedSeries { series, count, first: UtcMillis(one.min(other)), last: UtcMillis(one.max(other)) }
    })
}

/// There is a value exactly when the reason is not a bad one.
fn observation() -> impl Strategy<Value = Observation> {
    (0..=u32::MAX, any::<i64>(), any::<u8>()).prop_map(|(series, value, reason)| Observation {
        series: series as usize,
        value: Some(value).filter(|_| Reason(reason).quality() != Quality::Bad),
        reason: Reason(reason),
    })
}

fn opening() -> impl Strategy<Value = Opening> {
    let ends = (any::<u64>(), any::<u64>());
    (option::of(any::<[u8; 16]>()), ends, option::of(any::<i64>()), any::<i64>()).prop_map(
        |(run_before, (samples_end, events_end), ended, opened)| Opening {
            run_before: run_before.map(RunId),
            samples_end,
            events_end,
            ended: ended.map(UtcMillis),
            opened: UtcMillis(opened),
        },
    )
}

fn command_report() -> impl Strategy<Value = CommandReport> {
    let state = prop_oneof![
        Just(CommandState::Acknowledged),
        Just(CommandState::Done),
        Just(CommandState::Failed),
        Just(CommandState::Expired),
    ];
    (any::<[u8; 16]>(), state, any::<i64>(), "\\PC{0,40}").prop_map(|(id, state, time, detail)| {
        CommandReport { id: CommandId(id), state, time: UtcMillis(time), detail }
    })
}

fn position() -> impl Strategy<Value = Position> {
    let held =
        || (pieces(), any::<u64>()).prop_map(|(pieces, complete_below)| LogHeld { pieces, complete_below });
    let run = (any::<[u8; 16]>(), held(), held());
    let run = run.prop_map(|(run, samples, events)| RunPosition { run: RunId(run), samples, events });
    let lacking = vec(any::<[u8; 32]>().prop_map(Digest), 0..4);
    let clock = prop_oneof![
        Just(ServerClock::Unsaid),
        Just(ServerClock::Wrong),
        (1..i64::MAX).prop_map(|time| ServerClock::Shows(UtcMillis(time))),
    ];
    (any::<[u8; 16]>(), any::<u64>(), any::<i64>(), vec(run, 0..4), lacking, any::<u32>(), clock).prop_map(
        |(nonce, count, time, runs, lacking, newest_version, clock)| Position {
            nonce: Nonce(nonce),
            count,
            server_time: UtcMillis(time),
            runs,
            lacking,
            newest_version,
            clock,
        },
    )
}

fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        Just(Leaf::Hello),
        Just(Leaf::Description),
        Just(Leaf::Frames(Log::Samples)),
        Just(Leaf::Frames(Log::Events)),
        Just(Leaf::Position),
        Just(Leaf::Command),
    ]
}
