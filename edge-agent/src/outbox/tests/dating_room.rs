//! D3: dating many runs takes steps and room; what there is no room for waits, and what goes meanwhile is reported truly.

use super::dating::{LEARNT, PROVISIONAL, SHIFT, append_good, good, known, sent, ticks_of, unknown};
use super::*;
use crate::clock::Learnt;

/// The disk is full, and stays so when the next start gives back what the last run had allocated ahead.
fn fill(bench: &Bench) {
    bench.disk.fill();
    bench.disk.capacity.fetch_sub(32 << 10, Ordering::SeqCst);
}

/// A lamppost with so many runs that never learnt the time, some samples in each, and much that can go before them.
pub(super) fn many_undated(runs: u16) -> (Bench, Vec<RunId>) {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 16 << 10;
    let mut old = bench.begin(known(255, 0, SHIFT - 1_000_000));
    append_good(&mut old, (0..20_000).map(|at| SHIFT - 1_000_000 + at));
    drop(old);
    let ids = (0..runs).map(|boot| {
        let mut outbox = bench.begin(unknown(u8::try_from(boot % 250).unwrap(), 0));
        append_good(&mut outbox, [PROVISIONAL + 1_000, PROVISIONAL + 1_500]);
        outbox.state().run
    });
    let ids = ids.collect();
    (bench, ids)
}

/// A run of 20 seconds that never learnt the time, and one that knows it and has no room to date the other.
fn no_room_to_date() -> (Bench, RunId, SteppedOutbox) {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 16 << 10;
    let mut first = bench.begin(unknown(1, 0));
    let run = first.state().run;
    append_good(&mut first, (0..20_000).map(|at| PROVISIONAL + at));
    drop(first);
    fill(&bench);
    let mut knows = bench.begin(known(2, 0, SHIFT));
    assert_eq!(waiting(&mut knows), 1);
    (bench, run, knows)
}

pub(super) fn waiting(outbox: &mut SteppedOutbox) -> usize {
    outbox.state().runs.iter().filter(|run| !run.may_be_sent).count()
}

/// The times of each run's samples, of those that may be sent.
pub(super) fn times(outbox: &mut SteppedOutbox, runs: &[RunId]) -> BTreeMap<[u8; 16], Vec<(i64, Reason)>> {
    let sent = |run: &RunId| Some((run.0, ticks_of(outbox, *run)?));
    runs.iter().filter_map(sent).collect()
}

pub(super) fn minute(outbox: &mut SteppedOutbox, minutes: u64) {
    let monotonic = Duration::from_mins(minutes);
    outbox
        .hear_time(Now { monotonic, wall: UtcMillis(SHIFT).plus(monotonic), trust: ClockTrust::Sure })
        .unwrap();
    outbox.write().unwrap();
}

#[test]
fn d3_on_a_full_disk_hundreds_of_undated_runs_keep_nobody_from_sampling_and_are_dated_once_there_is_room() {
    let (bench, runs) = many_undated(300);
    fill(&bench);
    let mut outbox = bench.begin(known(251, 0, SHIFT));
    let current = outbox.state().run;
    append_good(&mut outbox, (0..100).map(|at| SHIFT + at * 100));
    // What goes for samples makes room for a few of them.
    let wait = |outbox: &mut SteppedOutbox| {
        while outbox.is_dating() {
            outbox.write().unwrap();
        }
        assert_eq!(outbox.state().undated_for_room, waiting(outbox) as u64);
        waiting(outbox)
    };
    bench.disk.fill();
    let left = wait(&mut outbox);
    assert!((200..=300).contains(&left), "{left}");
    assert_eq!(times(&mut outbox, &[current])[&current.0].len(), 100);
    minute(&mut outbox, 1);
    assert_eq!(wait(&mut outbox), left, "what has no room is not tried without end");
    let state = outbox.state();
    assert!(runs.iter().all(|run| run_of(&state, *run).samples.on_disk == Pieces::below(2)));

    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    minute(&mut outbox, 2);
    assert_eq!(outbox.state().undated_for_room, 0);
    let mut left = vec![waiting(&mut outbox)];
    while outbox.is_dating() {
        let time = SHIFT + 11_000 + i64::try_from(left.len()).unwrap();
        outbox.append(Log::Samples, &good(time)).unwrap();
        outbox.write().unwrap();
        left.push(waiting(&mut outbox));
    }
    assert!(left.windows(2).all(|two| two[0] - two[1] <= 8), "a few in each step: {left:?}");
    assert_eq!(left.last(), Some(&0));
    let dated = times(&mut outbox, &runs);
    assert_eq!(dated.len(), runs.len());
    assert!(dated.values().flatten().all(|(time, _)| *time < SHIFT));
    drop(outbox);
    let mut later = bench.begin(known(9, 0, SHIFT + 60_000));
    assert_eq!(times(&mut later, &runs), dated);
}

