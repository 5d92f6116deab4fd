//! When an agent was stopped, though its opening cannot tell when the run before ended.

use lamplighter_protocol::{DropReason, Dropped, DroppedSeries};

use super::super::{CoursePart, Missing, Stop};
use super::ledger::hello;
use super::*;

const BEFORE: RunId = RunId([8; 16]);
const OPENED_MS: i64 = 60_000;

impl Bench {
    fn opens(&mut self, run: RunId, run_before: Option<RunId>, opened_ms: i64) {
        let opened = NOW.plus_ms(opened_ms);
        let opening = Opening { run_before, samples_end: 0, events_end: 0, ended: None, opened };
        self.notes(run, 0, &Record::Opening(opening));
    }

    fn notes(&mut self, run: RunId, sequence: u64, record: &Record) {
        let digest = self.describe();
        self.apply(EVENTS, frame(1, run, sequence, digest, vec![record.encode().into()]));
    }

    fn stops(&self) -> Vec<Stop> {
        self.ingest.report(&"A1".parse().unwrap()).unwrap().stops
    }

    /// Why what is missing at this time is.
    fn missing_at(&self, ms: i64) -> Option<Missing> {
        let (number, name) = ("A1".parse().unwrap(), temperature());
        let course = self.ingest.course(&number, NOW, NOW.plus_ms(2 * OPENED_MS)).unwrap();
        let of_time = |part: &CoursePart| (part.from..part.to).contains(&NOW.plus_ms(ms));
        course.of(&name).parts.into_iter().find(of_time).map(|part| part.missing)
    }
}

#[test]
fn what_is_owed_of_a_run_whose_end_nobody_can_tell_may_have_been_read_until_the_next_one_opened() {
    let mut bench = Bench::new();
    bench.hello();
    let opened = NOW.plus_ms(OPENED_MS);
    let opening = Opening { run_before: Some(BEFORE), samples_end: 50, events_end: 1, ended: None, opened };
    bench.notes(RUN, 0, &Record::Opening(opening));
    bench.opens(BEFORE, None, 5_000);
    for ms in [5_500, 30_000, OPENED_MS - 1_000] {
        assert_eq!(bench.missing_at(ms), Some(Missing::Lost), "no outbox names it, and nobody was stopped");
    }
}

fn temperature() -> SeriesName {
    let (device, property) = ("weather-1".parse().unwrap(), "air_temperature".parse().unwrap());
    SeriesName { device, property, channel: None }
}

#[test]
fn a_stop_begins_at_the_newest_time_that_is_known_of_a_run_whose_end_nobody_can_tell() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.hello();
    bench.opens(RUN, Some(BEFORE), OPENED_MS);
    assert_eq!(bench.stops(), [], "nothing is known of the run before");

    bench.opens(BEFORE, None, 5_000);
    let [stop] = bench.stops().try_into().unwrap();
    assert_eq!((stop.run_before, stop.ended), (BEFORE, RunEnd::NotBefore(NOW.plus_ms(5_000))));
    assert_eq!(bench.missing_at(5_000), Some(Missing::NotRecorded));
    assert_eq!(bench.missing_at(5_001), Some(Missing::AgentStopped));

    bench.receive(
        NOW.plus_ms(30_000),
        SAMPLES,
        frame(1, BEFORE, 0, digest, vec![tick(30_000, Some(1), Reason::GOOD)]),
    );
    assert_eq!(bench.stops()[0].ended, RunEnd::NotBefore(NOW.plus_ms(30_000)));
    assert_eq!(bench.missing_at(30_000), Some(Missing::NotRecorded));
    assert_eq!(bench.missing_at(30_001), Some(Missing::AgentStopped));
    assert_eq!(bench.missing_at(OPENED_MS - 1), Some(Missing::AgentStopped));

    let series = vec![DroppedSeries {
        series: temperature(),
        count: 1,
        first: NOW.plus_ms(31_000),
        last: NOW.plus_ms(40_000),
    }];
    let mut pieces = Pieces::new();
    pieces.insert(1, 10);
    let (log, reason, time) = (Log::Samples, DropReason::Bytes, NOW);
    bench.notes(RUN, 1, &Record::Dropped(Dropped { run: BEFORE, log, pieces, reason, time, series }));
    assert_eq!(bench.stops()[0].ended, RunEnd::NotBefore(NOW.plus_ms(40_000)));
    assert_eq!(bench.missing_at(35_000), Some(Missing::Dropped(reason)));
    assert_eq!(bench.missing_at(45_000), Some(Missing::AgentStopped));
}

#[test]
fn d14_of_a_run_that_another_outbox_has_adopted_nothing_more_is_awaited_once_all_of_it_is_here() {
    let (set_aside, living) = (OutboxId([3; 16]), OutboxId([4; 16]));
    let mut bench = Bench::new();
    let digest = bench.describe();
    let says = |bench: &mut Bench, hello: &Hello, at_ms| {
        bench.receive(NOW.plus_ms(at_ms), Leaf::Hello, hello.encode());
    };
    says(&mut bench, &hello(set_aside, BEFORE, 1, &[(BEFORE, &[(0, 0)])]), 6_000);
    bench.opens(BEFORE, None, 5_000);
    let records = vec![tick(30_000, Some(1), Reason::GOOD)];
    bench.receive(NOW.plus_ms(30_000), SAMPLES, frame(1, BEFORE, 0, digest, records));
    bench.opens(RUN, None, OPENED_MS);
    assert_eq!(bench.missing_at(45_000), Some(Missing::NotYetHere), "it may have been read, and be sent yet");

    // Its outbox is released, and the one that lives names its run.
    says(&mut bench, &hello(living, RUN, 2, &[(RUN, &[]), (BEFORE, &[(0, 0)])]), OPENED_MS);
    assert_eq!(bench.missing_at(29_000), Some(Missing::NotRecorded));
    assert_eq!(bench.missing_at(45_000), Some(Missing::Unknown), "nothing more of it is anywhere");
    assert_eq!(bench.stops(), [], "neither run follows the other");
}
