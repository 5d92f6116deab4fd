//! Trimming, also where the machine stops in the middle of it.

use super::super::memory_disk::{Faults, Stop};
use super::super::{Operation, SegmentInfo, SteppedJournal, Trimmed};
use super::*;

/// A journal of some segments; its entries.
fn written(disk: &MemoryDisk) -> (SteppedJournal, Vec<Entry>) {
    let mut journal = open(disk).unwrap().0.stepped();
    let mut entries = Vec::new();
    for id in 0..30 {
        journal.push(draft(id, 50));
        entries.extend(journal.commit().unwrap());
    }
    assert!(journal.segments().len() >= 4);
    (journal, entries)
}

fn firsts(segments: &[SegmentInfo]) -> Vec<u64> {
    segments.iter().map(|segment| segment.first).collect()
}

#[test]
fn whole_segments_below_the_sequence_go_and_the_newest_never_does() {
    let disk = MemoryDisk::new(1);
    let (journal, entries) = written(&disk);
    let all = journal.segments().to_vec();
    drop(journal);
    for sequence in [0, 1, all[1].first - 1, all[1].first, all[2].first + 1, 29, 30, u64::MAX] {
        let disk = disk.copy();
        let options = options();
        let metrics = options.metrics.clone();
        let mut journal = Journal::open_on(options, Box::new(disk.clone())).unwrap().stepped();
        let trimmed = journal.trim_below(sequence).unwrap();
        let gone = all[1..].iter().filter(|next| next.first <= sequence).count();
        let bytes = all[..gone].iter().map(|segment| segment.bytes).sum();
        let first = all[gone].first;
        assert_eq!(trimmed, Trimmed { segments: gone as u64, bytes, first }, "below {sequence}");
        assert_eq!(journal.segments(), &all[gone..]);
        assert!(!journal.segments().is_empty());
        assert_eq!(
            on_disk(&metrics),
            ((all.len() - gone) as u64, all[gone..].iter().map(|one| one.bytes).sum())
        );

        // It goes on as if nothing had happened, and opens so.
        journal.push(draft(30, 10));
        assert_eq!(journal.commit().unwrap()[0].sequence, 30);
        let (opened, replayed, report) = open(&disk.restart(Stop::PowerCut)).unwrap();
        assert_eq!((opened.first_sequence(), report.first, opened.next_sequence()), (first, first, 31));
        assert_eq!(replayed[..replayed.len() - 1], entries[usize::try_from(first).unwrap()..]);
        assert!(report.damaged.is_empty() && report.missing == 0, "{report:?}");
    }
}

#[test]
fn a_machine_that_stops_anywhere_in_trimming_finds_a_journal_without_a_hole_and_trims_it_then() {
    for stop in [Stop::Kill, Stop::PowerCut] {
        for seed in 0..16 {
            let mut stops = 0;
            for operations in 0.. {
                let disk = MemoryDisk::new(seed * 1000 + operations);
                let (mut journal, entries) = written(&disk);
                let below = *firsts(journal.segments()).last().unwrap();
                disk.fail(Faults {
                    stops_after: Some(u32::try_from(operations).unwrap()),
                    ..Faults::default()
                });
                let trimmed = journal.trim_below(below);
                let disk = disk.restart(stop);
                let (opened, replayed, report) = open(&disk).unwrap();
                assert!(report.damaged.is_empty() && report.missing == 0, "{report:?}");
                assert_eq!(replayed, entries[usize::try_from(report.first).unwrap()..]);
                assert!(report.first <= below);
                assert_eq!(opened.next_sequence(), 30);
                assert_eq!(opened.stepped().trim_below(below).unwrap().first, below);
                if trimmed.is_ok() {
                    assert_eq!(report.first, below, "what was said to be trimmed comes back");
                    break;
                }
                stops += 1;
            }
            assert!(stops >= 6, "three segments at least, by two operations each");
        }
    }
}

#[test]
fn a_removal_that_fails_leaves_the_rest_in_order_and_is_done_when_it_is_tried_again() {
    for (removals, name_syncs) in [(1, 0), (0, 1)] {
        let disk = MemoryDisk::new(1);
        let (mut journal, entries) = written(&disk);
        let all = firsts(journal.segments());
        journal.trim_below(all[1]).unwrap();
        disk.fail(Faults { removals, name_syncs, ..Faults::default() });
        let failure = journal.trim_below(u64::MAX).unwrap_err();
        assert_eq!(failure.operation, Operation::Remove);
        assert_eq!(firsts(journal.segments()), all[1..]);
        assert!(!journal.is_failing(), "what is written does not depend on it");
        journal.push(draft(30, 10));
        assert_eq!(journal.commit().unwrap()[0].sequence, 30);

        let (_, replayed, report) = open(&disk.copy().restart(Stop::PowerCut)).unwrap();
        assert!(report.damaged.is_empty() && report.missing == 0, "{report:?}");
        assert_eq!(replayed[..replayed.len() - 1], entries[usize::try_from(report.first).unwrap()..]);
        let newest = *firsts(journal.segments()).last().unwrap();
        assert_eq!(journal.trim_below(u64::MAX).unwrap().first, newest);
    }
}

#[test]
fn an_empty_newest_segment_keeps_the_sequence_though_all_before_it_is_trimmed() {
    let disk = MemoryDisk::new(1);
    let (mut journal, _) = written(&disk);
    disk.fail(Faults { writes: 1, ..Faults::default() });
    journal.push(draft(30, 10));
    journal.commit().unwrap_err();
    journal.recover().unwrap();
    assert_eq!(journal.trim_below(30).unwrap().first, 30);
    let disk = disk.restart(Stop::PowerCut);
    let (opened, replayed, _) = open(&disk).unwrap();
    assert_eq!((replayed.len(), opened.first_sequence(), opened.next_sequence()), (0, 30, 30));
    assert_eq!(segment_names(&disk).len(), 1);
}

#[test]
fn a_full_disk_is_made_room_on_by_trimming_and_the_journal_goes_on() {
    let disk = MemoryDisk::new(1);
    let (journal, _) = written(&disk);
    drop(journal);
    let below = LowWater::of_bytes(900);
    let options = JournalOptions { low_water: below, look_every: Duration::from_millis(1), ..options() };
    let metrics = options.metrics.clone();
    let used: usize = segment_names(&disk).iter().map(|name| disk.edit(name, |bytes| bytes.len())).sum();
    disk.fail(Faults { space: Some(used + 100), ..Faults::default() });
    let journal = Journal::open_on(options, Box::new(disk.clone())).unwrap();
    let oldest = firsts(journal.segments());
    block_on(async {
        let running = start(journal);
        let tickets = running.append(&[10], 30).await;
        looked(&disk).await;
        assert_eq!(running.handle.committed().borrow().fate(tickets[0]), Fate::Waiting);
        running.handle.trim_below(oldest[2]);
        assert_eq!(settled(&running.handle, tickets[0]).await, Fate::Committed);
        running.finish();
    });
    assert_eq!(metrics.failures_of(Operation::Remove), 0);
    assert_eq!(open(&disk).unwrap().0.first_sequence(), oldest[2]);
}
