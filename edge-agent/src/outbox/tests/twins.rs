//! Of what an outbox cannot do without there are two copies, and either is enough.

use super::dating::{LEARNT, PROVISIONAL, SHIFT, append_good, known, sent, ticks_of, unknown};
use super::*;
use crate::clock::{Learnt, LearntFrom};

const COPIES: [&str; 2] = ["identity", "identity.2"];

/// An outbox with ten samples; which one it is, and its run.
fn outbox() -> (Bench, OutboxId, RunId) {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..10);
    let state = settled(&outbox);
    close(outbox, thread);
    (bench, state.outbox, state.run)
}

fn is_set_aside(bench: &Bench) -> bool {
    bench.options.directory.with_file_name("outbox.set-aside-1").exists()
}

/// Both copies are there, and the same.
fn are_twins(directory: &Path, name: &str) -> bool {
    let copies = [name.to_owned(), format!("{name}.2")].map(|name| fs::read(directory.join(name)).ok());
    copies[0].is_some() && copies[0] == copies[1]
}

#[test]
fn d14_whichever_byte_of_one_copy_of_an_identity_is_damaged_the_other_one_is_taken_and_mends_it() {
    let (bench, id, run) = outbox();
    let whole = fs::read(bench.options.directory.join("identity")).unwrap();
    for copy in COPIES {
        // A flipped byte, or a copy that is cut there.
        for at in 0..whole.len() {
            for flip in [true, false] {
                let harmed = bench.copy();
                let mut bytes = whole.clone();
                if flip {
                    bytes[at] ^= 0x40;
                } else {
                    bytes.truncate(at);
                }
                overwrite(&harmed.options.directory.join(copy), &bytes);
                let state = harmed.step().state();
                assert_eq!((state.outbox, state.set_aside.len()), (id, 0), "{copy} {at}");
                assert!(state.runs.iter().any(|one| one.run == run));
                assert!(are_twins(&harmed.options.directory, "identity"), "{copy} {at}");
            }
        }
    }
}

#[test]
fn d14_an_outbox_of_an_earlier_release_with_one_copy_opens_and_has_two_from_then_on() {
    for copy in COPIES {
        let (bench, id, _) = outbox();
        fs::remove_file(bench.options.directory.join(copy)).unwrap();
        let state = bench.step().state();
        assert_eq!((state.outbox, state.set_aside.len()), (id, 0));
        assert!(are_twins(&bench.options.directory, "identity"));
    }
}

#[test]
fn a_copy_that_cannot_be_read_or_for_which_there_is_no_room_keeps_nobody_from_starting() {
    for copy in COPIES {
        let (bench, id, _) = outbox();
        bench.disk.cannot_read(&bench.options.directory.join(copy), 0..u64::MAX);
        assert_eq!(bench.step().state().outbox, id);
        bench.disk.reads_again();
        fs::remove_file(bench.options.directory.join(copy)).unwrap();
        bench.disk.fill();
        assert_eq!(bench.step().state().outbox, id);
    }
}

#[test]
fn a_copy_that_can_be_neither_read_nor_replaced_keeps_nobody_from_starting_and_changes_no_time() {
    let (bench, runs) = dated();
    let first = bench.begin(known(4, 0, SHIFT + 2_000_000)).state().outbox;
    let sent = times(&mut bench.begin(known(4, 0, SHIFT + 2_000_000)), runs);
    let dating = |place: usize, copy: &str| bench.runs()[place].join(copy);
    let lost = COPIES.map(|copy| bench.options.directory.join(copy)).into_iter();
    let lost = lost.chain([dating(0, "dating"), dating(0, "dating.2"), dating(1, "dating.2")]);
    for path in lost {
        bench.disk.loses(&path);
        let before = bench.runs().len();
        let mut outbox = bench.try_begin(known(5, 0, 2 * SHIFT)).expect(path.to_str().unwrap());
        assert_eq!((outbox.state().outbox, bench.runs().len()), (first, before + 1));
        append_good(&mut outbox, [2 * SHIFT + 1]);
        assert!(!outbox.is_dating(), "it is not tried without end");
        assert_eq!(times(&mut outbox, runs), sent, "{}", path.display());
    }
}

#[test]
fn d14_an_identity_of_which_both_copies_are_damaged_is_set_aside_as_such() {
    let (bench, ..) = outbox();
    for copy in COPIES {
        assert!(!is_set_aside(&bench));
        overwrite(&bench.options.directory.join(copy), b"LLOBOX and nothing else");
    }
    let state = bench.step().state();
    assert_eq!(state.set_aside[0].told.reason, SetAsideReason::DamagedIdentity);
}

