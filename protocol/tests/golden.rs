//! Golden payloads (`golden/`): our own reader and writer against bytes that Google's protobuf made. That Google's
//! reads in them what `golden/*.json` says is shown by `hil-tests/tests/third_party/`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use lamplighter_protocol::wire::CommandState;
use lamplighter_protocol::{
    CommandId, CommandReport, Decimal, Description, Device, Digest, DropReason, Dropped, DroppedSeries,
    Frame, Grid, Hello, Log, LogHeld, Nonce, Observation, Opening, OutboxId, Pieces, Position, Reason,
    Record, RunHeld, RunId, RunPosition, Series, SeriesName, ServerClock, Tick, UtcMillis, ValueType,
};
use prost::bytes::Bytes;

const HELLO: &[u8] = include_bytes!("../golden/hello.bin");
const DESCRIPTION: &[u8] = include_bytes!("../golden/description.bin");
const FRAME: &[u8] = include_bytes!("../golden/frame.bin");
const DROPPED: &[u8] = include_bytes!("../golden/dropped.bin");
const POSITION: &[u8] = include_bytes!("../golden/position.bin");
const POSITION_CLOCK: &[u8] = include_bytes!("../golden/position-clock.bin");

#[test]
fn the_golden_hello_is_read_and_written_to_the_byte() {
    assert_eq!(Hello::decode(HELLO).unwrap(), hello());
    assert_same_bytes(&hello().encode(), HELLO);
}

#[test]
fn the_golden_description_is_read_and_written_to_the_byte() {
    assert_eq!(Description::decode(DESCRIPTION).unwrap(), description());
    assert_same_bytes(&description().encode().0, DESCRIPTION);
}

#[test]
fn the_golden_frame_is_read_and_written_to_the_byte() {
    let frame = Frame::decode(Bytes::from_static(FRAME)).unwrap();
    let read: Vec<Record> = frame.records.iter().map(|record| Record::decode(record).unwrap()).collect();
    assert_eq!(read, records());
    assert_eq!((frame.first, frame.last()), (300, 303));
    assert_eq!(frame, self::frame());
    assert_same_bytes(&frame.encode(), FRAME);
}

#[test]
fn the_golden_reports_of_what_was_dropped_are_read_and_written_to_the_byte() {
    let frame = Frame::decode(Bytes::from_static(DROPPED)).unwrap();
    let read: Vec<Record> = frame.records.iter().map(|record| Record::decode(record).unwrap()).collect();
    assert_eq!(read, dropped());
    let records = dropped().iter().map(|record| Bytes::from(record.encode())).collect();
    assert_same_bytes(&Frame { count: 4, first: 304, records, ..self::frame() }.encode(), DROPPED);
}

#[test]
fn the_golden_position_is_read_and_written_to_the_byte() {
    assert_eq!(Position::decode(POSITION).unwrap(), position());
    assert_same_bytes(&position().encode(), POSITION);
    // Of a server that does not say yet what its clock shows.
    assert_eq!(position().time(), Some(UtcMillis(1_539_846_002_000)));
}

#[test]
fn d3_the_golden_position_of_a_clock_that_was_set_back_is_read_and_written_to_the_byte() {
    let set_back = UtcMillis(1_539_842_402_000);
    let position = Position { clock: ServerClock::Shows(set_back), ..position() };
    assert_eq!(Position::decode(POSITION_CLOCK).unwrap(), position);
    assert_same_bytes(&position.encode(), POSITION_CLOCK);
    assert_eq!(position.time(), Some(set_back));
}

#[test]
fn the_golden_frame_names_the_golden_description_by_the_digest_of_its_bytes() {
    assert_eq!(description().encode().1, Digest::of(DESCRIPTION));
    assert_eq!(frame().description, Digest::of(DESCRIPTION));
    let text = "8433cf7e2d1773255aed49bf401f778119e39c34ea72822b91372b3c4af50bf6";
    assert_eq!(Digest::of(DESCRIPTION).to_string(), text, "as sha256sum prints it");
}

fn hello() -> Hello {
    let before = RunHeld {
        run: RunId(id(0x20)),
        samples: pieces(&[(0, 127), (300, (1 << 62) - 1)]),
        events: pieces(&[(0, 0)]),
    };
    let current = RunHeld { run: RunId(id(0x10)), samples: Pieces::new(), events: pieces(&[(0, 2)]) };
    Hello {
        nonce: Nonce(id(0)),
        count: 1,
        outbox: OutboxId(id(0x40)),
        run: RunId(id(0x10)),
        runs: vec![before, current],
        agent_version: "0.1.0".to_owned(),
        hardware_serial: "10000000abcdef01".to_owned(),
        generation: 7,
        set_aside: Vec::new(),
    }
}

fn description() -> Description {
    let weather = vec![
        series("air_temperature", None, "Cel", (1, -2)),
        series("relative_humidity", None, "%", (25, -3)),
        series("air_temperature", Some("max"), "Cel", (1, -2)),
    ];
    let wind = vec![
        series("wind_direction", None, "deg", (1, -1)),
        series("wind_speed", None, "m/s", (1, -2)),
        series("wind_gust", None, "m/s", (1, -2)),
    ];
    let lane = Series {
        value_type: ValueType::Count,
        ..series("vehicle_count", Some("lane-1"), "{vehicle}", (1, 0))
    };
    Description {
        grids: vec![Grid { period_ms: 60_000, phase_ms: 0 }, Grid { period_ms: 1_000, phase_ms: 250 }],
        devices: vec![
            device("weather-1", Some(0), "bme280", weather),
            device("wind-1", Some(1), "sonic", wind),
            device("loop-1", None, "loop", vec![lane]),
        ],
    }
}

