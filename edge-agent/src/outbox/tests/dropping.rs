//! What has to go before the server holds it is reported first, once, and exactly (D11).

use super::seals::{harm, harm_last_record, seal_of};
use super::*;
use crate::outbox::Disk as _;
use crate::outbox::segment::{HEADER_BYTES, PREFIX_BYTES};

/// Room for about ten segments.
fn small() -> Bench {
    let mut bench = Bench::new();
    bench.options.max_bytes = 5_000;
    bench
}

/// Appends ticks from 0 on until one more than `times` reports were made; says how many ticks those are.
fn overfill(outbox: &Outbox, times: usize) -> i64 {
    for number in 0.. {
        append(outbox, Log::Samples, number..number + 1);
        if reports(outbox).len() > times {
            return number + 1;
        }
    }
    0
}

fn ticks_of(report: &Dropped) -> Vec<Record> {
    let sequences = report.pieces.ranges().flat_map(|(first, last)| first..=last);
    sequences.map(|sequence| tick(i64::try_from(sequence).unwrap())).collect()
}

#[test]
fn d11_a_full_outbox_drops_the_oldest_samples_and_says_which_and_of_which_series() {
    let bench = small();
    let (outbox, thread) = bench.open();
    let written = overfill(&outbox, 3);
    let state = settled(&outbox);
    let (run, reports) = (state.run, reports(&outbox));
    let mut dropped = Pieces::new();
    for report in &reports {
        assert_eq!((report.run, report.log, report.reason), (run, Log::Samples, DropReason::Bytes));
        assert_eq!((report.time, &report.series), (UtcMillis(5_000), &counted(ticks_of(report).iter())));
        assert_eq!(report.pieces.ranges().next().unwrap().0, dropped.end());
        dropped.union(&report.pieces);
    }
    assert_eq!(dropped, Pieces::below(dropped.end()));
    let on_disk = read_all(&outbox, run, Log::Samples);
    let expected: Vec<_> = (i64::try_from(dropped.end()).unwrap()..written).map(tick).collect();
    assert_eq!(on_disk.into_iter().map(|one| one.1).collect::<Vec<_>>(), expected);
    assert!(state.bytes <= bench.options.max_bytes);
    assert_eq!(
        (state.dropped.bytes, state.dropped.total(), state.refused),
        (dropped.count(), dropped.count(), 0)
    );
    assert_eq!(state.oldest, Some(UtcMillis(i64::try_from(dropped.end()).unwrap())));
    close(outbox, thread);
    // They are told after a restart too.
    let (outbox, thread) = bench.open();
    assert_eq!((settled(&outbox).dropped, super::reports(&outbox)), (state.dropped, reports));
    close(outbox, thread);
}

#[test]
fn d11_nothing_goes_before_its_report_is_synced() {
    let bench = small();
    let mut outbox = bench.step();
    let run = outbox.state().run;
    let mut number = 0;
    loop {
        bench.disk.syncs.store(u32::MAX, Ordering::SeqCst);
        outbox.write().unwrap();
        outbox.sync().unwrap();
        let before = segments(&bench.runs()[0], Log::Samples);
        bench.disk.syncs.store(0, Ordering::SeqCst);
        match outbox.append(Log::Samples, &tick(number)) {
            Ok(()) => number += 1,
            // The sync of a full segment, or the report's.
            Err(OutboxError::Sync { path, .. }) => {
                assert!(before.iter().all(|path| path.exists()));
                if path.to_str().unwrap().contains("events") {
                    break;
                }
                drop(outbox);
                bench.disk.syncs.store(u32::MAX, Ordering::SeqCst);
                outbox = bench.step();
            }
            Err(error) => panic!("{error:?}"),
        }
        assert!(number < 1_000);
    }
    drop(outbox);
    bench.disk.syncs.store(u32::MAX, Ordering::SeqCst);
    assert!(bench.step().state().runs.iter().any(|one| one.run == run));
}