#[test]
fn d14_wherever_the_first_start_dies_the_next_one_has_an_outbox_of_its_own_and_both_copies() {
    let mut died = 0;
    for after in 0..40 {
        let bench = Bench::new();
        bench.disk.changes.store(after, Ordering::SeqCst);
        let started = bench.try_open();
        died += u32::from(started.is_err());
        if let Ok((outbox, thread)) = started {
            drop(outbox);
            drop(thread.join());
        }
        bench.disk.changes.store(u32::MAX, Ordering::SeqCst);
        let state = bench.step().state();
        assert!(state.set_aside.is_empty() && !is_set_aside(&bench), "after {after}");
        assert!(are_twins(&bench.options.directory, "identity"), "after {after}");
    }
    assert!(died > 20, "{died}");
}

/// An outbox with a run that was dated while it lived, one that was placed, and the one that placed it; with the two runs.
fn dated() -> (Bench, [RunId; 2]) {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    append_good(&mut first, [PROVISIONAL + 1_000]);
    first.date(LEARNT).unwrap();
    append_good(&mut first, [SHIFT + PROVISIONAL + 2_000]);
    let learnt = first.state().run;
    drop(first);
    let mut second = bench.begin(unknown(2, 0));
    append_good(&mut second, [PROVISIONAL + 1_000]);
    let placed = second.state().run;
    drop(second);
    drop(bench.begin(known(3, 0, SHIFT + 1_000_000)));
    (bench, [learnt, placed])
}

fn times(outbox: &mut SteppedOutbox, runs: [RunId; 2]) -> [Option<Vec<(i64, Reason)>>; 2] {
    runs.map(|run| ticks_of(outbox, run))
}

#[test]
fn d3_whichever_copy_of_what_dates_a_run_is_damaged_what_was_sent_keeps_its_times() {
    let (bench, runs) = dated();
    let sent = times(&mut bench.begin(known(4, 0, SHIFT + 2_000_000)), runs);
    assert!(sent.iter().all(Option::is_some));
    for place in 0..2 {
        let length = fs::read(bench.runs()[place].join("dating")).unwrap().len();
        for copy in ["dating", "dating.2"] {
            for at in 0..=length {
                let harmed = bench.copy();
                let directory = harmed.runs()[place].clone();
                let path = directory.join(copy);
                let mut bytes = fs::read(&path).unwrap();
                match bytes.get_mut(at) {
                    Some(byte) => {
                        *byte ^= 0x40;
                        overwrite(&path, &bytes);
                    }
                    // As an earlier release left it.
                    None => fs::remove_file(&path).unwrap(),
                }
                // By a clock that would place it elsewhere.
                let mut later = harmed.begin(known(5, 0, 2 * SHIFT));
                assert_eq!(times(&mut later, runs), sent, "{copy} {at}");
                assert!(are_twins(&directory, "dating"), "{copy} {at}");
            }
        }
    }
}

#[test]
fn d3_wherever_a_dating_is_torn_it_is_whole_or_was_never_sent_by() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    append_good(&mut first, [PROVISIONAL + 1_000]);
    let runs = [first.state().run; 2];
    drop(first);
    let (mut whole, mut torn) = (0, 0);
    for after in 0..60 {
        let copy = bench.copy();
        let mut second = copy.begin(unknown(2, 0));
        copy.disk.changes.store(after, Ordering::SeqCst);
        // What could be sent before the power was cut.
        let dated = second.date(LEARNT);
        let sent = times(&mut second, runs);
        drop(second);
        copy.disk.changes.store(u32::MAX, Ordering::SeqCst);
        let mut third = copy.begin(known(3, 0, SHIFT + 1_000_000));
        let found = times(&mut third, runs);
        assert!(found.iter().all(Option::is_some), "after {after}");
        assert!(sent[0].is_none() || sent == found, "after {after}");
        assert!(copy.runs()[..2].iter().all(|run| are_twins(run, "dating")), "after {after}");
        *if dated.is_ok() { &mut whole } else { &mut torn } += 1;
    }
    assert!(whole > 5 && torn > 15, "{whole} {torn}");
}

/// The version that a small file says it has.
fn version_of(path: &Path) -> u16 {
    let bytes = fs::read(path).unwrap();
    u16::from_le_bytes([bytes[6], bytes[7]])
}

