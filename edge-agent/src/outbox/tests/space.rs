//! What is freed and what is not when space runs short (D9).

use super::*;
use crate::outbox::segment::{HEADER_BYTES, PREFIX_BYTES};

/// Room for about ten segments.
fn small() -> Bench {
    let mut bench = Bench::new();
    bench.options.max_bytes = 5_000;
    bench
}

/// Appends one tick after the other while that costs nothing that is on disk; says how many were taken.
fn fill(outbox: &Outbox, bench: &Bench) -> u64 {
    let wanted = (PREFIX_BYTES + tick(3).encode().len() + HEADER_BYTES) as u64;
    loop {
        let state = settled(outbox);
        if state.bytes + wanted > bench.options.max_bytes {
            return run_of(&state, state.run).samples.end;
        }
        outbox.append(Log::Samples, &tick(3)).unwrap();
    }
}

#[test]
fn what_the_server_holds_is_kept_until_the_space_is_needed_and_then_goes_oldest_first() {
    let bench = small();
    let (outbox, thread) = bench.open();
    let taken = fill(&outbox, &bench);
    let run = settled(&outbox).run;
    wait(outbox.believe(position(&[(run, &[(0, taken - 1)], &[(0, 0)])]))).unwrap();
    assert_eq!(run_of(&settled(&outbox), run).samples.on_disk, Pieces::below(taken));
    let mut kept_from = 0;
    for _ in 0..40 {
        append(&outbox, Log::Samples, 3..4);
        let state = settled(&outbox);
        let on_disk: Vec<_> = run_of(&state, run).samples.on_disk.ranges().collect();
        assert_eq!(on_disk.len(), 1);
        assert!(on_disk[0].0 >= kept_from && state.bytes <= bench.options.max_bytes);
        // Never more than the next record needs.
        assert!(state.bytes + 2 * bench.options.segment_bytes > bench.options.max_bytes);
        kept_from = on_disk[0].0;
    }
    assert!(kept_from > 0);
    assert_eq!(settled(&outbox).dropped.total(), 0);
    assert_eq!(opening(&outbox, run).run_before, None);
    close(outbox, thread);
}

#[test]
fn what_the_server_does_not_hold_is_never_freed() {
    let bench = small();
    let (outbox, thread) = bench.open();
    let taken = fill(&outbox, &bench);
    let run = settled(&outbox).run;
    // One record in the middle is missing at the server.
    let missing = taken / 2;
    wait(outbox.believe(position(&[(run, &[(0, missing - 1), (missing + 1, taken - 1)], &[])]))).unwrap();
    append_until(&outbox, |state| run_of(state, run).samples.on_disk.ranges().len() == 2);
    append(&outbox, Log::Samples, 3..23);
    let state = settled(&outbox);
    assert_eq!(state.dropped.total(), 0);
    let on_disk = &run_of(&state, run).samples.on_disk;
    assert!(on_disk.contains(missing) && !on_disk.contains(0));
    assert!(on_disk.contains_all(taken, run_of(&state, run).samples.end - 1));
    let chunk = read(&outbox, run, Log::Samples, missing, ReadLimit { records: 1, ..ALL }).unwrap();
    assert_eq!(Record::decode(&chunk.records[0]).unwrap(), tick(3));
    close(outbox, thread);
}

#[test]
fn of_an_old_run_whose_records_are_freed_the_opening_and_its_ends_stay() {
    let bench = small();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Events, 0..2);
    let taken = fill(&outbox, &bench);
    let run = settled(&outbox).run;
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    wait(outbox.believe(position(&[(run, &[(0, taken - 1)], &[(0, 2)])]))).unwrap();
    append_until(&outbox, |state| {
        let old = run_of(state, run);
        old.samples.on_disk.is_empty() && old.events.on_disk.count() == 1
    });
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    let old = run_of(&state, run);
    assert!(old.samples.on_disk.is_empty());
    assert_eq!(old.events.on_disk, Pieces::below(1));
    assert_eq!((old.samples.end, old.events.end), (taken, 3));
    assert_eq!(opening(&outbox, run).run_before, None);
    close(outbox, thread);
}

#[test]
fn a_log_ends_no_earlier_for_having_been_freed() {
    let bench = small();
    let (outbox, thread) = bench.open();
    fill(&outbox, &bench);
    let run = settled(&outbox).run;
    close(outbox, thread);
    // All but the last segment is freed, and a power cut took what that one held.
    let mut all = segments(&bench.runs()[0], Log::Samples);
    let last = all.pop().unwrap();
    for path in &all {
        fs::remove_file(path).unwrap();
    }
    overwrite(&last, b"");
    let (outbox, thread) = bench.open();
    let first: u64 = last.to_str().unwrap().rsplit(['-', '.']).nth(1).unwrap().parse().unwrap();
    let opened = opening(&outbox, settled(&outbox).run);
    assert_eq!((opened.run_before, opened.samples_end), (Some(run), first));
    assert!(first > 0 && !last.exists());
    close(outbox, thread);
}

#[test]
fn a_record_that_fits_in_no_frame_is_refused() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    let many = Observation { series: 1, value: Some(i64::MAX), reason: Reason::GOOD };
    let record = Record::Tick(Tick { device: 0, time: UtcMillis(0), observations: vec![many; 4_000] });
    outbox.append(Log::Samples, &record).unwrap();
    let state = settled(&outbox);
    assert_eq!((state.refused, run_of(&state, state.run).samples.end), (1, 0));
    close(outbox, thread);
}
