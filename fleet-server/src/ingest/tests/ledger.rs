//! The ledger: what became of each record, in whatever order the journal brings it.

use lamplighter_protocol::wire::CommandState;
use lamplighter_protocol::{
    CommandId, CommandReport, Dating, DropReason, Dropped, DroppedSeries, SetAside, SetAsideReason,
};

use super::super::{CommandStage, LogCounts, OutboxDecision, OutboxStanding, RecordVerdict};
use super::*;

const DAY: i64 = 24 * 3600 * 1000;
const LATER: RunId = RunId([2; 16]);
pub(super) const OUTBOX: OutboxId = OutboxId([3; 16]);
pub(super) const OTHER: OutboxId = OutboxId([4; 16]);

/// A hello of this outbox and run, by its `nth` connection, that names these ranges of samples of runs.
pub(super) fn hello(outbox: OutboxId, run: RunId, nth: u8, runs: &[(RunId, &[(u64, u64)])]) -> Hello {
    let named = runs.iter().map(|(run, ranges)| RunHeld {
        run: *run,
        samples: pieces_of(ranges),
        events: Pieces::new(),
    });
    Hello {
        nonce: Nonce([nth; 16]),
        count: 1,
        outbox,
        run,
        runs: named.collect(),
        agent_version: String::new(),
        hardware_serial: "S1".into(),
        generation: 0,
        set_aside: Vec::new(),
    }
}

fn pieces_of(ranges: &[(u64, u64)]) -> Pieces {
    let mut pieces = Pieces::new();
    for &(first, last) in ranges {
        pieces.insert(first, last);
    }
    pieces
}

pub(super) fn opening_of(before: Option<RunId>, samples_end: u64, opened_ms: i64) -> Bytes {
    let ended = before.map(|_| NOW.plus_ms(opened_ms - 1000));
    let opened = NOW.plus_ms(opened_ms);
    Record::Opening(Opening { run_before: before, samples_end, events_end: 1, ended, opened }).encode().into()
}

pub(super) fn report(run: RunId, ranges: &[(u64, u64)], reason: DropReason) -> Bytes {
    let pieces = pieces_of(ranges);
    let name = ["weather-1", "air_temperature"];
    let series = DroppedSeries {
        series: SeriesName {
            device: name[0].parse().unwrap(),
            property: name[1].parse().unwrap(),
            channel: None,
        },
        count: pieces.count(),
        first: NOW,
        last: NOW.plus_ms(1000),
    };
    let dropped = Dropped { run, log: Log::Samples, pieces, reason, time: NOW, series: vec![series] };
    Record::Dropped(dropped).encode().into()
}

impl Bench {
    pub(super) fn greets(&mut self, at_ms: i64, hello: &Hello) {
        assert_eq!(self.receive(NOW.plus_ms(at_ms), Leaf::Hello, hello.encode()), Fresh::Hello);
    }

    fn reads(&mut self, run: RunId, first: u64, last: u64) {
        let digest = self.describe();
        let records = (first..=last).map(|_| tick(0, Some(1), Reason::GOOD)).collect();
        self.apply(SAMPLES, frame(1, run, first, digest, records));
    }

    pub(super) fn tells(&mut self, run: RunId, sequence: u64, record: Bytes) {
        let digest = self.describe();
        self.apply(EVENTS, frame(1, run, sequence, digest, vec![record]));
    }

    pub(super) fn verdict(&self, run: RunId, sequence: u64) -> RecordVerdict {
        self.ingest.verdict(&"A1".parse().unwrap(), run, Log::Samples, sequence)
    }

    fn verdicts(&self, run: RunId, sequences: impl IntoIterator<Item = u64>) -> Vec<RecordVerdict> {
        sequences.into_iter().map(|sequence| self.verdict(run, sequence)).collect()
    }

    pub(super) fn ledger(&self) -> super::super::LamppostLedger {
        self.ingest.ledger(&"A1".parse().unwrap()).unwrap()
    }

    fn samples(&self, run: RunId) -> LogCounts {
        self.ledger().runs.iter().find(|report| report.run == run).unwrap().samples
    }