#[test]
fn d11_a_crash_after_the_report_leaves_one_report_and_the_next_start_removes_what_it_says() {
    let bench = small();
    let (outbox, thread) = bench.open();
    bench.disk.removals.store(0, Ordering::SeqCst);
    let mut number = 0;
    while outbox.append(Log::Samples, &tick(number)).is_ok() && !thread.is_finished() {
        number += 1;
    }
    assert!(matches!(thread.join(), Err(OutboxError::Manage { action: "remove", .. })));
    drop(outbox);
    let first = segments(&bench.runs()[0], Log::Samples).remove(0);
    assert_eq!(first_of(&first), 0);

    bench.disk.removals.store(u32::MAX, Ordering::SeqCst);
    let (outbox, thread) = bench.open();
    let found = reports(&outbox);
    assert!(!first.exists());
    assert_eq!(found.len(), 1);
    let run = found[0].run;
    let on_disk = run_of(&settled(&outbox), run).samples.on_disk.clone();
    assert_eq!(on_disk.ranges().next().unwrap().0, found[0].pieces.end());
    assert_eq!(settled(&outbox).dropped.bytes, found[0].pieces.count());
    close(outbox, thread);
}

#[test]
fn d11_samples_go_before_events_and_openings_and_reports_never() {
    let bench = small();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..20);
    append(&outbox, Log::Events, 0..20);
    let run = settled(&outbox).run;
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    // Of these nothing is droppable before the samples and the events of the run before.
    for number in 0..9_000 {
        append(&outbox, Log::Events, number..number + 1);
        let (state, reports) = (settled(&outbox), reports(&outbox));
        let old = run_of(&state, run);
        let events_went = reports.iter().any(|report| report.log == Log::Events);
        assert!(old.events.on_disk.contains(0));
        assert!(!events_went || old.samples.on_disk.is_empty());
        let said: u64 = reports.iter().map(|report| report.pieces.count()).sum();
        assert_eq!(said, state.dropped.bytes);
        if reports.iter().filter(|report| report.log == Log::Events).count() > 3 {
            break;
        }
    }
    assert!(settled(&outbox).dropped.bytes > 20);
    close(outbox, thread);
}

#[test]
fn d11_of_what_is_partly_held_the_rest_is_reported() {
    let bench = small();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..60);
    let run = settled(&outbox).run;
    let end = first_of(&segments(&bench.runs()[0], Log::Samples)[1]);
    wait(outbox.believe(position(&[(run, &[(0, 1), (4, end - 2)], &[])]))).unwrap();
    for number in 60.. {
        append(&outbox, Log::Samples, number..number + 1);
        if let Some(report) = reports(&outbox).first() {
            assert_eq!(report.pieces.ranges().collect::<Vec<_>>(), [(2, 3), (end - 1, end - 1)]);
            assert_eq!(report.series, counted(ticks_of(report).iter()));
            break;
        }
    }
    close(outbox, thread);
}

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

fn at(wall: i64, hours: u64, trust: ClockTrust) -> Now {
    Now { monotonic: Duration::from_hours(hours), wall: UtcMillis(wall), trust }
}

