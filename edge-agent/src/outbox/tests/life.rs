//! Runs, openings, identity, descriptions and positions over restarts.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::outbox::files::Files;
use crate::outbox::queue::{Append, Times};
use crate::outbox::{Random, recover};

#[test]
fn the_first_run_opens_with_no_run_before_and_a_synced_opening() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    let state = outbox.state().borrow().clone();
    assert_eq!(state.runs.len(), 1);
    let events = &run_of(&state, state.run).events;
    assert_eq!((events.end, events.synced_end, events.on_disk.clone()), (1, 1, Pieces::below(1)));
    let first =
        Opening { run_before: None, samples_end: 0, events_end: 0, ended: None, opened: UtcMillis(5_000) };
    assert_eq!(opening(&outbox, state.run), first);
    close(outbox, thread);
}

#[test]
fn each_opening_states_where_and_when_the_run_before_ended() {
    let bench = Bench::new();
    let mut runs = Vec::new();
    for _ in 0..3 {
        let (outbox, thread) = bench.open();
        append(&outbox, Log::Samples, 6_000..6_020);
        append(&outbox, Log::Events, 5_500..5_503);
        runs.push(settled(&outbox).run);
        close(outbox, thread);
    }
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    runs.push(state.run);
    assert_eq!(state.runs.iter().map(|run| run.run).collect::<Vec<_>>(), runs);
    for pair in runs.windows(2) {
        let expected = Opening {
            run_before: Some(pair[0]),
            samples_end: 20,
            events_end: 4,
            ended: Some(UtcMillis(6_019)),
            opened: UtcMillis(5_000),
        };
        assert_eq!(opening(&outbox, pair[1]), expected);
        let ticks: Vec<_> = read_all(&outbox, pair[0], Log::Samples).into_iter().map(|one| one.1).collect();
        assert_eq!(ticks, (6_000..6_020).map(tick).collect::<Vec<_>>());
    }
    close(outbox, thread);
}

#[test]
fn a_run_opens_when_all_that_was_there_is_verified() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 6_000..6_020);
    close(outbox, thread);
    bench.disk.read.store(0, Ordering::SeqCst);
    // A clock that goes on a millisecond with each byte that is read.
    let read = || bench.disk.read.load(Ordering::SeqCst);
    let now = || Now { wall: UtcMillis(i64::try_from(read()).unwrap()), ..BenchClock.now() };
    let (disk, options) = (Arc::new(bench.disk.clone()), bench.options.clone());
    let mut outbox =
        SteppedOutbox::open(disk, Random::system(), options, &description("bme280"), now).unwrap();
    let opened = outbox.opened().wall;
    let after = i64::try_from(read()).unwrap() - opened.0;
    assert!(opened.0 > 2_000 && after < 600, "only its last records are read after: {opened:?}, {after}");
    let from = Place { run: outbox.state().run, log: Log::Events, sequence: 0 };
    let limit = ReadLimit { bytes: 0, records: 1, last: 0 };
    let chunk = outbox.read(from, limit).unwrap().unwrap();
    let Ok(Record::Opening(opening)) = Record::decode(&chunk.records[0]) else { panic!("{chunk:?}") };
    assert_eq!(opening.opened, opened);
}

#[test]
fn openings_order_the_runs_even_if_the_numbers_of_their_directories_lie() {
    let bench = Bench::new();
    let mut runs = Vec::new();
    for _ in 0..4 {
        let (outbox, thread) = bench.open();
        runs.push(settled(&outbox).run);
        close(outbox, thread);
    }
    for (path, run) in bench.runs().into_iter().zip(&runs) {
        let number = if *run == runs[1] { 9 } else { 5 };
        fs::rename(&path, path.with_file_name(format!("{number:08}-{run}"))).unwrap();
    }
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    assert_eq!(state.runs.iter().map(|run| run.run).take(4).collect::<Vec<_>>(), runs);
    assert_eq!(opening(&outbox, state.run).run_before, Some(runs[3]));
    close(outbox, thread);
}