    fn decides(&mut self, outbox: OutboxId, decision: OutboxDecision) -> bool {
        self.ingest.decide(&"A1".parse().unwrap(), outbox, decision)
    }
}

use RecordVerdict::{Held, Lost, NotYetHere};

#[test]
fn d10_as_much_is_owed_as_anything_says_and_a_stated_end_is_not_held() {
    let mut bench = Bench::new();
    bench.reads(RUN, 0, 4);
    assert_eq!(bench.samples(RUN).owed, 5);
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    assert_eq!(bench.samples(RUN).owed, 10);
    bench.tells(LATER, 0, opening_of(Some(RUN), 20, 0));
    let samples = bench.samples(RUN);
    assert_eq!((samples.owed, samples.held), (20, 5));
    bench.tells(LATER, 1, report(RUN, &[(25, 29)], DropReason::Age));
    bench.reads(RUN, 39, 39);
    assert_eq!((bench.samples(RUN).owed, bench.samples(RUN).held), (40, 6));
}

#[test]
fn d9_what_is_owed_and_in_no_outbox_is_lost_and_a_hello_that_has_it_takes_that_back() {
    let mut bench = Bench::new();
    bench.reads(RUN, 0, 4);
    bench.greets(0, &hello(OUTBOX, LATER, 1, &[(LATER, &[(0, 0)]), (RUN, &[(3, 6)])]));
    bench.tells(LATER, 0, opening_of(Some(RUN), 10, 0));
    assert_eq!(bench.verdicts(RUN, [4, 6, 7, 9, 10]), [Held, NotYetHere, Lost, Lost, NotYetHere]);
    let samples = bench.samples(RUN);
    assert_eq!((samples.held, samples.not_yet_here, samples.lost, samples.owed), (5, 2, 3, 10));

    bench.greets(1, &hello(OUTBOX, LATER, 2, &[(LATER, &[(0, 0)]), (RUN, &[(8, 9)])]));
    assert_eq!(bench.verdicts(RUN, [6, 7, 8, 9]), [Lost, Lost, NotYetHere, NotYetHere]);
    bench.reads(RUN, 7, 7);
    assert_eq!(bench.verdict(RUN, 7), Held, "whatever was said of it");
}

#[test]
fn d9_what_the_run_that_speaks_has_written_since_its_hello_is_not_lost() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(2, 4)])]));
    bench.reads(RUN, 8, 9);
    assert_eq!(bench.verdicts(RUN, [0, 2, 5, 7, 8]), [Lost, NotYetHere, NotYetHere, NotYetHere, Held]);
}

#[test]
fn d8_beyond_what_a_hello_had_room_for_nothing_is_lost() {
    let mut bench = Bench::new();
    let torn: Vec<(u64, u64)> = (0..64).map(|piece| (piece * 10, piece * 10)).collect();
    bench.greets(0, &hello(OUTBOX, LATER, 1, &[(RUN, &torn)]));
    bench.tells(LATER, 0, opening_of(Some(RUN), 5_000, 0));
    assert_eq!(
        bench.verdicts(RUN, [1, 10, 629, 631, 4_999]),
        [Lost, NotYetHere, Lost, NotYetHere, NotYetHere]
    );

    let runs: Vec<RunId> = (0..=255).map(|id| RunId([id; 16])).collect();
    let many: Vec<(RunId, &[(u64, u64)])> = runs.iter().map(|run| (*run, &[(5, 6)][..])).collect();
    bench.greets(1, &hello(OUTBOX, LATER, 2, &many));
    let mut unnamed = RUN;
    unnamed.0[0] = 0xaa;
    bench.tells(RunId([0xbb; 16]), 0, opening_of(Some(unnamed), 3, 0));
    assert_eq!(bench.verdict(unnamed, 0), NotYetHere, "there was room for 256 runs");
}

