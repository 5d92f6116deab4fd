//! Ingest: what each kind of entry leaves behind.

mod backlog;
mod course;
mod current;
mod ledger;
mod quarantine;
mod stops;
mod verdicts;

use bytes::Bytes;
use lamplighter_protocol::{
    Catalogue, Description, Device, Digest, EARLIEST, Frame, Grid, Hello, Leaf, Log, Nonce, Observation,
    Opening, OutboxId, Pieces, Position, Reason, Record, RunHeld, RunId, Series, SeriesName, ServerClock,
    TOO_LATE, Tick, UtcMillis, ValueType, limits,
};
use proptest::prelude::*;

use super::{Fresh, Ingest, IngestMetrics, Malformed, Pulse, RunEnd, Verdict};
use crate::journal::Entry;
use crate::live::LiveObservation;
use crate::store::{SeriesKey, Tail, TailOptions};

const NOW: UtcMillis = UtcMillis(1_800_000_000_000);
const NONCE: Nonce = Nonce([7; 16]);
const RUN: RunId = RunId([1; 16]);

struct Bench {
    ingest: Ingest,
    store: Tail,
    metrics: IngestMetrics,
    live: Vec<LiveObservation>,
    sequence: u64,
}

impl Bench {
    fn new() -> Self {
        let metrics = IngestMetrics::default();
        Self {
            ingest: Ingest::new(Catalogue::built_in(), metrics.clone()),
            store: Tail::new(TailOptions::default()),
            metrics,
            live: Vec::new(),
            sequence: 0,
        }
    }

    fn apply(&mut self, leaf: Leaf, payload: impl Into<Bytes>) -> Fresh {
        self.receive(NOW, leaf, payload)
    }

    fn receive(&mut self, received: UtcMillis, leaf: Leaf, payload: impl Into<Bytes>) -> Fresh {
        let entry = Entry {
            sequence: self.sequence,
            received,
            lamppost: "A1".parse().unwrap(),
            leaf,
            payload: payload.into(),
        };
        self.sequence += 1;
        let live = &mut self.live;
        self.ingest.apply(&entry, &mut self.store, &mut |observation| live.push(observation))
    }

    fn hello(&mut self) {
        let named =
            |id| RunHeld { run: RunId([id; 16]), samples: Pieces::below(1000), events: Pieces::below(10) };
        let hello = Hello {
            nonce: NONCE,
            count: 1,
            outbox: OutboxId([3; 16]),
            run: RUN,
            runs: vec![named(1), named(2)],
            agent_version: "0.1.0".into(),
            hardware_serial: "S1".into(),
            generation: 4,
            set_aside: Vec::new(),
        };
        assert_eq!(self.apply(Leaf::Hello, hello.encode()), Fresh::Hello);
    }

    fn describe(&mut self) -> Digest {
        let (payload, digest) = description("weather-1", "air_temperature", "Cel").encode();
        self.apply(Leaf::Description, payload);
        digest
    }

    fn values(&self, device: &str, property: &str) -> Vec<(i64, Option<f64>, u8)> {
        let name = SeriesName {
            device: device.parse().unwrap(),
            property: property.parse().unwrap(),
            channel: None,
        };
        let key = SeriesKey { lamppost: "A1".parse().unwrap(), name };
        let Some(id) = self.store.find(&key) else { return Vec::new() };
        let page = self.store.range(id, UtcMillis(0), UtcMillis(i64::MAX), 1000).unwrap();
        page.points.iter().map(|point| (point.time.0 - NOW.0, point.value, point.reason.0)).collect()
    }

    fn position(&mut self) -> Position {
        Position::decode(&self.ingest.position(&"A1".parse().unwrap(), NOW).unwrap()).unwrap()
    }
}

fn description(device: &str, property: &str, unit: &str) -> Description {
    let series = Series {
        property: property.parse().unwrap(),
        channel: None,
        value_type: ValueType::Quantity,
        unit: unit.into(),
        resolution: "0.1".parse().unwrap(),
    };
    Description {
        grids: vec![Grid { period_ms: 1000, phase_ms: 0 }],
        devices: vec![Device {
            name: device.parse().unwrap(),
            grid: Some(0),
            model: "bme280".into(),
            series: vec![series],
        }],
    }
}

fn tick(at_ms: i64, value: Option<i64>, reason: Reason) -> Bytes {
    let observations = vec![Observation { series: 0, value, reason }];
    Record::Tick(Tick { device: 0, time: NOW.plus_ms(at_ms), observations }).encode().into()
}