#[test]
fn a_run_whose_opening_was_never_synced_never_was() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    let first = settled(&outbox).run;
    close(outbox, thread);
    bench.disk.writes.store(0, Ordering::SeqCst);
    assert!(matches!(bench.try_open(), Err(OutboxError::Write { .. })));
    assert_eq!(bench.runs().len(), 1);
    // A power cut leaves it where it is.
    let unopened = bench.runs()[0].with_file_name("opening-00112233445566778899aabbccddeeff");
    fs::create_dir(&unopened).unwrap();
    overwrite(&unopened.join("events-00000000000000000000.log"), b"LLSEGM");
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    assert_eq!(state.runs.len(), 2);
    assert!(!unopened.exists());
    assert_eq!(opening(&outbox, state.run).run_before, Some(first));
    close(outbox, thread);
}

#[test]
fn a_second_agent_on_the_same_outbox_is_refused_until_the_first_ends() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    match bench.try_open() {
        Err(OutboxError::InUse { directory }) => assert_eq!(directory, bench.options.directory),
        other => panic!("{other:?}"),
    }
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    close(outbox, thread);
}

#[test]
fn an_outbox_of_another_lamppost_or_hardware_is_set_aside_whole_and_can_be_brought_back() {
    for (lamppost, serial) in [("DF3638", "100000001"), ("DF3637", "100000002"), ("DF3637", "")] {
        let bench = Bench::new();
        let (outbox, thread) = bench.open();
        append(&outbox, Log::Samples, 0..5);
        let ours = settled(&outbox);
        close(outbox, thread);

        let mut moved = bench.copy();
        moved.options.lamppost = lamppost.parse().unwrap();
        moved.options.hardware_serial = serial.to_owned();
        let (outbox, thread) = moved.open();
        let theirs = settled(&outbox);
        assert_ne!(theirs.outbox, ours.outbox);
        assert_eq!(theirs.runs.len(), 1);
        close(outbox, thread);

        let aside = moved.options.directory.with_file_name("outbox.set-aside-1");
        fs::rename(&moved.options.directory, moved.options.directory.with_file_name("away")).unwrap();
        fs::rename(aside, &moved.options.directory).unwrap();
        moved.options = OutboxOptions { directory: moved.options.directory.clone(), ..bench.options.clone() };
        let (outbox, thread) = moved.open();
        assert_eq!(settled(&outbox).outbox, ours.outbox);
        assert_eq!(read_all(&outbox, ours.run, Log::Samples).len(), 5);
        close(outbox, thread);
    }
}

#[test]
fn an_outbox_whose_identity_is_lost_is_set_aside_and_one_of_a_later_version_is_left_alone() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    close(outbox, thread);
    let identity = bench.options.directory.join("identity");
    let whole = fs::read(&identity).unwrap();
    for place in 0..whole.len() {
        let copy = bench.copy();
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        overwrite(&copy.options.directory.join("identity"), &bytes);
        overwrite(&copy.options.directory.join("identity.2"), &bytes);
        let (outbox, thread) = copy.open();
        assert_eq!(settled(&outbox).runs.len(), 1);
        assert!(copy.options.directory.with_file_name("outbox.set-aside-1").join("runs").exists());
        close(outbox, thread);
    }
    let mut later = whole[..6].to_vec();
    later.extend_from_slice(&2_u16.to_le_bytes());
    later.extend_from_slice(&crc32c::crc32c_append(2, b"something new").to_le_bytes());
    later.extend_from_slice(b"something new");
    overwrite(&identity, &later);
    assert!(matches!(bench.try_open(), Err(OutboxError::Newer { version: 2, ours: 1, .. })));
    assert!(!bench.options.directory.with_file_name("outbox.set-aside-1").exists());
}

#[test]
fn nobody_else_may_look_into_the_outbox() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..50);
    let run = settled(&outbox).run;
    wait(outbox.believe(position(&[(run, &[(0, 1)], &[])]))).unwrap();
    close(outbox, thread);
    let mut open = vec![bench.options.directory.clone()];
    while let Some(path) = open.pop() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        if path.is_dir() {
            open.extend(list(&path));
        }
    }
}