#[test]
fn d8_what_lies_behind_more_gaps_than_a_position_has_pieces_is_held_once_the_gaps_are_known_to_be_dropped() {
    const PIECES: u64 = 70;
    let mut bench = Bench::new();
    bench.hello();
    for piece in 0..PIECES {
        bench.reads(RUN, 10 * piece + 5, 10 * piece + 5);
    }
    let listed = |bench: &mut Bench| bench.position().runs.remove(0).samples;
    let cut = listed(&mut bench);
    assert_eq!((cut.pieces.ranges().len(), cut.complete_below), (64, 636));

    // Of the gap before the last piece half is still to come.
    let dropped = |piece: u64| (if piece == 0 { 0 } else { 10 * piece - 4 }, 10 * piece + 4);
    let mut gaps: Vec<(u64, u64)> = (0..PIECES).map(dropped).collect();
    gaps[69].1 = 690;
    bench.tells(RUN, 1, report(RUN, &gaps, DropReason::Bytes));
    let all = listed(&mut bench);
    assert_eq!((all.pieces, all.complete_below), (pieces_of(&[(0, 685), (695, 695)]), u64::MAX));
    assert_eq!(bench.verdicts(RUN, [4, 5]), [RecordVerdict::Dropped(DropReason::Bytes), Held]);

    // Of a few gaps each is told: another copy of the outbox may have what was in them.
    let other = RunId([2; 16]);
    bench.reads(other, 5, 5);
    bench.tells(RUN, 2, report(other, &[(0, 4)], DropReason::Bytes));
    assert_eq!(bench.position().runs.remove(1).samples.pieces, pieces_of(&[(5, 5)]));
}

#[test]
fn d11_damaged_records_are_counted_though_nobody_knows_what_was_in_them() {
    let mut bench = Bench::new();
    for (sequence, reason) in [(1, DropReason::Damaged), (2, DropReason::Bytes)] {
        let record = Record::decode(&report(RUN, &[(10, 19), (30, 30)], reason)).unwrap();
        let Record::Dropped(dropped) = record else { panic!("{record:?}") };
        let unknown = Record::Dropped(Dropped { series: Vec::new(), ..dropped });
        bench.tells(LATER, sequence, unknown.encode().into());
    }
    assert_eq!(bench.metrics.damaged.get(), 11);
    assert_eq!(bench.metrics.observations(Verdict::DroppedDamaged), 0);
}

#[test]
fn d12_stored_goes_before_dropped_and_dropped_before_lost() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, LATER, 1, &[(LATER, &[(0, 0)])]));
    bench.tells(LATER, 0, opening_of(Some(RUN), 10, 0));
    bench.tells(LATER, 1, report(RUN, &[(0, 3)], DropReason::Damaged));
    bench.tells(LATER, 2, report(RUN, &[(2, 5)], DropReason::Bytes));
    bench.reads(RUN, 3, 3);
    let (bytes, damaged) =
        (RecordVerdict::Dropped(DropReason::Bytes), RecordVerdict::Dropped(DropReason::Damaged));
    assert_eq!(bench.verdicts(RUN, [0, 2, 3, 4, 6]), [damaged, bytes, Held, bytes, Lost]);
    let samples = bench.samples(RUN);
    let dropped = (samples.dropped.bytes, samples.dropped.damaged, samples.dropped.total());
    assert_eq!((samples.held, dropped, samples.lost), (1, (3, 2, 5), 4));
}

#[test]
fn d14_an_outbox_that_was_silent_for_thirty_days_beside_a_newer_one_has_closed_itself() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    bench.greets(DAY, &hello(OTHER, LATER, 2, &[(LATER, &[(0, 9)])]));
    bench.greets(30 * DAY - 1, &hello(OTHER, LATER, 3, &[(LATER, &[(0, 9)])]));
    assert_eq!(bench.verdict(RUN, 5), NotYetHere);
    bench.greets(30 * DAY, &hello(OTHER, LATER, 4, &[(LATER, &[(0, 9)])]));
    assert_eq!((bench.verdict(RUN, 5), bench.verdict(LATER, 5)), (Lost, NotYetHere));
    let outboxes = bench.ledger().outboxes;
    let standings: Vec<_> = outboxes.iter().map(|one| (one.outbox, one.standing, one.waiting)).collect();
    assert_eq!(standings, [(OTHER, OutboxStanding::Living, 10), (OUTBOX, OutboxStanding::Silent, 10)]);

    bench.greets(31 * DAY, &hello(OUTBOX, RUN, 5, &[(RUN, &[(5, 9)])]));
    assert_eq!(bench.verdicts(RUN, [4, 5]), [Lost, NotYetHere], "it was not dead");
    bench.greets(300 * DAY, &hello(OUTBOX, RUN, 6, &[(RUN, &[(5, 9)])]));
    assert_eq!(
        bench.verdicts(RUN, [5, 10]),
        [NotYetHere; 2],
        "alone it may be silent for as long as it likes"
    );
}