#[test]
fn d11_what_is_too_old_and_not_held_goes_once_the_time_is_certain() {
    let bench = Bench::new();
    let mut outbox = bench.step();
    let run = outbox.state().run;
    for day in 0..40 {
        outbox.append(Log::Samples, &tick(day * DAY_MS)).unwrap();
        outbox.append(Log::Events, &tick(day * DAY_MS)).unwrap();
    }
    outbox.write().unwrap();
    let held = [(0, 2)];
    outbox.believe(&position(&[(run, &held, &[(0, 0)])])).unwrap();
    let oldest = |outbox: &mut SteppedOutbox, now| {
        outbox.hear_time(now).unwrap();
        outbox.write().unwrap();
        let state = outbox.state();
        assert!(run_of(&state, run).samples.on_disk.contains_all(0, 2));
        (state.dropped.age, state.oldest)
    };
    let nothing_went = (0, Some(UtcMillis(3 * DAY_MS)));
    assert_eq!(oldest(&mut outbox, at(40 * DAY_MS, 0, ClockTrust::Unsure)), nothing_went);
    assert_eq!(oldest(&mut outbox, at(40 * DAY_MS, 1, ClockTrust::Sure)), nothing_went);
    // Not even an hour of a clock that jumped.
    let jumped = 400 * DAY_MS;
    assert_eq!(oldest(&mut outbox, at(jumped, 2, ClockTrust::Sure)), nothing_went);
    let (now, hour) = (40 * DAY_MS, 3_600_000);
    assert_eq!(oldest(&mut outbox, at(now, 3, ClockTrust::Sure)), nothing_went);
    let (age, left) = oldest(&mut outbox, at(now + hour, 4, ClockTrust::Sure));
    // Days 3 to 10 of the samples, 0 to 10 of the events: a segment spans no more than a day.
    assert_eq!((age, left), (8 + 11, Some(UtcMillis(11 * DAY_MS))));
    // What is left ages where it is being written.
    let (age, left) = oldest(&mut outbox, at(now + 32 * DAY_MS, 5, ClockTrust::Sure));
    assert_eq!((age, left), (19, Some(UtcMillis(11 * DAY_MS))));
    let (age, left) = oldest(&mut outbox, at(now + 32 * DAY_MS + hour, 6, ClockTrust::Sure));
    assert_eq!((age, left), (77, None));
    drop(outbox);
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    assert_eq!((state.dropped.age, run_of(&state, run).samples.end), (77, 40));
    assert!(reports(&outbox).iter().all(|report| report.reason == DropReason::Age));
    close(outbox, thread);
}

#[test]
fn d11_proven_damage_is_reported_once_with_its_range() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..60);
    let run = settled(&outbox).run;
    close(outbox, thread);
    let all = segments(&bench.runs()[0], Log::Samples);
    let firsts: Vec<u64> = all.iter().map(|path| first_of(path)).collect();
    let last = all.len() - 1;
    // A run that another one follows: what its last segment lacks was there.
    let (outbox, thread) = bench.open();
    close(outbox, thread);
    // With their seals, so that a start reads them.
    for (at, byte) in [(0, Some(HEADER_BYTES as u64 + 4)), (1, Some(3)), (2, None), (last, None)] {
        let records_end = seal_of(&all[at], run, Log::Samples).unwrap().bytes;
        harm(&all[at], records_end);
        harm(&all[at], byte.unwrap_or(records_end - 1));
    }
    for _ in 0..3 {
        let (outbox, thread) = bench.open();
        let said = reports(&outbox);
        assert_eq!(said.len(), 1);
        let expected = [(0, 0), (firsts[1], firsts[2] - 1), (firsts[3] - 1, firsts[3] - 1), (59, 59)];
        assert_eq!(said[0].pieces.ranges().collect::<Vec<_>>(), expected);
        assert_eq!((said[0].run, said[0].log), (run, Log::Samples));
        assert_eq!((said[0].reason, said[0].series.len()), (DropReason::Damaged, 0));
        assert_eq!(settled(&outbox).dropped.damaged, said[0].pieces.count());
        close(outbox, thread);
    }
}

#[test]
fn d11_damage_that_the_server_holds_is_no_loss_and_what_rots_later_is_reported_too() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..8);
    let run = settled(&outbox).run;
    wait(outbox.believe(position(&[(run, &[(0, 1)], &[])]))).unwrap();
    let path = segments(&bench.runs()[0], Log::Samples).remove(0);
    harm_last_record(&path);
    assert!(read(&outbox, run, Log::Samples, 7, ALL).is_none());
    append(&outbox, Log::Samples, 8..9);
    let said = reports(&outbox);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].pieces.ranges().collect::<Vec<_>>(), [(7, 7)]);
    assert_eq!((said[0].reason, said[0].series.len()), (DropReason::Damaged, 0));
    close(outbox, thread);
    // The first record is damaged too, and held.
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER_BYTES + 4] ^= 1;
    overwrite(&path, &bytes);
    let (outbox, thread) = bench.open();
    assert_eq!((reports(&outbox), settled(&outbox).damaged), (said, 2));
    close(outbox, thread);
}

