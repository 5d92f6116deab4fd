//! D12: every record has one verdict, the same as that of a model over sets, in whatever order the journal brings it.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::DropReason;

use super::super::RecordVerdict;
use super::super::RecordVerdict::{Held, Lost, NotYetHere};
use super::ledger::{OTHER, OUTBOX, hello, opening_of, report};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Samples of a run, in a description that is known or not.
    Frame { run: u8, first: u64, count: u64, known: bool },
    /// A report that a run's samples were dropped.
    Report { run: u8, first: u64, count: u64, reason: DropReason },
    /// An opening that states the end of a run.
    End { run: u8, end: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let stretch = (0u8..3, 0u64..25, 1u64..6);
    let reason = prop::sample::select(DropReason::ALL.to_vec());
    prop_oneof![
        3 => (stretch.clone(), prop::bool::weighted(0.8))
            .prop_map(|((run, first, count), known)| Step::Frame { run, first, count, known }),
        2 => (stretch, reason)
            .prop_map(|((run, first, count), reason)| Step::Report { run, first, count, reason }),
        1 => (0u8..3, 0u64..30).prop_map(|(run, end)| Step::End { run, end }),
    ]
}

/// A hello of one of two outboxes, each of which speaks from a run of its own and may name all but the one that the other
/// speaks from: that would continue it.
type Greeting = (bool, Vec<(u8, u64, u64)>);

fn greeting() -> impl Strategy<Value = Greeting> {
    let named = prop::collection::vec((any::<bool>(), 0u64..25, 0u64..6), 0..6);
    (any::<bool>(), named).prop_map(|(second, named)| {
        let own = u8::from(second);
        let run = |of_both| if of_both { 2 } else { own };
        (second, named.into_iter().map(|(of_both, first, more)| (run(of_both), first, more)).collect())
    })
}

fn run_of(run: u8) -> RunId {
    RunId([0x10 + run; 16])
}

/// What the rules say, over sets of sequences.
fn model(steps: &[Step], greetings: &[Greeting]) -> BTreeMap<(u8, u64), RecordVerdict> {
    let mut owed = [0u64; 3];
    let mut held = BTreeSet::new();
    let mut dropped: BTreeMap<(u8, u64), DropReason> = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Frame { run, first, count, known: true } => {
                held.extend((first..first + count).map(|sequence| (run, sequence)));
                owed[usize::from(run)] = owed[usize::from(run)].max(first + count);
            }
            Step::Frame { known: false, .. } => {}
            Step::Report { run, first, count, reason } => {
                owed[usize::from(run)] = owed[usize::from(run)].max(first + count);
                for sequence in first..first + count {
                    let known = dropped.entry((run, sequence)).or_insert(reason);
                    *known = reason.min(*known);
                }
            }
            Step::End { run, end } => owed[usize::from(run)] = owed[usize::from(run)].max(end),
        }
    }
    for (run, first, more) in greetings.iter().flat_map(|(_, named)| named) {
        owed[usize::from(*run)] = owed[usize::from(*run)].max(first + more + 1);
    }
    let mut claimed = BTreeSet::new();
    for speaker in [0u8, 1] {
        let Some((_, named)) = greetings.iter().rev().find(|(second, _)| u8::from(*second) == speaker) else {
            continue;
        };
        claimed.extend(
            named
                .iter()
                .flat_map(|&(run, first, more)| (first..=first + more).map(move |sequence| (run, sequence))),
        );
        let own = named.iter().filter(|(run, _, _)| *run == speaker);
        let end = own.map(|(_, first, more)| first + more + 1).max().unwrap_or(0);
        claimed.extend((end..40).map(|sequence| (speaker, sequence)));
    }
    let records = (0u8..3).flat_map(|run| (0u64..40).map(move |sequence| (run, sequence)));
    let verdict = |record: (u8, u64)| {
        if held.contains(&record) {
            Held
        } else if let Some(reason) = dropped.get(&record) {
            RecordVerdict::Dropped(*reason)
        } else if record.1 >= owed[usize::from(record.0)] || claimed.contains(&record) {
            NotYetHere
        } else {
            Lost
        }
    };
    records.map(|record| (record, verdict(record))).collect()
}

