//! What a start does not read, and what becomes of damage there.

use super::*;
use crate::outbox::log_index::Segment;
use crate::outbox::seal::{self, Seal};
use crate::outbox::segment::{HEADER_BYTES, PREFIX_BYTES};
use crate::outbox::{Disk as _, SystemDisk};

/// The seal of a closed segment.
pub(super) fn seal_of(path: &Path, run: RunId, log: Log) -> Option<Seal> {
    let file = SystemDisk.open(path).unwrap();
    seal::read(&*file, file.length().unwrap(), (run, log, first_of(path)))
}

/// Changes a byte.
pub(super) fn harm(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(at).unwrap()] ^= 0x10;
    overwrite(path, &bytes);
}

/// Changes the last byte that was written: behind it are the zeros of space that was taken ahead.
pub(super) fn harm_last_record(path: &Path) {
    let written = fs::read(path).unwrap();
    harm(path, written.iter().rposition(|byte| *byte != 0).unwrap() as u64);
}

/// Sixty samples in several segments, and the run that wrote them.
fn written() -> (Bench, RunId, Vec<PathBuf>) {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..60);
    let run = settled(&outbox).run;
    close(outbox, thread);
    let all = segments(&bench.runs()[0], Log::Samples);
    assert!(all.len() > 3);
    (bench, run, all)
}

/// Sequences of a run's samples that can be read.
fn readable(outbox: &Outbox, run: RunId) -> Pieces {
    let mut found = Pieces::new();
    for sequence in 0..60 {
        if let Some(chunk) = read(outbox, run, Log::Samples, sequence, ReadLimit { records: 1, ..ALL }) {
            assert_eq!(Record::decode(&chunk.records[0]).unwrap(), tick(i64::try_from(sequence).unwrap()));
            found.insert(sequence, sequence);
        }
    }
    found
}

#[test]
fn a_start_reads_of_a_closed_segment_no_more_than_its_seal() {
    let mut bench = Bench::new();
    bench.options.segment_bytes = 64 << 10;
    let mut outbox = bench.step();
    let run = outbox.state().run;
    (0..60_000).for_each(|number| outbox.append(Log::Samples, &tick(number)).unwrap());
    outbox.sync().unwrap();
    let before = outbox.state();
    drop(outbox);
    let closed = segments(&bench.runs()[0], Log::Samples).len() as u64 - 1;
    assert!(closed > 20);
    for _ in 0..2 {
        bench.disk.read.store(0, Ordering::SeqCst);
        let (outbox, thread) = bench.open();
        // The last segment is read when it is verified, and when it is written over itself.
        let most = closed * (4 << 10) + 2 * (64 << 10) + (16 << 10);
        assert!(bench.disk.read.load(Ordering::SeqCst) < most);
        let state = settled(&outbox);
        assert_eq!(run_of(&state, run).samples.on_disk, run_of(&before, run).samples.on_disk);
        close(outbox, thread);
    }
    assert_eq!(read_all(&bench.open().0, run, Log::Samples).len(), 60_000);
}

#[test]
fn d11_damage_in_a_closed_segment_is_found_when_it_is_read_and_costs_that_record_alone() {
    let (bench, run, all) = written();
    harm(&all[1], HEADER_BYTES as u64 + 4);
    let (outbox, thread) = bench.open();
    assert_eq!((settled(&outbox).damaged, reports(&outbox).len()), (0, 0));
    let lost = first_of(&all[1]);
    let mut left = Pieces::below(60);
    left.remove(lost, lost);
    assert_eq!(readable(&outbox, run), left);
    append(&outbox, Log::Samples, 60..61);
    let said = reports(&outbox);
    assert_eq!((said.len(), said[0].reason), (1, DropReason::Damaged));
    assert_eq!(said[0].pieces.ranges().collect::<Vec<_>>(), [(lost, lost)]);
    assert_eq!(settled(&outbox).damaged, 1);
    close(outbox, thread);

    // From then on it is known.
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    assert_eq!((run_of(&state, run).samples.on_disk.clone(), state.damaged), (left, 1));
    assert_eq!(reports(&outbox), said);
    close(outbox, thread);
}

#[test]
fn d11_damage_that_nobody_read_is_told_apart_from_what_is_dropped_for_space() {
    let (mut bench, run, all) = written();
    harm(&all[0], HEADER_BYTES as u64 + 4);
    bench.options.max_bytes = 2_500;
    let (outbox, thread) = bench.open();
    while all[0].exists() {
        append(&outbox, Log::Samples, 3..4);
        settled(&outbox);
    }
    let said = reports(&outbox);
    let ranges = |report: &Dropped| report.pieces.ranges().collect::<Vec<_>>();
    assert_eq!((said[0].run, said[0].reason, ranges(&said[0])), (run, DropReason::Damaged, vec![(0, 0)]));
    let last = first_of(&all[1]) - 1;
    assert_eq!((said[1].run, said[1].reason, ranges(&said[1])), (run, DropReason::Bytes, vec![(1, last)]));
    let records: Vec<Record> = (1..=i64::try_from(last).unwrap()).map(tick).collect();
    assert_eq!(said[1].series, counted(records.iter()));
    close(outbox, thread);
}

#[test]
fn a_seal_that_is_missing_or_damaged_costs_nothing() {
    let (bench, run, all) = written();
    let bytes = fs::read(&all[1]).unwrap();
    let records = usize::try_from(seal_of(&all[1], run, Log::Samples).unwrap().bytes).unwrap();
    assert!(records < bytes.len());
    for at in records..bytes.len() {
        for cut in [false, true] {
            let harmed = bench.copy();
            let path = segments(&harmed.runs()[0], Log::Samples).remove(1);
            if cut {
                overwrite(&path, &bytes[..at]);
            } else {
                harm(&path, at as u64);
            }
            let (outbox, thread) = harmed.open();
            assert_eq!(readable(&outbox, run), Pieces::below(60), "byte {at}, cut: {cut}");
            assert_eq!((settled(&outbox).damaged, reports(&outbox).len()), (0, 0));
            close(outbox, thread);
        }
    }
}

