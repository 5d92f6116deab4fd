//! What is on disk: damage, power cuts, disks that refuse.

use super::{Bench, open, some_entries};
use crate::checkpoint::{CheckpointError, Checkpoints, Unusable};
use crate::journal::Disk as _;
use crate::journal::memory_disk::{Faults, MemoryDisk, Stop};

const MOST: usize = 1_000;

/// Writes checkpoints at these sequences of one journal.
fn written(disk: &MemoryDisk, sequences: &[usize]) -> Bench {
    let entries = some_entries(40);
    let (mut bench, mut done) = (Bench::new(MOST), 0);
    let mut checkpoints = open(disk);
    for sequence in sequences {
        bench.apply(&entries[done..*sequence]);
        done = *sequence;
        checkpoints.write(bench.snapshot()).unwrap();
    }
    bench
}

fn newest(disk: &MemoryDisk) -> (Option<u64>, Vec<u64>) {
    let mut checkpoints = open(disk);
    let newest = checkpoints.newest(&super::fresh(MOST)).unwrap();
    let damaged = newest.damaged.iter().map(|damaged| damaged.sequence).collect();
    (newest.restored.map(|restored| restored.info.sequence), damaged)
}

fn file(sequence: u64) -> String {
    format!("checkpoint-{sequence:020}")
}

#[test]
fn two_are_kept_and_the_older_of_them_bounds_what_may_go() {
    let disk = MemoryDisk::new(1);
    let mut bench = Bench::new(MOST);
    let mut checkpoints = open(&disk);
    let entries = some_entries(40);
    let mut older = Vec::new();
    for part in entries.chunks(25) {
        bench.apply(part);
        checkpoints.write(bench.snapshot()).unwrap();
        older.push(checkpoints.older());
    }
    assert_eq!(older, [None, Some(25), Some(50), Some(75), Some(100), Some(125)]);
    assert_eq!(disk.names().unwrap(), [file(125), file(147)]);

    // What a start has not read does not count: it may be damaged.
    let mut checkpoints = open(&disk);
    assert_eq!(checkpoints.older(), None);
    let mut again = Bench::read(&mut checkpoints, MOST).unwrap();
    assert_eq!(checkpoints.older(), None);
    assert_eq!(again.told(), bench.told());
    let mut more = some_entries(41);
    again.apply(&more.split_off(147));
    checkpoints.write(again.snapshot()).unwrap();
    assert_eq!(checkpoints.older(), Some(147), "it was read from end to end");
}

#[test]
fn a_damaged_one_is_named_and_the_older_one_taken() {
    let disk = MemoryDisk::new(1);
    written(&disk, &[30, 60]);
    let length = disk.edit(&file(60), |bytes| bytes.len());
    for at in (0..length).step_by(7).chain(length - 40..length) {
        let copy = disk.copy();
        copy.edit(&file(60), |bytes| bytes[at] ^= 0x20);
        assert_eq!(newest(&copy), (Some(30), vec![60]), "byte {at}");
    }
    for length in (0..length).step_by(97).chain(length - 40..length) {
        let copy = disk.copy();
        copy.edit(&file(60), |bytes| bytes.truncate(length));
        assert_eq!(newest(&copy), (Some(30), vec![60]), "cut to {length}");
    }
    disk.edit(&file(60), |bytes| bytes.push(0));
    assert_eq!(newest(&disk), (Some(30), vec![60]), "with a byte too many");
    disk.edit(&file(30), Vec::clear);
    assert_eq!(newest(&disk), (None, vec![60, 30]));
}

#[test]
fn a_damaged_one_goes_when_the_next_is_written_and_the_one_that_was_read_stays() {
    let disk = MemoryDisk::new(1);
    written(&disk, &[30, 60]);
    disk.edit(&file(60), |bytes| bytes[100] ^= 1);
    let mut checkpoints = open(&disk);
    let mut bench = Bench::read(&mut checkpoints, MOST).unwrap();
    bench.apply(&some_entries(40)[30..50]);
    checkpoints.write(bench.snapshot()).unwrap();
    assert_eq!(disk.names().unwrap(), [file(30), file(50)]);
    assert_eq!(checkpoints.older(), Some(30));
}

