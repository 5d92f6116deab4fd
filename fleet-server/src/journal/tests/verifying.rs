//! Reading a journal without changing it.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::segment::{self, HEADER_BYTES};
use super::super::verify::verify_on;
use super::super::{Verified, verify};
use super::*;

fn verified(disk: &MemoryDisk) -> (Verified, Vec<Entry>) {
    let mut entries = Vec::new();
    let verified = verify_on(disk, &options(), false, |entry| entries.push(entry)).unwrap();
    assert_eq!(verified.report.entries, entries.len() as u64);
    (verified, entries)
}

/// All files, as they are shown.
fn content(disk: &MemoryDisk) -> Vec<Vec<u8>> {
    segment_names(disk).iter().map(|name| disk.edit(name, |bytes| bytes.clone())).collect()
}

#[test]
fn it_finds_what_opening_and_replaying_find_wherever_a_byte_is_changed_and_changes_nothing() {
    let disk = MemoryDisk::new(1);
    write_singly(&disk, &[50; 14]);
    for name in segment_names(&disk) {
        for at in (0..disk.edit(&name, |bytes| bytes.len())).step_by(3) {
            let disk = disk.copy();
            disk.edit(&name, |bytes| bytes[at] ^= 0x10);
            let before = content(&disk);
            let (found, entries) = verified(&disk);
            assert_eq!(content(&disk), before, "{name} byte {at}");
            let (journal, replayed, report) = open(&disk).unwrap();
            assert_eq!(entries, replayed, "{name} byte {at}");
            assert_eq!(found.next, journal.next_sequence());
            assert_eq!(found.report.damaged, report.damaged);
            assert_eq!((found.report.missing, found.report.torn_bytes), (report.missing, report.torn_bytes));
            assert_eq!(found.is_sound(), report.damaged.is_empty());
        }
    }
}

#[test]
fn an_end_that_was_torn_at_any_byte_is_no_damage() {
    let disk = MemoryDisk::new(1);
    write_singly(&disk, &[50; 9]);
    let name = segment_names(&disk).pop().unwrap();
    for length in 0..disk.edit(&name, |bytes| bytes.len()) {
        let disk = disk.copy();
        disk.edit(&name, |bytes| bytes.truncate(length));
        let (found, entries) = verified(&disk);
        assert!(found.is_sound(), "{length}: {found:?}");
        let (_, replayed, report) = open(&disk).unwrap();
        assert_eq!((entries, found.report.torn_bytes), (replayed, report.torn_bytes), "{length}");
    }
}

#[test]
fn segments_that_would_end_a_start_are_named_and_the_others_are_read() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[50; 30]);
    let firsts: Vec<u64> = segment_names(&disk).iter().filter_map(|name| segment::first_of(name)).collect();
    let last = *firsts.last().unwrap();
    disk.edit(&segment::name(last), |bytes| bytes[..200].fill(0));
    disk.edit(&segment::name(firsts[1]), |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    });
    let (found, entries) = verified(&disk);
    let [JournalError::Unreadable(unreadable), JournalError::Version { path: later, found: 2, .. }] =
        &found.refused[..]
    else {
        panic!("{found:?}")
    };
    assert!(unreadable.ends_with(segment::name(last)) && later.ends_with(segment::name(firsts[1])));
    let readable =
        |entry: &&Entry| entry.sequence < last && !(firsts[1]..firsts[2]).contains(&entry.sequence);
    assert_eq!(entries, written.iter().filter(readable).cloned().collect::<Vec<_>>());
    assert_eq!(found.report.missing, firsts[2] - firsts[1]);
    assert!(!found.is_sound());
}

#[test]
fn an_empty_directory_is_a_sound_journal_of_nothing() {
    let (found, entries) = verified(&MemoryDisk::new(1));
    assert!(found.is_sound() && entries.is_empty() && found.next == 0);
}