#[test]
fn d11_the_outbox_tells_how_fast_it_fills_and_how_far_it_can() {
    let bench = Bench::new();
    let mut outbox = bench.step();
    let minute = |minute| Now {
        monotonic: Duration::from_mins(minute),
        wall: UtcMillis(0),
        trust: ClockTrust::Unsure,
    };
    outbox.hear_time(minute(0)).unwrap();
    assert_eq!((outbox.state().appended_per_hour, outbox.state().refused), (None, 0));
    let before = outbox.state().bytes;
    for number in 0..100 {
        outbox.append(Log::Samples, &tick(number)).unwrap();
    }
    outbox.write().unwrap();
    outbox.hear_time(minute(30)).unwrap();
    let state = outbox.state();
    let rate = state.appended_per_hour.unwrap();
    assert_eq!(rate.records, 200);
    // Without the headers of segments.
    let records: usize = (0..100).map(|number| PREFIX_BYTES + tick(number).encode().len()).sum();
    assert_eq!(rate.bytes, 2 * records as u64);
    assert!(state.bytes - before < rate.bytes);
    let free = bench.disk.free_bytes(&bench.options.directory).unwrap();
    assert_eq!(state.capacity < bench.options.max_bytes, free < bench.options.max_bytes - state.bytes);
}

#[test]
fn d11_a_segment_that_age_began_and_nothing_is_in_takes_another_description_or_a_report() {
    let bench = Bench::new();
    let mut outbox = bench.step();
    let run = outbox.state().run;
    outbox.append(Log::Samples, &tick(0)).unwrap();
    outbox.append(Log::Events, &tick(0)).unwrap();
    outbox.write().unwrap();
    outbox.hear_time(at(90 * DAY_MS, 0, ClockTrust::Sure)).unwrap();
    outbox.hear_time(at(90 * DAY_MS + 3_600_000, 1, ClockTrust::Sure)).unwrap();
    assert_eq!(outbox.state().dropped.age, 2);
    outbox.write().unwrap();
    // What is left are the names, which say where the logs ended; once written, and once not.
    for model in ["sht41", "sht45"] {
        outbox.describe(&description(model)).unwrap();
        outbox.append(Log::Samples, &tick(91 * DAY_MS)).unwrap();
        outbox.append(Log::Events, &tick(91 * DAY_MS)).unwrap();
    }
    outbox.sync().unwrap();
    drop(outbox);
    let (outbox, thread) = bench.open();
    let read = read_all(&outbox, run, Log::Samples);
    assert_eq!(
        read.iter().map(|one| (one.0, one.2)).collect::<Vec<_>>(),
        [(1, digest("sht41")), (2, digest("sht45"))]
    );
    assert_eq!((settled(&outbox).damaged, settled(&outbox).dropped.age), (0, 2));
    assert_eq!(reports(&outbox).len(), 2);
    close(outbox, thread);
}

#[test]
fn what_is_appended_is_synced_by_a_sync_even_if_it_was_not_written() {
    let bench = Bench::new();
    let mut outbox = bench.step();
    let run = outbox.state().run;
    outbox.append(Log::Samples, &tick(0)).unwrap();
    outbox.sync().unwrap();
    assert_eq!(run_of(&outbox.state(), run).samples.synced_end, 1);
    drop(outbox);
    assert_eq!(*run_of(&bench.step().state(), run).samples.on_disk.ranges().collect::<Vec<_>>(), [(0, 0)]);
}