#[test]
fn a_file_under_the_wrong_name_is_not_believed() {
    let disk = MemoryDisk::new(1);
    written(&disk, &[30]);
    let bytes = disk.edit(&file(30), |bytes| bytes.clone());
    disk.create(&file(70)).unwrap().write_at(&bytes, 0).unwrap();
    let mut checkpoints = open(&disk);
    let found = checkpoints.newest(&super::fresh(MOST)).unwrap();
    assert!(matches!(found.damaged[0].cause, Unusable::Header), "{:?}", found.damaged);
    assert_eq!(found.restored.unwrap().info.sequence, 30);
}

#[test]
fn what_a_later_release_wrote_ends_the_start() {
    let disk = MemoryDisk::new(1);
    written(&disk, &[30, 60]);
    disk.edit(&file(60), |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    });
    let refused = open(&disk).newest(&super::fresh(MOST)).unwrap_err();
    assert!(matches!(refused, CheckpointError::Version { found: 2, known: 1, .. }), "{refused}");
}

#[test]
fn files_of_others_are_left_alone_and_an_unfinished_one_goes() {
    let disk = MemoryDisk::new(1);
    written(&disk, &[30]);
    for name in ["checkpoint.new", "checkpoint-7", "notes"] {
        disk.create(name).unwrap();
    }
    assert_eq!(newest(&disk), (Some(30), vec![]));
    assert_eq!(disk.names().unwrap(), [file(30), "checkpoint-7".to_owned(), "notes".to_owned()]);
}

#[test]
fn d15_a_crash_at_any_moment_leaves_the_one_before_or_the_new_one() {
    for stop in [Stop::Kill, Stop::PowerCut] {
        for after in 0.. {
            let mut seen = Vec::new();
            for seed in 1..24 {
                let disk = MemoryDisk::new(seed * 7919);
                let mut bench = written(&disk, &[30, 60]);
                let mut checkpoints = open(&disk);
                bench.apply(&some_entries(40)[60..90]);
                disk.fail(Faults { stops_after: Some(after), ..Faults::default() });
                let wrote = checkpoints.write(bench.snapshot());
                let stopped = disk.has_stopped();
                let after_it = disk.restart(stop);
                let (found, damaged) = newest(&after_it);
                assert!(damaged.is_empty(), "{damaged:?} by {stop:?} after {after}, seed {seed}");
                assert!(found == Some(90) || wrote.is_err() && found == Some(60), "{found:?} after {after}");
                seen.push(stopped);
            }
            if seen.iter().all(|stopped| !stopped) {
                assert!(after > 6, "{after} operations are too few to be all of them");
                break;
            }
        }
    }
}

#[test]
fn a_disk_that_refuses_costs_nothing_and_is_tried_again() {
    let fails = [
        Faults { writes: 1, ..Faults::default() },
        Faults { syncs: 1, ..Faults::default() },
        Faults { renames: 1, ..Faults::default() },
        Faults { name_syncs: 1, ..Faults::default() },
        Faults { space: Some(100), ..Faults::default() },
    ];
    for faults in fails {
        let disk = MemoryDisk::new(5);
        let mut bench = written(&disk, &[30, 60]);
        let mut checkpoints = Checkpoints::open(Box::new(disk.clone())).unwrap();
        checkpoints.newest(&super::fresh(MOST)).unwrap();
        bench.apply(&some_entries(40)[60..90]);
        disk.fail(faults);
        checkpoints.write(bench.snapshot()).unwrap_err();
        assert!(!disk.names().unwrap().contains(&"checkpoint.new".to_owned()), "{faults:?}");
        assert!(disk.names().unwrap().contains(&file(60)), "{faults:?}");
        disk.fail(Faults::default());
        bench.apply(&some_entries(40)[90..100]);
        checkpoints.write(bench.snapshot()).unwrap();
        assert_eq!(disk.names().unwrap(), [file(60), file(100)], "{faults:?}");
        assert_eq!(checkpoints.older(), Some(60));
        assert_eq!(newest(&disk.restart(Stop::PowerCut)), (Some(100), vec![]));
    }
}
