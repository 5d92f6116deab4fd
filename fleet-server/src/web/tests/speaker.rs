//! A lamppost that speaks to a rig: `DF9`, whatever it says and whenever that arrives. Times are milliseconds after
//! [`START`].

use lamplighter_protocol::{
    Catalogue, Dating, Description, Device, Digest, DropReason, Dropped, DroppedSeries, Frame, Grid, Hello,
    Leaf, Log, Nonce, Observation, Opening, OutboxId, Pieces, Reason, Record, RunHeld, RunId, Series,
    SetAside, SetAsideReason, Tick, UtcMillis,
};

use super::rig::{Rig, START, series_name};
use crate::journal::Entry;

pub(super) const NUMBER: &str = "DF9";

pub(super) struct Speaker<'a> {
    pub(super) rig: &'a Rig,
    entries: u64,
}

pub(super) fn run(id: u8) -> RunId {
    RunId([id; 16])
}

impl<'a> Speaker<'a> {
    pub(super) fn new(rig: &'a Rig) -> Self {
        rig.import(&[NUMBER]);
        Self { rig, entries: 0 }
    }

    pub(super) fn says(&mut self, received_ms: i64, leaf: Leaf, payload: Vec<u8>) {
        let (received, lamppost) = (UtcMillis(START + received_ms), NUMBER.parse().unwrap());
        let entry = Entry { sequence: self.entries, received, lamppost, leaf, payload: payload.into() };
        self.entries += 1;
        let mut ingest = self.rig.ingest.write().unwrap();
        let mut store = self.rig.store.write().unwrap();
        ingest.apply(&entry, &mut store, &mut |_| {});
    }

    /// Describes devices by name and period; each observes the air's temperature. Without a period: by exception.
    pub(super) fn describes(&mut self, devices: &[(&str, Option<u32>)]) -> Digest {
        let catalogue = Catalogue::built_in();
        let property = catalogue.get(&"air_temperature".parse().unwrap()).unwrap();
        let periods = devices.iter().filter_map(|(_, period)| *period);
        let grids: Vec<Grid> = periods.map(|period_ms| Grid { period_ms, phase_ms: 0 }).collect();
        let devices = devices.iter().map(|(name, period)| Device {
            name: name.parse().unwrap(),
            grid: period.and_then(|period| grids.iter().position(|grid| grid.period_ms == period)),
            model: "bme280".to_owned(),
            series: vec![Series {
                property: property.name.clone(),
                channel: None,
                value_type: property.value_type,
                unit: property.unit.clone(),
                resolution: property.resolution,
            }],
        });
        let devices = devices.collect();
        let (payload, digest) = Description { grids, devices }.encode();
        self.says(0, Leaf::Description, payload);
        digest
    }

    /// A hello of this outbox that names these samples of runs, the one that speaks first.
    pub(super) fn greets(&mut self, received_ms: i64, outbox: u8, samples: &[(u8, u64, u64)]) {
        self.tells_of(received_ms, outbox, samples, &[]);
    }

    /// Such a hello that tells of these outboxes as set aside, and to which lampposts they belong.
    pub(super) fn tells_of(
        &mut self,
        received_ms: i64,
        outbox: u8,
        samples: &[(u8, u64, u64)],
        set_aside: &[(u8, &str)],
    ) {
        let set_aside = set_aside.iter().map(|(outbox, number)| SetAside {
            outbox: OutboxId([*outbox; 16]),
            lamppost: Some(number.parse().unwrap()),
            hardware_serial: format!("S{outbox}"),
            reason: SetAsideReason::OtherHardware,
            bytes: 4096,
            runs: 2,
            first: Some(UtcMillis(START - 60_000)),
            last: None,
        });
        let runs = samples.iter().map(|&(id, first, last)| {
            let mut samples = Pieces::new();
            samples.insert(first, last);
            RunHeld { run: run(id), samples, events: Pieces::below(1) }
        });
        let hello = Hello {
            nonce: Nonce(u128::from(self.entries).to_be_bytes()),
            count: 1,
            outbox: OutboxId([outbox; 16]),
            run: run(samples[0].0),
            runs: runs.collect(),
            agent_version: "0.1.0".to_owned(),
            hardware_serial: format!("S{outbox}"),
            generation: 1,
            set_aside: set_aside.collect(),
        };
        self.says(received_ms, Leaf::Hello, hello.encode());
    }

