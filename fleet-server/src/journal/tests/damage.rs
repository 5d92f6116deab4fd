//! What opening and replaying make of files that are torn, damaged, missing or strange.

use std::path::PathBuf;

use super::super::segment::{self, HEADER_BYTES};
use super::super::{Damage, DamageKind, Journal};
use super::*;

#[test]
fn what_was_committed_comes_back_once_and_in_order_after_every_start() {
    let directory = tempfile::tempdir().unwrap();
    let in_directory = || JournalOptions { directory: directory.path().join("journal"), ..options() };
    let mut all = Vec::new();
    for life in 0..4_u64 {
        let mut journal = Journal::open(in_directory()).unwrap();
        let (replayed, report) = replay(&mut journal).unwrap();
        assert_eq!(replayed, all);
        assert!(report.damaged.is_empty() && report.missing == 0 && report.torn_bytes == 0, "{report:?}");
        assert_eq!(journal.next_sequence(), life * 20);
        block_on(async {
            let running = start(journal);
            for id in life * 20..life * 20 + 20 {
                let tickets = running.append(&[90], id).await;
                assert_eq!(settled(&running.handle, tickets[0]).await, Fate::Committed);
            }
            all.extend(running.finish());
        });
    }
    assert!(
        all.iter().zip(0..).all(|(entry, sequence)| entry.sequence == sequence && id_of(entry) == sequence)
    );
    let files = std::fs::read_dir(directory.path().join("journal")).unwrap().count();
    assert!(files > 10, "the bound of segments was kept: {files} files");
}

#[test]
fn a_last_segment_cut_at_any_byte_gives_all_that_was_committed_before_the_cut_and_nothing_wrong() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[10, 0, 33, 200, 5, 61]);
    let name = segment::name(0);
    let length = disk.edit(&name, |bytes| bytes.len());
    let mut ends = vec![HEADER_BYTES];
    for entry in &written {
        ends.push(ends.last().unwrap() + segment::record_bytes(&entry.lamppost, &entry.payload));
    }
    assert_eq!(ends.last(), Some(&length));

    for cut in 0..=length {
        let disk = disk.copy();
        disk.edit(&name, |bytes| bytes.truncate(cut));
        let (journal, replayed, report) = open(&disk).unwrap();
        let whole = ends.iter().filter(|&&end| end <= cut).count().saturating_sub(1);
        assert_eq!(replayed, written[..whole], "cut at {cut}");
        assert!(report.damaged.is_empty(), "cut at {cut}: {report:?}");
        let begins = if cut < HEADER_BYTES { 0 } else { ends[whole] };
        assert_eq!(report.torn_bytes, (cut - begins) as u64, "cut at {cut}");
        // What is appended next takes the place of what was cut.
        assert_eq!(journal.next_sequence(), whole as u64);
        drop(journal);
        if cut % 7 == 0 {
            block_on(async {
                let running = start(open(&disk).unwrap().0);
                let tickets = running.append(&[40], 99).await;
                assert_eq!(settled(&running.handle, tickets[0]).await, Fate::Committed);
                running.finish();
            });
            let (_, replayed, report) = open(&disk).unwrap();
            assert_eq!(replayed[..whole], written[..whole]);
            assert_eq!(replayed[whole..].iter().map(id_of).collect::<Vec<_>>(), [99]);
            assert!(report.damaged.is_empty() && report.torn_bytes == 0);
        }
    }
}

#[test]
fn a_batch_that_was_torn_in_its_middle_is_cut_from_there_though_its_end_is_intact() {
    let disk = MemoryDisk::new(1);
    let committed = write_singly(&disk, &[20, 20]);
    let name = segment::name(0);
    let end = disk.edit(&name, |bytes| {
        let mark = bytes[12..16].try_into().unwrap();
        let end = bytes.len();
        for (place, sequence) in (0..).zip(2..6) {
            let Draft { received, lamppost, leaf, payload } = draft(sequence, 20);
            let entry = Entry { sequence, received, lamppost, leaf, payload };
            segment::write_record(bytes, mark, place, &entry);
        }
        // The second of the batch's four records did not reach the disk.
        let record = (bytes.len() - end) / 4;
        bytes[end + record..end + 2 * record].fill(0);
        end + record
    });
    let (journal, replayed, report) = open(&disk).unwrap();
    assert_eq!(replayed[..2], committed);
    assert_eq!(replayed.len(), 3, "the first of the batch is whole, and may stay");
    assert_eq!(journal.next_sequence(), 3);
    assert!(report.torn_bytes > 0 && report.damaged.is_empty());
    assert_eq!(disk.edit(&name, |bytes| bytes.len()), end);
}

