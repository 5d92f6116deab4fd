//! D3: what was written before the time was known is dated once, and read only then.

use lamplighter_protocol::Dating;

use super::seals::{harm, seal_of};
use super::*;
use crate::clock::{Boot, Learnt, LearntFrom};
use crate::outbox::Beginning;

/// Provisional time begins here,
pub(super) const PROVISIONAL: i64 = 5_000;
/// and in truth it is so much later.
pub(super) const SHIFT: i64 = 1_767_225_600_000;

/// The moment at which a run opens: milliseconds since the boot, which are those of provisional time as well.
pub(super) fn unknown(boot: u8, since_boot: u64) -> Beginning {
    let wall = UtcMillis(PROVISIONAL).plus(Duration::from_millis(since_boot));
    beginning(boot, since_boot, wall, ClockTrust::Unknown)
}

pub(super) fn known(boot: u8, since_boot: u64, wall: i64) -> Beginning {
    beginning(boot, since_boot, UtcMillis(wall), ClockTrust::Sure)
}

fn beginning(boot: u8, since_boot: u64, wall: UtcMillis, trust: ClockTrust) -> Beginning {
    let now = Now { monotonic: Duration::ZERO, wall, trust };
    let boot = Boot { id: [boot; 16], at_zero: Duration::from_millis(since_boot) };
    Beginning { now, boot: Some(boot) }
}

pub(super) const LEARNT: Learnt = Learnt { shift_ms: SHIFT, from: LearntFrom::Server };

impl Bench {
    pub(super) fn begin(&self, beginning: Beginning) -> SteppedOutbox {
        self.try_begin(beginning).unwrap()
    }

    pub(super) fn try_begin(&self, beginning: Beginning) -> Result<SteppedOutbox, OutboxError> {
        let (disk, random) = (Arc::new(self.disk.clone()), Random::system());
        SteppedOutbox::open(disk, random, self.options.clone(), &description("bme280"), || beginning)
    }
}

/// A good observation at this time.
pub(super) fn good(time: i64) -> Record {
    let observation = Observation { series: 0, value: Some(time), reason: Reason::GOOD };
    Record::Tick(Tick { device: 0, time: UtcMillis(time), observations: vec![observation] })
}

pub(super) fn append_good(outbox: &mut SteppedOutbox, times: impl IntoIterator<Item = i64>) {
    for time in times {
        outbox.append(Log::Samples, &good(time)).unwrap();
    }
    outbox.sync().unwrap();
}

/// All that can be read of a log to be sent; none while the run waits for its time.
pub(super) fn sent(outbox: &mut SteppedOutbox, run: RunId, log: Log) -> Option<Vec<Record>> {
    let state = outbox.state();
    let of_run = run_of(&state, run);
    let mut all = Vec::new();
    for (first, last) in of_run.log(log).on_disk.ranges() {
        let mut next = first;
        while next <= last {
            let chunk = outbox.read(Place { run, log, sequence: next }, ALL).unwrap();
            assert_eq!(chunk.is_some(), of_run.may_be_sent, "what is stated is what is done");
            let records = chunk?.records;
            next += records.len() as u64;
            all.extend(records.iter().map(|record| Record::decode(record).unwrap()));
        }
    }
    Some(all)
}

/// Times and reasons of ticks.
fn ticks(records: &[Record]) -> Vec<(i64, Reason)> {
    let tick = |record: &Record| match record {
        Record::Tick(tick) => Some((tick.time.0, tick.observations[0].reason)),
        Record::Opening(_) | Record::Command(_) | Record::Dropped(_) | Record::Dating(_) => None,
    };
    records.iter().filter_map(tick).collect()
}

/// The same of a run's samples, if they may be sent.
pub(super) fn ticks_of(outbox: &mut SteppedOutbox, run: RunId) -> Option<Vec<(i64, Reason)>> {
    Some(ticks(&sent(outbox, run, Log::Samples)?))
}