#[test]
fn beside_a_server_that_writes_and_trims_it_reads_committed_entries_alone_and_finds_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let journal = Journal::open(JournalOptions { directory: path.clone(), ..options() }).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut journal = journal.stepped();
            for id in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // Batches of one to four.
                journal.push(draft(id, 60));
                if id % 4 == 3 || id % 7 == 0 {
                    journal.commit().unwrap();
                }
                if id % 50 == 49 {
                    journal.trim_below(id.saturating_sub(100)).unwrap();
                }
            }
        });
        // Until it has seen a hundred trimmed journals.
        let _stopping = StopOnDrop(&stop);
        let mut trimmed = 0;
        while trimmed < 100 {
            let mut last = None;
            let found = verify(&path, |entry| {
                assert_eq!(id_of(&entry), entry.sequence);
                // What is trimmed while it is read is left out, and nothing else.
                assert!(last.is_none_or(|last| last < entry.sequence));
                last = Some(entry.sequence);
            });
            let found = found.unwrap();
            assert!(found.server_runs && found.is_sound(), "{found:?}");
            trimmed += u32::from(found.report.first > 0 && found.report.entries > 0);
        }
    });
    // The writer is gone, and its lock with it.
    assert!(!verify(&path, |_| {}).unwrap().server_runs);
}

#[test]
fn a_batch_that_a_running_server_may_still_be_syncing_is_not_taken_for_committed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let options = JournalOptions { directory: path.clone(), ..options() };
    let mut journal = Journal::open(options).unwrap().stepped();
    for id in 0..3 {
        journal.push(draft(id, 10));
        journal.commit().unwrap();
    }
    let found = verify(&path, |entry| assert!(entry.sequence < 2)).unwrap();
    assert_eq!((found.server_runs, found.next, found.report.entries), (true, 2, 2));
    drop(journal);
    let found = verify(&path, |_| {}).unwrap();
    assert_eq!((found.server_runs, found.next, found.report.entries), (false, 3, 3));
}

#[test]
fn bytes_that_were_written_over_in_the_middle_of_a_file_are_named_and_the_rest_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let options = || JournalOptions { directory: path.clone(), segment_bytes: 20_000, ..options() };
    let mut journal = Journal::open(options()).unwrap().stepped();
    let mut written = Vec::new();
    for id in 0..660 {
        journal.push(draft(id, 90));
        written.extend(journal.commit().unwrap());
    }
    let segments = journal.segments().to_vec();
    assert!(segments.len() > 3);
    drop(journal);
    // In an earlier segment, and in the newest.
    let newest = segments[segments.len() - 1];
    let places = [(segments[1].first, 8_000), (newest.first, newest.bytes / 2)];
    for (first, offset) in places {
        write_over(&path.join(segment::name(first)), offset);
    }

    let mut entries = Vec::new();
    let found = verify(&path, |entry| entries.push(entry)).unwrap();
    for (first, offset) in places {
        let file = path.join(segment::name(first));
        let covers = |damage: &super::super::Damage| {
            damage.path == file && damage.offset <= offset && damage.offset + damage.bytes >= offset + 1024
        };
        assert_eq!(found.report.damaged.iter().filter(|damage| covers(damage)).count(), 1, "{found:?}");
    }
    assert_eq!(entries.len() as u64 + found.report.missing, 660);
    assert!((12..=24).contains(&found.report.missing), "about a kibibyte of each: {found:?}");
    assert!(entries.iter().all(|entry| *entry == written[usize::try_from(entry.sequence).unwrap()]));
    let (replayed, report) = replay(&mut Journal::open(options()).unwrap()).unwrap();
    assert_eq!((replayed, report.damaged), (entries, found.report.damaged));
}

/// Also when the test fails: else the other thread would never end.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What `dd` does to a file, with `conv=notrunc`.
fn write_over(file: &Path, offset: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let noise: Vec<u8> = (0..1024_u32).map(|place| (place * 7 % 251).to_le_bytes()[0]).collect();
    file.write_all_at(&noise, offset).unwrap();
}