#[test]
fn another_description_starts_a_new_segment_and_both_stay_readable() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..3);
    outbox.describe(&description("bme280-b")).unwrap();
    append(&outbox, Log::Samples, 3..6);
    let run = settled(&outbox).run;
    close(outbox, thread);

    let (outbox, thread) = bench.open();
    let written: Vec<_> = read_all(&outbox, run, Log::Samples).into_iter().map(|one| one.2).collect();
    let (before, after) = (digest("bme280"), digest("bme280-b"));
    assert_eq!(written, [before, before, before, after, after, after]);
    for (model, digest) in [("bme280", before), ("bme280-b", after)] {
        assert_eq!(wait(outbox.description(digest)).unwrap(), Some(description(model).encode().0));
    }
    assert_eq!(wait(outbox.description(Digest([9; 32]))).unwrap(), None);
    close(outbox, thread);

    // A description that is not what its digest says is not handed out.
    overwrite(&bench.options.directory.join("descriptions").join(after.to_string()), b"\x08\x01");
    let (outbox, thread) = bench.open();
    assert_eq!(wait(outbox.description(after)).unwrap(), None);
    close(outbox, thread);
}

#[test]
fn a_description_goes_with_the_last_record_that_needs_it() {
    let mut bench = Bench::new();
    let (outbox, thread) = bench.open();
    outbox.describe(&description("bme280-b")).unwrap();
    append(&outbox, Log::Samples, 0..3);
    let state = settled(&outbox);
    close(outbox, thread);
    let kept = |bench: &Bench| {
        bench.options.directory.join("descriptions").join(digest("bme280-b").to_string()).exists()
    };
    let (outbox, thread) = bench.open();
    wait(outbox.believe(position(&[(state.run, &[(0, 2)], &[])]))).unwrap();
    close(outbox, thread);
    assert!(kept(&bench));
    bench.options.max_bytes = 1;
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..1);
    assert!(run_of(&settled(&outbox), state.run).samples.on_disk.is_empty());
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    close(outbox, thread);
    assert!(!kept(&bench));
}

#[test]
fn a_position_survives_a_restart_and_replaces_the_one_before() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..10);
    let first = settled(&outbox).run;
    wait(outbox.believe(position(&[(first, &[(0, 3), (6, 7)], &[(0, 0)])]))).unwrap();
    assert_eq!(outbox.state().borrow().oldest, Some(UtcMillis(4)));
    close(outbox, thread);

    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    let held = |state: &OutboxState, run, log| run_of(state, run).log(log).held.ranges().collect::<Vec<_>>();
    assert_eq!(held(&state, first, Log::Samples), [(0, 3), (6, 7)]);
    assert_eq!(held(&state, first, Log::Events), [(0, 0)]);
    assert_eq!(state.oldest, Some(UtcMillis(4)));
    // A server restored from a backup holds less: what the next position does not list is not held.
    append(&outbox, Log::Samples, 0..1);
    wait(outbox.believe(position(&[(state.run, &[(0, 0)], &[])]))).unwrap();
    let state = outbox.state().borrow().clone();
    assert_eq!(held(&state, first, Log::Samples), []);
    assert_eq!(held(&state, first, Log::Events), []);
    assert_eq!(held(&state, state.run, Log::Samples), [(0, 0)]);
    assert_eq!(state.oldest, Some(UtcMillis(0)));
    close(outbox, thread);

    // Of a damaged position nothing is believed.
    let path = bench.options.directory.join("position");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    overwrite(&path, &bytes);
    let (outbox, thread) = bench.open();
    assert!(
        settled(&outbox).runs.iter().all(|run| run.samples.held.is_empty() && run.events.held.is_empty())
    );
    close(outbox, thread);
}