#[test]
fn a_changed_byte_anywhere_in_committed_batches_costs_one_entry_at_most_and_is_named() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[50; 14]);
    let names = segment_names(&disk);
    assert!(names.len() > 1, "an earlier and a last segment");
    for name in &names {
        let length = disk.edit(name, |bytes| bytes.len());
        // Nothing proves that the last batch of the last segment was ever committed: it would be cut.
        let proven = if names.last() == Some(name) {
            let last = written.last().unwrap();
            length - segment::record_bytes(&last.lamppost, &last.payload)
        } else {
            length
        };
        for at in 0..proven {
            let disk = disk.copy();
            disk.edit(name, |bytes| bytes[at] ^= 0x10);
            let (journal, replayed, report) = open(&disk).unwrap();
            assert_eq!(journal.next_sequence(), written.len() as u64, "{name} byte {at}");
            assert!(replayed.len() + 1 >= written.len(), "{name} byte {at}: {report:?}");
            assert!(replayed.iter().all(|entry| *entry == written[usize::try_from(entry.sequence).unwrap()]));
            assert_eq!(report.missing, (written.len() - replayed.len()) as u64);
            assert_eq!(report.torn_bytes, 0);
            let covers = |damage: &Damage| {
                let path = damage.path == PathBuf::from("journal").join(name);
                let (from, to) = (damage.offset, damage.offset + damage.bytes);
                path && (from..to).contains(&(at as u64))
            };
            assert!(report.damaged.iter().any(covers), "{name} byte {at}: {report:?}");
        }
    }
}

#[test]
fn appends_go_on_behind_damage_in_the_last_segment() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[30, 30, 30, 30]);
    disk.edit(&segment::name(0), |bytes| bytes[HEADER_BYTES + 100] ^= 1);
    block_on(async {
        let running = start(open(&disk).unwrap().0);
        let tickets = running.append(&[30], 4).await;
        assert_eq!(tickets[0].sequence, 4);
        assert_eq!(settled(&running.handle, tickets[0]).await, Fate::Committed);
        running.finish();
    });
    let (_, replayed, report) = open(&disk).unwrap();
    assert_eq!(replayed.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [0, 2, 3, 4]);
    assert_eq!(replayed[1], written[2]);
    assert_eq!(report.missing, 1);
}

#[test]
fn a_missing_segment_shows_as_a_gap_and_what_follows_is_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let in_directory = || JournalOptions { directory: directory.path().to_owned(), ..options() };
    block_on(async {
        let running = start(Journal::open(in_directory()).unwrap());
        for id in 0..30 {
            let tickets = running.append(&[90], id).await;
            settled(&running.handle, tickets[0]).await;
        }
        running.finish();
    });
    let mut names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    let firsts: Vec<u64> = names.iter().filter_map(|name| segment::first_of(name.to_str()?)).collect();
    std::fs::remove_file(directory.path().join(segment::name(firsts[1]))).unwrap();

    let (replayed, report) = replay(&mut Journal::open(in_directory()).unwrap()).unwrap();
    assert_eq!(report.missing, firsts[2] - firsts[1]);
    assert_eq!(replayed.len() as u64, 30 - report.missing);
    let gap = DamageKind::Gap { expected: firsts[1], found: firsts[2] };
    assert_eq!(report.damaged.iter().map(|damage| damage.kind).collect::<Vec<_>>(), [gap]);
}