fn opened(records: &[Record]) -> Opening {
    let Some(Record::Opening(opening)) = records.first() else { panic!("{records:?}") };
    *opening
}

fn datings(records: &[Record]) -> Vec<Dating> {
    let dating = |record: &Record| match record {
        Record::Dating(dating) => Some(*dating),
        Record::Opening(_) | Record::Command(_) | Record::Dropped(_) | Record::Tick(_) => None,
    };
    records.iter().filter_map(dating).collect()
}

#[test]
fn d3_nothing_is_sent_before_the_time_is_known_and_then_all_of_it_is_exact() {
    let bench = Bench::new();
    let mut outbox = bench.begin(unknown(1, 0));
    let run = outbox.state().run;
    append_good(&mut outbox, (0..100).map(|at| PROVISIONAL + at * 1_000));
    assert!(outbox.is_undated());
    assert_eq!(sent(&mut outbox, run, Log::Samples), None);
    assert_eq!(sent(&mut outbox, run, Log::Events), None);
    assert_eq!(outbox.state().oldest, None, "nobody knows how old it is");

    outbox.date(LEARNT).unwrap();
    assert!(!outbox.is_undated());
    append_good(&mut outbox, (100..200).map(|at| SHIFT + PROVISIONAL + at * 1_000));
    let expected: Vec<_> = (0..200).map(|at| (SHIFT + PROVISIONAL + at * 1_000, Reason::GOOD)).collect();
    assert_eq!(ticks(&sent(&mut outbox, run, Log::Samples).unwrap()), expected);
    assert_eq!(opened(&sent(&mut outbox, run, Log::Events).unwrap()).opened.0, SHIFT + PROVISIONAL);
    assert_eq!(outbox.state().oldest, Some(UtcMillis(SHIFT + PROVISIONAL)));

    // It is on disk, and the next run tells when this one ended.
    drop(outbox);
    let mut outbox = bench.begin(known(2, 0, SHIFT + 900_000));
    assert_eq!(ticks(&sent(&mut outbox, run, Log::Samples).unwrap()), expected);
    let current = outbox.state().run;
    let opening = opened(&sent(&mut outbox, current, Log::Events).unwrap());
    assert_eq!(opening.ended, Some(UtcMillis(SHIFT + PROVISIONAL + 199_000)));
}

#[test]
fn d3_what_was_on_its_way_when_the_time_became_known_is_dated_as_well() {
    let bench = Bench::new();
    let mut outbox = bench.begin(unknown(1, 0));
    let run = outbox.state().run;
    append_good(&mut outbox, [PROVISIONAL]);
    outbox.date(LEARNT).unwrap();
    let late = super::super::queue::Append::record(
        Log::Samples,
        &good(PROVISIONAL + 1_000),
        super::super::queue::Times::Provisional,
    );
    outbox.take(late).unwrap();
    append_good(&mut outbox, [SHIFT + PROVISIONAL + 2_000]);
    let times = [0, 1_000, 2_000].map(|at| (SHIFT + PROVISIONAL + at, Reason::GOOD));
    assert_eq!(ticks(&sent(&mut outbox, run, Log::Samples).unwrap()), times);
}

