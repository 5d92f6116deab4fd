//! What cannot be read at the moment is not lost yet: it is not freed (D9), and the next start tries it again.

use std::ops::Range;

use tokio::sync::{oneshot, watch};

use super::seals::harm_last_record;
use super::*;
use crate::outbox::opening;
use crate::outbox::queue::Request;
use crate::outbox::segment::{HEADER_BYTES, PREFIX_BYTES};
use crate::outbox::thread;

const WHOLE: Range<u64> = 0..u64::MAX;

/// Room for about ten segments.
fn small() -> Bench {
    let mut bench = Bench::new();
    bench.options.max_bytes = 5_000;
    bench
}

/// The numbers of a run's samples that are stated as on disk.
fn numbers(outbox: &Outbox, run: RunId) -> Vec<i64> {
    let number = |record: &Record| opening::time_in(record).0;
    read_all(outbox, run, Log::Samples).iter().map(|one| number(&one.1)).collect()
}

/// Writes samples until these segments are freed; the others are there then.
fn free(outbox: &Outbox, all: &[PathBuf], freed: &[usize]) {
    append_until(outbox, |_| freed.iter().all(|at| !all[*at].exists()));
}

/// Offset of the record with this number, all before it being of the same segment.
fn offset_of(numbers: Range<i64>) -> u64 {
    let bytes = numbers.map(|number| PREFIX_BYTES + tick(number).encode().len()).sum::<usize>();
    (HEADER_BYTES + bytes) as u64
}

#[test]
fn whoever_learns_that_a_record_cannot_be_read_finds_it_no_longer_stated() {
    for (damage, last) in [(true, 7), (false, 7)] {
        let bench = Bench::new();
        let mut stepped = bench.step();
        (0..8).for_each(|number| stepped.append(Log::Samples, &tick(number)).unwrap());
        stepped.write().unwrap();
        let (publish, state) = watch::channel(stepped.state());
        let run = state.borrow().run;
        let path = segments(&bench.runs()[0], Log::Samples).remove(0);
        if damage {
            harm_last_record(&path);
        } else {
            bench.disk.cannot_read(&path, WHOLE);
        }
        let (answer, mut answered) = oneshot::channel();
        let from = Place { run, log: Log::Samples, sequence: last };
        thread::answer(&mut stepped, Request::Read { from, limit: ALL, answer }, &publish).unwrap();
        assert!(!matches!(answered.try_recv().unwrap(), Ok(Some(_))));
        assert_eq!(run_of(&state.borrow(), run).samples.on_disk, Pieces::below(last));
    }
}

#[test]
fn a_segment_that_fails_to_be_read_once_is_not_freed_and_read_after_a_restart() {
    let bench = small();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..90);
    let run = settled(&outbox).run;
    let all = segments(&bench.runs()[0], Log::Samples);
    let (first, end) = (first_of(&all[1]), first_of(&all[2]));
    bench.disk.cannot_read(&all[1], WHOLE);
    let place = Place { run, log: Log::Samples, sequence: first };
    assert!(matches!(wait(outbox.read(place, ALL)), Err(OutboxError::Read { path, .. }) if path == all[1]));
    // Of the segment the server holds nothing, of the others all.
    wait(outbox.believe(position(&[(run, &[(0, first - 1), (end, 89)], &[])]))).unwrap();
    free(&outbox, &all, &[0, 2]);
    assert!(all[1].exists());
    // Not even when it holds it: what is in it is not known.
    wait(outbox.believe(position(&[(run, &[(0, 89)], &[])]))).unwrap();
    free(&outbox, &all, &[3]);
    assert!(all[1].exists());
    close(outbox, thread);

    bench.disk.reads_again();
    let (outbox, thread) = bench.open();
    let expected: Vec<_> = (first..end).map(|sequence| i64::try_from(sequence).unwrap()).collect();
    assert_eq!(numbers(&outbox, run)[..expected.len()], expected);
    free(&outbox, &all, &[1]);
    close(outbox, thread);
}