#[test]
fn d3_on_a_full_disk_what_only_this_run_knows_of_its_boot_is_not_lost() {
    let bench = Bench::new();
    let runs = [0, 60_000].map(|since_boot| {
        let mut outbox = bench.begin(unknown(1, since_boot));
        append_good(&mut outbox, [PROVISIONAL + i64::try_from(since_boot).unwrap()]);
        outbox.state().run
    });
    assert!(bench.options.directory.join("reserve").exists());
    fill(&bench);
    // It knows when their boot was, and the power is cut.
    drop(bench.begin(known(1, 90_000, SHIFT + PROVISIONAL + 90_000)));
    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    let mut later = bench.begin(known(2, 0, SHIFT + 1_000_000));
    let exact = [0, 60_000].map(|since_boot| Some(vec![(SHIFT + PROVISIONAL + since_boot, Reason::GOOD)]));
    assert_eq!(runs.map(|run| ticks_of(&mut later, run)), exact);
}

#[test]
fn d3_whenever_the_power_is_cut_what_could_be_sent_keeps_its_times_and_all_is_dated_in_the_end() {
    let (bench, runs) = many_undated(20);
    let mut cut = 0;
    for changes in (0..400).step_by(11) {
        let copy = bench.copy();
        copy.disk.changes.store(changes, Ordering::SeqCst);
        let mut sendable = BTreeMap::new();
        if let Ok(mut outbox) = copy.try_begin(known(100, 0, SHIFT)) {
            while outbox.is_dating() && outbox.write().is_ok() {
                sendable = times(&mut outbox, &runs);
            }
        }
        cut += u32::from(sendable.len() < runs.len());
        copy.disk.changes.store(u32::MAX, Ordering::SeqCst);
        // Whoever comes next need not know the time.
        let mut next = copy.begin(unknown(101, 0));
        append_good(&mut next, [PROVISIONAL]);
        next.date(Learnt { shift_ms: SHIFT + 600_000, ..LEARNT }).unwrap();
        while next.is_dating() {
            next.write().unwrap();
        }
        let dated = times(&mut next, &runs);
        assert_eq!(dated.len(), runs.len(), "after {changes}");
        for (run, times) in sendable {
            assert_eq!(dated[&run], times, "after {changes}");
        }
        let in_order: Vec<i64> = runs.iter().flat_map(|run| &dated[&run.0]).map(|(time, _)| *time).collect();
        assert!(in_order.is_sorted(), "after {changes}: {in_order:?}");
    }
    assert!(cut > 20, "{cut}");
}

#[test]
fn d11_what_an_undated_run_has_to_drop_beside_one_that_knows_the_time_is_reported_with_true_times() {
    let (bench, run, mut outbox) = no_room_to_date();
    append_good(&mut outbox, (0..3_000).map(|at| SHIFT + at));
    assert_eq!(waiting(&mut outbox), 1);
    let spans: Vec<_> = reported(&mut outbox, run).into_iter().flat_map(|report| report.series).collect();
    assert!(!spans.is_empty());
    assert!(spans.iter().all(|one| one.first.0 >= SHIFT - 20_000 && one.last.0 < SHIFT), "{spans:?}");
    // It is dated as was reported.
    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    minute(&mut outbox, 1);
    let left = &times(&mut outbox, &[run])[&run.0];
    assert_eq!(left.last(), Some(&(SHIFT - 1, Reason::CLOCK_UNSURE)));
    assert_eq!(left[0].0, spans.last().unwrap().last.0 + 1);
}

/// What the run that is the outbox's own reported as dropped of this one.
fn reported(outbox: &mut SteppedOutbox, of: RunId) -> Vec<Dropped> {
    let current = outbox.state().run;
    let events = sent(outbox, current, Log::Events).unwrap().into_iter();
    let reports = events.filter_map(|record| match record {
        Record::Dropped(dropped) => Some(dropped),
        Record::Tick(_) | Record::Opening(_) | Record::Command(_) | Record::Dating(_) => None,
    });
    reports.filter(|dropped| dropped.run == of).collect()
}