#[test]
fn d3_a_run_of_the_same_boot_that_learns_the_time_dates_those_before_it_exactly() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    let run = first.state().run;
    append_good(&mut first, [PROVISIONAL + 10]);
    drop(first);
    let mut second = bench.begin(unknown(1, 60_000));
    let middle = second.state().run;
    drop(second);
    // By a clock that says something else: what counts is the time since the boot.
    let mut third =
        bench.begin(beginning(1, 90_000, UtcMillis(PROVISIONAL + 1_000_000), ClockTrust::Unknown));
    let learnt = Learnt { shift_ms: SHIFT - 910_000, from: LearntFrom::OwnClock };
    third.date(learnt).unwrap();
    assert_eq!(
        ticks(&sent(&mut third, run, Log::Samples).unwrap()),
        [(SHIFT + PROVISIONAL + 10, Reason::GOOD)]
    );
    assert_eq!(
        opened(&sent(&mut third, middle, Log::Events).unwrap()).opened.0,
        SHIFT + PROVISIONAL + 60_000
    );
    let current = third.state().run;
    let events = sent(&mut third, current, Log::Events).unwrap();
    assert_eq!(opened(&events).opened.0, SHIFT + PROVISIONAL + 90_000);
    assert_eq!(datings(&events), [], "nothing had to be placed");
    drop(third);

    // A run that knows the time when it opens does the same.
    let mut fourth = bench.begin(unknown(2, 0));
    let run = fourth.state().run;
    append_good(&mut fourth, [PROVISIONAL + 7]);
    drop(fourth);
    let mut fifth = bench.begin(known(2, 500, 2 * SHIFT));
    assert_eq!(ticks(&sent(&mut fifth, run, Log::Samples).unwrap()), [(2 * SHIFT - 500 + 7, Reason::GOOD)]);
}

#[test]
fn d3_what_a_slow_server_dates_is_uncertain_in_this_run_and_in_those_of_the_same_boot() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    let before = first.state().run;
    append_good(&mut first, [PROVISIONAL + 10]);
    drop(first);
    let mut second = bench.begin(unknown(1, 60_000));
    let run = second.state().run;
    append_good(&mut second, [PROVISIONAL + 61_000]);
    second.date(Learnt { shift_ms: SHIFT, from: LearntFrom::SlowServer }).unwrap();
    let late = super::super::queue::Append::record(
        Log::Samples,
        &good(PROVISIONAL + 62_000),
        super::super::queue::Times::Provisional,
    );
    second.take(late).unwrap();
    // What is read from now on says itself how far its time is known.
    append_good(&mut second, [SHIFT + PROVISIONAL + 63_000]);
    let unsure = |at| (SHIFT + PROVISIONAL + at, Reason::CLOCK_UNSURE);
    let after = (SHIFT + PROVISIONAL + 63_000, Reason::GOOD);
    assert_eq!(ticks(&sent(&mut second, before, Log::Samples).unwrap()), [unsure(10)]);
    let told = [unsure(61_000), unsure(62_000), after];
    assert_eq!(ticks(&sent(&mut second, run, Log::Samples).unwrap()), told);

    // A later start that knows the time exactly changes nothing of it.
    drop(second);
    let mut third = bench.begin(known(1, 90_000, SHIFT + PROVISIONAL + 95_000));
    assert_eq!(ticks(&sent(&mut third, before, Log::Samples).unwrap()), [unsure(10)]);
    assert_eq!(ticks(&sent(&mut third, run, Log::Samples).unwrap()), told);
}

#[test]
fn d3_a_run_that_never_learnt_the_time_is_placed_uncertain_and_the_server_is_told_between_what() {
    let bench = Bench::new();
    let mut before = bench.begin(known(1, 0, SHIFT));
    append_good(&mut before, [SHIFT + 1_000]);
    drop(before);
    let mut lost = bench.begin(unknown(2, 0));
    let run = lost.state().run;
    append_good(&mut lost, [PROVISIONAL + 100, PROVISIONAL + 300]);
    drop(lost);
    let mut after = bench.begin(known(3, 0, SHIFT + 60_000));
    let placed = [(SHIFT + 59_799, Reason::CLOCK_UNSURE), (SHIFT + 59_999, Reason::CLOCK_UNSURE)];
    assert_eq!(ticks(&sent(&mut after, run, Log::Samples).unwrap()), placed);
    let current = after.state().run;
    let told = datings(&sent(&mut after, current, Log::Events).unwrap());
    let (earliest, latest) = (Some(UtcMillis(SHIFT + 1_000)), UtcMillis(SHIFT + 60_000));
    assert_eq!(told, [Dating { run, earliest, latest, time: latest }]);
    assert_eq!(opened(&sent(&mut after, current, Log::Events).unwrap()).ended, Some(latest.plus_ms(-1)));

    // Nobody is told again, and nothing changes.
    drop(after);
    let mut later = bench.begin(known(3, 1_000, SHIFT + 90_000));
    assert_eq!(ticks(&sent(&mut later, run, Log::Samples).unwrap()), placed);
    let current = later.state().run;
    assert_eq!(datings(&sent(&mut later, current, Log::Events).unwrap()), []);
}

