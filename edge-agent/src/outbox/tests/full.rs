//! A disk that something else fills, and one that becomes read-only.

use super::*;

/// Segments of 16 KiB on a disk with room for `kib`.
fn bench(kib: u64) -> Bench {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 16 << 10;
    bench.disk.capacity.store(kib << 10, Ordering::SeqCst);
    bench
}

fn reserve(bench: &Bench) -> PathBuf {
    bench.options.directory.join("reserve")
}

/// Appends samples until some were dropped.
fn fill(outbox: &mut SteppedOutbox) -> i64 {
    for number in 0..100_000 {
        outbox.append(Log::Samples, &tick(number)).unwrap();
        if number % 10 == 0 {
            outbox.write().unwrap();
            if outbox.state().dropped.bytes > 0 {
                return number + 1;
            }
        }
    }
    panic!("nothing was dropped");
}

#[test]
fn d11_on_a_full_disk_the_oldest_samples_make_room_and_are_reported() {
    let bench = bench(1_000);
    let mut outbox = bench.step();
    let run = outbox.state().run;
    let written = fill(&mut outbox);
    assert!(written > 10_000);
    let state = outbox.state();
    assert_eq!((state.refused, run_of(&state, run).samples.end), (0, written.cast_unsigned()));
    assert!(reserve(&bench).exists());
    outbox.sync().unwrap();
    drop(outbox);
    let (outbox, thread) = bench.open();
    let said = reports(&outbox);
    assert_eq!(said.iter().map(|report| report.pieces.count()).sum::<u64>(), state.dropped.bytes);
    let on_disk = &run_of(&settled(&outbox), run).samples.on_disk.clone();
    assert_eq!(on_disk.ranges().collect::<Vec<_>>(), [(state.dropped.bytes, written.cast_unsigned() - 1)]);
    close(outbox, thread);
}

#[test]
fn a_full_disk_is_met_where_a_segment_begins_and_never_in_the_middle_of_one() {
    let bench = bench(1 << 20);
    let mut outbox = bench.step();
    outbox.append(Log::Samples, &tick(0)).unwrap();
    outbox.append(Log::Events, &tick(0)).unwrap();
    outbox.write().unwrap();
    bench.disk.fill();
    // A record has 30 bytes and more: a segment takes 300 of them.
    for number in 1..300 {
        outbox.append(Log::Samples, &tick(number)).unwrap();
        outbox.append(Log::Events, &tick(number)).unwrap();
        outbox.write().unwrap();
    }
    let state = outbox.state();
    assert_eq!((state.dropped.total(), state.refused), (0, 0));
    assert_eq!(segments(&bench.runs()[0], Log::Samples).len(), 1);
}

#[test]
fn on_a_full_disk_positions_events_and_openings_find_room_in_the_reserve() {
    let bench = bench(1 << 20);
    let mut outbox = bench.step();
    let run = outbox.state().run;
    outbox.append(Log::Samples, &tick(0)).unwrap();
    outbox.write().unwrap();
    bench.disk.fill();
    assert!(reserve(&bench).exists());
    outbox.believe(&position(&[(run, &[], &[(0, 0)])])).unwrap();
    assert!(!reserve(&bench).exists());
    for number in 0..20 {
        outbox.append(Log::Events, &tick(number)).unwrap();
        outbox.write().unwrap();
    }
    drop(outbox);
    let mut outbox = bench.step();
    let state = outbox.state();
    assert_eq!(state.runs.len(), 2);
    assert_eq!(*run_of(&state, run).events.held, Pieces::below(1));
    assert_eq!(run_of(&state, run).events.end, 21);
    // The reserve comes back with the space.
    let now = Now { monotonic: Duration::ZERO, wall: UtcMillis(0), trust: ClockTrust::Unsure };
    bench.disk.fill();
    outbox.describe(&description("sht41")).unwrap();
    outbox.hear_time(now).unwrap();
    assert!(!reserve(&bench).exists());
    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    outbox.hear_time(now).unwrap();
    assert!(reserve(&bench).exists());
}

#[test]
fn on_a_full_disk_what_the_server_holds_goes_before_the_reserve() {
    let bench = bench(1 << 20);
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..2_000);
    let run = settled(&outbox).run;
    wait(outbox.believe(position(&[(run, &[(0, 1_999)], &[])]))).unwrap();
    close(outbox, thread);
    let before = segments(&bench.runs()[0], Log::Samples).len();
    assert!(before > 2);
    bench.disk.fill();
    // A start gives back what the last run had allocated ahead; something else takes that too.
    bench.disk.capacity.fetch_sub(32 << 10, Ordering::SeqCst);
    let (outbox, thread) = bench.open();
    let after = segments(&bench.runs()[0], Log::Samples).len();
    assert!(after < before && reserve(&bench).exists());
    assert_eq!(settled(&outbox).dropped.total(), 0);
    close(outbox, thread);
}