#[test]
fn d1_past_so_many_runs_the_oldest_go_once_the_server_holds_all_of_them() {
    let bench = Bench::new();
    let open = || {
        let (payload, digest) = description("bme280").encode();
        let disk = Arc::new(bench.disk.clone());
        let now = || BenchClock.now().into();
        Files::open(disk, &Random::system(), &bench.options, (&payload, digest), now).unwrap().0
    };
    let mut ids = Vec::new();
    for _ in 0..6 {
        let mut files = open();
        files.append(Append::record(Log::Samples, &tick(1), Times::Known)).unwrap();
        files.sync().unwrap();
        ids.push(files.state().run);
    }
    let mut files = open();
    let runs = |files: &mut Files| files.state().runs.iter().map(|run| run.run).collect::<Vec<_>>();
    let whole = |run: &RunId| (*run, &[(0, 0)][..], &[(0, 0)][..]);
    // Of the third one the server lacks a sample.
    let listed = [whole(&ids[0]), whole(&ids[1]), (ids[2], &[], &[(0, 0)]), whole(&ids[3])];
    files.believe(&position(&listed)).unwrap();
    files.fold(7).unwrap();
    assert_eq!(runs(&mut files).len(), 7, "there is room for all");
    let before = files.bytes;
    files.fold(4).unwrap();
    let left = runs(&mut files);
    assert_eq!(left[..4], ids[2..6], "and none that holds back what nobody else has");
    assert!(files.bytes < before);
    drop(files);

    // What a power cut leaves of one that goes is no run.
    let oldest = bench.runs().remove(0);
    fs::rename(&oldest, oldest.with_file_name(format!("{}{}", recover::UNOPENED, ids[2]))).unwrap();
    let mut files = open();
    assert_eq!(runs(&mut files)[..3], ids[3..6]);
    assert_eq!(files.runs[0].opening.unwrap().run_before, Some(ids[2]), "where it ended is still stated");
    assert_eq!(files.damaged(), 0);
}

#[test]
fn a_read_keeps_to_its_limits() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..4);
    let run = settled(&outbox).run;
    let count =
        |sequence, limit| read(&outbox, run, Log::Samples, sequence, limit).map(|chunk| chunk.records.len());
    assert_eq!(count(0, ALL), Some(4));
    assert_eq!(count(1, ReadLimit { records: 2, ..ALL }), Some(2));
    assert_eq!(count(0, ReadLimit { records: 0, ..ALL }), None);
    assert_eq!(count(1, ReadLimit { last: 1, ..ALL }), Some(1));
    assert_eq!(count(1, ReadLimit { last: 0, ..ALL }), None);
    assert_eq!(count(4, ALL), None);
    let framed = |number| tick(number).encode().len() + 2;
    assert_eq!(count(0, ReadLimit { bytes: framed(0) + framed(1), ..ALL }), Some(2));
    assert_eq!(count(0, ReadLimit { bytes: framed(0) + framed(1) - 1, ..ALL }), Some(1));
    assert_eq!(count(0, ReadLimit { bytes: 0, ..ALL }), Some(1));
    assert!(read(&outbox, RunId([1; 16]), Log::Samples, 0, ALL).is_none());
    close(outbox, thread);
}

#[test]
fn a_read_wakes_nobody_who_waits_for_a_change() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..4);
    let run = settled(&outbox).run;
    let mut state = outbox.state();
    state.mark_unchanged();
    for sequence in 0..4 {
        assert!(read(&outbox, run, Log::Samples, sequence, ALL).is_some());
    }
    assert_eq!(read(&outbox, run, Log::Events, 1, ALL), None);
    assert!(!state.has_changed().unwrap());
    append(&outbox, Log::Samples, 4..5);
    settled(&outbox);
    assert!(state.has_changed().unwrap());
    close(outbox, thread);
}

#[test]
fn any_place_in_a_large_segment_can_be_read() {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 1 << 20;
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..3_000);
    let run = settled(&outbox).run;
    let check = |outbox: &Outbox| {
        for sequence in [0, 1, 254, 255, 256, 257, 1_023, 2_999] {
            let limit = ReadLimit { records: 300, bytes: 4_000, ..ALL };
            let chunk = read(outbox, run, Log::Samples, sequence, limit).unwrap();
            for (at, bytes) in chunk.records.iter().enumerate() {
                let number = i64::try_from(sequence).unwrap() + i64::try_from(at).unwrap();
                assert_eq!(Record::decode(bytes).unwrap(), tick(number));
            }
        }
    };
    check(&outbox);
    close(outbox, thread);
    let (outbox, thread) = bench.open();
    check(&outbox);
    close(outbox, thread);
}

