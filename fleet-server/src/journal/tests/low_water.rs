//! What the journal does when the disk is nearly full.

use super::super::low_water::Room;
use super::super::memory_disk::{Faults, Stop};
use super::super::{Commit, JournalHealth, LowWater};
use super::*;

const LOW_WATER: usize = 800;

fn low_options() -> JournalOptions {
    JournalOptions {
        low_water: LowWater::of_bytes(LOW_WATER as u64),
        look_every: Duration::from_millis(2),
        ..options()
    }
}

/// Leaves so much room, besides what is used.
fn leave(disk: &MemoryDisk, free: usize) {
    let used: usize = segment_names(disk).iter().map(|name| disk.edit(name, |bytes| bytes.len())).sum();
    disk.fail(Faults { space: Some(used + free), ..Faults::default() });
}

async fn health(handle: &JournalHandle, wanted: impl Fn(&JournalHealth) -> bool) -> JournalHealth {
    let patience = crate::clock::monotonic() + Duration::from_secs(20);
    while !wanted(&handle.health()) {
        assert!(crate::clock::monotonic() < patience, "{:?}", handle.health());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    handle.health()
}

#[test]
fn below_low_water_entries_wait_unforgotten_and_are_committed_by_themselves_once_there_is_room() {
    let disk = MemoryDisk::new(1);
    block_on(async {
        let journal = Journal::open_on(low_options(), Box::new(disk.clone())).unwrap();
        let metrics = journal.options.metrics.clone();
        let running = start(journal);
        let handle = &running.handle;
        let before = running.append(&[40; 3], 0).await;
        assert_eq!(settled(handle, before[2]).await, Fate::Committed);

        leave(&disk, LOW_WATER - 1);
        let short = health(handle, |health| matches!(health, JournalHealth::Short { .. })).await;
        let JournalHealth::Short { shortage, .. } = short else { panic!("{short:?}") };
        assert_eq!((shortage.free_bytes, shortage.needed_bytes), (799, 900));
        assert_eq!((metrics.free_bytes.get(), metrics.low_water_bytes.get()), (799, 800));
        assert_eq!(metrics.below_low_water.get(), 1);
        let waiting = running.append(&[40; 3], 3).await;
        looked(&disk).await;
        assert_eq!(*handle.committed().borrow(), Commit { epoch: 0, below: 3 });

        // Not enough yet: what is freed has to last for a while.
        leave(&disk, LOW_WATER + 50);
        looked(&disk).await;
        assert_eq!(handle.committed().borrow().fate(waiting[0]), Fate::Waiting);

        leave(&disk, 5000);
        assert_eq!(settled(handle, waiting[2]).await, Fate::Committed);
        assert_eq!(waiting[0], Ticket { epoch: 0, sequence: 3 });
        health(handle, |health| *health == JournalHealth::Writing).await;
        assert_eq!((metrics.below_low_water.get(), metrics.forgotten.get()), (0, 0));
        assert_eq!(running.finish().iter().map(id_of).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_journal_that_is_opened_below_low_water_replays_and_writes_nothing() {
    let disk = MemoryDisk::new(1);
    let written = write_singly(&disk, &[40; 3]);
    leave(&disk, 100);
    let mut journal = Journal::open_on(low_options(), Box::new(disk.clone())).unwrap();
    assert_eq!(replay(&mut journal).unwrap().0, written);
    block_on(async {
        let running = start(journal);
        running.append(&[40; 2], 3).await;
        health(&running.handle, |health| matches!(health, JournalHealth::Short { .. })).await;
        // It ends at once, and drops what nobody was promised.
        assert_eq!(running.finish(), []);
    });
    assert_eq!(open(&disk.restart(Stop::PowerCut)).unwrap().1, written);
}

#[test]
fn in_steps_what_is_queued_stays_so_until_there_is_room() {
    let disk = MemoryDisk::new(1);
    leave(&disk, 10);
    let mut journal = Journal::open_on(low_options(), Box::new(disk.clone())).unwrap().stepped();
    let ticket = journal.push(draft(7, 40));
    assert_eq!(journal.commit().unwrap(), []);
    assert_eq!((journal.queued(), journal.shortage().unwrap().free_bytes), (1, 10));
    assert_eq!(segment_names(&disk), Vec::<String>::new());
    leave(&disk, 5000);
    assert_eq!(journal.commit().unwrap().len(), 1);
    assert_eq!((journal.shortage(), journal.committed().fate(ticket)), (None, Fate::Committed));
}

#[test]
fn a_disk_that_fails_while_it_is_low_is_recovered_from_before_room_is_waited_for() {
    let disk = MemoryDisk::new(1);
    let mut journal = Journal::open_on(low_options(), Box::new(disk.clone())).unwrap().stepped();
    journal.push(draft(0, 40));
    disk.fail(Faults { syncs: 2, ..Faults::default() });
    journal.commit().unwrap_err();
    leave(&disk, LOW_WATER / 2);
    journal.push(draft(1, 40));
    assert_eq!(journal.commit().unwrap(), []);
    assert!(!journal.is_failing() && journal.shortage().is_some());
    leave(&disk, 5000);
    assert_eq!(journal.commit().unwrap()[0].sequence, 0);
}

#[test]
fn a_file_system_that_does_not_say_how_full_it_is_is_taken_for_roomy() {
    let disk = MemoryDisk::new(1);
    leave(&disk, 10);
    let mut room = Room::new(LowWater::of_bytes(LOW_WATER as u64));
    let metrics = JournalMetrics::default();
    assert!(room.look(&disk, &metrics).is_some());
    disk.restart(Stop::Kill);
    assert!(disk.space().is_err());
    assert_eq!((room.look(&disk, &metrics), metrics.below_low_water.get()), (None, 0));
}