#[test]
fn a_disk_with_no_room_at_all_is_an_error_that_says_what_to_do() {
    let bench = bench(1 << 20);
    let (outbox, thread) = bench.open();
    close(outbox, thread);
    fs::remove_file(reserve(&bench)).unwrap();
    bench.disk.capacity.store(0, Ordering::SeqCst);
    let error = bench.try_open().unwrap_err();
    assert!(matches!(error, OutboxError::Write { .. }), "{error:?}");
    assert!(error.to_string().contains("make room and start again"), "{error}");
    // What there was is found again.
    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    let (outbox, thread) = bench.open();
    assert_eq!(settled(&outbox).runs.len(), 2);
    close(outbox, thread);
}

#[test]
fn d2_a_disk_that_becomes_read_only_ends_the_run_with_an_error_that_says_what_to_do() {
    let bench = bench(1 << 20);
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..20);
    let run = settled(&outbox).run;
    bench.disk.read_only.store(true, Ordering::SeqCst);
    while outbox.append(Log::Samples, &tick(20)).is_ok() {}
    for error in [thread.join().unwrap_err(), bench.try_open().unwrap_err()] {
        assert!(matches!(error, OutboxError::ReadOnly { .. }), "{error:?}");
        assert!(error.to_string().contains("mount it writable or replace the card"), "{error}");
    }
    drop(outbox);
    bench.disk.read_only.store(false, Ordering::SeqCst);
    let (outbox, thread) = bench.open();
    assert!(read_all(&outbox, run, Log::Samples).len() >= 20);
    close(outbox, thread);
}

#[test]
fn a_closed_segment_and_an_earlier_runs_last_one_give_back_what_they_do_not_use() {
    let kept = TempDir::new().unwrap();
    let mut bench = Bench::new();
    bench.options.directory = kept.path().join("outbox");
    bench.options.segment_bytes = 1 << 20;
    for _ in 0..4 {
        let (outbox, thread) =
            Outbox::open(bench.options.clone(), &description("bme280"), Arc::new(BenchClock)).unwrap();
        append(&outbox, Log::Samples, 0..3);
        outbox.describe(&description("sht41")).unwrap();
        append(&outbox, Log::Samples, 3..6);
        settled(&outbox);
        close(outbox, thread);
    }
    let taken = |path: &PathBuf| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap()) * 512;
    let runs = bench.runs();
    let (last, earlier) = runs.split_last().unwrap();
    for run in earlier {
        assert!(segments(run, Log::Samples).iter().all(|path| taken(path) <= 8 << 10), "{}", run.display());
    }
    let samples = segments(last, Log::Samples);
    assert!(taken(&samples[0]) <= 8 << 10);
    // Where the file system can allocate ahead.
    let ahead = taken(&samples[1]);
    assert!(ahead <= 8 << 10 || ahead >= 1 << 20);
}

#[test]
fn d11_on_a_full_disk_nothing_goes_for_its_age_that_was_not_reported() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let bench = bench(1 << 20);
    let mut outbox = bench.step();
    let run = outbox.state().run;
    for sample in 0..40 * 600 {
        outbox.append(Log::Samples, &tick(sample / 600 * DAY_MS + sample % 600)).unwrap();
    }
    outbox.sync().unwrap();
    // Between what is too old there is what the server holds: a report finds room in its place.
    let held = [(0, 1_199), (2_400, 3_599), (4_800, 5_399)];
    outbox.believe(&position(&[(run, &held, &[(0, 0)])])).unwrap();
    fs::remove_file(reserve(&bench)).unwrap();
    bench.disk.fill();
    for hours in 0..2 {
        let wall = UtcMillis(40 * DAY_MS + i64::try_from(hours).unwrap() * 3_600_000);
        let now = Now { monotonic: Duration::from_hours(hours), wall, trust: ClockTrust::Sure };
        outbox.hear_time(now).unwrap();
    }
    outbox.write().unwrap();
    let state = outbox.state();
    assert_eq!(state.dropped.age, 6 * 600);
    drop(outbox);
    let (outbox, thread) = bench.open();
    let mut may_go = Pieces::new();
    for (first, last) in held {
        may_go.insert(first, last);
    }
    for report in reports(&outbox) {
        may_go.union(&report.pieces);
    }
    let on_disk = run_of(&settled(&outbox), run).samples.on_disk.clone();
    assert!(!on_disk.contains(0) && on_disk.contains_all(11 * 600, 40 * 600 - 1));
    for (first, last) in on_disk.missing_in(0, 40 * 600 - 1) {
        assert!(may_go.contains_all(first, last), "{first} to {last}");
    }
    close(outbox, thread);
}
