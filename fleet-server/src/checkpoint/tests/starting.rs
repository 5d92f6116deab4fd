//! Starts: from a checkpoint and the journal behind it, whatever of both is missing.

use super::{Bench, Told, fresh, open, some_entries};
use crate::checkpoint::{self, Started};
use crate::journal::memory_disk::MemoryDisk;
use crate::journal::{Draft, Entry, Journal, JournalOptions, SteppedJournal};

const MOST: usize = 1_000;

/// A server's disks.
struct Disks {
    journal: MemoryDisk,
    checkpoints: MemoryDisk,
}

/// What a start came to.
struct Outcome {
    told: Told,
    checkpoint: Option<u64>,
    damaged: Vec<u64>,
    lost: Option<std::ops::Range<u64>>,
    entries: u64,
    missing: u64,
    next: u64,
}

impl Disks {
    /// A journal of some entries in several segments, and checkpoints at 30 and 60.
    fn new() -> (Self, Told) {
        let disks = Self { journal: MemoryDisk::new(3), checkpoints: MemoryDisk::new(4) };
        let entries = some_entries(40);
        let mut journal = disks.journal().stepped();
        for part in entries.chunks(10) {
            append(&mut journal, part);
        }
        let mut bench = Bench::new(MOST);
        let mut checkpoints = open(&disks.checkpoints);
        for part in entries[..60].chunks(30) {
            bench.apply(part);
            checkpoints.write(bench.snapshot()).unwrap();
        }
        bench.apply(&entries[60..]);
        (disks, bench.told())
    }

    fn journal(&self) -> Journal {
        let options =
            JournalOptions { segment_bytes: 2_000, ..JournalOptions::in_directory("journal".into()) };
        Journal::open_on(options, Box::new(self.journal.clone())).unwrap()
    }

    fn start(&self) -> Outcome {
        let fresh = fresh(MOST);
        let mut journal = self.journal();
        let mut shown = 0;
        let started =
            checkpoint::start(&mut open(&self.checkpoints), &mut journal, &fresh, |_, _| shown += 1);
        let Started { ingest, tail, checkpoint, damaged, lost, replay } = started.unwrap();
        assert_eq!(shown, replay.entries);
        Outcome {
            told: Bench { fresh, ingest, tail }.told(),
            checkpoint: checkpoint.map(|info| info.sequence),
            damaged: damaged.iter().map(|damaged| damaged.sequence).collect(),
            lost,
            entries: replay.entries,
            missing: replay.missing,
            next: journal.next_sequence(),
        }
    }

    fn damage(&self, sequence: u64) {
        self.checkpoints.edit(&format!("checkpoint-{sequence:020}"), |bytes| bytes[500] ^= 1);
    }
}

fn append(journal: &mut SteppedJournal, entries: &[Entry]) {
    for Entry { received, lamppost, leaf, payload, .. } in entries.iter().cloned() {
        journal.push(Draft { received, lamppost, leaf, payload });
    }
    journal.commit().unwrap();
}

#[test]
fn d15_a_start_reads_the_newest_checkpoint_and_the_journal_behind_it() {
    let (disks, told) = Disks::new();
    let start = disks.start();
    assert_eq!(start.told, told);
    assert_eq!((start.checkpoint, start.entries, start.lost), (Some(60), 87, None));
}

#[test]
fn d15_with_a_damaged_checkpoint_it_reads_more_of_the_journal_and_comes_to_the_same() {
    let (disks, told) = Disks::new();
    disks.damage(60);
    let start = disks.start();
    assert_eq!(start.told, told);
    assert_eq!((start.checkpoint, start.damaged, start.entries), (Some(30), vec![60], 117));
    disks.damage(30);
    let start = disks.start();
    assert_eq!(start.told, told);
    assert_eq!((start.checkpoint, start.damaged, start.entries), (None, vec![60, 30], 147));
    assert_eq!((start.lost, start.missing), (None, 0));
}

#[test]
fn d15_a_journal_that_was_trimmed_below_the_older_checkpoint_is_enough_for_either() {
    let (disks, told) = Disks::new();
    let trimmed = disks.journal().stepped().trim_below(30).unwrap();
    assert!(trimmed.segments > 0 && trimmed.first > 0);
    assert_eq!(disks.start().told, told);
    disks.damage(60);
    let start = disks.start();
    assert_eq!(start.told, told);
    assert_eq!((start.checkpoint, start.lost, start.missing), (Some(30), None, 0));
}

#[test]
fn what_is_neither_in_a_checkpoint_nor_in_the_journal_is_named_and_the_rest_served() {
    let (disks, told) = Disks::new();
    let first = disks.journal().stepped().trim_below(60).unwrap().first;
    disks.damage(60);
    let start = disks.start();
    assert_eq!(start.lost, Some(30..first).filter(|lost| !lost.is_empty()));
    assert_eq!((start.checkpoint, start.missing), (Some(30), first - 30));
    assert_eq!(start.told.next, told.next);
    disks.damage(30);
    let start = disks.start();
    assert_eq!((start.checkpoint, start.lost, start.missing), (None, Some(0..first), first));
    assert_eq!((start.told.next, start.entries), (told.next, told.next - first));
}

#[test]
fn d15_a_journal_that_ends_before_the_checkpoint_goes_on_behind_it() {
    let (disks, _) = Disks::new();
    let entries = some_entries(40);
    let lost = Disks { journal: MemoryDisk::new(9), ..disks };
    for before in [0, 12] {
        let mut journal = lost.journal().stepped();
        append(&mut journal, &entries[..before]);
        drop(journal);
        let start = lost.start();
        assert_eq!((start.checkpoint, start.next, start.missing), (Some(60), 60, 0));
        assert_eq!((start.told.next, start.entries), (60, 0));
    }
    // What it takes then gets sequences of its own, and is there at the next start.
    let mut journal = lost.journal();
    journal.continue_at(60);
    append(&mut journal.stepped(), &entries[60..70]);
    let start = lost.start();
    assert_eq!((start.checkpoint, start.entries, start.told.next), (Some(60), 10, 70));
}