#[test]
fn d3_bounds_that_follow_from_what_a_slow_server_said_are_told_as_wide_as_that_is_rough() {
    let bench = Bench::new();
    drop(bench.begin(known(1, 0, SHIFT)));
    let mut lost = bench.begin(unknown(2, 0));
    let run = lost.state().run;
    append_good(&mut lost, [PROVISIONAL]);
    drop(lost);
    let mut after = bench.begin(unknown(3, 0));
    // It opened a minute before the run that knew the time: so says the server.
    let shift_ms = SHIFT - PROVISIONAL - 60_000;
    after.date(Learnt { shift_ms, from: LearntFrom::SlowServer }).unwrap();
    let current = after.state().run;
    let told = datings(&sent(&mut after, current, Log::Events).unwrap())[0];
    let bounds = (Some(UtcMillis(SHIFT)), UtcMillis(SHIFT - 60_000 + 300_000));
    assert_eq!((told.run, (told.earliest, told.latest)), (run, bounds));
    let [(time, _)] = ticks_of(&mut after, run).unwrap()[..] else { panic!("one tick") };
    assert!(SHIFT < time && UtcMillis(time) < told.latest, "{time}");
}

#[test]
fn d3_a_run_whose_last_record_is_damaged_by_now_is_as_long_as_it_was() {
    let bench = Bench::new();
    let mut outbox = bench.begin(unknown(1, 0));
    let run = outbox.state().run;
    append_good(&mut outbox, (0..60).map(|at| PROVISIONAL + at * 1_000));
    drop(outbox);
    // A power cut took what was written last, and what was sealed before it is damaged.
    let mut all = segments(&bench.runs()[0], Log::Samples);
    overwrite(&all.pop().unwrap(), b"");
    let last = all.pop().unwrap();
    let seal = seal_of(&last, run, Log::Samples).unwrap();
    harm(&last, seal.bytes - 1);
    let length = (i64::try_from(seal.end).unwrap() - 1) * 1_000;

    let mut outbox = bench.begin(known(2, 0, SHIFT));
    let current = outbox.state().run;
    let told = datings(&sent(&mut outbox, current, Log::Events).unwrap());
    let of = told.iter().find(|dating| dating.run == run).unwrap();
    let first = outbox.read(Place { run, log: Log::Samples, sequence: 0 }, ALL).unwrap().unwrap();
    let (first, _) = ticks(&[Record::decode(&first.records[0]).unwrap()])[0];
    assert!(length > 5_000 && UtcMillis(first + length) <= of.latest, "{first} and {length} ms, {of:?}");
}

