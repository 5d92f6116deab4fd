//! A server that went over a checkpoint knows what it would know without it.

use lamplighter_protocol::{Leaf, Log, OutboxId, Position, ServerClock};
use proptest::prelude::*;

use super::{Act, Bench, LAMPPOSTS, NOW, What, journal, open, some_entries};
use crate::checkpoint::Snapshot;
use crate::ingest::OutboxDecision;
use crate::journal::memory_disk::MemoryDisk;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn d15_checkpoint_restore_and_continue_is_the_same_as_going_on(
        acts in prop::collection::vec(any_act(), 0..120),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        most in 1_usize..300,
    ) {
        let entries = journal(&acts);
        let mut straight = Bench::new(most);
        straight.apply(&entries);

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(entries.len() + 1)).collect();
        cuts.sort_unstable();
        let disk = MemoryDisk::new(1);
        let (mut bench, mut done) = (Bench::new(most), 0);
        for cut in cuts {
            bench.apply(&entries[done..cut]);
            done = cut;
            open(&disk).write(bench.snapshot()).unwrap();
            let before = bench.told();
            bench = Bench::read(&mut open(&disk), most).unwrap();
            prop_assert_eq!(bench.told(), before);
            prop_assert_eq!(parts(bench.snapshot()), parts(bench.snapshot()), "a snapshot is one of what is");
        }
        bench.apply(&entries[done..]);
        prop_assert_eq!(bench.told(), straight.told());
    }
}

#[test]
fn d15_nothing_of_a_snapshot_is_lost_on_the_way() {
    let mut bench = Bench::new(1_000);
    bench.apply(&some_entries(200));
    bench.told();
    let disk = MemoryDisk::new(1);
    let written = open(&disk).write(bench.snapshot()).unwrap();
    let again = Bench::read(&mut open(&disk), 1_000).unwrap();
    assert_eq!(parts(again.snapshot()), parts(bench.snapshot()));
    assert_eq!(written.sequence, 3 * 209);
    assert_eq!(again.tail.size().observations, bench.tail.size().observations);
    assert!(bench.tail.tally().evicted > 0, "floors and an uneven beginning are among it");
}

#[test]
fn d14_what_an_operator_has_decided_of_an_outbox_is_kept() {
    let number = LAMPPOSTS[0].parse().unwrap();
    let outbox = OutboxId([3; 16]);
    for decision in [OutboxDecision::Close { at: NOW }, OutboxDecision::Release { at: NOW.plus_ms(1) }] {
        let mut bench = Bench::new(10);
        bench.apply(&some_entries(1));
        assert!(bench.ingest.decide(&number, outbox, decision));
        let disk = MemoryDisk::new(1);
        open(&disk).write(bench.snapshot()).unwrap();
        let again = Bench::read(&mut open(&disk), 10).unwrap();
        assert_eq!(parts(again.snapshot()), parts(bench.snapshot()));
        assert!(parts(again.snapshot()).iter().any(|part| part.contains("edMs(")), "{decision:?}");
    }
}

#[test]
fn what_was_reported_of_commands_and_set_aside_is_kept() {
    let mut bench = Bench::new(10);
    bench.apply(&journal(&[
        Act { lamppost: 0, what: What::Describe { which: 0 }, later: 1 },
        Act { lamppost: 0, what: What::Hello { run: 1, held: 5 }, later: 1 },
        Act { lamppost: 0, what: What::Command { run: 1, first: 3, id: 7 }, later: 1 },
    ]));
    let disk = MemoryDisk::new(1);
    open(&disk).write(bench.snapshot()).unwrap();
    let again = Bench::read(&mut open(&disk), 10).unwrap();
    assert_eq!(parts(again.snapshot()), parts(bench.snapshot()));
    let ledger = again.ingest.ledger(&LAMPPOSTS[0].parse().unwrap()).unwrap();
    assert_eq!(ledger.commands.len(), 1);
    assert_eq!(ledger.outboxes.iter().filter(|outbox| outbox.set_aside.is_some()).count(), 2);
}

