//! The journal in steps, without its thread.

use std::sync::{Arc, Mutex};

use super::super::memory_disk::{Faults, Stop};
use super::super::segment;
use super::super::{Commit, Operation, Random, SteppedJournal};
use super::*;

fn stepped(disk: &MemoryDisk) -> SteppedJournal {
    open(disk).unwrap().0.stepped()
}

fn push(journal: &mut SteppedJournal, ids: std::ops::Range<u64>) -> Vec<Ticket> {
    ids.map(|id| journal.push(draft(id, 40))).collect()
}

#[test]
fn what_is_pushed_is_committed_by_the_step_that_says_so_and_not_before() {
    let disk = MemoryDisk::new(1);
    let mut journal = stepped(&disk);
    let tickets = push(&mut journal, 0..3);
    assert_eq!((journal.queued(), journal.committed()), (3, Commit { epoch: 0, below: 0 }));
    assert!(tickets.iter().all(|ticket| journal.committed().fate(*ticket) == Fate::Waiting));
    let handed = journal.commit().unwrap();
    assert_eq!(handed.iter().map(id_of).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(tickets.iter().all(|ticket| journal.committed().fate(*ticket) == Fate::Committed));
    assert_eq!(journal.commit().unwrap(), [], "nothing is queued");

    let uncommitted = push(&mut journal, 3..4);
    assert_eq!(journal.committed().fate(uncommitted[0]), Fate::Waiting);
    assert_eq!(open(&disk.restart(Stop::PowerCut)).unwrap().1, handed);
}

#[test]
fn a_step_that_fails_forgets_its_batch_in_a_new_epoch_and_the_journal_goes_on_after_recovery() {
    let disk = MemoryDisk::new(1);
    let mut journal = stepped(&disk);
    push(&mut journal, 0..2);
    let mut handed = journal.commit().unwrap();
    let void = push(&mut journal, 2..4);
    disk.fail(Faults { syncs: 1, cuts: 2, ..Faults::default() });
    let failure = journal.commit().unwrap_err();
    assert_eq!(
        (failure.operation, failure.path),
        (Operation::Sync, "journal/00000000000000000000.log".into())
    );
    assert_eq!((journal.committed(), journal.queued()), (Commit { epoch: 1, below: 2 }, 0));
    assert!(void.iter().all(|ticket| journal.committed().fate(*ticket) == Fate::Void));
    assert!(journal.is_failing());
    assert_eq!(journal.recover().unwrap_err().operation, Operation::Cut);

    // Queued meanwhile: it waits for the recovery, and is committed behind it.
    let waiting = push(&mut journal, 10..12);
    assert_eq!(waiting[0], Ticket { epoch: 1, sequence: 2 });
    assert_eq!(journal.commit().unwrap_err().operation, Operation::Cut);
    assert_eq!((journal.committed().epoch, journal.queued()), (1, 2));
    handed.extend(journal.commit().unwrap());
    assert!(!journal.is_failing());
    assert_eq!(handed.iter().map(id_of).collect::<Vec<_>>(), [0, 1, 10, 11]);
    assert_eq!(open(&disk.restart(Stop::PowerCut)).unwrap().1, handed);
}

#[test]
fn what_a_step_leaves_in_the_queue_is_forgotten_with_it_if_it_fails_and_committed_behind_it_if_not() {
    let disk = MemoryDisk::new(1);
    let mut journal = stepped(&disk);
    let tickets = push(&mut journal, 0..6);
    let mut handed = journal.commit_up_to(200).unwrap();
    let taken = handed.len();
    assert!((1..5).contains(&taken) && journal.queued() == 6 - taken, "{taken}");
    let fates = tickets.iter().map(|ticket| journal.committed().fate(*ticket));
    assert_eq!(fates.filter(|fate| *fate == Fate::Committed).count(), taken);
    handed.extend(journal.commit_up_to(0).unwrap());
    assert_eq!(handed.len(), taken + 1, "one at least");

    disk.fail(Faults { syncs: 1, ..Faults::default() });
    journal.commit_up_to(0).unwrap_err();
    assert_eq!((journal.queued(), journal.committed().epoch), (0, 1));
    assert!(tickets[taken + 1..].iter().all(|ticket| journal.committed().fate(*ticket) == Fate::Void));

    push(&mut journal, 10..13);
    while journal.queued() > 0 {
        handed.extend(journal.commit_up_to(0).unwrap());
    }
    let expected: Vec<u64> = (0..=taken as u64).chain(10..13).collect();
    assert_eq!(handed.iter().map(id_of).collect::<Vec<_>>(), expected);
    assert_eq!(open(&disk.restart(Stop::PowerCut)).unwrap().1, handed);
}

#[test]
fn one_source_of_randomness_and_one_order_of_steps_give_one_journal_to_the_byte() {
    let bytes = |seed: u8| {
        let disk = MemoryDisk::new(1);
        let marks = Arc::new(Mutex::new(seed));
        let random = Random::new(move |into| {
            let mut last = marks.lock().unwrap();
            *last += 1;
            into.fill(*last);
            Ok(())
        });
        let options = JournalOptions { random, ..options() };
        let mut journal = Journal::open_on(options, Box::new(disk.clone())).unwrap().stepped();
        for id in 0..40 {
            push(&mut journal, id..id + 1);
            journal.commit().unwrap();
        }
        let names = segment_names(&disk);
        names.iter().map(|name| disk.edit(name, |bytes| bytes.clone())).collect::<Vec<_>>()
    };
    assert_eq!(bytes(0), bytes(0));
    assert_ne!(bytes(0), bytes(100));
}

#[test]
fn a_source_of_randomness_that_fails_makes_no_segment() {
    let disk = MemoryDisk::new(1);
    let random = Random::new(|_| Err(std::io::Error::other("no entropy")));
    let options = JournalOptions { random, ..options() };
    let mut journal = Journal::open_on(options, Box::new(disk.clone())).unwrap().stepped();
    push(&mut journal, 0..1);
    let failure = journal.commit().unwrap_err();
    assert_eq!(
        format!("{failure}: {}", failure.source),
        format!("cannot create journal/{}: no entropy", segment::name(0))
    );
    assert_eq!(segment_names(&disk), Vec::<String>::new());
}

#[test]
fn segments_are_listed_with_their_first_sequence_and_their_length() {
    let disk = MemoryDisk::new(1);
    let mut journal = stepped(&disk);
    for id in 0..20 {
        push(&mut journal, id..id + 1);
        journal.commit().unwrap();
    }
    // What a failed write left is not committed, and so not told.
    disk.fail(Faults { writes: 1, ..Faults::default() });
    push(&mut journal, 20..21);
    journal.commit().unwrap_err();
    let listed = journal.segments().to_vec();
    journal.recover().unwrap();
    assert_eq!(journal.segments().len(), listed.len() + 1);
    let shown = |first| disk.edit(&segment::name(first), |bytes| bytes.len() as u64);
    assert!(listed.len() > 2 && listed.iter().all(|segment| segment.bytes == shown(segment.first)));
    let opened = open(&disk).unwrap().0;
    assert_eq!(opened.segments(), journal.segments(), "also the newest, which is empty");
}