#[test]
fn d3_what_a_crash_leaves_of_a_dating_is_finished_before_anything_is_sent() {
    let bench = Bench::new();
    let (mut first, mut runs) = (bench.begin(unknown(1, 0)), Vec::new());
    runs.push(first.state().run);
    append_good(&mut first, [PROVISIONAL + 100]);
    drop(first);
    let mut second = bench.begin(unknown(2, 0));
    runs.push(second.state().run);
    append_good(&mut second, [PROVISIONAL + 200]);
    drop(second);
    let mut finished = 0;
    for syncs in 0..40 {
        let copy = bench.copy();
        let mut third = copy.begin(unknown(3, 0));
        copy.disk.syncs.store(syncs, Ordering::SeqCst);
        let dated = third.date(LEARNT);
        if dated.is_err() {
            let state = third.state();
            // What was placed waits until the server is told, though what dates it may be on disk.
            assert!(runs.iter().all(|run| !run_of(&state, *run).may_be_sent), "{syncs}");
        }
        drop(third);
        copy.disk.syncs.store(u32::MAX, Ordering::SeqCst);
        let mut fourth = copy.begin(known(4, 0, SHIFT + 1_000_000));
        for run in &runs {
            let times = ticks(&sent(&mut fourth, *run, Log::Samples).unwrap());
            assert_eq!(times.len(), 1);
            assert_eq!(times[0].1, Reason::CLOCK_UNSURE);
            assert!(times[0].0 < SHIFT + 1_000_000);
        }
        let state = fourth.state();
        let told: Vec<Dating> = state
            .runs
            .iter()
            .flat_map(|run| datings(&sent(&mut fourth, run.run, Log::Events).unwrap()))
            .collect();
        assert!(runs.iter().all(|run| told.iter().any(|dating| dating.run == *run)), "{syncs}: {told:?}");
        finished += usize::from(dated.is_ok());
    }
    assert!((1..40).contains(&finished), "{finished} of 40 times it was finished at once");
}

#[test]
fn d3_a_run_is_dated_once_whatever_a_later_one_believes() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    let run = first.state().run;
    append_good(&mut first, [PROVISIONAL]);
    first.date(LEARNT).unwrap();
    drop(first);
    for wall in [SHIFT, 3 * SHIFT] {
        let mut later = bench.begin(known(1, 0, wall));
        assert_eq!(
            ticks(&sent(&mut later, run, Log::Samples).unwrap()),
            [(SHIFT + PROVISIONAL, Reason::GOOD)]
        );
    }
}

#[test]
fn d3_no_age_is_known_of_what_is_undated_and_what_is_dated_is_as_old_as_it_is() {
    let bench = Bench::new();
    let mut lost = bench.begin(unknown(1, 0));
    let run = lost.state().run;
    append_good(&mut lost, (0..60).map(|at| PROVISIONAL + at));
    let hour = 3_600_000;
    // Forty days by monotonic time.
    for hours in [0, 1, 24 * 40] {
        let wall = UtcMillis(PROVISIONAL + hours * hour);
        let monotonic = Duration::from_hours(hours.unsigned_abs());
        lost.hear_time(Now { monotonic, wall, trust: ClockTrust::Unknown }).unwrap();
    }
    assert_eq!(lost.state().dropped.total(), 0);
    drop(lost);
    // It is placed no farther back than it may be kept.
    let mut after = bench.begin(known(2, 0, SHIFT));
    let hear = |outbox: &mut SteppedOutbox, hours: i64| {
        let now = Now {
            monotonic: Duration::from_hours(hours.unsigned_abs()),
            wall: UtcMillis(SHIFT + hours * hour),
            trust: ClockTrust::Sure,
        };
        outbox.hear_time(now).unwrap();
        outbox.state().dropped.age
    };
    assert_eq!((hear(&mut after, 0), hear(&mut after, 24 * 29)), (0, 0));
    assert!(hear(&mut after, 24 * 31) > 0);
    let current = after.state().run;
    after.write().unwrap();
    let events = sent(&mut after, current, Log::Events).unwrap();
    let reported = events.iter().find_map(|record| match record {
        Record::Dropped(dropped) if dropped.run == run => dropped.series.first().map(|series| series.first),
        Record::Dropped(_)
        | Record::Tick(_)
        | Record::Opening(_)
        | Record::Command(_)
        | Record::Dating(_) => None,
    });
    assert_eq!(reported, Some(UtcMillis(SHIFT - 60)), "in the times that it was placed at");
}

