//! The course of a lamppost: when what was due, and why what is missing is, whatever order its records come in.

use lamplighter_protocol::{DropReason, Dropped};

use super::super::{CoursePart, Missing};
use super::*;

const FIRST: RunId = RunId([1; 16]);
const SECOND: RunId = RunId([2; 16]);

/// What is sent of two runs, each of which changes its period in the middle. Sequence n of the first one is its tick of
/// second n; the second one opened at second 60, and its sequence n is of second 60 + n.
#[derive(Clone, Debug)]
enum Sent {
    Frame { second_run: bool, first: u64, count: u64 },
    Report { first: u64, count: u64 },
    Openings,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        6 => (any::<bool>(), 0u64..40, 1u64..12)
            .prop_map(|(second_run, first, count)| Sent::Frame { second_run, first, count }),
        1 => (0u64..40, 1u64..12).prop_map(|(first, count)| Sent::Report { first, count }),
        1 => Just(Sent::Openings),
    ]
}

impl Bench {
    fn takes(&mut self, place: usize, sent: &Sent, digests: [Digest; 2]) {
        match *sent {
            Sent::Frame { second_run, first, count } => {
                let (run, at) = if second_run { (SECOND, 60) } else { (FIRST, 0) };
                // In frames of their own, as a description demands.
                for sequence in first..first + count {
                    let ms = (at + i64::try_from(sequence).unwrap()) * 1000;
                    let digest = digests[usize::from(sequence >= 20)];
                    let records = vec![tick(ms, Some(1), Reason::GOOD)];
                    self.receive(NOW.plus_ms(120_000), SAMPLES, frame(1, run, sequence, digest, records));
                }
            }
            Sent::Report { first, count } => {
                let pieces = {
                    let mut pieces = Pieces::new();
                    pieces.insert(first, first + count - 1);
                    pieces
                };
                let (reason, time, series) = (DropReason::Age, NOW, Vec::new());
                let dropped = Dropped { run: FIRST, log: Log::Samples, pieces, reason, time, series };
                let records = vec![Record::Dropped(dropped).encode().into()];
                self.apply(EVENTS, frame(1, SECOND, 1 + place as u64, digests[0], records));
            }
            Sent::Openings => {
                let second = Opening {
                    run_before: Some(FIRST),
                    samples_end: 50,
                    events_end: 1,
                    ended: Some(NOW.plus_ms(49_000)),
                    opened: NOW.plus_ms(60_000),
                };
                let first =
                    Opening { run_before: None, samples_end: 0, events_end: 0, ended: None, opened: NOW };
                for (run, opening) in [(SECOND, second), (FIRST, first)] {
                    let records = vec![Record::Opening(opening).encode().into()];
                    self.apply(EVENTS, frame(1, run, 0, digests[0], records));
                }
            }
        }
    }
}

fn parts(sent: &[Sent], order: &[usize]) -> Vec<CoursePart> {
    let mut bench = Bench::new();
    let mut slow = description("weather-1", "air_temperature", "Cel");
    slow.grids[0].period_ms = 5000;
    let digests = [description("weather-1", "air_temperature", "Cel"), slow].map(|description| {
        let (payload, digest) = description.encode();
        bench.apply(Leaf::Description, payload);
        digest
    });
    for place in order {
        bench.takes(*place, &sent[*place], digests);
    }
    let name = SeriesName {
        device: "weather-1".parse().unwrap(),
        property: "air_temperature".parse().unwrap(),
        channel: None,
    };
    let (number, to) = ("A1".parse().unwrap(), NOW.plus_ms(120_000));
    bench.ingest.course(&number, NOW.plus_ms(-1000), to).map_or(Vec::new(), |course| course.of(&name).parts)
}

#[test]
fn runs_that_follow_each_other_leave_no_time_out_and_say_why_what_is_missing_is() {
    let sent = [
        Sent::Openings,
        Sent::Frame { second_run: false, first: 0, count: 10 },
        Sent::Report { first: 10, count: 5 },
        Sent::Frame { second_run: false, first: 15, count: 30 },
        Sent::Frame { second_run: true, first: 0, count: 30 },
    ];
    let parts = parts(&sent, &[0, 1, 2, 3, 4]);
    assert!(parts.windows(2).all(|pair| pair[0].to == pair[1].from), "{parts:?}");
    let at = |second: i64| {
        let time = NOW.plus_ms(second * 1000);
        let part = parts.iter().find(|part| part.from <= time && time < part.to).unwrap();
        (part.grid.unwrap().period_ms, part.missing)
    };
    assert_eq!(at(12), (1000, Missing::Dropped(DropReason::Age)));
    assert_eq!(at(17), (1000, Missing::NotRecorded));
    assert_eq!(at(25), (5000, Missing::NotRecorded));
    assert_eq!(at(47), (5000, Missing::Lost), "owed, and nobody says that he has it");
    assert_eq!(at(55), (1000, Missing::AgentStopped));
    assert_eq!(at(100), (5000, Missing::NotYetHere));
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_show_in_the_course(
        sent in prop::collection::vec(sent(), 1..10),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let straight: Vec<usize> = (0..sent.len()).collect();
        let mut shuffled: Vec<usize> = order.iter().map(|index| index.index(sent.len())).collect();
        shuffled.extend(straight.iter().rev());
        let expected = parts(&sent, &straight);
        prop_assert!(expected.windows(2).all(|pair| pair[0].to <= pair[1].from));
        prop_assert_eq!(parts(&sent, &shuffled), expected);
    }
}