#[test]
fn d14_an_operator_closes_an_outbox_until_it_speaks_again_and_releases_one_that_is_silent() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    assert!(!bench.decides(OTHER, OutboxDecision::Close { at: NOW }));
    assert!(bench.decides(OUTBOX, OutboxDecision::Close { at: NOW.plus_ms(10) }));
    assert_eq!(bench.verdict(RUN, 5), Lost);
    assert_eq!(bench.ledger().outboxes[0].standing, OutboxStanding::Closed);
    bench.greets(11, &hello(OUTBOX, RUN, 2, &[(RUN, &[(0, 9)])]));
    assert_eq!(bench.verdict(RUN, 5), NotYetHere);

    assert!(bench.decides(OUTBOX, OutboxDecision::Release { at: NOW.plus_ms(20) }));
    bench.greets(99 * DAY, &hello(OTHER, LATER, 3, &[(LATER, &[(0, 9)])]));
    assert_eq!(bench.verdict(RUN, 5), NotYetHere);
}

/// A hello of this outbox, with nothing of its own, that tells of others as set aside.
fn tells_of(outbox: OutboxId, run: RunId, nth: u8, others: &[(OutboxId, &str)]) -> Hello {
    let told = |&(outbox, number): &(OutboxId, &str)| SetAside {
        outbox,
        lamppost: Some(number.parse().unwrap()),
        hardware_serial: "S0".into(),
        reason: SetAsideReason::OtherHardware,
        bytes: 4096,
        runs: 2,
        first: Some(NOW.plus_ms(-DAY)),
        last: None,
    };
    Hello { set_aside: others.iter().map(told).collect(), ..hello(outbox, run, nth, &[(run, &[(0, 0)])]) }
}

impl Bench {
    fn standings(&self) -> Vec<(OutboxId, OutboxStanding)> {
        self.ledger().outboxes.iter().map(|one| (one.outbox, one.standing)).collect()
    }
}

#[test]
fn d14_what_a_set_aside_outbox_has_may_come_for_thirty_days_and_longer_once_it_is_released() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    bench.greets(DAY, &tells_of(OTHER, LATER, 2, &[(OUTBOX, "A1")]));
    assert_eq!(bench.standings(), [(OTHER, OutboxStanding::Living), (OUTBOX, OutboxStanding::SetAside)]);
    assert_eq!(bench.verdict(RUN, 5), NotYetHere);
    let aside = bench.ledger().outboxes[1].set_aside.clone().unwrap();
    assert_eq!((aside.since, aside.by, aside.told.bytes), (NOW.plus_ms(DAY), OTHER, 4096));
    // To be found is as good as to speak once, and no better.
    bench.greets(31 * DAY - 1, &tells_of(OTHER, LATER, 3, &[(OUTBOX, "A1")]));
    assert_eq!(bench.verdict(RUN, 5), NotYetHere);
    bench.greets(31 * DAY, &tells_of(OTHER, LATER, 4, &[(OUTBOX, "A1")]));
    assert_eq!(bench.verdict(RUN, 5), Lost);
    assert_eq!(bench.standings()[1], (OUTBOX, OutboxStanding::Silent));
    assert_eq!(bench.samples(RUN).lost_closed, 0, "nobody has closed it");
    assert!(bench.decides(OUTBOX, OutboxDecision::Release { at: NOW.plus_ms(31 * DAY) }));
    assert_eq!((bench.verdict(RUN, 5), bench.standings()[1].1), (NotYetHere, OutboxStanding::SetAside));
}

