//! The backlog: what a lamppost is known to hold and the server does not.

use std::collections::BTreeSet;

use super::*;

fn held(run: RunId, samples: &[(u64, u64)], events: &[(u64, u64)]) -> RunHeld {
    let pieces = |ranges: &[(u64, u64)]| {
        let mut pieces = Pieces::new();
        for &(first, last) in ranges {
            pieces.insert(first, last);
        }
        pieces
    };
    RunHeld { run, samples: pieces(samples), events: pieces(events) }
}

impl Bench {
    fn says(&mut self, runs: Vec<RunHeld>) {
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
        assert_eq!(self.apply(Leaf::Hello, hello.encode()), Fresh::Hello);
    }

    fn sends(&mut self, leaf: Leaf, run: RunId, first: u64, count: usize, digest: Digest) {
        let records = vec![tick(0, Some(1), Reason::GOOD); count];
        self.apply(leaf, frame(2, run, first, digest, records));
    }

    fn backlog(&self) -> Option<u64> {
        Some(self.ingest.report(&"A1".parse().unwrap())?.backlog)
    }
}

#[test]
fn live_frames_that_run_ahead_leave_the_backlog_as_it_is_until_it_drains() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.sends(SAMPLES, RUN, 500, 1, digest);
    assert_eq!(bench.backlog(), None, "nobody has said hello");
    bench.says(vec![held(RUN, &[(0, 99)], &[(0, 0)])]);
    assert_eq!(bench.backlog(), Some(101));
    bench.sends(SAMPLES, RUN, 100, 5, digest);
    assert_eq!(bench.backlog(), Some(101));
    bench.sends(SAMPLES, RUN, 0, 100, digest);
    bench.sends(EVENTS, RUN, 0, 1, digest);
    assert_eq!(bench.backlog(), Some(0));
    bench.says(vec![held(RUN, &[(0, 104)], &[(0, 0)])]);
    assert_eq!(bench.backlog(), Some(0), "a run of which the server has all");
}

#[test]
fn when_a_backlog_is_here_is_told_by_how_fast_its_records_come() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.says(vec![held(RUN, &[(0, 9_999)], &[])]);
    let at = |second: i64| NOW.plus_ms(second * 1_000);
    for (second, first) in (0..20).zip((0..).step_by(100)) {
        let records = vec![tick(0, Some(1), Reason::GOOD); 100];
        bench.receive(at(second), SAMPLES, frame(2, RUN, first, digest, records));
        // It came again, and brings nothing nearer.
        let records = vec![tick(0, Some(1), Reason::GOOD); 100];
        bench.receive(at(second), SAMPLES, frame(2, RUN, first, digest, records));
    }
    let report = bench.ingest.report(&"A1".parse().unwrap()).unwrap();
    // A hundred records come each second, and one device adds one each second.
    assert_eq!((report.backlog, report.drains_in_s(at(20))), (8_000, Some(81)));
    assert_eq!(report.drains_in_s(at(120)), None, "it has stalled");
}

#[test]
fn what_was_sent_and_cannot_be_held_yet_is_backlog_too() {
    let mut bench = Bench::new();
    bench.says(vec![held(RUN, &[], &[])]);
    let (payload, digest) = description("weather-1", "air_temperature", "Cel").encode();
    bench.sends(SAMPLES, RUN, 0, 3, digest);
    assert_eq!(bench.backlog(), Some(3), "its description is not here");
    bench.apply(Leaf::Description, payload);
    bench.sends(SAMPLES, RUN, 0, 3, digest);
    assert_eq!(bench.backlog(), Some(0));
}

#[test]
fn a_later_run_names_what_an_earlier_one_left_and_a_hello_forgets_what_it_does_not_name() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.says(vec![held(RUN, &[(0, 9)], &[])]);
    bench.sends(SAMPLES, RUN, 0, 4, digest);
    let later = RunId([2; 16]);
    bench.says(vec![held(later, &[(0, 1)], &[]), held(RUN, &[(2, 7)], &[])]);
    assert_eq!(bench.backlog(), Some(2 + 4), "two are lost, two of those that are left are held");
    bench.says(vec![held(later, &[(0, 1)], &[])]);
    assert_eq!(bench.backlog(), Some(2));
}

#[test]
fn made_up_runs_and_endless_logs_cost_a_bounded_memory_and_do_not_upset_the_count() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    bench.says(vec![held(RUN, &[(0, u64::MAX - 1)], &[(0, u64::MAX - 1)])]);
    assert_eq!(bench.backlog(), Some(u64::MAX));
    bench.says(vec![]);
    let unknown = Digest::of(b"never described");
    for id in 0..3_000u32 {
        let mut run = [0xee; 16];
        run[..4].copy_from_slice(&id.to_be_bytes());
        bench.sends(SAMPLES, RunId(run), u64::from(id) * 5, 1, unknown);
    }
    assert_eq!(bench.backlog(), Some(1_024));
    for piece in 0..3_000 {
        bench.sends(SAMPLES, RUN, piece * 5, 1, digest);
    }
    assert_eq!(bench.backlog(), Some(1_024), "of those that are held");
}

