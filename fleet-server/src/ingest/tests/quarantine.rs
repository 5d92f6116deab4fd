//! Quarantine (D12): what waits, what it waits for, and that it leaves with its result.

use lamplighter_protocol::{Catalogue, Description, LamppostNumber, Reason, Record, Series, Tick};

use super::*;
use crate::checkpoint::{Checkpoints, Fresh, Snapshot};
use crate::journal::memory_disk::MemoryDisk;

const HOUR: i64 = 3_600_000;

/// The catalogue of a release to come.
fn later_catalogue() -> Catalogue {
    let property = |name: &str| {
        format!(
            "[[property]]\nname = \"{name}\"\ntitle_en = \"x\"\ntitle_zh = \"x\"\nunit = \"Cel\"\ntype = \"quantity\"\n\
             resolution = \"0.1\"\nvalid = [-40.0, 60.0]\nstatistic = \"mean\"\ntheme = \"weather\"\nprivacy = \"public\"\n\
             retention_days = 90\ndefinition = \"x\"\n"
        )
    };
    Catalogue::parse(&["air_temperature", "phlogiston"].map(property).concat()).unwrap()
}

/// One device that reads what the catalogue knows and what it does not.
fn both() -> (Vec<u8>, Digest) {
    let mut description = description("weather-1", "air_temperature", "Cel");
    let known = description.devices[0].series[0].clone();
    description.devices[0].series.push(Series { property: "phlogiston".parse().unwrap(), ..known });
    Description::encode(&description)
}

fn both_at(at_ms: i64, value: i64) -> Bytes {
    let observation = |series| Observation { series, value: Some(value), reason: Reason::GOOD };
    let tick =
        Tick { device: 0, time: NOW.plus_ms(at_ms), observations: vec![observation(0), observation(1)] };
    Record::Tick(tick).encode().into()
}

fn unreadable() -> Bytes {
    Bytes::from_static(b"\xff\xff")
}

impl Bench {
    /// Writes what it knows.
    fn seal(&self, disk: &MemoryDisk) {
        let mut checkpoints = Checkpoints::open(Box::new(disk.clone())).unwrap();
        checkpoints.write(Snapshot::of(&self.ingest, &self.store, NOW)).unwrap();
    }

    /// Starts anew from there with this catalogue, as a new release would.
    fn start(disk: &MemoryDisk, catalogue: Catalogue) -> Self {
        let fresh = Fresh { catalogue, metrics: IngestMetrics::default(), tail: TailOptions::default() };
        let restored = Checkpoints::open(Box::new(disk.clone())).unwrap().newest(&fresh).unwrap().restored;
        let restored = restored.unwrap();
        let sequence = restored.info.sequence;
        let (ingest, store) = (restored.ingest, restored.tail);
        let mut bench = Self { ingest, store, metrics: fresh.metrics, live: Vec::new(), sequence };
        bench.ingest.retry_quarantine(&mut bench.store, &mut |_| {});
        bench
    }

    /// How many observations of a property the ledger has as rejected.
    fn rejected(&self, property: &str) -> u64 {
        let (from, to) = (NOW.plus_ms(-24 * HOUR), NOW.plus_ms(24 * HOUR));
        let course = self.ingest.course(&Self::number(), from, to).unwrap();
        let name = SeriesName {
            device: "weather-1".parse().unwrap(),
            property: property.parse().unwrap(),
            channel: None,
        };
        let of_series = course.of(&name);
        of_series.rejected.iter().map(|(_, spans)| spans.count_in(from, to)).sum()
    }

    fn waiting(&self) -> i64 {
        self.metrics.quarantine.records.get()
    }

    fn number() -> LamppostNumber {
        "A1".parse().unwrap()
    }
}

#[test]
fn d12_what_is_known_of_a_tick_is_stored_at_once_and_the_rest_waits() {
    let mut bench = Bench::new();
    let (payload, digest) = both();
    bench.apply(Leaf::Description, payload);
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![both_at(0, 161), unreadable(), both_at(1000, 162)]));
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 2);
    assert_eq!(bench.metrics.observations(Verdict::UnknownProperty), 2);
    assert_eq!(bench.metrics.malformed(Malformed::Record), 1);
    assert_eq!(bench.waiting(), 3);
    bench.hello();
    assert_eq!(bench.position().runs[0].samples.pieces, Pieces::below(3), "a position is held all the same");
}