#[test]
fn d14_the_outbox_that_has_adopted_the_runs_of_another_one_continues_it() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    bench.greets(1, &tells_of(OTHER, LATER, 2, &[(OUTBOX, "A1")]));
    let both: [(RunId, &[(u64, u64)]); 2] = [(LATER, &[(0, 0)]), (RUN, &[(0, 7)])];
    bench.greets(2, &hello(OTHER, LATER, 3, &both));
    assert_eq!(bench.standings(), [(OTHER, OutboxStanding::Living)]);
    assert_eq!(bench.verdicts(RUN, [5, 8]), [NotYetHere, Lost], "what it has not brought along nobody has");
    bench.reads(RUN, 0, 7);
    assert_eq!(bench.samples(RUN).held, 8);
}

#[test]
fn d14_what_an_operator_gave_up_is_lost_for_that_reason_until_the_outbox_is_found() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    bench.reads(RUN, 0, 3);
    bench.tells(LATER, 0, opening_of(Some(RUN), 12, 0));
    bench.greets(1, &tells_of(OTHER, LATER, 2, &[(OUTBOX, "A1")]));
    assert!(bench.decides(OUTBOX, OutboxDecision::Close { at: NOW.plus_ms(2) }));
    bench.greets(3, &tells_of(OTHER, LATER, 3, &[(OUTBOX, "A1")]));
    assert_eq!(bench.standings()[1], (OUTBOX, OutboxStanding::Closed), "the lamppost has not deleted it yet");
    let samples = bench.samples(RUN);
    assert_eq!((samples.held, samples.lost, samples.lost_closed), (4, 8, 8));
    // Deleted; and, much later, the card comes back and is put beside the living outbox again.
    bench.greets(4, &tells_of(OTHER, LATER, 4, &[]));
    assert_eq!(bench.standings()[1], (OUTBOX, OutboxStanding::Closed));
    bench.greets(5, &tells_of(OTHER, LATER, 5, &[(OUTBOX, "A1")]));
    assert_eq!(bench.standings()[1], (OUTBOX, OutboxStanding::SetAside));
    let samples = bench.samples(RUN);
    assert_eq!((samples.lost, samples.lost_closed), (0, 0));
}

#[test]
fn d14_an_outbox_that_never_spoke_here_is_known_for_as_long_as_a_hello_tells_of_it() {
    let mut bench = Bench::new();
    let third = OutboxId([5; 16]);
    bench.greets(0, &tells_of(OUTBOX, RUN, 1, &[(OTHER, "A2")]));
    let found = bench.ledger().outboxes[1].clone();
    assert_eq!((found.outbox, found.run, found.last_heard), (OTHER, None, None));
    assert_eq!((found.hardware_serial.as_str(), found.lives), ("S0", 0));
    // The outbox that found it is set aside too: what it had told of is beside the new one, or gone.
    bench.greets(1, &tells_of(third, LATER, 2, &[(OUTBOX, "A1"), (OTHER, "A2")]));
    let since: Vec<_> =
        bench.ledger().outboxes.iter().filter_map(|one| Some(one.set_aside.as_ref()?.since)).collect();
    assert_eq!(since, [NOW.plus_ms(1), NOW]);
    bench.greets(2, &tells_of(third, LATER, 3, &[(OUTBOX, "A1")]));
    assert_eq!(bench.standings(), [(third, OutboxStanding::Living), (OUTBOX, OutboxStanding::SetAside)]);
    // It goes on elsewhere: it is not set aside.
    bench.greets(3, &hello(OUTBOX, RUN, 4, &[(RUN, &[(0, 0)])]));
    assert!(bench.ledger().outboxes.iter().all(|one| one.set_aside.is_none()));
}

