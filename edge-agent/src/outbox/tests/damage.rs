//! Power cuts and damaged cards: whatever the bytes, no wrong record is ever read.

use proptest::prelude::*;

use super::seals::{harm_last_record, seal_of};
use super::*;
use crate::outbox::segment::{self, HEADER_BYTES, Header, PREFIX_BYTES};

#[test]
fn a_power_cut_at_any_byte_leaves_every_record_before_it() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..40);
    append(&outbox, Log::Events, 0..4);
    let run = settled(&outbox).run;
    let samples = read_all(&outbox, run, Log::Samples);
    let events = read_all(&outbox, run, Log::Events);
    close(outbox, thread);
    for (log, written) in [(Log::Samples, samples), (Log::Events, events)] {
        let last = segments(&bench.runs()[0], log).pop().unwrap();
        let first = first_of(&last);
        assert!(first > 0);
        let bytes = fs::read(&last).unwrap();
        for cut in 0..=bytes.len() {
            // How many records lie wholly before the cut.
            let mut whole = first;
            let mut offset = HEADER_BYTES;
            for record in &written[usize::try_from(first).unwrap()..] {
                offset += PREFIX_BYTES + record.1.encode().len();
                whole += u64::from(offset <= cut);
            }
            let harmed = bench.copy();
            let path = segments(&harmed.runs()[0], log).pop().unwrap();
            overwrite(&path, &bytes[..cut]);
            let (outbox, thread) = harmed.open();
            let found = read_all(&outbox, run, log);
            assert_eq!(found, written[..usize::try_from(whole).unwrap()], "cut at {cut}");
            let stated = opening(&outbox, settled(&outbox).run);
            let end = match log {
                Log::Samples => stated.samples_end,
                Log::Events => stated.events_end,
            };
            assert_eq!((end, stated.run_before), (whole, Some(run)), "cut at {cut}");
            // The torn tail is gone from the disk, and what is left is sealed.
            let kept = written[usize::try_from(first).unwrap()..usize::try_from(whole).unwrap()].iter();
            let kept: usize = kept.map(|record| PREFIX_BYTES + record.1.encode().len()).sum();
            let sealed = path.exists().then(|| seal_of(&path, run, log)).flatten();
            match sealed {
                Some(seal) => assert_eq!((seal.end, seal.bytes), (whole, (HEADER_BYTES + kept) as u64)),
                None => assert!(
                    kept == 0 && fs::metadata(&path).map_or(0, |file| file.len()) <= HEADER_BYTES as u64
                ),
            }
            close(outbox, thread);
        }
    }
}

#[test]
fn a_damaged_byte_costs_one_record_and_never_yields_a_wrong_one() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..40);
    let run = settled(&outbox).run;
    let written = read_all(&outbox, run, Log::Samples);
    close(outbox, thread);
    let path = segments(&bench.runs()[0], Log::Samples)[1].clone();
    // As a segment that was never sealed.
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(usize::try_from(seal_of(&path, run, Log::Samples).unwrap().bytes).unwrap());
    for place in 0..bytes.len() {
        let harmed = bench.copy();
        let mut bytes = bytes.clone();
        bytes[place] ^= 0xFF;
        overwrite(&segments(&harmed.runs()[0], Log::Samples)[1], &bytes);
        let (outbox, thread) = harmed.open();
        let found = read_all(&outbox, run, Log::Samples);
        assert!(found.iter().all(|one| written.contains(one)), "byte {place}");
        let lost = written.len() - found.len();
        assert!(lost > 0 && (place < HEADER_BYTES || lost == 1), "byte {place}: {lost} lost");
        let state = settled(&outbox);
        assert_eq!(state.damaged, 1);
        // What is not there is not stated, and where the log ended is.
        assert_eq!(run_of(&state, run).samples.on_disk.count(), found.len() as u64);
        assert_eq!(opening(&outbox, state.run).samples_end, written.len() as u64);
        close(outbox, thread);
    }
}