#[test]
fn d3_an_earlier_release_lets_a_run_wait_whose_dating_is_of_a_kind_it_does_not_know() {
    let bench = Bench::new();
    let mut first = bench.begin(unknown(1, 0));
    append_good(&mut first, [PROVISIONAL + 1_000]);
    drop(first);
    let mut second = bench.begin(unknown(1, 60_000));
    append_good(&mut second, [PROVISIONAL + 61_000]);
    second.date(Learnt { shift_ms: SHIFT, from: LearntFrom::SlowServer }).unwrap();
    drop(second);
    let mut third = bench.begin(unknown(2, 0));
    append_good(&mut third, [PROVISIONAL]);
    third.date(LEARNT).unwrap();
    drop(third);
    let directories = bench.runs();
    for copy in ["dating", "dating.2"] {
        let versions: Vec<u16> = directories.iter().map(|run| version_of(&run.join(copy))).collect();
        assert_eq!(versions, [2, 2, 1], "{copy}: dated roughly by the boot, roughly, and exactly");
    }
    // A copy that is written again is of the same version.
    fs::remove_file(directories[0].join("dating.2")).unwrap();
    drop(bench.begin(known(3, 0, 2 * SHIFT)));
    assert!(are_twins(&directories[0], "dating"));
    // So does this release with what comes after it.
    let mut later = b"LLOBOX".to_vec();
    later.extend_from_slice(&3_u16.to_le_bytes());
    later.extend_from_slice(&crc32c::crc32c_append(3, b"something new").to_le_bytes());
    later.extend_from_slice(b"something new");
    for copy in ["dating", "dating.2"] {
        overwrite(&directories[1].join(copy), &later);
    }
    let mut fourth = bench.begin(known(3, 90_000, 2 * SHIFT));
    let state = fourth.state();
    assert_eq!(state.runs.iter().map(|run| run.may_be_sent).take(3).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(fs::read(directories[1].join("dating")).unwrap(), later);
}

#[test]
fn d3_what_is_reported_to_make_room_for_a_dating_is_dated_wherever_the_power_is_cut() {
    let bench = Bench::new();
    // Too little for the reserve: samples go.
    bench.disk.capacity.store(200 << 10, Ordering::SeqCst);
    append_good(&mut bench.begin(unknown(1, 0)), (0..60).map(|at| PROVISIONAL + at));
    let mut reported = 0;
    for full in 0..6 {
        for after in 0..50 {
            let copy = bench.copy();
            copy.disk.capacity.store(200 << 10, Ordering::SeqCst);
            let mut second = copy.begin(unknown(2, 0));
            append_good(&mut second, (0..60).map(|at| PROVISIONAL + at));
            copy.disk.writes_in_room.store(full, Ordering::SeqCst);
            copy.disk.changes.store(after, Ordering::SeqCst);
            drop(second.date(LEARNT));
            drop(second);
            copy.disk.writes_in_room.store(u32::MAX, Ordering::SeqCst);
            copy.disk.changes.store(u32::MAX, Ordering::SeqCst);
            copy.disk.capacity.store(u64::MAX, Ordering::SeqCst);
            let mut third = copy.begin(known(3, 0, SHIFT + 1_000_000));
            let runs: Vec<RunId> = third.state().runs.iter().map(|run| run.run).collect();
            for record in runs.into_iter().flat_map(|run| sent(&mut third, run, Log::Events).unwrap()) {
                if let Record::Dropped(report) = record {
                    reported += 1;
                    assert!(report.time.0 >= SHIFT, "full at {full}, dead after {after}: {report:?}");
                }
            }
        }
    }
    assert!(reported > 20, "{reported}");
}

#[test]
fn d3_copies_are_mended_once_there_is_room_and_a_full_disk_changes_no_time() {
    let (bench, runs) = dated();
    let sent = times(&mut bench.begin(known(4, 0, SHIFT + 2_000_000)), runs);
    let directories: Vec<_> = bench.runs().into_iter().take(2).collect();
    for run in &directories {
        fs::remove_file(run.join("dating")).unwrap();
    }
    bench.disk.fill();
    bench.disk.capacity.fetch_sub(64 << 10, Ordering::SeqCst);
    let mut later = bench.begin(known(5, 0, 2 * SHIFT));
    assert_eq!(times(&mut later, runs), sent);
    assert!(directories.iter().all(|run| !are_twins(run, "dating")));
    bench.disk.capacity.store(u64::MAX, Ordering::SeqCst);
    later.hear_time(BenchClock.now()).unwrap();
    later.write().unwrap();
    assert!(directories.iter().all(|run| are_twins(run, "dating")));
}