#[test]
fn samples_are_synced_when_the_policy_says_and_events_at_once() {
    let mut bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..2);
    append(&outbox, Log::Events, 0..1);
    let run = outbox.state().borrow().run;
    // Answered after all that was appended before is written.
    assert!(read(&outbox, run, Log::Samples, 1, ALL).is_some());
    let state = wait(async {
        let mut state = outbox.state();
        state.wait_for(|state| run_of(state, run).events.end == 2).await.unwrap().clone()
    });
    assert_eq!(run_of(&state, run).events.synced_end, 2);
    assert_eq!((run_of(&state, run).samples.end, run_of(&state, run).samples.synced_end), (2, 0));
    assert_eq!(run_of(&settled(&outbox), run).samples.synced_end, 2);
    close(outbox, thread);

    for sync_every in [Duration::ZERO, Duration::from_millis(1)] {
        bench.options.sync_every = sync_every;
        let (outbox, thread) = bench.open();
        append(&outbox, Log::Samples, 0..2);
        let mut state = outbox.state();
        let run = state.borrow().run;
        wait(async { state.wait_for(|state| run_of(state, run).samples.synced_end == 2).await.map(|_| ()) })
            .unwrap();
        close(outbox, thread);
    }
}

#[test]
fn a_segment_has_its_length_from_the_start_and_gives_back_what_it_does_not_need() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    let length = |path: &Path| fs::metadata(path).unwrap().len();
    append(&outbox, Log::Samples, 0..3);
    let run = settled(&outbox).run;
    let path = segments(&bench.runs()[0], Log::Samples).remove(0);
    let ahead = length(&path);
    assert!(ahead > bench.options.segment_bytes);
    append(&outbox, Log::Samples, 3..6);
    assert_eq!((settled(&outbox).damaged, length(&path)), (0, ahead));
    close(outbox, thread);
    // The next one was begun, and nothing of it was written, or half of its header.
    for begun in [&b""[..], &fs::read(&path).unwrap()[..30]] {
        let next = path.with_file_name("samples-00000000000000000006.log");
        overwrite(&next, &[begun, &[0; 600]].concat());
        let harmed = bench.copy();
        let (outbox, thread) = harmed.open();
        let state = settled(&outbox);
        assert_eq!((run_of(&state, run).samples.end, state.damaged), (6, 0));
        assert_eq!(segments(&harmed.runs()[0], Log::Samples).len(), 1);
        assert_eq!(read_all(&outbox, run, Log::Samples).len(), 6);
        close(outbox, thread);
        fs::remove_file(&next).unwrap();
    }
    let (outbox, thread) = bench.open();
    assert!(length(&path) < ahead);
    assert_eq!(read_all(&outbox, run, Log::Samples).len(), 6);
    close(outbox, thread);
}

#[test]
fn a_segment_is_synced_before_the_next_one_begins() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..40);
    let mut state = outbox.state();
    let run = state.borrow().run;
    wait(async { state.wait_for(|state| run_of(state, run).samples.end == 40).await.map(|_| ()) }).unwrap();
    let last = segments(&bench.runs()[0], Log::Samples).pop().unwrap();
    let synced = run_of(&state.borrow(), run).samples.synced_end;
    assert!(synced > 0 && synced < 40);
    assert_eq!(format!("samples-{synced:020}.log"), last.file_name().unwrap().to_str().unwrap());
    close(outbox, thread);
}

#[test]
fn closing_lets_what_was_appended_be_synced_and_takes_no_more() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    let run = outbox.state().borrow().run;
    append(&outbox, Log::Samples, 0..30);
    let other = outbox.clone();
    other.close();
    thread.join().unwrap();
    assert!(outbox.append(Log::Samples, &tick(0)).is_err());
    assert!(matches!(wait(outbox.sync()), Err(OutboxError::Closed(_))));
    assert_eq!(run_of(&outbox.state().borrow(), run).samples.synced_end, 30);
    let (outbox, thread) = bench.open();
    assert_eq!(read_all(&outbox, run, Log::Samples).len(), 30);
    close(outbox, thread);
}
