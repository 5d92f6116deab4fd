//! What a lamppost is now, whatever order its records come in.

use super::*;

/// The same device, read every so often.
fn read_every(period_ms: u32) -> Description {
    let mut description = description("weather-1", "air_temperature", "Cel");
    description.grids[0].period_ms = period_ms;
    description
}

impl Bench {
    fn described(&mut self, description: &Description) -> Digest {
        let (payload, digest) = description.encode();
        self.apply(Leaf::Description, payload);
        digest
    }

    /// A frame of one tick, received so long after `NOW`; a position of the run for each.
    fn ticks(&mut self, sequence: u64, at_ms: i64, digest: Digest, received_ms: i64) {
        let payload = frame(2, RUN, sequence, digest, vec![tick(at_ms, Some(161), Reason::GOOD)]);
        let received = NOW.plus_ms(received_ms);
        let lamppost = "A1".parse().unwrap();
        let entry = Entry { sequence: 0, received, lamppost, leaf: SAMPLES, payload: payload.into() };
        self.ingest.apply(&entry, &mut self.store, &mut |_| {});
    }

    fn current(&self) -> Option<Digest> {
        self.ingest.report(&"A1".parse().unwrap()).unwrap().description
    }

    fn has(&self, series: [&str; 2]) -> bool {
        self.ingest.current_series(&"A1".parse().unwrap()).unwrap().among_them()(&name(series))
    }

    /// The period that the store says of a series.
    fn period(&self, series: [&str; 2]) -> Option<u32> {
        let key = SeriesKey { lamppost: "A1".parse().unwrap(), name: name(series) };
        let meta = self.store.meta(self.store.find(&key)?);
        meta.grid.map(|grid| grid.period_ms)
    }
}

fn name([device, property]: [&str; 2]) -> SeriesName {
    SeriesName { device: device.parse().unwrap(), property: property.parse().unwrap(), channel: None }
}

const WEATHER: [&str; 2] = ["weather-1", "air_temperature"];

#[test]
fn a_backlog_that_drains_beside_live_data_changes_nothing_of_what_a_lamppost_is_now() {
    let mut bench = Bench::new();
    bench.hello();
    let mut before = read_every(60_000);
    before.devices.extend(description("air-1", "pm2_5", "ug/m3").devices);
    let (before, now) = (bench.described(&before), bench.described(&read_every(1000)));
    bench.ticks(100, 0, now, 0);
    for step in 0..5 {
        let ms = i64::try_from(step).unwrap() * 1000;
        bench.ticks(step, -600_000 + ms, before, ms);
        assert_eq!((bench.current(), bench.period(WEATHER)), (Some(now), Some(1000)), "step {step}");
        let pulse = bench.ingest.pulse(&"A1".parse().unwrap()).unwrap();
        assert_eq!(pulse.shortest_period_ms, Some(1000));
        bench.ticks(101 + step, ms, now, ms);
    }
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 10, "all of it is read and stored");
    assert!(bench.has(WEATHER));
    assert_eq!(bench.period(["air-1", "pm2_5"]), Some(60_000), "it is known to the store");
    assert!(!bench.has(["air-1", "pm2_5"]), "and none of the lamppost's any more");
}

#[test]
fn a_configuration_that_is_taken_back_is_the_current_one_again() {
    let mut bench = Bench::new();
    bench.hello();
    let (one, other) = (bench.described(&read_every(1000)), bench.described(&read_every(5000)));
    for (step, (digest, period)) in
        [(one, 1000), (other, 5000), (one, 1000), (other, 5000)].into_iter().enumerate()
    {
        let ms = i64::try_from(step).unwrap() * 1000;
        bench.ticks(step as u64, ms, digest, ms);
        assert_eq!((bench.current(), bench.period(WEATHER)), (Some(digest), Some(period)), "step {step}");
    }
    bench.ticks(0, 9000, one, 9000);
    assert_eq!(bench.current(), Some(other), "a position that is held says nothing when it comes again");
}