#[test]
fn the_last_message_is_the_last_that_came_whatever_it_is() {
    let mut bench = Bench::new();
    let number = "A1".parse().unwrap();
    assert_eq!(bench.ingest.last_acknowledged(&number), None);
    bench.apply(Leaf::Hello, vec![0xff]);
    assert_eq!(bench.ingest.last_acknowledged(&number), Some(NOW));
    assert_eq!(bench.ingest.report(&number), None, "that was no hello");
    let entry = Entry {
        sequence: 9,
        received: NOW.plus_ms(-7),
        lamppost: number.clone(),
        leaf: EVENTS,
        payload: Bytes::new(),
    };
    bench.ingest.apply(&entry, &mut bench.store, &mut |_| {});
    assert_eq!(bench.ingest.last_acknowledged(&number), Some(NOW.plus_ms(-7)));
}

#[derive(Clone, Debug)]
enum Step {
    /// Names these stretches of runs: run, log, first, length.
    Hello(Vec<(u8, bool, u64, u64)>),
    /// Sends a stretch, in a description that is known or not.
    Frame { run: u8, samples: bool, first: u64, count: usize, known: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let stretch = (0u8..3, any::<bool>(), 0u64..30, 0u64..8);
    let sent = (0u8..3, any::<bool>(), 0u64..30, 1usize..8, prop::bool::weighted(0.7));
    prop_oneof![
        1 => prop::collection::vec(stretch, 0..5).prop_map(Step::Hello),
        4 => sent.prop_map(|(run, samples, first, count, known)| Step::Frame { run, samples, first, count, known }),
    ]
}

proptest! {
    /// The model: the set of records that the last hello and the frames since have named, without those that ever came
    /// in a description that is known.
    #[test]
    fn the_backlog_is_what_was_named_and_is_not_held(steps in prop::collection::vec(step(), 0..40)) {
        let mut bench = Bench::new();
        let digest = bench.describe();
        let mut named: Option<BTreeSet<(u8, bool, u64)>> = None;
        let mut holds = BTreeSet::new();
        for step in steps {
            match step {
                Step::Hello(stretches) => {
                    let mut set = BTreeSet::new();
                    let mut runs: Vec<RunHeld> = (0..3).map(|run| held(RunId([run; 16]), &[], &[])).collect();
                    for (run, samples, first, length) in stretches {
                        let of_run = &mut runs[usize::from(run)];
                        let log = if samples { &mut of_run.samples } else { &mut of_run.events };
                        log.insert(first, first + length);
                        set.extend((first..=first + length).map(|sequence| (run, samples, sequence)));
                    }
                    bench.says(runs);
                    named = Some(set);
                }
                Step::Frame { run, samples, first, count, known } => {
                    let leaf = if samples { SAMPLES } else { EVENTS };
                    let digest = if known { digest } else { Digest::of(b"never described") };
                    bench.sends(leaf, RunId([run; 16]), first, count, digest);
                    let records = (first..first + count as u64).map(|sequence| (run, samples, sequence));
                    if known {
                        holds.extend(records.clone());
                    }
                    if let Some(named) = &mut named {
                        named.extend(records);
                    }
                }
            }
            let expected = named.as_ref().map(|named| named.difference(&holds).count() as u64);
            prop_assert_eq!(bench.backlog(), expected);
        }
    }
}

#[test]
fn of_a_backlog_feeds_are_told_the_newest_of_each_series() {
    let mut bench = Bench::new();
    let digest = bench.describe();
    let ticks = |seconds: std::ops::Range<i64>| {
        seconds.map(|second| tick(second * 1_000, Some(second), Reason::GOOD)).collect::<Vec<_>>()
    };
    bench.receive(NOW.plus_ms(3_600_000), SAMPLES, frame(2, RUN, 0, digest, ticks(0..100)));
    let told =
        |bench: &Bench| bench.live.iter().map(|one| one.time.since_ms(NOW) / 1_000).collect::<Vec<_>>();
    assert_eq!(told(&bench), [99]);
    // A minute's delay is no backlog, however short the period: all of it is told.
    bench.receive(NOW.plus_ms(160_000), SAMPLES, frame(3, RUN, 100, digest, ticks(100..110)));
    assert_eq!(told(&bench)[1..], (100..110).collect::<Vec<_>>());
    // What is a backlog at its begin and live at its end is told as far as it is live.
    bench.receive(NOW.plus_ms(178_000), SAMPLES, frame(4, RUN, 110, digest, ticks(110..120)));
    assert_eq!(told(&bench)[11..], [118, 119]);
    assert_eq!(bench.values("weather-1", "air_temperature").len(), 120, "all is stored");
}