#[test]
fn d8_positions_stay_strictly_newer_over_a_start_whatever_the_clock_says() {
    let number = LAMPPOSTS[0].parse().unwrap();
    let mut bench = Bench::new(10);
    bench.apply(&some_entries(1));
    let before = Position::decode(&bench.ingest.position(&number, NOW).unwrap()).unwrap();
    let disk = MemoryDisk::new(1);
    open(&disk).write(bench.snapshot()).unwrap();
    let mut again = Bench::read(&mut open(&disk), 10).unwrap();
    let set_back = NOW.plus_ms(-3_600_000);
    let after = Position::decode(&again.ingest.position(&number, set_back).unwrap()).unwrap();
    assert!(after.server_time > before.server_time);
    // They say what time it is all the same (D3).
    assert_eq!((before.clock, after.clock), (ServerClock::Shows(NOW), ServerClock::Shows(set_back)));
}

#[test]
fn a_tail_that_may_hold_less_than_before_lets_the_oldest_go_at_once() {
    let mut bench = Bench::new(1_000);
    bench.apply(&some_entries(100));
    let disk = MemoryDisk::new(1);
    open(&disk).write(bench.snapshot()).unwrap();
    let again = Bench::read(&mut open(&disk), 160).unwrap();
    assert!((100..=160).contains(&again.tail.size().observations));
    assert_eq!(again.tail.tally().evicted, 600 - again.tail.size().observations as u64);
    assert_eq!((again.tail.size(), again.tail.oldest()), again.tail.walked());
}

/// What a snapshot is written as.
fn parts(snapshot: Snapshot) -> Vec<String> {
    let mut parts = Vec::new();
    let taken = snapshot.parts(|part| {
        parts.push(format!("{part:?}"));
        Ok::<_, ()>(())
    });
    taken.unwrap();
    parts
}

fn any_act() -> impl Strategy<Value = Act> {
    let later = prop_oneof![8 => 0_i64..30, 1 => -7_200_i64..0, 1 => 40_000_i64..100_000, 1 => Just(300 * 86_400_i64)];
    (0..LAMPPOSTS.len(), any_what(), later).prop_map(|(lamppost, what, later)| Act { lamppost, what, later })
}

fn any_what() -> impl Strategy<Value = What> {
    let which = || prop_oneof![4 => Just(0_usize), 1 => 0_usize..4];
    let value = prop::option::weighted(0.8, -9_i64..9);
    // Sometimes ahead of the clock, sometimes older than anything is kept.
    let at = prop_oneof![20 => 0_i64..60_000, 1 => Just(9_000_000_i64), 1 => Just(-401 * 86_400_000_i64)];
    let ticks = prop::collection::vec((at, value), 1..12);
    let leaf = prop::sample::select(vec![
        Leaf::Hello,
        Leaf::Description,
        Leaf::Frames(Log::Samples),
        Leaf::Frames(Log::Events),
    ]);
    prop_oneof![
        2 => (1_u8..5, 0_u64..60).prop_map(|(run, held)| What::Hello { run, held }),
        4 => which().prop_map(|which| What::Describe { which }),
        12 => (1_u8..5, 0_u64..60, which(), ticks)
            .prop_map(|(run, first, which, ticks)| What::Samples { run, first, which, ticks }),
        1 => (1_u8..5, 0_u64..60, 1_u8..5, 0_u64..9)
            .prop_map(|(run, first, of, count)| What::Dropped { run, first, of, count }),
        1 => (1_u8..5, 0_u64..60, 0_u8..9).prop_map(|(run, first, id)| What::Command { run, first, id }),
        1 => (1_u8..5, 0_u64..60, which()).prop_map(|(run, first, which)| What::Garbage { run, first, which }),
        2 => (1_u8..5, prop::option::of(1_u8..4), which())
            .prop_map(|(run, before, which)| What::Opening { run, before, which }),
        1 => (leaf, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(leaf, payload)| What::Unreadable { leaf, payload }),
    ]
}