#[test]
fn a_description_is_current_before_any_record_has_told_a_time() {
    let mut bench = Bench::new();
    bench.hello();
    let (one, other) = (bench.described(&read_every(1000)), bench.described(&read_every(5000)));
    bench.apply(SAMPLES, frame(2, RUN, 0, one, vec![Bytes::from_static(&[0xff; 9])]));
    assert_eq!(bench.current(), Some(one));
    bench.ticks(1, -300_000, other, 0);
    assert_eq!((bench.current(), bench.period(WEATHER)), (Some(other), Some(5000)));
}

#[test]
fn series_are_found_among_the_current_ones_in_the_order_of_their_names() {
    let mut bench = Bench::new();
    bench.hello();
    let mut now = description("d-5", "air_temperature", "Cel");
    for device in ["d-1", "d-3", "d-4"] {
        now.devices.extend(description(device, "air_temperature", "Cel").devices);
    }
    now.devices.extend(description("d-2", "phlogiston", "1").devices);
    let now = bench.described(&now);
    bench.ticks(0, 0, now, 0);
    let current = bench.ingest.current_series(&"A1".parse().unwrap()).unwrap();
    let found = |devices: &[u8]| {
        let mut has = current.among_them();
        let found: Vec<u8> = devices
            .iter()
            .copied()
            .filter(|device| has(&name([&format!("d-{device}"), WEATHER[1]])))
            .collect();
        found
    };
    assert_eq!(found(&[0, 1, 2, 3, 4, 5, 6]), [1, 3, 4, 5]);
    assert_eq!(found(&[0, 4, 6]), [4]);
    assert_eq!(found(&[2]), Vec::<u8>::new(), "what the catalogue does not know is not taken");
}

#[test]
fn an_opening_tells_of_a_new_description_before_the_first_tick() {
    let mut bench = Bench::new();
    bench.hello();
    let (one, other) = (bench.described(&read_every(1000)), bench.described(&read_every(5000)));
    bench.ticks(0, -5000, one, 0);
    let opening = Opening { run_before: Some(RUN), samples_end: 1, events_end: 0, ended: None, opened: NOW };
    let payload = frame(3, RunId([2; 16]), 0, other, vec![Record::Opening(opening).encode().into()]);
    bench.apply(EVENTS, payload);
    assert_eq!((bench.current(), bench.period(WEATHER)), (Some(other), Some(5000)));
}

#[test]
fn no_clock_that_ran_ahead_holds_on_to_a_description_that_is_over() {
    let mut bench = Bench::new();
    bench.hello();
    let (one, other) = (bench.described(&read_every(1000)), bench.described(&read_every(5000)));
    bench.ticks(0, 500_000, one, 0);
    bench.ticks(1, 5000, other, 5010);
    assert_eq!(bench.current(), Some(other), "the lamppost's was put right");
    bench.ticks(2, 900_000_000, one, 5020);
    assert_eq!(bench.current(), Some(other), "a time that is out of bounds says nothing");
    bench.ticks(3, -7_200_000, one, -7_200_000);
    assert_eq!(bench.current(), Some(one), "the server's was set back");
}

proptest! {
    /// Which description is the current one, and what the store says of the series, goes by the records' times alone:
    /// the greatest, in whatever order they come, and however often.
    #[test]
    fn what_a_lamppost_is_now_does_not_depend_on_the_order_of_arrival(
        descriptions in prop::collection::vec(0usize..3, 1..10),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut bench = Bench::new();
        bench.hello();
        let periods = [1000, 5000, 60_000];
        let digests = periods.map(|period_ms| bench.described(&read_every(period_ms)));
        let mut places: Vec<usize> = order.iter().map(|index| index.index(descriptions.len())).collect();
        places.extend(0..descriptions.len());
        for place in places {
            let at_ms = i64::try_from(place).unwrap() * 1000 - 60_000;
            bench.ticks(place as u64, at_ms, digests[descriptions[place]], 0);
        }
        let newest = *descriptions.last().unwrap();
        prop_assert_eq!(bench.current(), Some(digests[newest]));
        prop_assert_eq!(bench.period(WEATHER), Some(periods[newest]));
    }
}