fn frame(count: u64, run: RunId, first: u64, description: Digest, records: Vec<Bytes>) -> Vec<u8> {
    Frame { nonce: NONCE, count, run, first, description, records }.encode()
}

const SAMPLES: Leaf = Leaf::Frames(Log::Samples);
const EVENTS: Leaf = Leaf::Frames(Log::Events);

#[test]
fn of_a_message_of_the_servers_own_nothing_is_kept_but_that_it_came() {
    let mut bench = Bench::new();
    let number: lamplighter_protocol::LamppostNumber = limits::RESERVED_NUMBER.parse().unwrap();
    for leaf in [Leaf::Hello, Leaf::Description, Leaf::Frames(Log::Samples)] {
        let (lamppost, payload) = (number.clone(), Bytes::from_static(b"anything"));
        let entry = Entry { sequence: bench.sequence, received: NOW, lamppost, leaf, payload };
        bench.sequence += 1;
        let fresh = bench.ingest.apply(&entry, &mut bench.store, &mut |_| panic!("nothing is live of it"));
        assert_eq!(fresh, Fresh::Nothing);
    }
    assert_eq!(bench.metrics.probes.get(), 3);
    assert_eq!((bench.ingest.report(&number), bench.ingest.pulse(&number)), (None, None));
    assert_eq!(bench.ingest.last_acknowledged(&number), None);
    assert_eq!(bench.metrics.malformed(Malformed::Hello), 0);
    assert_eq!(bench.ingest.next_sequence(), 3, "it is behind them all the same");
}

#[test]
fn d3_a_server_whose_clock_cannot_be_right_says_no_time_and_orders_its_positions_without_it() {
    let mut bench = Bench::new();
    bench.hello();
    let mut position = |now| {
        let position = bench.ingest.position(&"A1".parse().unwrap(), now).unwrap();
        let position = Position::decode(&position).unwrap();
        (position.server_time, position.clock)
    };
    assert_eq!(position(EARLIEST.plus_ms(-1)), (UtcMillis(1), ServerClock::Wrong));
    assert_eq!(position(NOW), (NOW, ServerClock::Shows(NOW)));
    assert_eq!(position(UtcMillis(0)), (NOW.plus_ms(1), ServerClock::Wrong));
    // A clock that is that far ahead does not put the order there for good.
    assert_eq!(position(TOO_LATE), (NOW.plus_ms(2), ServerClock::Wrong));
    let set_back = NOW.plus_ms(-3_600_000);
    assert_eq!(position(set_back), (NOW.plus_ms(3), ServerClock::Shows(set_back)));
    let later = NOW.plus_ms(500);
    assert_eq!(position(later), (later, ServerClock::Shows(later)));
}

#[test]
fn values_come_out_in_their_unit_and_once() {
    let mut bench = Bench::new();
    bench.hello();
    let digest = bench.describe();
    let records = vec![tick(0, Some(161), Reason::GOOD), tick(1000, None, Reason::NO_ANSWER)];
    bench.apply(SAMPLES, frame(2, RUN, 0, digest, records.clone()));
    bench.apply(SAMPLES, frame(3, RUN, 0, digest, records));
    assert_eq!(bench.values("weather-1", "air_temperature"), [(0, Some(16.1), 0), (1000, None, 64)]);
    assert_eq!(bench.metrics.observations(Verdict::Stored), 2);
    assert_eq!(bench.metrics.repeated.get(), 2);
    assert_eq!(bench.live.len(), 2);
    assert_eq!((bench.live[0].series.unit.as_str(), bench.live[0].series.period_ms), ("Cel", Some(1000)));
}

#[test]
fn d13_a_held_position_is_not_ingested_again_whatever_it_carries() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.apply(SAMPLES, frame(1, RUN, 5, digest, vec![tick(0, Some(1), Reason::GOOD)]));
    bench.apply(SAMPLES, frame(2, RUN, 5, digest, vec![tick(0, Some(999), Reason::GOOD)]));
    bench.apply(SAMPLES, frame(3, RUN, 5, digest, vec![tick(500, Some(999), Reason::GOOD)]));
    assert_eq!(bench.values("weather-1", "air_temperature"), [(0, Some(0.1), 0)]);
}