#[test]
fn what_stands_behind_the_beginning_of_the_next_segment_was_cut_off_and_stays_so() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[50; 14]);
    let names = segment_names(&disk);
    let sequence = segment::first_of(&names[1]).unwrap();
    disk.edit(&names[0], |bytes| {
        let mark = bytes[12..16].try_into().unwrap();
        let Draft { received, lamppost, leaf, payload } = draft(77, 20);
        segment::write_record(bytes, mark, 0, &Entry { sequence, received, lamppost, leaf, payload });
    });
    let (_, replayed, report) = open(&disk).unwrap();
    assert_eq!(replayed, written);
    assert!(report.damaged.is_empty());

    // Not even where it could pass for what is missing before it.
    let last = usize::try_from(sequence).unwrap() - 1;
    disk.edit(&names[0], |bytes| {
        let record_bytes = |draft: &Draft| segment::record_bytes(&draft.lamppost, &draft.payload);
        let begins = bytes.len() - record_bytes(&draft(77, 20)) - record_bytes(&draft(last as u64, 50));
        bytes[begins + 20] ^= 1;
    });
    let (_, replayed, report) = open(&disk).unwrap();
    assert_eq!(replayed.len(), written.len() - 1);
    assert!(replayed.iter().all(|entry| *entry == written[usize::try_from(entry.sequence).unwrap()]));
    assert_eq!(report.missing, 1);
}

#[test]
fn a_payload_that_looks_like_records_is_never_taken_for_one() {
    let disk = MemoryDisk::new(1);
    let mut forged = Vec::new();
    for place in 0..8 {
        let Draft { received, lamppost, leaf, payload } = draft(666, 8);
        let entry = Entry { sequence: u64::from(place), received, lamppost, leaf, payload };
        segment::write_record(&mut forged, [1, 2, 3, 4], place, &entry);
    }
    block_on(async {
        let running = start(open(&disk).unwrap().0);
        let mut last = None;
        for id in 0..3 {
            let forged = Draft { payload: forged.clone().into(), ..draft(id, 0) };
            let ticket = running.handle.append(forged).await.unwrap();
            settled(&running.handle, ticket).await;
            last = Some(ticket);
        }
        assert_eq!(last.unwrap().sequence, 2);
        running.finish();
    });
    // The length of the first record is destroyed, so that its payload is searched for the next record.
    disk.edit(&segment::name(0), |bytes| bytes[HEADER_BYTES + 4..HEADER_BYTES + 8].fill(0xff));
    let (_, replayed, report) = open(&disk).unwrap();
    assert!(replayed.iter().all(|entry| entry.payload == forged), "{replayed:?}");
    assert_eq!(report.entries + report.missing, 3);
}

#[test]
fn a_journal_of_a_later_release_is_refused_and_left_as_it_is() {
    let disk = MemoryDisk::new(1);
    write_singly(&disk, &[50]);
    let later = disk.edit(&segment::name(0), |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        bytes.clone()
    });
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, JournalError::Version { found: 2, known: 1, .. }), "{error}");
    assert_eq!(disk.edit(&segment::name(0), |bytes| bytes.clone()), later);
}

#[test]
fn a_last_segment_whose_beginning_is_gone_is_not_overwritten() {
    let disk = MemoryDisk::new(1);
    write_singly(&disk, &[50, 50]);
    disk.edit(&segment::name(0), |bytes| bytes[..64].fill(0));
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, JournalError::Unreadable(path) if path.ends_with(segment::name(0))), "{error}");
}

#[test]
fn replayed_payloads_are_slices_of_the_read_buffer() {
    let disk = MemoryDisk::new(1);
    write_singly(&disk, &[50; 5]);
    let (_, replayed, _) = open(&disk).unwrap();
    assert!(is_slice_of_one_buffer(&replayed));
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let first = Journal::open(JournalOptions::in_directory(path.clone())).unwrap();
    let error = Journal::open(JournalOptions::in_directory(path.clone())).unwrap_err();
    assert!(matches!(&error, JournalError::InUse(named) if *named == path), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()));
    drop(first);
    Journal::open(JournalOptions::in_directory(path)).unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("journal");
    let error = Journal::open(JournalOptions::in_directory(path.clone())).unwrap_err();
    assert!(matches!(&error, JournalError::Directory { path: named, .. } if *named == path), "{error}");
}