#[test]
fn records_before_a_place_that_cannot_be_read_are_read() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..8);
    let run = settled(&outbox).run;
    let path = segments(&bench.runs()[0], Log::Samples).remove(0);
    bench.disk.cannot_read(&path, offset_of(0..5) + 3..u64::MAX);
    assert_eq!(read(&outbox, run, Log::Samples, 0, ALL).unwrap().records.len(), 5);
    let place = Place { run, log: Log::Samples, sequence: 5 };
    assert!(matches!(wait(outbox.read(place, ALL)), Err(OutboxError::Read { .. })));
    assert_eq!(numbers(&outbox, run), [0, 1, 2, 3, 4]);
    close(outbox, thread);
}

#[test]
fn records_behind_a_damaged_one_are_read_and_not_freed_before_they_are_held() {
    let bench = small();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..60);
    let run = settled(&outbox).run;
    let all = segments(&bench.runs()[0], Log::Samples);
    let end = first_of(&all[1]);
    let mut bytes = fs::read(&all[0]).unwrap();
    bytes[usize::try_from(offset_of(0..2)).unwrap()] ^= 1;
    overwrite(&all[0], &bytes);
    // Where the fifth begins is not known, for the third has no length any more: the segment is looked through.
    assert!(read(&outbox, run, Log::Samples, 4, ALL).is_none());
    let found: Vec<_> = (0..end).filter(|one| *one != 2).map(|one| i64::try_from(one).unwrap()).collect();
    assert_eq!(numbers(&outbox, run)[..found.len()], found);
    wait(outbox.believe(position(&[(run, &[(0, 1), (end, 59)], &[])]))).unwrap();
    free(&outbox, &all, &[1]);
    assert!(all[0].exists());
    // The damaged one itself is no reason to keep the others.
    wait(outbox.believe(position(&[(run, &[(0, 1), (3, end - 1)], &[])]))).unwrap();
    free(&outbox, &all, &[0]);
    close(outbox, thread);
}

#[test]
fn a_segment_with_a_damaged_record_is_freed_once_the_others_are_held() {
    let bench = small();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..60);
    let run = settled(&outbox).run;
    let path = segments(&bench.runs()[0], Log::Samples).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(offset_of(0..2)).unwrap()] ^= 1;
    overwrite(&path, &bytes);
    assert!(read(&outbox, run, Log::Samples, 2, ALL).is_none());
    wait(outbox.believe(position(&[(run, &[(0, 1), (3, 59)], &[])]))).unwrap();
    append_until(&outbox, |_| !path.exists());
    close(outbox, thread);
}

#[test]
fn a_segment_that_a_start_cannot_read_is_kept_with_its_description_until_one_can() {
    // Nothing of it can be read, or only the first three of its records.
    for (unreadable, missing) in [(WHOLE, 20), (offset_of(20..23)..u64::MAX, 23)] {
        let mut bench = small();
        bench.options.max_bytes = 6_000;
        let (outbox, thread) = bench.open();
        append(&outbox, Log::Samples, 0..20);
        outbox.describe(&description("sht41")).unwrap();
        append(&outbox, Log::Samples, 20..30);
        outbox.describe(&description("bme280")).unwrap();
        append(&outbox, Log::Samples, 30..60);
        let run = settled(&outbox).run;
        wait(outbox.believe(position(&[(run, &[(0, 59)], &[])]))).unwrap();
        close(outbox, thread);
        let all = segments(&bench.runs()[0], Log::Samples);
        let other = all.iter().find(|path| first_of(path) == 20).unwrap();
        bench.disk.cannot_read(other, unreadable);

        let (outbox, thread) = bench.open();
        let state = settled(&outbox);
        assert_eq!(state.damaged, 1);
        assert_eq!(run_of(&state, run).samples.on_disk.missing_in(0, 59), [(missing, 29)]);
        append_until(&outbox, |_| all.iter().all(|path| path == other || !path.exists()));
        assert!(other.exists());
        close(outbox, thread);

        bench.disk.reads_again();
        let (outbox, thread) = bench.open();
        assert_eq!(numbers(&outbox, run), (20..30).collect::<Vec<_>>());
        assert!(wait(outbox.description(digest("sht41"))).unwrap().is_some());
        close(outbox, thread);
    }
}