#[test]
fn d12_a_frame_without_its_description_is_not_held_and_its_description_is_asked_for() {
    let mut bench = Bench::new();
    bench.hello();
    let (payload, digest) = description("weather-1", "air_temperature", "Cel").encode();
    let records = || vec![tick(0, Some(161), Reason::GOOD)];
    bench.apply(SAMPLES, frame(2, RUN, 0, digest, records()));
    let position = bench.position();
    assert_eq!((position.lacking, position.count), (vec![digest], 2));
    assert!(position.runs[0].samples.pieces.is_empty());
    assert_eq!(bench.metrics.malformed(Malformed::Undescribed), 1);

    bench.apply(Leaf::Description, payload);
    assert!(bench.position().lacking.is_empty());
    bench.apply(SAMPLES, frame(4, RUN, 0, digest, records()));
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 1);
    assert_eq!(bench.position().runs[0].samples.pieces, Pieces::below(1));
}

#[test]
fn d12_what_cannot_be_read_costs_nothing_but_itself() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    let garbage = Bytes::from_static(&[0xff; 9]);
    let records = vec![tick(0, Some(1), Reason::GOOD), garbage.clone(), tick(2000, Some(3), Reason::GOOD)];
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, records));
    for leaf in [Leaf::Hello, Leaf::Description, SAMPLES] {
        assert_eq!(bench.apply(leaf, garbage.clone()), Fresh::Nothing);
    }
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 2);
    for what in [Malformed::Record, Malformed::Hello, Malformed::Description, Malformed::Envelope] {
        assert_eq!(bench.metrics.malformed(what), 1, "{what:?}");
    }
}

#[test]
fn d12_rejected_observations_are_counted_by_reason_and_held() {
    let mut bench = Bench::new();
    bench.hello();
    let digest = bench.describe();
    let hour = 3_600_000;
    let records = vec![tick(hour, Some(1), Reason::GOOD), tick(-500 * 24 * hour, Some(1), Reason::GOOD)];
    bench.apply(SAMPLES, frame(2, RUN, 0, digest, records));
    for (name, property, unit) in [("a-1", "phlogiston", "1"), ("b-1", "air_temperature", "K")] {
        let (payload, digest) = description(name, property, unit).encode();
        bench.apply(Leaf::Description, payload);
        let first = if name == "a-1" { 2 } else { 3 };
        bench.apply(SAMPLES, frame(3, RUN, first, digest, vec![tick(0, Some(1), Reason::GOOD)]));
    }
    for verdict in [Verdict::Future, Verdict::Retention, Verdict::UnknownProperty, Verdict::Type] {
        assert_eq!(bench.metrics.observations(verdict), 1, "{verdict:?}");
    }
    assert_eq!(bench.metrics.observations(Verdict::Stored), 0);
    assert_eq!(bench.position().runs[0].samples.pieces, Pieces::below(4), "a verdict is a verdict");
}

#[test]
fn a_pulse_tells_hello_freshness_and_the_shortest_period_also_after_repeats() {
    let mut bench = Bench::new();
    let pulse = |bench: &Bench| bench.ingest.pulse(&"A1".parse().unwrap());
    assert_eq!(pulse(&bench), None);
    bench.hello();
    let expected = Pulse { said_hello: true, ..Pulse::default() };
    assert_eq!(pulse(&bench), Some(expected), "nothing is known of grids before anything is written in them");
    let mut description = description("weather-1", "air_temperature", "Cel");
    description.grids.insert(0, Grid { period_ms: 60_000, phase_ms: 0 });
    description.devices[0].grid = Some(1);
    let (payload, digest) = description.encode();
    bench.apply(Leaf::Description, payload);
    // Ahead of its receipt, then older ones, then all again.
    let records = |at: &[i64]| at.iter().map(|at| tick(*at, Some(161), Reason::GOOD)).collect::<Vec<_>>();
    for _ in 0..2 {
        bench.apply(SAMPLES, frame(2, RUN, 0, digest, records(&[4000, -60_000])));
    }
    let expected = Pulse {
        said_hello: true,
        last_observation: Some(NOW.plus_ms(4000)),
        freshness: Some(NOW),
        shortest_period_ms: Some(1000),
    };
    assert_eq!(pulse(&bench), Some(expected));
    assert_eq!(bench.metrics.repeated.get(), 2);
}

#[test]
fn d13_the_order_of_two_runs_does_not_matter_to_what_is_stored() {
    let records =
        [(RUN, tick(0, None, Reason::NO_ANSWER)), (RunId([2; 16]), tick(0, Some(161), Reason::GOOD))];
    for order in [[0, 1], [1, 0]] {
        let mut bench = Bench::new();
        let digest = bench.describe();
        for place in order {
            let (run, record) = records[place].clone();
            bench.apply(SAMPLES, frame(1, run, 0, digest, vec![record]));
        }
        assert_eq!(bench.values("weather-1", "air_temperature"), [(0, Some(16.1), 0)]);
        assert_eq!(bench.metrics.observations(Verdict::Merged), 1);
    }
}