#[test]
fn d11_a_report_of_what_an_undated_run_dropped_has_true_times_once_it_is_sent() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    append_good(&mut first, (0..60).map(|at| PROVISIONAL + at));
    let run = first.state().run;
    drop(first);
    let small = Bench { options: OutboxOptions { max_bytes: 3_000, ..bench.options.clone() }, ..bench };
    // Of the same boot, and undated too: it drops what the first one has, and then its own.
    let mut second = small.begin(unknown(1, 1_000));
    append_good(&mut second, (0..200).map(|at| PROVISIONAL + 1_000 + at));
    second.date(LEARNT).unwrap();
    append_good(&mut second, (200..400).map(|at| SHIFT + PROVISIONAL + 1_000 + at));
    let current = second.state().run;
    let events = sent(&mut second, current, Log::Events).unwrap();
    let mut spans: BTreeMap<RunId, Vec<(i64, i64, u64)>> = BTreeMap::new();
    for record in &events {
        if let Record::Dropped(dropped) = record {
            assert!(dropped.time.0 >= SHIFT);
            let series = &dropped.series[0];
            let span = (series.first.0, series.last.0, dropped.pieces.ranges().next().unwrap().0);
            spans.entry(dropped.run).or_default().push(span);
        }
    }
    assert!(spans[&run].len() > 2 && spans[&current].len() > 4, "{spans:?}");
    for (first, last, sequence) in &spans[&run] {
        assert_eq!(*first, SHIFT + PROVISIONAL + i64::try_from(*sequence).unwrap());
        assert!(last >= first && *last < SHIFT + PROVISIONAL + 60);
    }
    for (first, _, sequence) in &spans[&current] {
        assert_eq!(*first, SHIFT + PROVISIONAL + 1_000 + i64::try_from(*sequence).unwrap());
    }
}

#[test]
fn d3_what_dates_a_run_and_is_damaged_twice_is_found_out_again_as_of_one_that_never_learnt_the_time() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    let run = first.state().run;
    append_good(&mut first, [PROVISIONAL]);
    first.date(LEARNT).unwrap();
    drop(first);
    for copy in ["dating", "dating.2"] {
        overwrite(&bench.runs()[0].join(copy), b"LLOBOX what is this");
    }
    let mut later = bench.begin(known(1, 0, SHIFT + 60_000));
    assert_eq!(
        ticks(&sent(&mut later, run, Log::Samples).unwrap()),
        [(SHIFT + 59_999, Reason::CLOCK_UNSURE)]
    );
}

#[test]
fn d3_a_run_that_was_sent_and_is_placed_because_its_dating_is_damaged_twice_is_sent_with_the_bounds_told() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    let run = first.state().run;
    append_good(&mut first, [PROVISIONAL, PROVISIONAL + 1]);
    first.date(LEARNT).unwrap();
    drop(first);
    let mut second = bench.begin(known(1, 5_000, SHIFT + 5_000));
    second.believe(&position(&[(run, &[(0, 0)], &[])])).unwrap();
    drop(second);
    for copy in ["dating", "dating.2"] {
        overwrite(&bench.runs()[0].join(copy), b"LLOBOX what is this");
    }
    let mut died = 0;
    for after in 0..40 {
        let copy = bench.copy();
        copy.disk.changes.store(after, Ordering::SeqCst);
        died += usize::from(copy.try_begin(known(2, 0, SHIFT + 60_000)).is_err());
        copy.disk.changes.store(u32::MAX, Ordering::SeqCst);
        let mut later = copy.begin(known(3, 0, SHIFT + 90_000));
        let times = ticks_of(&mut later, run).unwrap();
        let runs: Vec<RunId> = later.state().runs.iter().map(|one| one.run).collect();
        let mut events = |run: RunId| datings(&sent(&mut later, run, Log::Events).unwrap());
        let told = runs.into_iter().flat_map(&mut events).filter(|told| told.run == run).last();
        let told = told.unwrap_or_else(|| panic!("nothing is told, after {after}"));
        for (time, reason) in times {
            assert_eq!(reason, Reason::CLOCK_UNSURE);
            let is_within = told.earliest.is_none_or(|earliest| time > earliest.0) && time < told.latest.0;
            assert!(is_within, "after {after}: {time}, {told:?}");
        }
    }
    assert!(died > 15, "{died}");
}