    /// The opening of a run, after another one of which so many samples are on disk and that ended so early.
    pub(super) fn opens(&mut self, id: u8, digest: Digest, opened_ms: i64, before: Option<(u8, u64, i64)>) {
        let ended_ms = before.map(|(_, _, ended_ms)| ended_ms);
        self.opens_after(id, digest, opened_ms, before.map(|(run, end, _)| (run, end)), ended_ms);
    }

    /// The same; without `ended_ms` it cannot tell when the run before ended.
    pub(super) fn opens_after(
        &mut self,
        id: u8,
        digest: Digest,
        opened_ms: i64,
        before: Option<(u8, u64)>,
        ended_ms: Option<i64>,
    ) {
        let opening = Opening {
            run_before: before.map(|(before, _)| run(before)),
            samples_end: before.map_or(0, |(_, end)| end),
            events_end: before.map_or(0, |_| 1),
            ended: ended_ms.map(|ended_ms| UtcMillis(START + ended_ms)),
            opened: UtcMillis(START + opened_ms),
        };
        self.sends(opened_ms, Log::Events, id, 0, digest, &[Record::Opening(opening)]);
    }

    /// Ticks of the device at this place of the description, so many milliseconds apart, that were received then.
    pub(super) fn reads(&mut self, id: u8, first: u64, digest: Digest, ticks: Ticks, received_ms: i64) {
        let records = (0..ticks.count).map(|place| {
            let time = UtcMillis(START + ticks.from_ms + i64::try_from(place).unwrap() * ticks.every_ms);
            let observations = vec![Observation { series: 0, value: Some(2000), reason: Reason::GOOD }];
            Record::Tick(Tick { device: ticks.device, time, observations })
        });
        self.sends(received_ms, Log::Samples, id, first, digest, &records.collect::<Vec<_>>());
    }

    /// A report that these samples of a run had to go.
    pub(super) fn drops(
        &mut self,
        (id, sequence): (u8, u64),
        digest: Digest,
        pieces: (u8, u64, u64),
        span: (i64, i64),
    ) {
        let (of, first, last) = pieces;
        let mut pieces = Pieces::new();
        pieces.insert(first, last);
        let series = DroppedSeries {
            series: series_name("weather-1/air_temperature"),
            count: pieces.count(),
            first: UtcMillis(START + span.0),
            last: UtcMillis(START + span.1),
        };
        let dropped = Dropped {
            run: run(of),
            log: Log::Samples,
            pieces,
            reason: DropReason::Bytes,
            time: UtcMillis(START + span.1),
            series: vec![series],
        };
        self.sends(span.1, Log::Events, id, sequence, digest, &[Record::Dropped(dropped)]);
    }

    /// Says of a run that never learnt the time between what it was placed.
    pub(super) fn places(
        &mut self,
        (id, sequence): (u8, u64),
        digest: Digest,
        of: u8,
        (earliest, latest): (Option<i64>, i64),
    ) {
        let (earliest, latest) = (earliest.map(|ms| UtcMillis(START + ms)), UtcMillis(START + latest));
        let dating = Dating { run: run(of), earliest, latest, time: latest };
        self.sends(latest.0 - START, Log::Events, id, sequence, digest, &[Record::Dating(dating)]);
    }

    pub(super) fn sends(
        &mut self,
        received_ms: i64,
        log: Log,
        id: u8,
        first: u64,
        description: Digest,
        records: &[Record],
    ) {
        let records = records.iter().map(|record| record.encode().into()).collect();
        let frame = Frame { nonce: Nonce([7; 16]), count: 1, run: run(id), first, description, records };
        self.says(received_ms, Leaf::Frames(log), frame.encode());
    }
}

/// Ticks of one device.
#[derive(Clone, Copy)]
pub(super) struct Ticks {
    pub(super) device: usize,
    pub(super) from_ms: i64,
    pub(super) every_ms: i64,
    pub(super) count: u64,
}

/// Ticks of the first device, a second apart.
pub(super) fn seconds(from_ms: i64, count: u64) -> Ticks {
    Ticks { device: 0, from_ms, every_ms: 1000, count }
}