#[test]
fn feeds_are_told_what_becomes_the_newest_of_its_series_and_what_replaces_the_newest() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    let other = RunId([2; 16]);
    let steps = [
        (RUN, 0, tick(1000, None, Reason::NO_ANSWER), true),
        (RUN, 1, tick(0, None, Reason::NO_ANSWER), false),
        // Better ones for the same times (D13): only that of the newest time is news.
        (other, 0, tick(0, Some(160), Reason::GOOD), false),
        (other, 1, tick(1000, Some(161), Reason::GOOD), true),
        // A worse one for the same time.
        (other, 2, tick(1000, None, Reason::NO_ANSWER), false),
    ];
    for (place, (run, first, record, is_told)) in steps.into_iter().enumerate() {
        let before = bench.live.len();
        bench.apply(SAMPLES, frame(1, run, first, digest, vec![record]));
        assert_eq!(bench.live.len() - before, usize::from(is_told), "step {place}");
    }
    let values: Vec<_> = bench.live.iter().map(|one| (one.time.0 - NOW.0, one.value)).collect();
    assert_eq!(values, [(1000, None), (1000, Some(16.1))]);
    assert_eq!(bench.live[1].lamppost.as_str(), "A1");
}

#[test]
fn d1_openings_tell_when_the_agent_was_stopped_and_a_fork_is_noticed() {
    let mut bench = Bench::new();
    bench.hello();
    let digest = bench.describe();
    let opening = |ended, opened| {
        let opening = Opening {
            run_before: Some(RunId([8; 16])),
            samples_end: 10,
            events_end: 1,
            ended: Some(NOW.plus_ms(ended)),
            opened: NOW.plus_ms(opened),
        };
        vec![Bytes::from(Record::Opening(opening).encode())]
    };
    bench.apply(EVENTS, frame(2, RUN, 0, digest, opening(-9000, -2000)));
    let report = bench.ingest.report(&"A1".parse().unwrap()).unwrap();
    assert_eq!(report.stops.len(), 1);
    let stop = &report.stops[0];
    assert_eq!((stop.ended, stop.opened), (RunEnd::Stated(NOW.plus_ms(-9000)), NOW.plus_ms(-2000)));
    assert_eq!((report.generation, report.devices[0].name.as_str()), (4, "weather-1"));
    assert_eq!(bench.metrics.forks.get(), 0);

    bench.apply(EVENTS, frame(3, RunId([2; 16]), 0, digest, opening(-9000, -1000)));
    assert_eq!(bench.metrics.forks.get(), 1);
}

#[test]
fn d8_a_position_fits_one_payload_however_torn_the_logs_are() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    let mut runs = Vec::new();
    for id in 0..200u8 {
        let run = RunId([id; 16]);
        runs.push(RunHeld { run, samples: Pieces::below(9), events: Pieces::new() });
        for piece in 0..40 {
            bench.apply(
                SAMPLES,
                frame(1, run, (1 << 40) + piece * 3, digest, vec![tick(0, Some(1), Reason::GOOD)]),
            );
        }
    }
    let hello = Hello {
        nonce: NONCE,
        count: 1,
        outbox: OutboxId([3; 16]),
        run: RUN,
        runs,
        agent_version: String::new(),
        hardware_serial: String::new(),
        generation: 0,
        set_aside: Vec::new(),
    };
    bench.apply(Leaf::Hello, hello.encode());
    let payload = bench.ingest.position(&"A1".parse().unwrap(), NOW).unwrap();
    assert!(payload.len() <= limits::MAX_PAYLOAD_BYTES, "{}", payload.len());
    let position = Position::decode(&payload).unwrap();
    let held = &position.runs[0].samples;
    assert_eq!(held.complete_below, held.pieces.end(), "nothing is said of what was left out");
}

#[test]
fn d1_an_opening_is_the_first_of_its_runs_events_and_nothing_else() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    let opening = Opening { run_before: None, samples_end: 0, events_end: 0, ended: None, opened: NOW };
    let record = || vec![Bytes::from(Record::Opening(opening).encode())];
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, record()));
    bench.apply(EVENTS, frame(2, RUN, 1, digest, record()));
    assert_eq!(bench.metrics.malformed(Malformed::Record), 2);
    bench.apply(EVENTS, frame(3, RUN, 0, digest, record()));
    assert_eq!(bench.metrics.malformed(Malformed::Record), 2);
}