fn frame() -> Frame {
    Frame {
        nonce: Nonce(id(0)),
        count: 3,
        run: RunId(id(0x10)),
        first: 300,
        description: Digest::of(DESCRIPTION),
        records: records().iter().map(|record| Bytes::from(record.encode())).collect(),
    }
}

/// A good value, an uncertain one, a bad one that is absent; a value that is zero beside a reason that this version
/// does not know; and a record of each other kind.
fn records() -> Vec<Record> {
    let wind = Tick {
        device: 1,
        time: UtcMillis(1_539_846_000_000),
        observations: vec![
            observation(0, Some(3286), Reason::GOOD),
            observation(1, Some(-4), Reason::OUT_OF_RANGE),
            observation(2, None, Reason::SENSOR_FAULT),
        ],
    };
    let lane = Tick {
        device: 2,
        time: UtcMillis(-1),
        observations: vec![observation(0, Some(0), Reason::GOOD), observation(0, None, Reason(200))],
    };
    let opening = Opening {
        run_before: Some(RunId(id(0x20))),
        samples_end: u64::MAX,
        events_end: 1,
        ended: Some(UtcMillis(1_539_845_999_990)),
        opened: UtcMillis(1_539_846_000_250),
    };
    let report = CommandReport {
        id: CommandId(id(0x30)),
        state: CommandState::Failed,
        time: UtcMillis(1_539_846_001_000),
        detail: "weather-1 沒有回應".to_owned(),
    };
    vec![Record::Tick(wind), Record::Tick(lane), Record::Opening(opening), Record::Command(report)]
}

/// One that names its series, one of them with a channel; and one that knows nothing but the sequences.
fn dropped() -> Vec<Record> {
    let series = |channel: Option<&str>, count, first, last| DroppedSeries {
        series: SeriesName {
            device: "weather-1".parse().unwrap(),
            property: "air_temperature".parse().unwrap(),
            channel: channel.map(|name| name.parse().unwrap()),
        },
        count,
        first: UtcMillis(first),
        last: UtcMillis(last),
    };
    let full = Dropped {
        run: RunId(id(0x20)),
        log: Log::Samples,
        pieces: pieces(&[(128, 199), (210, 299)]),
        reason: DropReason::Bytes,
        time: UtcMillis(1_539_846_001_500),
        series: vec![series(None, 162, 1_539_840_000_000, 1_539_845_940_000), series(Some("max"), 1, -1, -1)],
    };
    let damaged = Dropped {
        run: RunId(id(0x10)),
        log: Log::Events,
        pieces: pieces(&[(3, (1 << 62) - 1)]),
        reason: DropReason::Damaged,
        time: UtcMillis(0),
        series: Vec::new(),
    };
    vec![Record::Dropped(full), Record::Dropped(damaged)]
}

fn position() -> Position {
    let before = RunPosition {
        run: RunId(id(0x20)),
        samples: LogHeld { pieces: pieces(&[(0, 99), (110, 127)]), complete_below: 128 },
        events: LogHeld { pieces: pieces(&[(0, 0)]), complete_below: u64::MAX },
    };
    let current = RunPosition {
        run: RunId(id(0x10)),
        samples: LogHeld { pieces: Pieces::new(), complete_below: u64::MAX },
        events: LogHeld { pieces: Pieces::new(), complete_below: 0 },
    };
    Position {
        nonce: Nonce(id(0)),
        count: 3,
        server_time: UtcMillis(1_539_846_002_000),
        runs: vec![before, current],
        lacking: vec![Digest::of(DESCRIPTION)],
        newest_version: 1,
        clock: ServerClock::Unsaid,
    }
}

/// Sixteen bytes that count up from `first`.
fn id(first: u8) -> [u8; 16] {
    std::array::from_fn(|place| first + u8::try_from(place).unwrap())
}

fn pieces(ranges: &[(u64, u64)]) -> Pieces {
    let mut pieces = Pieces::new();
    for &(first, last) in ranges {
        pieces.insert(first, last);
    }
    pieces
}

fn device(name: &str, grid: Option<usize>, model: &str, series: Vec<Series>) -> Device {
    Device { name: name.parse().unwrap(), grid, model: model.to_owned(), series }
}

fn series(property: &str, channel: Option<&str>, unit: &str, (mantissa, exponent): (u32, i32)) -> Series {
    Series {
        property: property.parse().unwrap(),
        channel: channel.map(|name| name.parse().unwrap()),
        value_type: ValueType::Quantity,
        unit: unit.to_owned(),
        resolution: Decimal::new(mantissa, exponent).unwrap(),
    }
}

fn observation(series: usize, value: Option<i64>, reason: Reason) -> Observation {
    Observation { series, value, reason }
}

/// Says where two payloads part.
fn assert_same_bytes(written: &[u8], golden: &[u8]) {
    let same = written.iter().zip(golden).take_while(|(ours, theirs)| ours == theirs).count();
    assert_eq!(written.get(same..), golden.get(same..), "they part at byte {same}");
}
