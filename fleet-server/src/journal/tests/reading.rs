//! Reading from a sequence on.

use super::super::segment::{self, HEADER_BYTES};
use super::super::{DamageKind, JournalError};
use super::*;

fn replay_from(disk: &MemoryDisk, from: u64) -> Result<(Vec<Entry>, ReplayReport), JournalError> {
    let mut journal = open(disk).unwrap().0;
    let mut entries = Vec::new();
    let report = journal.replay_from(from, |entry| entries.push(entry))?;
    assert_eq!(report.entries, entries.len() as u64);
    Ok((entries, report))
}

#[test]
fn from_every_sequence_on_there_is_what_stands_there_and_no_earlier_segment_is_read() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[50; 30]);
    let segments = open(&disk).unwrap().0.segments().to_vec();
    assert!(segments.len() > 3);
    for from in 0..=30 {
        let (entries, report) = replay_from(&disk, from).unwrap();
        assert_eq!(entries, written[usize::try_from(from).unwrap()..]);
        assert!(report.damaged.is_empty() && report.missing == 0, "{report:?}");
        let needed = segments.iter().skip(1).filter(|segment| segment.first > from).count() as u64 + 1;
        assert_eq!(report.segments, needed, "from {from}");
    }
    let error = replay_from(&disk, 31).unwrap_err();
    assert!(matches!(error, JournalError::Ends { next: 30, asked: 31, .. }), "{error}");
}

#[test]
fn only_entries_from_there_on_are_counted_as_missing() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[50; 6]);
    let record = segment::record_bytes(&written[0].lamppost, &written[0].payload);
    // The second and third of the only segment.
    disk.edit(&segment::name(0), |bytes| bytes[HEADER_BYTES + record..HEADER_BYTES + 3 * record].fill(0));
    for (from, missing) in [(0, 2), (1, 2), (2, 1), (3, 0), (5, 0)] {
        let (entries, report) = replay_from(&disk, from).unwrap();
        assert_eq!(report.missing, missing, "from {from}");
        assert_eq!(entries.len() as u64, 6 - from - missing, "from {from}");
        assert!(report.damaged.iter().any(|damage| damage.kind == DamageKind::Records));
    }
}

#[test]
fn what_lies_before_the_oldest_segment_is_missing_to_who_asks_for_it() {
    let disk = MemoryDisk::new(1);
    write_singly(&disk, &[50; 14]);
    let first = open(&disk).unwrap().0.segments()[1].first;
    disk.remove(&segment::name(0)).unwrap();
    let (journal, entries, report) = open(&disk).unwrap();
    assert_eq!(journal.first_sequence(), first);
    assert_eq!((entries[0].sequence, report.missing, report.damaged.len()), (first, 0, 0));
    let (_, report) = replay_from(&disk, first - 2).unwrap();
    assert_eq!(report.missing, 2);
    assert_eq!(report.damaged[0].kind, DamageKind::Gap { expected: first - 2, found: first });
}

#[test]
fn a_journal_that_lost_its_end_goes_on_where_others_know_that_it_had_been() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[50; 4]);
    let mut journal = open(&disk).unwrap().0;
    journal.continue_at(3);
    assert_eq!(journal.next_sequence(), 4, "it had come farther");
    journal.continue_at(100);
    let (entries, report) = replay(&mut journal).unwrap();
    assert_eq!((&entries[..], report.missing), (&written[..], 96));
    let mut journal = journal.stepped();
    assert_eq!(journal.push(draft(7, 10)).sequence, 100);
    journal.commit().unwrap();

    let (entries, report) = replay_from(&disk, 100).unwrap();
    assert_eq!(entries.iter().map(id_of).collect::<Vec<_>>(), [7]);
    assert!(report.damaged.is_empty() && report.missing == 0);
    assert_eq!(open(&disk).unwrap().2.missing, 96);
}

#[test]
fn an_empty_journal_goes_on_where_it_is_told_to() {
    let disk = MemoryDisk::new(1);
    let mut journal = open(&disk).unwrap().0;
    journal.continue_at(9);
    let report = journal.replay_from(9, |_| unreachable!()).unwrap();
    assert!(report.damaged.is_empty() && report.missing == 0);
    let mut journal = journal.stepped();
    journal.push(draft(7, 10));
    assert_eq!(journal.commit().unwrap()[0].sequence, 9);
    let (journal, _, report) = open(&disk).unwrap();
    assert_eq!((journal.first_sequence(), journal.next_sequence(), report.missing), (9, 10, 0));
}