#[test]
fn what_became_of_a_command_does_not_depend_on_the_order_of_its_reports() {
    let states =
        [CommandState::Expired, CommandState::Acknowledged, CommandState::Failed, CommandState::Done];
    let id = CommandId([8; 16]);
    for rotation in 0..states.len() {
        let mut bench = Bench::new();
        let mut turned = states;
        turned.rotate_left(rotation);
        for (sequence, state) in turned.into_iter().enumerate() {
            let report = CommandReport { id, state, time: NOW, detail: "x".repeat(400) };
            bench.tells(RUN, sequence as u64 + 1, Record::Command(report).encode().into());
        }
        let fate = bench.ingest.command(&"A1".parse().unwrap(), id).unwrap();
        assert_eq!((fate.stage, fate.detail.len()), (CommandStage::Done, 256));
        assert_eq!(bench.ledger().commands.len(), 1);
    }
    let mut bench = Bench::new();
    for one in 1..=70_u8 {
        let report = CommandReport {
            id: CommandId([one; 16]),
            state: CommandState::Done,
            time: NOW,
            detail: String::new(),
        };
        bench.tells(RUN, one.into(), Record::Command(report).encode().into());
    }
    assert_eq!(bench.ledger().commands.keys().next(), Some(&CommandId([7; 16])), "the first are forgotten");
}

#[test]
fn d1_forks_are_kept_with_their_runs_and_times() {
    let mut bench = Bench::new();
    let runs = [5u8, 6, 7].map(|id| RunId([id; 16]));
    bench.tells(runs[1], 0, opening_of(Some(RUN), 10, 2000));
    bench.tells(runs[2], 0, opening_of(None, 0, 0));
    assert!(bench.ledger().forks.is_empty(), "two first runs follow nothing");
    bench.tells(runs[0], 0, opening_of(Some(RUN), 12, 1000));
    let forks = bench.ledger().forks;
    let told: Vec<_> =
        forks[0].runs.iter().map(|one| (one.run, one.opened.0 - NOW.0, one.received)).collect();
    assert_eq!((forks.len(), forks[0].before), (1, RUN));
    assert_eq!(told, [(runs[0], 1000, NOW), (runs[1], 2000, NOW)]);
    assert_eq!(bench.samples(RUN).owed, 12);
}

#[test]
fn d9_of_a_copied_outbox_each_copy_keeps_what_it_has_from_being_lost() {
    let mut bench = Bench::new();
    let copy = RunId([9; 16]);
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 4)])]));
    // The copy continues the run as it was when it was copied; the first one goes on with it.
    bench.greets(1000, &hello(OUTBOX, copy, 2, &[(copy, &[(0, 7)]), (RUN, &[(0, 4)])]));
    bench.greets(2000, &hello(OUTBOX, RUN, 3, &[(RUN, &[(0, 9)])]));
    bench.greets(3000, &hello(OUTBOX, copy, 4, &[(copy, &[(0, 8)]), (RUN, &[(0, 4)])]));
    assert_eq!(bench.verdicts(RUN, [4, 9]), [NotYetHere; 2]);
    assert_eq!(bench.verdict(copy, 8), NotYetHere);
    let outboxes = bench.ledger().outboxes;
    assert_eq!((outboxes.len(), outboxes[0].lives, outboxes[0].run), (1, 2, Some(copy)));

    bench.greets(2 * 3_600_000 + 4000, &hello(OUTBOX, copy, 5, &[(copy, &[(0, 8)]), (RUN, &[(0, 4)])]));
    assert_eq!(bench.verdicts(RUN, [4, 9]), [NotYetHere, Lost], "the first one has fallen silent");
    assert_eq!(bench.ledger().outboxes[0].lives, 1);
}

