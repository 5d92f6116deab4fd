//! A write or sync that fails ends the run (D2), and the next start finds all that was synced.

use std::error::Error as _;

use super::*;

/// Appends until the outbox is closed.
fn append_until_closed(outbox: &Outbox) {
    while outbox.append(Log::Samples, &tick(1)).is_ok() {}
}

#[test]
fn a_failed_sync_ends_the_run_and_says_which_file() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..3);
    let run = settled(&outbox).run;
    bench.disk.syncs.store(0, Ordering::SeqCst);
    outbox.append(Log::Events, &tick(9)).unwrap();
    match thread.join() {
        Err(error @ OutboxError::Sync { .. }) => {
            let name = segments(&bench.runs()[0], Log::Events)[1].clone();
            assert!(error.to_string().contains(name.to_str().unwrap()), "{error}");
            assert_eq!(error.source().unwrap().to_string(), "the card is gone");
        }
        other => panic!("{other:?}"),
    }
    assert!(outbox.append(Log::Samples, &tick(3)).is_err());
    let place = Place { run, log: Log::Samples, sequence: 0 };
    assert!(matches!(wait(outbox.read(place, ALL)), Err(OutboxError::Closed(_))));
    assert!(matches!(wait(outbox.believe(position(&[]))), Err(OutboxError::Closed(_))));
    // It never was stated as synced.
    assert_eq!(run_of(&outbox.state().borrow(), run).events.synced_end, 1);

    bench.disk.syncs.store(u32::MAX, Ordering::SeqCst);
    let (outbox, thread) = bench.open();
    assert_eq!(read_all(&outbox, run, Log::Samples).len(), 3);
    close(outbox, thread);
}

#[test]
fn d2_a_write_that_fails_half_way_ends_the_run_and_leaves_what_was_synced() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..20);
    let run = settled(&outbox).run;
    bench.disk.writes.store(0, Ordering::SeqCst);
    // Whoever waits for room in the queue is let go.
    append_until_closed(&outbox);
    match thread.join() {
        Err(OutboxError::Write { path, source }) => {
            assert!(path.starts_with(&bench.options.directory));
            assert_eq!(source.to_string(), "the card is gone");
        }
        other => panic!("{other:?}"),
    }
    let (outbox, thread) = bench.open();
    let found = read_all(&outbox, run, Log::Samples);
    assert!(found.len() >= 20);
    let expected: Vec<_> = (0..20).map(tick).chain(std::iter::repeat(tick(1))).take(found.len()).collect();
    assert_eq!(found.into_iter().map(|one| one.1).collect::<Vec<_>>(), expected);
    close(outbox, thread);
}

#[test]
fn a_position_that_cannot_be_written_does_not_count() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..3);
    let run = settled(&outbox).run;
    wait(outbox.believe(position(&[(run, &[(0, 0)], &[])]))).unwrap();
    bench.disk.writes.store(0, Ordering::SeqCst);
    let believed = wait(outbox.believe(position(&[(run, &[(0, 2)], &[])])));
    assert!(matches!(believed, Err(OutboxError::Closed(_))));
    assert!(matches!(thread.join(), Err(OutboxError::Write { .. })));
    let (outbox, thread) = bench.open();
    assert_eq!(*run_of(&settled(&outbox), run).samples.held, Pieces::below(1));
    close(outbox, thread);
}

#[test]
fn nothing_is_believed_at_a_start_that_cannot_sync_it() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..40);
    close(outbox, thread);
    let mut failed = 0;
    for syncs in 0.. {
        let harmed = bench.copy();
        harmed.disk.syncs.store(syncs, Ordering::SeqCst);
        match harmed.try_open() {
            Ok((outbox, thread)) => {
                close(outbox, thread);
                break;
            }
            Err(OutboxError::Sync { .. }) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    // The last segment of each log and the opening, the directories, the next opening and what it needs.
    assert!(failed > 8, "{failed}");
}

#[test]
fn a_state_directory_that_is_not_there_is_named() {
    let mut bench = Bench::new();
    bench.options.directory = bench.options.directory.join("nowhere").join("outbox");
    let error = bench.try_open().unwrap_err();
    assert_eq!(error.to_string(), format!("cannot create {}", bench.options.directory.display()));
}

#[test]
fn the_systems_disk_does_all_of_it_too() {
    let kept = TempDir::new().unwrap();
    let mut bench = Bench::new();
    bench.options.directory = kept.path().join("outbox");
    for _ in 0..2 {
        let (outbox, thread) =
            Outbox::open(bench.options.clone(), &description("bme280"), Arc::new(BenchClock)).unwrap();
        append(&outbox, Log::Samples, 0..3);
        append(&outbox, Log::Events, 0..3);
        let state = settled(&outbox);
        assert_eq!(read_all(&outbox, state.run, Log::Samples).len(), 3);
        wait(outbox.believe(position(&[(state.run, &[(0, 2)], &[])]))).unwrap();
        close(outbox, thread);
    }
    assert_eq!(bench.runs().len(), 2);
}