/// Takes the steps in this order, and the hellos in their own, each before the step of this place.
fn taken(
    steps: &[Step],
    greetings: &[Greeting],
    order: &[usize],
    places: &[usize],
) -> BTreeMap<(u8, u64), RecordVerdict> {
    let mut bench = Bench::new();
    let mut nonce = 0;
    let mut waiting = greetings.iter().zip(places).peekable();
    let mut greet = |bench: &mut Bench, up_to: usize| {
        while let Some((greeting, _)) = waiting.next_if(|(_, place)| **place <= up_to) {
            let (second, named) = greeting;
            let mut runs: BTreeMap<RunId, Vec<(u64, u64)>> = BTreeMap::new();
            runs.insert(run_of(u8::from(*second)), Vec::new());
            for (run, first, more) in named {
                runs.entry(run_of(*run)).or_default().push((*first, first + more));
            }
            let runs: Vec<(RunId, &[(u64, u64)])> =
                runs.iter().map(|(run, ranges)| (*run, &ranges[..])).collect();
            nonce += 1;
            let outbox = if *second { OTHER } else { OUTBOX };
            bench.greets(i64::from(nonce), &hello(outbox, run_of(u8::from(*second)), nonce, &runs));
        }
    };
    for (done, place) in order.iter().enumerate() {
        greet(&mut bench, done);
        let sequence = *place as u64;
        match &steps[*place] {
            Step::Frame { run, first, count, known } => {
                let digest = if *known { bench.describe() } else { Digest::of(b"never described") };
                let records = (0..*count).map(|_| tick(0, Some(1), Reason::GOOD)).collect();
                bench.apply(SAMPLES, frame(1, run_of(*run), *first, digest, records));
            }
            Step::Report { run, first, count, reason } => {
                let record = report(run_of(*run), &[(*first, first + count - 1)], *reason);
                bench.tells(RunId([0xf0; 16]), 1 + sequence, record);
            }
            Step::End { run, end } => {
                let run_after = RunId([0x80 + u8::try_from(*place).unwrap(); 16]);
                bench.tells(run_after, 0, opening_of(Some(run_of(*run)), *end, 0));
            }
        }
    }
    greet(&mut bench, usize::MAX);
    let records = (0u8..3).flat_map(|run| (0u64..40).map(move |sequence| (run, sequence)));
    let verdicts: BTreeMap<_, _> =
        records.map(|(run, sequence)| ((run, sequence), bench.verdict(run_of(run), sequence))).collect();
    // The counts are those of the verdicts.
    for run in 0..3 {
        let Some(report) = bench.ledger().runs.into_iter().find(|report| report.run == run_of(run)) else {
            continue;
        };
        let of = |wanted: RecordVerdict| {
            (0..report.samples.owed).filter(|sequence| verdicts[&(run, *sequence)] == wanted).count() as u64
        };
        assert_eq!(report.samples.held, of(Held));
        assert_eq!(report.samples.lost, of(Lost));
        assert_eq!(report.samples.not_yet_here, of(NotYetHere));
        assert_eq!(report.samples.dropped.bytes, of(RecordVerdict::Dropped(DropReason::Bytes)));
    }
    verdicts
}

proptest! {
    /// Against the rules over sets, and whatever the order of frames, reports and openings, also when they come twice.
    #[test]
    fn d12_verdicts_do_not_depend_on_the_order_of_arrival(
        steps in prop::collection::vec(step(), 1..12),
        greetings in prop::collection::vec(greeting(), 0..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        places in prop::collection::vec(0usize..20, 4),
    ) {
        let straight: Vec<usize> = (0..steps.len()).collect();
        let mut shuffled: Vec<usize> = order.iter().map(|index| index.index(steps.len())).collect();
        shuffled.extend(straight.iter().rev());
        let mut places = places;
        places.sort_unstable();
        let expected = model(&steps, &greetings);
        prop_assert_eq!(&taken(&steps, &greetings, &straight, &[0; 4]), &expected);
        prop_assert_eq!(&taken(&steps, &greetings, &shuffled, &places), &expected);
    }
}