#[test]
fn d14_of_an_outbox_that_was_set_aside_true_times_are_told_and_no_provisional_ones() {
    let mut bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    append_good(&mut first, (0..40).map(|at| PROVISIONAL + at * 1_000));
    first.date(LEARNT).unwrap();
    drop(first);
    let mut second = bench.begin(unknown(2, 0));
    append_good(&mut second, (0..40).map(|at| PROVISIONAL + at * 1_000));
    drop(second);
    bench.options.hardware_serial = "200000002".to_owned();
    let aside = bench.begin(known(3, 0, 2 * SHIFT)).state().set_aside[0].told.clone();
    assert_eq!((aside.runs, aside.first), (2, Some(UtcMillis(SHIFT + PROVISIONAL))));
    assert_eq!(aside.last, Some(UtcMillis(SHIFT + PROVISIONAL + 39_000)));
}

#[test]
fn d3_a_run_is_dated_exactly_by_another_one_of_its_boot_though_whoever_dated_that_one_died() {
    let bench = Bench::new();
    let runs = [0, 60_000].map(|since_boot| {
        let mut outbox = bench.begin(unknown(1, since_boot));
        append_good(&mut outbox, [PROVISIONAL + i64::try_from(since_boot).unwrap()]);
        outbox.state().run
    });
    let mut half = 0;
    for after in 0..40 {
        let copy = bench.copy();
        copy.disk.changes.store(after, Ordering::SeqCst);
        drop(copy.try_begin(known(1, 90_000, SHIFT + 95_000)));
        copy.disk.changes.store(u32::MAX, Ordering::SeqCst);
        let [first, second] = [0, 1].map(|run| copy.runs()[run].join("dating").exists());
        let mut later = copy.begin(known(2, 0, SHIFT + 500_000));
        let times = runs.map(|run| ticks_of(&mut later, run).unwrap());
        if second {
            let exact = [0, 60_000].map(|since_boot| vec![(SHIFT + PROVISIONAL + since_boot, Reason::GOOD)]);
            assert_eq!(times, exact, "after {after}");
        } else {
            assert_eq!(times[1][0].0 - times[0][0].0, 60_000, "after {after}");
        }
        half += u32::from(second && !first);
    }
    assert!(half > 3, "{half}");
}

#[test]
fn d3_what_was_placed_elsewhere_and_not_told_is_told_when_its_outbox_is_released() {
    let bench = Bench::new();
    let mut lost = bench.begin(unknown(1, 0));
    let run = lost.state().run;
    append_good(&mut lost, [PROVISIONAL]);
    drop(lost);
    let mut placed = 0;
    for after in 0..40 {
        // The run that places it dies of it.
        let mut copy = bench.copy();
        copy.disk.changes.store(after, Ordering::SeqCst);
        drop(copy.try_begin(known(2, 0, SHIFT)));
        copy.disk.changes.store(u32::MAX, Ordering::SeqCst);
        placed += usize::from(copy.runs()[0].join("dating.2").exists());
        copy.options.hardware_serial = "200000002".to_owned();
        let mut outbox = copy.begin(known(3, 0, SHIFT + 60_000));
        let action = Some(CommandAction::ReleaseOutbox(outbox.state().set_aside[0].told.outbox));
        let release = Command { id: CommandId([1; 16]), expires: UtcMillis(i64::MAX), action };
        outbox.command(&release, known(3, 0, SHIFT + 60_000).now).unwrap();
        assert_eq!(ticks_of(&mut outbox, run).unwrap().len(), 1, "after {after}");
        let runs: Vec<RunId> = outbox.state().runs.iter().map(|one| one.run).collect();
        let mut events = |run: RunId| datings(&sent(&mut outbox, run, Log::Events).unwrap());
        assert_eq!(runs.into_iter().flat_map(&mut events).filter(|told| told.run == run).count(), 1);
    }
    assert!((5..40).contains(&placed), "{placed}");
}
