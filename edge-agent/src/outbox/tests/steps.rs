//! D3 and D2: earlier runs are dated in steps, and nothing else waits long for that.

use super::dating::{PROVISIONAL, SHIFT, append_good, known, unknown};
use super::dating_room::{many_undated, minute, times, waiting};
use super::*;

#[test]
fn d3_a_step_for_which_there_is_no_time_dates_one_run_and_mends_one_dating() {
    let (bench, runs) = many_undated(12);
    let mut outbox = bench.begin(known(251, 0, SHIFT));
    let mut left = vec![waiting(&mut outbox)];
    while outbox.is_dating() {
        outbox.date_earlier(&|| false).unwrap();
        left.push(waiting(&mut outbox));
    }
    // The start dates the run before its own, and a step of others.
    assert_eq!(left, [3, 2, 1, 0]);
    let dated = times(&mut outbox, &runs);
    drop(outbox);

    let second = |run: &PathBuf| run.join("dating.2");
    let directories: Vec<_> = bench.runs().into_iter().filter(|run| second(run).exists()).collect();
    for run in &directories {
        fs::remove_file(second(run)).unwrap();
    }
    let mut outbox = bench.begin(known(252, 0, 2 * SHIFT));
    let lacking = || directories.iter().filter(|run| !second(run).exists()).count();
    let mut left = vec![lacking()];
    while outbox.is_dating() {
        outbox.date_earlier(&|| false).unwrap();
        left.push(lacking());
    }
    assert_eq!(left, [4, 3, 2, 1, 0]);
    assert_eq!(times(&mut outbox, &runs), dated);
}

#[test]
fn d11_no_sample_goes_for_what_is_told_of_runs_that_were_placed() {
    let mut bench = Bench::new();
    let mut old = bench.begin(known(255, 0, SHIFT - 1_000_000));
    let first = old.state().run;
    append_good(&mut old, (0..200).map(|at| SHIFT - 1_000_000 + at));
    drop(old);
    for boot in 0..30 {
        append_good(&mut bench.begin(unknown(boot, 0)), [PROVISIONAL]);
    }
    let bytes = bench.begin(unknown(30, 0)).state().bytes;
    bench.options.max_bytes = bytes + 1_000;
    let date = |outbox: &mut SteppedOutbox| {
        while outbox.is_dating() {
            outbox.write().unwrap();
        }
        let state = outbox.state();
        assert!(state.bytes <= bench.options.max_bytes, "{} of {}", state.bytes, bench.options.max_bytes);
        assert_eq!((state.undated_for_room, state.dropped.total()), (waiting(outbox) as u64, 0));
        waiting(outbox)
    };
    let mut outbox = bench.begin(known(251, 0, SHIFT));
    let left = date(&mut outbox);
    assert!((1..31).contains(&left), "{left}");
    minute(&mut outbox, 1);
    assert_eq!(date(&mut outbox), left, "what has no room is not tried without end");
    // What the server holds makes room.
    outbox.believe(&position(&[(first, &[(0, 199)], &[])])).unwrap();
    minute(&mut outbox, 2);
    assert_eq!(date(&mut outbox), 0);
}

#[test]
fn d2_samples_are_synced_and_reads_answered_in_time_while_many_runs_are_dated() {
    let (mut bench, runs) = many_undated(100);
    bench.options.sync_every = Duration::from_millis(500);
    bench.disk.watch();
    let (outbox, thread) = bench.open();
    let run = outbox.state().borrow().run;
    for number in 0..20 {
        append(&outbox, Log::Samples, number..number + 1);
        assert!(read(&outbox, run, Log::Samples, number.unsigned_abs(), ALL).is_some());
    }
    let mut state = outbox.state();
    let is_dated = |state: &OutboxState| state.runs.iter().all(|run| run.may_be_sent);
    wait(async { state.wait_for(is_dated).await.map(|_| ()) }).unwrap();
    close(outbox, thread);

    let (mut unsynced, mut dated, mut dated_last) = (false, 0, 0);
    for (change, path) in bench.disk.seen() {
        let name = path.file_name().unwrap().to_str().unwrap();
        match change {
            Change::Written if name.starts_with("samples") => (unsynced, dated_last) = (true, dated),
            Change::Synced if name.starts_with("samples") => unsynced = false,
            Change::Synced if name.starts_with("dating") => {
                assert!(!unsynced, "half a second from when it is due, none is dated before it is synced");
                dated += 1;
            }
            Change::Written | Change::Synced => {}
        }
    }
    assert_eq!(dated, 2 * runs.len(), "both copies of each");
    assert!(dated_last < dated, "{dated_last} of {dated} when the last sample came");
}