#[test]
fn d2_the_last_segment_of_the_last_run_is_read_though_it_is_sealed() {
    let (bench, run, all) = written();
    // A start that dies before its run is there leaves a sealed segment that no run follows.
    let (outbox, thread) = bench.open();
    close(outbox, thread);
    fs::remove_dir_all(&bench.runs()[1]).unwrap();
    let last = all.last().unwrap();
    let sealed = seal_of(last, run, Log::Samples).unwrap();
    assert_eq!(sealed.end, 60);
    harm(last, sealed.bytes - 1);
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    assert_eq!(run_of(&state, run).samples.on_disk, Pieces::below(59));
    assert_eq!(opening(&outbox, state.run).samples_end, 59);
    assert_eq!(seal_of(last, run, Log::Samples).unwrap().end, 59);
    close(outbox, thread);
}

#[test]
fn d2_what_could_not_be_read_of_the_last_segment_is_not_believed_by_a_later_start_either() {
    let (bench, run, all) = written();
    // A power cut took its header, and left what was written after it, its seal included.
    let (outbox, thread) = bench.open();
    close(outbox, thread);
    fs::remove_dir_all(&bench.runs()[1]).unwrap();
    let last = all.last().unwrap();
    harm(last, 0);
    assert_eq!(seal_of(last, run, Log::Samples).unwrap().end, 60);
    let left = Pieces::below(first_of(last));
    for _ in 0..3 {
        let (outbox, thread) = bench.open();
        let state = settled(&outbox);
        assert_eq!(run_of(&state, run).samples.on_disk, left);
        assert_eq!(readable(&outbox, run), left);
        assert_eq!(seal_of(last, run, Log::Samples), None);
        close(outbox, thread);
    }
}

#[test]
fn d2_a_death_in_any_write_leaves_an_outbox_that_opens_with_all_that_was_synced() {
    let mut torn_seals = 0;
    for writes in 2.. {
        let bench = Bench::new();
        let mut outbox = bench.step();
        let run = outbox.state().run;
        bench.disk.writes.store(writes, Ordering::SeqCst);
        let mut synced = 0;
        let died = (0..60).try_for_each(|number| {
            outbox.append(Log::Samples, &tick(number))?;
            outbox.sync()?;
            synced += 1;
            Ok::<(), OutboxError>(())
        });
        drop(outbox);
        bench.disk.writes.store(u32::MAX, Ordering::SeqCst);
        let last = segments(&bench.runs()[0], Log::Samples).pop().unwrap();
        let left = fs::read(&last).unwrap();
        let (outbox, thread) = bench.open();
        let state = settled(&outbox);
        let found = run_of(&state, run).samples.on_disk.clone();
        assert!(found == Pieces::below(synced) || found == Pieces::below(synced + 1), "after {writes}");
        assert_eq!((state.damaged, reports(&outbox).len()), (0, 0));
        let whole = (0..synced).skip(usize::try_from(first_of(&last)).unwrap());
        let bytes: usize =
            whole.map(|at| PREFIX_BYTES + tick(i64::try_from(at).unwrap()).encode().len()).sum();
        // A seal begins with the digest.
        let tail = left.get(HEADER_BYTES + bytes..).unwrap_or_default();
        torn_seals += usize::from(died.is_err() && tail.starts_with(&digest("bme280").0));
        close(outbox, thread);
        if died.is_ok() {
            break;
        }
    }
    assert!(torn_seals > 1);
}

#[test]
fn a_seal_says_of_a_segment_of_the_smallest_records_what_was_written() {
    let (header, first) = (segment_header(), 7);
    let (head, seed) = header.encode();
    let mut segment = Segment::new(first, 0, Some((header, seed)), crate::outbox::dropping::Drops::Allowed);
    let mut bytes = head.to_vec();
    for place in 0..100_000 {
        segment.offsets.note(place, bytes.len());
        crate::outbox::segment::write_record(&mut bytes, seed, place, b"x");
    }
    (segment.end, segment.bytes) = (first + 100_000, bytes.len() as u64);
    segment.newest = Some(UtcMillis(-3));
    let sealed = seal::seal(&segment).unwrap();
    assert!(sealed.len() > 3_000 && sealed.len() as u64 <= seal::most_bytes(segment.bytes));
    let kept = TempDir::new().unwrap();
    let path = kept.path().join("samples-00000000000000000007.log");
    overwrite(&path, &[&bytes[..], &sealed].concat());
    let run = RunId([3; 16]);
    let found = seal_of(&path, run, Log::Samples).unwrap();
    assert_eq!(found.header, segment.header.clone().unwrap());
    assert_eq!((found.end, found.bytes, found.newest), (segment.end, segment.bytes, UtcMillis(-3)));
    assert_eq!(found.offsets, segment.offsets);
    // It is that segment's alone.
    assert_eq!(seal_of(&path, RunId([4; 16]), Log::Samples), None);
    assert_eq!(seal_of(&path, run, Log::Events), None);
    segment.newest = None;
    assert_eq!(seal::seal(&segment), None);
}

fn segment_header() -> crate::outbox::segment::Header {
    crate::outbox::segment::Header {
        run: RunId([3; 16]),
        log: Log::Samples,
        first: 7,
        description: Digest([4; 32]),
    }
}