#[test]
fn d11_what_goes_of_a_run_that_is_not_dated_yet_is_reported_with_the_times_that_it_has_from_then_on() {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 16 << 10;
    let runs = [1, 2].map(|boot| {
        let mut outbox = bench.begin(unknown(boot, 0));
        append_good(&mut outbox, (0..10_000).map(|at| PROVISIONAL + at));
        outbox.state().run
    });
    fill(&bench);
    // Neither can be dated; there is room again, and before that is known the older one has to go for a sample.
    bench.options.max_bytes = 250_000;
    let mut outbox = bench.begin(known(3, 0, SHIFT));
    assert_eq!(waiting(&mut outbox), 2);
    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    outbox.append(Log::Samples, &good(SHIFT + 1)).unwrap();
    outbox.write_appended().unwrap();
    assert_eq!(waiting(&mut outbox), 2);
    let reported = reported(&mut outbox, runs[0]);
    let last = reported.iter().flat_map(|report| &report.series).map(|series| series.last.0).max().unwrap();
    drop(outbox);
    // Whoever comes next knows when the boot was, and dates nothing again.
    let mut next = bench.begin(known(1, 90_000, SHIFT + 600_000));
    while next.is_dating() {
        next.write().unwrap();
    }
    let left = ticks_of(&mut next, runs[0]).unwrap();
    assert_eq!(left[0], (last + 1, Reason::CLOCK_UNSURE));
}

#[test]
fn d11_a_report_is_not_older_than_what_it_reports_and_not_newer_than_its_run() {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 16 << 10;
    bench.options.max_bytes = 100_000;
    let mut outbox = bench.begin(unknown(1, 0));
    let run = outbox.state().run;
    for at in 0..20_000 {
        outbox.append(Log::Samples, &good(PROVISIONAL + at)).unwrap();
    }
    // The clock was ahead.
    outbox.date(Learnt { shift_ms: -3_000, ..LEARNT }).unwrap();
    let before = reported(&mut outbox, run).len();
    // Samples go for events, before any other is read.
    let (id, state, time) = (CommandId([1; 16]), CommandState::Done, UtcMillis(PROVISIONAL + 17_000));
    let event = Record::Command(CommandReport { id, state, time, detail: "x".repeat(1_000) });
    (0..30).for_each(|_| outbox.append(Log::Events, &event).unwrap());
    outbox.write().unwrap();
    let reported = reported(&mut outbox, run);
    assert!(before > 2 && reported.len() > before, "{before} {reported:?}");
    assert!(reported.iter().all(|report| report.series.iter().all(|series| series.last <= report.time)));
    assert!(reported.iter().all(|report| report.time.0 < PROVISIONAL + 17_000), "{reported:?}");
}

#[test]
fn d3_a_run_of_which_nothing_is_left_went_on_until_the_last_that_was_reported_of_it() {
    // It cannot be dated by who knows the time, and goes while nobody does.
    let (bench, run, knows) = no_room_to_date();
    drop(knows);
    let mut next = bench.begin(unknown(3, 0));
    let drops = next.state().run;
    for at in 0..40 {
        append_good(&mut next, (0..1_000).map(|ms| PROVISIONAL + 1_000 * at + ms));
    }
    assert!(run_of(&next.state(), run).samples.on_disk.is_empty());
    drop(next);

    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    let mut outbox = bench.begin(known(4, 0, SHIFT + 600_000));
    while outbox.is_dating() {
        outbox.write().unwrap();
    }
    let current = outbox.state().run;
    let events = sent(&mut outbox, current, Log::Events).unwrap().into_iter();
    let mut latest = events.filter_map(|record| match record {
        Record::Dating(dating) => (dating.run == run).then_some(dating.latest),
        Record::Tick(_) | Record::Opening(_) | Record::Command(_) | Record::Dropped(_) => None,
    });
    let latest = latest.next_back().unwrap();
    let reports = sent(&mut outbox, drops, Log::Events).unwrap().into_iter();
    let lasts = reports.filter_map(|record| match record {
        Record::Dropped(dropped) if dropped.run == run => {
            dropped.series.iter().map(|series| series.last).max()
        }
        Record::Dropped(_)
        | Record::Tick(_)
        | Record::Opening(_)
        | Record::Command(_)
        | Record::Dating(_) => None,
    });
    let last = lasts.max().unwrap();
    assert!(last < latest, "{last:?} {latest:?}");
}