#[test]
fn d12_a_new_catalogue_takes_what_waited_and_gives_each_observation_one_verdict() {
    let disk = MemoryDisk::new(1);
    let mut bench = Bench::new();
    let (payload, digest) = both();
    bench.apply(Leaf::Description, payload);
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![both_at(0, 161), unreadable(), both_at(1000, 162)]));
    bench.seal(&disk);

    let again = Bench::start(&disk, Catalogue::built_in());
    assert_eq!((again.waiting(), again.metrics.quarantine.released.get()), (3, 0));
    assert_eq!(again.rejected("phlogiston"), 2);
    assert_eq!(again.metrics.observations(Verdict::UnknownProperty), 2);
    assert_eq!(again.metrics.malformed(Malformed::Record), 1);

    // As often as it starts before the result is sealed, it comes to the same.
    for _ in 0..2 {
        let again = Bench::start(&disk, later_catalogue());
        assert_eq!(again.values("weather-1", "phlogiston"), [(0, Some(16.1), 0), (1000, Some(16.2), 0)]);
        assert_eq!(again.values("weather-1", "air_temperature").len(), 2);
        let counted = [Verdict::Stored, Verdict::Merged, Verdict::UnknownProperty];
        assert_eq!(counted.map(|verdict| again.metrics.observations(verdict)), [4, 0, 0]);
        assert_eq!((again.waiting(), again.metrics.quarantine.released.get()), (1, 2));
        assert_eq!(again.rejected("phlogiston"), 0, "stored goes over rejected");
    }
    Bench::start(&disk, later_catalogue()).seal(&disk);
    let sealed = Bench::start(&disk, later_catalogue());
    assert_eq!((sealed.waiting(), sealed.metrics.quarantine.released.get()), (1, 2));
    assert_eq!(sealed.values("weather-1", "phlogiston").len(), 2);
    assert_eq!(sealed.metrics.observations(Verdict::Stored), 4);
}

#[test]
fn d12_a_late_verdict_does_not_make_a_lamppost_look_older_than_it_is() {
    let disk = MemoryDisk::new(1);
    let mut bench = Bench::new();
    let (payload, digest) = both();
    bench.apply(Leaf::Description, payload);
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![both_at(0, 161)]));
    let late = Entry {
        sequence: bench.sequence,
        received: NOW.plus_ms(5 * HOUR),
        lamppost: Bench::number(),
        leaf: SAMPLES,
        payload: frame(2, RUN, 1, digest, vec![both_at(5 * HOUR, 170)]).into(),
    };
    bench.ingest.apply(&late, &mut bench.store, &mut |_| {});
    let before = bench.ingest.pulse(&Bench::number());
    bench.seal(&disk);
    let again = Bench::start(&disk, later_catalogue());
    assert_eq!(again.ingest.pulse(&Bench::number()), before);
    assert_eq!(again.values("weather-1", "phlogiston").len(), 2);
}

#[test]
fn d12_nothing_that_is_rejected_for_its_time_is_quarantined() {
    let mut bench = Bench::new();
    let (payload, digest) = both();
    bench.apply(Leaf::Description, payload);
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![both_at(-401 * 24 * HOUR, 1), both_at(HOUR, 1)]));
    assert_eq!(bench.metrics.observations(Verdict::Retention), 2);
    assert_eq!(bench.metrics.observations(Verdict::Future), 2);
    assert_eq!(bench.waiting(), 0);
}

#[test]
fn d16_what_waits_for_too_long_goes_and_is_counted() {
    let mut bench = Bench::new();
    let (payload, digest) = both();
    bench.apply(Leaf::Description, payload);
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![both_at(0, 1)]));
    for day in 1..=401 {
        bench.receive(NOW.plus_ms(day * 24 * HOUR), SAMPLES, frame(1, RUN, 1, digest, vec![unreadable()]));
        assert_eq!(bench.metrics.quarantine.expired.get(), u64::from(day > 400), "day {day}");
    }
    assert_eq!(bench.waiting(), 1);
}

#[test]
fn d16_nothing_leaves_the_quarantine_by_a_clock_that_is_ahead() {
    let mut bench = Bench::new();
    let (payload, digest) = both();
    bench.apply(Leaf::Description, payload);
    bench.apply(SAMPLES, frame(1, RUN, 0, digest, vec![both_at(0, 1)]));
    for (first, days) in [(1, 401), (2, 4_000), (3, 1)] {
        let received = NOW.plus_ms(days * 24 * HOUR);
        bench.receive(received, SAMPLES, frame(1 + first, RUN, first, digest, vec![unreadable()]));
    }
    assert_eq!((bench.waiting(), bench.metrics.quarantine.expired.get()), (4, 0));
}
