//! Appending: order, bounds, closing.

use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;

use tokio::task::JoinSet;

use super::super::memory_disk::Faults;
use super::super::segment::{self, HEADER_BYTES};
use super::super::{FailureLabels, IngestGone, JournalClosed, JournalHealth, Operation};
use super::*;

#[test]
fn tickets_are_consecutive_and_batches_are_handed_on_as_they_were_committed() {
    let disk = MemoryDisk::new(1);
    block_on(async {
        let running = start(open(&disk).unwrap().0);
        let tickets = running.append(&[5; 50], 0).await;
        assert!(tickets.iter().zip(0..).all(|(ticket, sequence)| *ticket == Ticket { epoch: 0, sequence }));
        assert_eq!(settled(&running.handle, tickets[49]).await, Fate::Committed);
        let handed = running.finish();
        assert_eq!(handed.iter().map(id_of).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
        assert_eq!(open(&disk).unwrap().1, handed);
    });
}

#[test]
fn many_tasks_append_at_once_and_each_finds_its_own_in_its_order() {
    let disk = MemoryDisk::new(1);
    let handed = block_on(async {
        let running = start(open(&disk).unwrap().0);
        let mut tasks = JoinSet::new();
        for task in 0..8_u64 {
            let handle = running.handle.clone();
            tasks.spawn(async move {
                let mut tickets = Vec::new();
                for turn in 0..50 {
                    tickets.push(handle.append(draft(task * 1000 + turn, 30)).await.unwrap());
                    if turn % 9 == 0 {
                        assert_eq!(settled(&handle, tickets[tickets.len() - 1]).await, Fate::Committed);
                    }
                    tokio::task::yield_now().await;
                }
                assert!(tickets.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
                (task, tickets)
            });
        }
        let mut all = Vec::new();
        while let Some(done) = tasks.join_next().await {
            all.push(done.unwrap());
        }
        let handed = running.finish();
        for (task, tickets) in all {
            for (turn, ticket) in (0..).zip(tickets) {
                assert_eq!(id_of(&handed[usize::try_from(ticket.sequence).unwrap()]), task * 1000 + turn);
            }
        }
        handed
    });
    assert_eq!(handed.iter().map(id_of).collect::<BTreeSet<_>>().len(), 400);
    assert_eq!(open(&disk).unwrap().1, handed);
}

#[test]
fn appends_wait_while_the_queue_is_full_and_none_is_lost() {
    let disk = MemoryDisk::new(1);
    block_on(async {
        let journal =
            Journal::open_on(JournalOptions { queue_bytes: 0, ..options() }, Box::new(disk.clone()));
        // Nobody takes batches: the first is committed, and the journal waits for ingest with it.
        let (sender, committed) = sync_channel(0);
        let (handle, thread) = journal.unwrap().start(sender).unwrap();
        let size = 300 * 1024;
        for id in 0..3 {
            handle.append(draft(id, size)).await.unwrap();
        }
        let patience = Duration::from_millis(50);
        let abandoned = tokio::time::timeout(patience, handle.append(draft(666, size))).await;
        assert!(abandoned.is_err(), "there was room for a fourth");

        let ingest = std::thread::spawn(move || committed.iter().flatten().collect::<Vec<_>>());
        for id in 3..9 {
            handle.append(draft(id, size)).await.unwrap();
        }
        handle.close();
        assert_eq!(handle.append(draft(667, 1)).await, Err(JournalClosed));
        thread.join().unwrap();
        let handed = ingest.join().unwrap();
        assert_eq!(handed.iter().map(id_of).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
        assert_eq!(open(&disk).unwrap().1, handed);
    });
}

#[test]
fn the_journal_ends_with_its_last_handle_and_what_was_queued_is_committed() {
    let disk = MemoryDisk::new(1);
    block_on(async {
        let Running { handle, thread, committed } = start(open(&disk).unwrap().0);
        for id in 0..20 {
            handle.append(draft(id, 40)).await.unwrap();
        }
        let other = handle.clone();
        drop(handle);
        other.append(draft(20, 40)).await.unwrap();
        drop(other);
        thread.join().unwrap();
        assert_eq!(committed.iter().flatten().count(), 21);
        assert_eq!(open(&disk).unwrap().1.len(), 21);
    });
}

#[test]
fn without_ingest_the_journal_closes_and_says_so() {
    let disk = MemoryDisk::new(1);
    block_on(async {
        let Running { handle, thread, committed } = start(open(&disk).unwrap().0);
        drop(committed);
        handle.append(draft(0, 10)).await.unwrap();
        assert_eq!(thread.join(), Err(IngestGone));
        assert_eq!(handle.append(draft(1, 10)).await, Err(JournalClosed));
    });
}

#[test]
fn a_full_disk_commits_nothing_and_once_there_is_space_appends_go_on_in_a_new_epoch() {
    let disk = MemoryDisk::new(5);
    block_on(async {
        let journal = open(&disk).unwrap().0;
        let metrics = journal.options.metrics.clone();
        let running = start(journal);
        let handle = &running.handle;
        let before = running.append(&[100; 3], 0).await;
        assert_eq!(settled(handle, before[2]).await, Fate::Committed);

        // Room for a part of the record, and not for the header of another segment.
        let used = disk.edit(&segment::name(0), |bytes| bytes.len());
        disk.fail(Faults { space: Some(used + 20), ..Faults::default() });
        let refused = running.append(&[100], 10).await;
        assert_eq!(settled(handle, refused[0]).await, Fate::Void);
        let commit = *handle.committed().borrow();
        assert_eq!((commit.epoch, commit.below), (1, 3));
        let JournalHealth::Failing { cause, .. } = handle.health() else { panic!("{:?}", handle.health()) };
        assert!(cause.contains("journal/0000") && cause.contains("no storage space"), "{cause}");

        // What is queued meanwhile waits, and goes on from the committed end.
        let waiting = running.append(&[100, 100], 20).await;
        disk.fail(Faults::default());
        assert_eq!(settled(handle, waiting[1]).await, Fate::Committed);
        assert_eq!(waiting[0], Ticket { epoch: 1, sequence: 3 });
        assert_eq!(handle.health(), JournalHealth::Writing);
        let failures = |what| metrics.failures.get_or_create(&FailureLabels { what }).get();
        assert!(failures(Operation::Write) >= 1);

        let handed = running.finish();
        assert_eq!(metrics.queue_bytes.get(), 0);
        assert_eq!(handed.iter().map(id_of).collect::<Vec<_>>(), [0, 1, 2, 20, 21]);
        let committed = |entry: &Entry| segment::record_bytes(&entry.lamppost, &entry.payload);
        let expected = HEADER_BYTES + handed[..3].iter().map(committed).sum::<usize>();
        assert_eq!(disk.edit(&segment::name(0), |bytes| bytes.len()), expected, "it was cut back");
        let (_, replayed, report) = open(&disk).unwrap();
        assert_eq!(replayed, handed);
        assert!(report.damaged.is_empty() && report.torn_bytes == 0, "{report:?}");
    });
}

#[test]
fn a_ticket_of_an_epoch_that_is_not_seen_yet_waits() {
    let commit = super::super::Commit { epoch: 1, below: 5 };
    assert_eq!(commit.fate(Ticket { epoch: 0, sequence: 4 }), Fate::Void);
    assert_eq!(commit.fate(Ticket { epoch: 1, sequence: 4 }), Fate::Committed);
    assert_eq!(commit.fate(Ticket { epoch: 1, sequence: 5 }), Fate::Waiting);
    assert_eq!(commit.fate(Ticket { epoch: 2, sequence: 0 }), Fate::Waiting);
}

#[test]
fn figures_say_what_is_on_disk_and_what_waits_for_ingest_also_after_failures() {
    let disk = MemoryDisk::new(1);
    let options = options();
    let metrics = options.metrics.clone();
    let waiting = || metrics.lag.waiting(crate::clock::monotonic());
    block_on(async {
        let running = start(Journal::open_on(options, Box::new(disk.clone())).unwrap());
        assert_eq!((on_disk(&metrics), waiting()), ((0, 0), (0, Duration::ZERO)));
        for turn in 0..30 {
            // The first batch of a new segment fails too: that segment is created twice, and is one.
            if turn % 4 == 0 {
                disk.fail(Faults { writes: turn % 3, syncs: 1, ..Faults::default() });
            }
            let tickets = running.append(&[40; 3], u64::from(turn) * 3).await;
            settled(&running.handle, tickets[2]).await;
        }
        disk.fail(Faults::default());
        // Void once more, if the journal is still recovering.
        let mut last = Fate::Void;
        while last != Fate::Committed {
            let tickets = running.append(&[40], 1000).await;
            last = settled(&running.handle, tickets[0]).await;
        }
        assert!(metrics.failures_of(Operation::Sync) > 0);
        assert!(metrics.commit_times.mean_seconds().is_some());
        let handed = running.finish();
        assert!(handed.len() > 10);
        assert_eq!((metrics.entries.get(), waiting().0), (handed.len() as u64, handed.len() as u64));
        for _ in handed {
            assert!(waiting().0 > 0);
            metrics.lag.ingested();
        }
        assert_eq!(waiting(), (0, Duration::ZERO));
        let length = |name: &String| disk.open(name).unwrap().length().unwrap();
        let names = segment_names(&disk);
        let bytes: u64 = names.iter().map(length).sum();
        assert_eq!(on_disk(&metrics), (names.len() as u64, bytes));
        assert!(names.len() > 2);
    });
}