#[test]
fn a_segment_that_cannot_be_read_counts_once_whether_a_start_finds_it_or_several_reads() {
    for at_start in [true, false] {
        let bench = small();
        let (outbox, thread) = bench.open();
        append(&outbox, Log::Samples, 0..40);
        let run = settled(&outbox).run;
        close(outbox, thread);
        let path = segments(&bench.runs()[0], Log::Samples).remove(0);
        let seal = super::seals::seal_of(&path, run, Log::Samples).unwrap();
        if at_start {
            // Without its seal it is read by the start.
            let bytes = fs::read(&path).unwrap();
            overwrite(&path, &bytes[..usize::try_from(seal.bytes).unwrap()]);
            bench.disk.cannot_read(&path, offset_of(0..5)..u64::MAX);
        }
        let (outbox, thread) = bench.open();
        assert_eq!(settled(&outbox).damaged, u64::from(at_start));
        bench.disk.cannot_read(&path, WHOLE);
        for sequence in [4, 2, 0] {
            let place = Place { run, log: Log::Samples, sequence };
            assert!(wait(outbox.read(place, ALL)).is_err());
            assert_eq!(settled(&outbox).damaged, 1);
        }
        close(outbox, thread);
    }
}

#[test]
fn d1_a_log_whose_last_segment_cannot_be_read_ends_no_earlier_than_is_known() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..40);
    let run = settled(&outbox).run;
    wait(outbox.believe(position(&[(run, &[(0, 38)], &[])]))).unwrap();
    close(outbox, thread);
    let last = segments(&bench.runs()[0], Log::Samples).pop().unwrap();
    assert!(first_of(&last) < 38);
    let bytes = fs::read(&last).unwrap();
    bench.disk.cannot_read(&last, WHOLE);
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    let stated = opening(&outbox, state.run);
    assert_eq!((stated.samples_end, run_of(&state, run).samples.end), (39, 39));
    // An empty position takes nothing back, and nor does another start.
    wait(outbox.believe(position(&[]))).unwrap();
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    assert_eq!(run_of(&settled(&outbox), run).samples.end, 39);
    close(outbox, thread);
    assert_eq!(fs::read(&last).unwrap(), bytes);

    bench.disk.reads_again();
    let (outbox, thread) = bench.open();
    assert_eq!(numbers(&outbox, run), (0..40).collect::<Vec<_>>());
    assert_eq!(run_of(&settled(&outbox), run).samples.end, 40);
    close(outbox, thread);
}

#[test]
fn d1_an_opening_that_cannot_be_read_was_written() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    let run = settled(&outbox).run;
    close(outbox, thread);
    bench.disk.cannot_read(&segments(&bench.runs()[0], Log::Events)[0], WHOLE);
    let (outbox, thread) = bench.open();
    let stated = opening(&outbox, settled(&outbox).run);
    assert_eq!((stated.run_before, stated.events_end), (Some(run), 1));
    close(outbox, thread);
}

#[test]
fn records_behind_a_page_that_a_start_cannot_read_are_found_and_so_is_the_logs_end() {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 64 << 10;
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..1_000);
    let run = settled(&outbox).run;
    close(outbox, thread);
    let path = segments(&bench.runs()[0], Log::Samples).remove(0);
    let length = fs::metadata(&path).unwrap().len();
    assert!(length > 16 << 10);
    bench.disk.cannot_read(&path, 8 << 10..12 << 10);
    let (outbox, thread) = bench.open();
    let found = numbers(&outbox, run);
    assert_eq!(opening(&outbox, settled(&outbox).run).samples_end, 1_000);
    assert_eq!((found[0], found[found.len() - 1]), (0, 999));
    let gone = (0..1_000).filter(|number| !found.contains(number)).count();
    assert!(gone > 0 && gone < 500, "{gone}");
    close(outbox, thread);
    // A dying disk: nothing behind is looked for without end.
    bench.disk.cannot_read(&path, 8 << 10..u64::MAX);
    let (outbox, thread) = bench.open();
    assert_eq!(numbers(&outbox, run), found[..numbers(&outbox, run).len()]);
    assert_eq!(run_of(&settled(&outbox), run).samples.end, 1_000);
    close(outbox, thread);
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
}