#[test]
fn made_up_descriptions_of_one_lamppost_are_bounded_and_others_still_get_theirs() {
    let mut bench = Bench::new();
    for number in 0..600 {
        let (payload, _) = description(&format!("made-up-{number}"), "air_temperature", "Cel").encode();
        bench.apply(Leaf::Description, payload);
    }
    assert_eq!(bench.metrics.malformed(Malformed::TooMany), 88, "512 are taken");
    let (payload, digest) = description("weather-1", "air_temperature", "Cel").encode();
    let entry = |leaf, payload: Vec<u8>| Entry {
        sequence: 1_000,
        received: NOW,
        lamppost: "B1".parse().unwrap(),
        leaf,
        payload: payload.into(),
    };
    bench.ingest.apply(&entry(Leaf::Description, payload), &mut bench.store, &mut |_| {});
    let payload = frame(1, RUN, 0, digest, vec![tick(0, Some(1), Reason::GOOD)]);
    bench.ingest.apply(&entry(SAMPLES, payload), &mut bench.store, &mut |_| {});
    assert_eq!(bench.metrics.observations(Verdict::Stored), 1);
}

#[test]
fn d12_what_the_store_has_no_room_for_is_not_held() {
    let mut bench = Bench::new();
    bench.store = Tail::new(TailOptions { max_series: 0, ..TailOptions::default() });
    bench.hello();
    let digest = bench.describe();
    bench.apply(SAMPLES, frame(2, RUN, 0, digest, vec![tick(0, Some(1), Reason::GOOD)]));
    assert!(bench.position().runs[0].samples.pieces.is_empty());
    assert_eq!(bench.metrics.malformed(Malformed::TooMany), 1);
}

#[test]
fn an_endless_row_of_runs_shuts_nobody_out_and_keeps_what_the_hello_names() {
    let mut bench = Bench::new();
    bench.hello();
    let digest = bench.describe();
    bench.apply(SAMPLES, frame(2, RUN, 0, digest, vec![tick(0, Some(1), Reason::GOOD)]));
    for id in 0..3_000u32 {
        let mut run = [0xee; 16];
        run[..4].copy_from_slice(&id.to_be_bytes());
        bench.apply(
            SAMPLES,
            frame(3, RunId(run), 0, digest, vec![tick(i64::from(id), Some(1), Reason::GOOD)]),
        );
    }
    assert_eq!(bench.metrics.malformed(Malformed::TooMany), 0);
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 1_000, "one page of 3,000");
    assert_eq!(bench.position().runs[0].samples.pieces, Pieces::below(1));
}

#[test]
fn a_clock_of_the_server_that_was_set_back_makes_no_good_observation_a_future_one() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![tick(0, Some(1), Reason::GOOD)]));
    let payload = frame(2, RUN, 1, digest, vec![tick(1000, Some(2), Reason::GOOD)]);
    let received = NOW.plus_ms(-3_600_000);
    let entry = Entry {
        sequence: 9,
        received,
        lamppost: "A1".parse().unwrap(),
        leaf: SAMPLES,
        payload: payload.into(),
    };
    bench.ingest.apply(&entry, &mut bench.store, &mut |_| {});
    assert_eq!(bench.metrics.observations(Verdict::Future), 0);
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 2);
}

proptest! {
    #[test]
    fn no_bytes_from_outside_end_ingest(payloads in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..80)), 1..20)) {
        let mut bench = Bench::new();
        for (leaf, payload) in payloads {
            let leaf = [Leaf::Hello, Leaf::Description, SAMPLES, EVENTS][usize::from(leaf)];
            bench.apply(leaf, payload);
        }
    }

    /// The journal's frames in any order, and some of them twice, come to the same store and the same positions.
    #[test]
    fn d13_the_order_of_arrival_never_matters(
        records in prop::collection::vec((0i64..6, prop::option::of(-5i64..5), 0u8..3), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 12..24),
    ) {
        let build = |order: Vec<usize>| {
            let mut bench = Bench::new();
            bench.hello();
            let digest = bench.describe();
            for place in order {
                let (at, value, doubt) = records[place];
                let reason = if value.is_some() { Reason(doubt) } else { Reason(64 + doubt) };
                bench.apply(SAMPLES, frame(2, RUN, place as u64, digest, vec![tick(at * 1000, value, reason)]));
            }
            let runs = bench.position().runs;
            (bench.values("weather-1", "air_temperature"), runs)
        };
        let straight = build((0..records.len()).collect());
        let mut shuffled: Vec<usize> = order.iter().map(|index| index.index(records.len())).collect();
        shuffled.extend((0..records.len()).rev());
        prop_assert_eq!(build(shuffled), straight);
    }
}
