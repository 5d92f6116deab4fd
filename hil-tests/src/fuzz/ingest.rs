//! Payloads of a lamppost with every right: what the journal has committed, ingest reads.

use bytes::Bytes;
use fleet_server::ingest::{Ingest, IngestMetrics};
use fleet_server::journal::Entry;
use fleet_server::store::{Tail, TailOptions};
use lamplighter_protocol::{
    Catalogue, Description, Device, DeviceName, Digest, Frame, Grid, Hello, LamppostNumber, Leaf, Log, Nonce,
    Observation, OutboxId, Pieces, Position, PropertyName, Reason, Record, RunHeld, RunId, Series, Tick,
    UtcMillis,
};

use super::mutate::mutate;
use crate::simulation::dice::Dice;

/// Payloads of a case, all met by one ingest.
const PAYLOADS: u64 = 512;

const NOW: UtcMillis = UtcMillis(1_800_000_000_000);
const PERIOD_MS: u32 = 1_000;

/// Whose payloads are changed; another one beside it sends what is in order.
const HOSTILE: &str = "DF3637";
const OTHER: &str = "DF3638";

pub(super) fn case(mut dice: Dice) -> u64 {
    let mut ingest = Ingest::new(Catalogue::built_in(), IngestMetrics::default());
    let mut store = Tail::new(TailOptions { max_observations: 10_000, ..TailOptions::default() });
    let (hostile, other) = (number(HOSTILE), number(OTHER));
    let (description, digest) = description().encode();
    let mut sequence = 0;
    let mut apply = |ingest: &mut Ingest, lamppost: &LamppostNumber, leaf, payload: Vec<u8>| {
        let received = NOW.plus_ms(i64::try_from(sequence).unwrap_or(0));
        let payload = Bytes::from(payload);
        let entry = Entry { sequence, received, lamppost: lamppost.clone(), leaf, payload };
        sequence += 1;
        ingest.apply(&entry, &mut store, &mut |_| ());
    };
    apply(&mut ingest, &other, Leaf::Description, description.clone());
    apply(&mut ingest, &hostile, Leaf::Description, description.clone());
    let mut sound = 0;
    for _ in 0..PAYLOADS {
        let first = dice.next_u64() % 500;
        let (leaf, mut payload) = match dice.below(8) {
            0 => (Leaf::Hello, hello(&mut dice).encode()),
            1 => (Leaf::Description, description.clone()),
            2 => (Leaf::Frames(Log::Events), frame(digest, first, &mut dice).encode()),
            _ => (Leaf::Frames(Log::Samples), frame(digest, first, &mut dice).encode()),
        };
        if dice.chance(80) {
            let piece = frame(digest, first, &mut dice).encode();
            mutate(&mut payload, &piece, &mut dice);
        }
        apply(&mut ingest, &hostile, leaf, payload);
        if dice.chance(5) {
            apply(&mut ingest, &other, Leaf::Frames(Log::Samples), plain(digest, sound).encode());
            sound += 1;
        }
        if dice.chance(5)
            && let Some(position) = ingest.position(&hostile, NOW)
        {
            Position::decode(&position).expect("what the server says can be read");
        }
    }
    // Whatever the hostile one said, the other one's is held, and all of it.
    let mut greeting = hello(&mut Dice::new(1));
    greeting.runs.truncate(1);
    apply(&mut ingest, &other, Leaf::Hello, greeting.encode());
    let position = ingest.position(&other, NOW).expect("it has said hello");
    let position = Position::decode(&position).expect("what the server says can be read");
    let held = position.of(RUN).map(|run| run.log(Log::Samples).pieces.ranges().collect::<Vec<_>>());
    let expected = if sound == 0 { Vec::new() } else { vec![(0, sound - 1)] };
    assert_eq!(held.unwrap_or_default(), expected, "what another lamppost sent is held");
    PAYLOADS
}

const RUN: RunId = RunId([7; 16]);

fn number(text: &str) -> LamppostNumber {
    text.parse().expect("it is a number")
}

fn description() -> Description {
    let name = PropertyName::new("air_temperature").expect("it is a name");
    let catalogue = Catalogue::built_in();
    let property = catalogue.get(&name).expect("the catalogue has it");
    let series = Series {
        property: name,
        channel: None,
        value_type: property.value_type,
        unit: property.unit.clone(),
        resolution: property.resolution,
    };
    let name = DeviceName::new("weather-1").expect("it is a name");
    let device = Device { name, grid: Some(0), model: "M".to_owned(), series: vec![series] };
    Description { grids: vec![Grid { period_ms: PERIOD_MS, phase_ms: 0 }], devices: vec![device] }
}

fn tick(sequence: u64, value: i64) -> Vec<u8> {
    let ago = i64::try_from(sequence).unwrap_or(0) * i64::from(PERIOD_MS);
    let observations = vec![Observation { series: 0, value: Some(value), reason: Reason::GOOD }];
    Record::Tick(Tick { device: 0, time: NOW.plus_ms(ago - 3_600_000), observations }).encode()
}

/// One record of the lamppost that sends what is in order.
fn plain(description: Digest, sequence: u64) -> Frame {
    let records = vec![tick(sequence, 2_000).into()];
    Frame { nonce: Nonce([1; 16]), count: sequence + 1, run: RUN, first: sequence, description, records }
}

fn frame(description: Digest, first: u64, dice: &mut Dice) -> Frame {
    let records = (first..first + 1 + dice.next_u64() % 8).map(|at| tick(at, 2_000).into()).collect();
    Frame { nonce: Nonce([1; 16]), count: dice.next_u64() % 100, run: RUN, first, description, records }
}

fn hello(dice: &mut Dice) -> Hello {
    let run = |id| RunHeld { run: RunId([id; 16]), samples: Pieces::below(400), events: Pieces::below(10) };
    Hello {
        nonce: Nonce([1; 16]),
        count: 1 + dice.next_u64() % 100,
        outbox: OutboxId([3; 16]),
        run: RUN,
        runs: vec![run(7), run(8)],
        agent_version: "fuzz".to_owned(),
        hardware_serial: String::new(),
        generation: 1,
        set_aside: Vec::new(),
    }
}