#[test]
fn a_damaged_place_counts_once_whoever_finds_it_and_however_often_it_is_met() {
    let mut bench = Bench::new();
    bench.options.max_bytes = 4_000;
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..60);
    let run = settled(&outbox).run;
    close(outbox, thread);
    let path = segments(&bench.runs()[0], Log::Samples)[1].clone();
    let records_end = usize::try_from(seal_of(&path, run, Log::Samples).unwrap().bytes).unwrap();
    let whole = fs::read(&path).unwrap();
    for place in (HEADER_BYTES..records_end).step_by(5) {
        // A start finds it, who reads it to send it, or who drops it.
        for (sealed, reads) in [(false, true), (true, true), (true, false)] {
            let harmed = bench.copy();
            let mut bytes = whole.clone();
            bytes[place] ^= 0xFF;
            bytes.truncate(if sealed { bytes.len() } else { records_end });
            overwrite(&segments(&harmed.runs()[0], Log::Samples)[1], &bytes);
            let (outbox, thread) = harmed.open();
            let at_start = settled(&outbox).damaged;
            assert_eq!(at_start, u64::from(!sealed));
            for sequence in (0..60).rev().filter(|_| reads) {
                drop(read(&outbox, run, Log::Samples, sequence, ReadLimit { records: 1, ..ALL }));
            }
            assert_eq!(settled(&outbox).damaged, at_start.max(u64::from(reads)), "byte {place}");
            append(&outbox, Log::Samples, 60..260);
            let state = settled(&outbox);
            assert!(run_of(&state, run).samples.on_disk.is_empty());
            assert_eq!((state.damaged, state.dropped.damaged), (1, 1), "byte {place}");
            close(outbox, thread);
        }
    }
}

#[test]
fn a_record_that_rots_after_the_start_is_found_out_when_it_is_read() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..8);
    let state = settled(&outbox);
    let path = segments(&bench.runs()[0], Log::Samples).remove(0);
    harm_last_record(&path);
    assert_eq!(read(&outbox, state.run, Log::Samples, 0, ALL).unwrap().records.len(), 7);
    assert!(read(&outbox, state.run, Log::Samples, 7, ALL).is_none());
    let after = settled(&outbox);
    assert_eq!(run_of(&after, state.run).samples.on_disk, Pieces::below(7));
    assert_eq!((run_of(&after, state.run).samples.end, after.damaged), (8, 1));
    close(outbox, thread);
}

#[test]
fn a_segment_that_vanishes_after_the_start_is_an_error_once_and_then_not_stated() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 0..40);
    let state = settled(&outbox);
    let all = segments(&bench.runs()[0], Log::Samples);
    fs::remove_file(&all[0]).unwrap();
    let place = Place { run: state.run, log: Log::Samples, sequence: 2 };
    assert!(matches!(wait(outbox.read(place, ALL)), Err(OutboxError::Read { path, .. }) if path == all[0]));
    assert!(wait(outbox.read(place, ALL)).unwrap().is_none());
    let after = settled(&outbox);
    let stated = &run_of(&after, state.run).samples.on_disk;
    let next = stated.ranges().nth(1).unwrap().0;
    assert_eq!((stated.ranges().next(), next), (Some((0, 1)), first_of(&all[1])));
    close(outbox, thread);
}

#[test]
fn an_unreadable_opening_still_leaves_a_run_that_the_next_one_names() {
    let bench = Bench::new();
    let (outbox, thread) = bench.open();
    append(&outbox, Log::Samples, 7_000..7_003);
    let run = settled(&outbox).run;
    close(outbox, thread);
    overwrite(&segments(&bench.runs()[0], Log::Events)[0], &[0; 200]);
    let (outbox, thread) = bench.open();
    let state = settled(&outbox);
    let stated = opening(&outbox, state.run);
    assert_eq!((stated.run_before, stated.samples_end), (Some(run), 3));
    assert_eq!(stated.ended, Some(UtcMillis(7_002)));
    close(outbox, thread);
}