#[test]
fn a_later_run_of_the_same_outbox_speaks_for_the_earlier_ones() {
    let mut bench = Bench::new();
    bench.greets(0, &hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]));
    bench.greets(1, &hello(OUTBOX, LATER, 2, &[(LATER, &[(0, 0)]), (RUN, &[(0, 5)])]));
    assert_eq!(bench.verdicts(RUN, [5, 6]), [NotYetHere, Lost]);
    // One that does not name it is known to continue it by its opening.
    let latest = RunId([6; 16]);
    bench.greets(2, &hello(OUTBOX, latest, 3, &[(latest, &[(0, 0)])]));
    assert_eq!(bench.verdict(RUN, 5), NotYetHere);
    bench.tells(latest, 0, opening_of(Some(LATER), 1, 0));
    assert_eq!(bench.verdict(RUN, 5), Lost);
    assert_eq!(bench.ledger().outboxes[0].lives, 1);
}

#[test]
fn a_hello_of_a_connection_that_is_over_says_nothing_new() {
    let mut bench = Bench::new();
    let early = hello(OUTBOX, RUN, 1, &[(RUN, &[(0, 9)])]);
    let late = hello(OUTBOX, RUN, 2, &[(RUN, &[(5, 12)])]);
    for hello in [&early, &late, &early, &late] {
        bench.greets(0, hello);
    }
    assert_eq!(bench.verdicts(RUN, [4, 5, 12]), [Lost, NotYetHere, NotYetHere]);
}

#[test]
fn made_up_runs_outboxes_and_reports_cost_a_bounded_memory() {
    let mut bench = Bench::new();
    bench.reads(RUN, 0, 4);
    for id in 0..6_000u32 {
        let mut run = [0xee; 16];
        run[..4].copy_from_slice(&id.to_be_bytes());
        let outbox = OutboxId(run);
        if id < 100 {
            bench.greets(i64::from(id), &hello(outbox, RunId(run), 1, &[]));
        }
        bench.tells(
            LATER,
            u64::from(id) * 2,
            report(RunId(run), &[(0, 0), (2, 2), (4, 4), (6, 6), (8, 8)], DropReason::Age),
        );
    }
    let ledger = bench.ledger();
    assert_eq!((ledger.runs.len(), ledger.outboxes.len()), (4_096, 16));
    assert!(ledger.unplaced > 0);
    assert_eq!(bench.verdict(RUN, 3), Held, "what is held is not forgotten for it");
    assert_eq!(bench.samples(RUN).held, 5);
}

#[test]
fn a_run_that_is_forgotten_is_not_lost() {
    let mut bench = Bench::new();
    bench.tells(LATER, 0, opening_of(Some(RUN), 5, 0));
    bench.reads(RUN, 0, 4);
    for id in 0..2_100u32 {
        let mut run = [0xee; 16];
        run[..4].copy_from_slice(&id.to_be_bytes());
        bench.reads(RunId(run), 0, 0);
    }
    assert_eq!(bench.verdict(RUN, 3), NotYetHere);
    assert_eq!(bench.ledger().total().lost, 0);
}

#[test]
fn d3_a_run_that_was_placed_says_between_what_in_whatever_order_that_comes() {
    let mut bench = Bench::new();
    let placed = |earliest: Option<i64>, latest| {
        let earliest = earliest.map(|earliest| NOW.plus_ms(earliest));
        Record::Dating(Dating { run: RUN, earliest, latest: NOW.plus_ms(latest), time: NOW }).encode().into()
    };
    let between = |bench: &Bench| {
        let placed = bench.ledger().runs.iter().find(|report| report.run == RUN).unwrap().placed;
        placed.map(|placed| (placed.earliest.map(|time| time.since_ms(NOW)), placed.latest.since_ms(NOW)))
    };
    bench.tells(LATER, 1, placed(Some(-9_000), -1_000));
    assert_eq!(between(&bench), Some((Some(-9_000), -1_000)));
    bench.reads(RUN, 0, 4);
    bench.tells(LATER, 2, placed(Some(-9_000), -1_000));
    assert_eq!(between(&bench), Some((Some(-9_000), -1_000)), "said twice");
    assert_eq!(bench.ledger().runs.iter().filter(|report| report.placed.is_some()).count(), 1);
    // By two copies of a card, each between its own neighbours: what is certain is what both allow.
    bench.tells(LATER, 3, placed(None, -500));
    assert_eq!(between(&bench), Some((None, -500)));
}