/// A change of bytes, as disks make them.
#[derive(Clone, Debug)]
enum Harm {
    Flip(usize, u8),
    Zero(usize, usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    /// Bytes of the same file in a wrong place.
    Repeat(usize, usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = 0..4_000_usize;
    prop_oneof![
        (place.clone(), 1..=255_u8).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        (place.clone(), 1..600_usize).prop_map(|(at, length)| Harm::Zero(at, length)),
        (place.clone(), 1..100_usize).prop_map(|(at, length)| Harm::Remove(at, length)),
        (place.clone(), prop::collection::vec(any::<u8>(), 1..100))
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        (place.clone(), place, 1..600_usize).prop_map(|(from, to, length)| Harm::Repeat(from, to, length)),
    ]
}

impl Harm {
    fn apply(self, bytes: &mut Vec<u8>) {
        let within = |at: usize| HEADER_BYTES + at % (bytes.len() - HEADER_BYTES + 1);
        let end = |at: usize, length: usize| (at + length).min(bytes.len());
        match self {
            Self::Flip(at, bits) => {
                let at = within(at).min(bytes.len() - 1);
                bytes[at] ^= bits;
            }
            Self::Zero(at, length) => {
                let (at, end) = (within(at), end(within(at), length));
                bytes[at..end].fill(0);
            }
            Self::Remove(at, length) => {
                let range = within(at)..end(within(at), length);
                bytes.drain(range);
            }
            Self::Insert(at, more) => {
                let at = within(at);
                bytes.splice(at..at, more);
            }
            Self::Repeat(from, to, length) => {
                let copied = bytes[within(from)..end(within(from), length)].to_vec();
                let to = within(to);
                bytes.splice(to..to, copied);
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_to_a_segments_bytes_each_place_holds_its_own_record_or_none(
        lengths in prop::collection::vec(1..60_usize, 1..90),
        harms in prop::collection::vec(harm(), 1..4),
    ) {
        let header = Header { run: RunId([3; 16]), log: Log::Samples, first: 7, description: Digest([4; 32]) };
        let (head, seed) = header.encode();
        let mut bytes = head.to_vec();
        let records: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, length)| {
            (0..*length).map(|at| u8::try_from((n * 31 + at * 7) % 256).unwrap()).collect()
        }).collect();
        for (place, record) in records.iter().enumerate() {
            segment::write_record(&mut bytes, seed, u32::try_from(place).unwrap(), record);
        }
        let before = segment::scan(&bytes, seed, |_| {});
        let last = u32::try_from(records.len() - 1).unwrap();
        prop_assert_eq!((before.whole, before.whole_bytes, before.damaged), (vec![(0, last)], bytes.len(), 0));
        for harm in harms {
            harm.apply(&mut bytes);
        }

        let found = segment::scan(&bytes, seed, |_| {});
        for (first, last) in found.whole {
            for place in first..=last {
                // As a read does it: from the nearest known offset.
                let (mut at, mut offset) = found.offsets.at_or_before(place).unwrap();
                while at < place {
                    offset += PREFIX_BYTES + segment::record_at(&bytes, offset, seed, at).unwrap().len();
                    at += 1;
                }
                prop_assert_eq!(segment::record_at(&bytes, offset, seed, place), Some(&records[place as usize][..]));
            }
        }
    }
}

#[test]
fn a_lost_page_costs_only_the_records_in_it() {
    let header = Header { run: RunId([3; 16]), log: Log::Events, first: 0, description: Digest([4; 32]) };
    let (head, seed) = header.encode();
    let mut bytes = head.to_vec();
    (0..1_000_u32)
        .for_each(|place| segment::write_record(&mut bytes, seed, place, &place.to_le_bytes().repeat(10)));
    bytes[8_192..12_288].fill(0);
    let found = segment::scan(&bytes, seed, |_| {});
    // 48 bytes each: records 169 to 254 touch the page.
    assert_eq!((found.whole, found.damaged), (vec![(0, 168), (255, 999)], 1));
}

#[test]
fn records_of_another_run_or_segment_are_never_taken_for_ours() {
    let header = Header { run: RunId([3; 16]), log: Log::Events, first: 0, description: Digest([4; 32]) };
    let (head, seed) = header.encode();
    let others = [
        Header { run: RunId([2; 16]), ..header.clone() },
        Header { log: Log::Samples, ..header.clone() },
        Header { first: 1, ..header.clone() },
        Header { description: Digest([5; 32]), ..header },
    ];
    for other in others {
        let mut bytes = head.to_vec();
        (0..9).for_each(|place| segment::write_record(&mut bytes, other.encode().1, place, b"stray"));
        assert!(segment::scan(&bytes, seed, |_| {}).whole.is_empty(), "{other:?}");
    }
}
