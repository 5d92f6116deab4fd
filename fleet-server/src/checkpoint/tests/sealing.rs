//! The sealer: what it writes, what it trims, what keeps it from both.

use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, RwLock};

use lamplighter_protocol::{TOO_LATE, UtcMillis};
use tempfile::TempDir;

use super::{Bench, open, some_entries};
use crate::checkpoint::sealer::Sealed;
use crate::checkpoint::{
    BackupLock, Backups as _, Cadence, CheckpointMetrics, JournalKeep, Sealer, Sealing, SealingRules,
    SteppedSealer,
};
use crate::clock;
use crate::ingest::Ingest;
use crate::journal::memory_disk::{Faults, MemoryDisk};
use crate::journal::{Draft, Entry, Fate, Journal, JournalHandle, JournalOptions, JournalThread};
use crate::store::Tail;

const DAY_MS: i64 = 24 * 3_600_000;

/// A server's parts around a sealer, which is not on its thread.
struct Around {
    directory: TempDir,
    runtime: tokio::runtime::Runtime,
    journal: JournalHandle,
    committed: Receiver<Vec<Entry>>,
    _writer: JournalThread,
    checkpoints: MemoryDisk,
    ingest: Arc<RwLock<Ingest>>,
    store: Arc<RwLock<Tail>>,
    metrics: CheckpointMetrics,
    sealer: Sealer,
    /// What comes next of the journal.
    entries: Vec<Entry>,
}

impl Around {
    fn new(keep_days: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let options = JournalOptions {
            segment_bytes: 2_000,
            ..JournalOptions::in_directory(directory.path().join("journal"))
        };
        let journal_metrics = options.metrics.clone();
        let (batches, committed) = sync_channel(100);
        let (journal, writer) = Journal::open(options).unwrap().start(batches).unwrap();
        let Bench { ingest, tail, .. } = Bench::new(1_000);
        let (ingest, store) = (Arc::new(RwLock::new(ingest)), Arc::new(RwLock::new(tail)));
        let (checkpoints, metrics) = (MemoryDisk::new(1), CheckpointMetrics::default());
        let sealer = Sealer::new(Sealing {
            checkpoints: open(&checkpoints),
            ingest: Arc::clone(&ingest),
            store: Arc::clone(&store),
            journal: journal.clone(),
            journal_metrics,
            rules: SealingRules {
                backup: BackupLock::of(directory.path()),
                cadence: Cadence::default(),
                keep: JournalKeep::days(keep_days).unwrap(),
            },
            metrics: metrics.clone(),
            newest: None,
            uncovered_bytes: 0,
        });
        Self {
            directory,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            journal,
            committed,
            _writer: writer,
            checkpoints,
            ingest,
            store,
            metrics,
            sealer,
            entries: some_entries(400),
        }
    }

    /// Journals and ingests so many entries, received at this time.
    fn take(&mut self, count: usize, received: UtcMillis) {
        for Entry { lamppost, leaf, payload, .. } in self.entries.drain(..count) {
            let draft = Draft { received, lamppost, leaf, payload };
            self.runtime.block_on(async {
                let ticket = self.journal.append(draft).await.unwrap();
                let mut commits = self.journal.committed();
                commits.wait_for(|commit| commit.fate(ticket) == Fate::Committed).await.unwrap();
            });
        }
        let mut left = count;
        while left > 0 {
            for entry in self.committed.recv().unwrap() {
                left -= 1;
                let (mut ingest, mut store) = (self.ingest.write().unwrap(), self.store.write().unwrap());
                ingest.apply(&entry, &mut store, &mut |_| {});
            }
        }
    }

    /// The sequence at which the journal begins now.
    fn first(&self) -> u64 {
        let names = std::fs::read_dir(self.directory.path().join("journal")).unwrap();
        let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
        let firsts = names.filter_map(|name| name.strip_suffix(".log")?.parse().ok());
        firsts.min().unwrap()
    }
}

#[test]
fn d15_the_journal_goes_up_to_the_older_of_two_checkpoints_and_no_further() {
    let mut around = Around::new(0);
    let mut sealed = Vec::new();
    for _ in 0..4 {
        around.take(40, clock::wall());
        assert_eq!(around.sealer.seal(), Sealed::Written);
        sealed.push(around.first());
    }
    assert_eq!(sealed[0], 0, "there is only one checkpoint");
    for (first, older) in sealed[1..].iter().zip([40, 80, 120]) {
        assert!((older - 20..=older).contains(first), "{first} of {older}");
    }
    assert_eq!(around.metrics.sequence.get(), 160);
    assert_eq!((around.metrics.written.get(), around.metrics.failing.get()), (4, 0));
    assert_eq!(around.sealer.seal(), Sealed::NothingNew);
}

#[test]
fn d16_what_is_younger_than_the_journal_is_kept_stays_in_it() {
    let mut around = Around::new(5);
    let now = clock::wall();
    for days in (0..=10).rev() {
        around.take(16, now.plus_ms(-days * DAY_MS));
        around.sealer.seal();
    }
    let first = around.first();
    assert!((60..=80).contains(&first), "{first}: five days of 16 entries each are old enough");
}

#[test]
fn d16_nothing_goes_by_a_clock_that_is_ahead() {
    let mut around = Around::new(0);
    let set = UtcMillis(1_800_000_000_000);
    let disk = MemoryDisk::new(1);
    let keep = JournalKeep::days(2).unwrap();
    let backup = BackupLock::of(around.directory.path());
    let mut sealer = SteppedSealer::new(open(&disk), Box::new(backup), keep, None);
    let ahead = set.plus_ms(400 * DAY_MS);
    for now in [set, set.plus_ms(DAY_MS), ahead, TOO_LATE] {
        around.take(20, now);
        let held = sealer.hold_off().unwrap().unwrap();
        let (ingest, store) = (around.ingest.read().unwrap(), around.store.read().unwrap());
        let copied = sealer.copy(held, &ingest, &store, now).unwrap();
        drop((ingest, store));
        assert_eq!(sealer.write(copied).unwrap().trim_below, 0, "{now:?}");
    }
}

#[test]
fn d15_while_a_backup_runs_nothing_is_written_and_nothing_trimmed() {
    let mut around = Around::new(0);
    for _ in 0..2 {
        around.take(40, clock::wall());
        around.sealer.seal();
    }
    let (first, names) = (around.first(), crate::journal::Disk::names(&around.checkpoints).unwrap());
    around.take(40, clock::wall());
    let lock = std::fs::File::open(around.directory.path().join(BackupLock::FILE_NAME)).unwrap();
    lock.lock().unwrap();
    assert_eq!(around.sealer.seal(), Sealed::Backup);
    assert_eq!(around.metrics.backup.get(), 1);
    assert_eq!((around.first(), crate::journal::Disk::names(&around.checkpoints).unwrap()), (first, names));
    lock.unlock().unwrap();
    assert_eq!(around.sealer.seal(), Sealed::Written);
    assert_eq!(around.metrics.backup.get(), 0);
    assert!(around.first() > first);
}

#[test]
fn a_backup_that_takes_the_lock_with_flock_waits_for_the_sealer_and_keeps_it_off() {
    let directory = TempDir::new().unwrap();
    let backup = BackupLock::of(directory.path());
    let flock = |what: &[&str]| {
        let path = directory.path().join(BackupLock::FILE_NAME);
        Command::new("flock").arg("--nonblock").arg(path).args(what).status().unwrap().success()
    };
    let held = backup.hold_off().unwrap();
    assert!(held.is_some() && !flock(&["true"]));
    drop(held);
    assert!(flock(&["true"]) && backup.hold_off().unwrap().is_some());
}

#[test]
fn d15_no_backup_begins_between_the_steps_of_sealing_until_the_journal_is_trimmed() {
    let directory = TempDir::new().unwrap();
    let backup = BackupLock::of(directory.path());
    let disk = MemoryDisk::new(1);
    let keep = JournalKeep::days(0).unwrap();
    let mut sealer = SteppedSealer::new(open(&disk), Box::new(backup.clone()), keep, None);
    let may_begin = || backup.hold_off().unwrap().is_some();
    let mut bench = Bench::new(1_000);
    for (entries, trim_below) in [(0..30, 0), (30..60, 30)] {
        bench.apply(&some_entries(40)[entries]);
        let held = sealer.hold_off().unwrap().unwrap();
        let copied = sealer.copy(held, &bench.ingest, &bench.tail, clock::wall()).unwrap();
        assert!(!may_begin() && sealer.hold_off().unwrap().is_none());
        let written = sealer.write(copied).unwrap();
        assert_eq!(written.trim_below, trim_below);
        assert!(!may_begin());
        drop(written);
        assert!(may_begin());
    }
    let held = sealer.hold_off().unwrap().unwrap();
    assert!(sealer.copy(held, &bench.ingest, &bench.tail, clock::wall()).is_none(), "there is nothing new");
    bench.apply(&some_entries(40)[60..70]);
    let held = sealer.hold_off().unwrap().unwrap();
    let copied = sealer.copy(held, &bench.ingest, &bench.tail, clock::wall()).unwrap();
    disk.fail(Faults { space: Some(300), ..Faults::default() });
    sealer.write(copied).unwrap_err();
    assert!(may_begin());
}

#[test]
fn a_full_disk_costs_the_checkpoint_and_nothing_else() {
    let mut around = Around::new(0);
    around.take(40, clock::wall());
    around.checkpoints.fail(Faults { space: Some(300), ..Faults::default() });
    for failures in 1..3 {
        assert_eq!(around.sealer.seal(), Sealed::Failed);
        assert_eq!((around.metrics.failures.get(), around.metrics.failing.get()), (failures, 1));
    }
    around.take(40, clock::wall());
    around.checkpoints.fail(Faults::default());
    assert_eq!(around.sealer.seal(), Sealed::Written);
    assert_eq!((around.metrics.sequence.get(), around.metrics.failing.get()), (80, 0));
}

#[test]
fn what_ingest_left_in_the_midst_of_an_entry_is_never_sealed() {
    let mut around = Around::new(0);
    around.take(40, clock::wall());
    let ingest = Arc::clone(&around.ingest);
    let panicked = std::thread::spawn(move || {
        let _held = ingest.write().unwrap();
        panic!("on purpose");
    });
    panicked.join().unwrap_err();
    assert_eq!(around.sealer.seal(), Sealed::Broken);
    assert!(crate::journal::Disk::names(&around.checkpoints).unwrap().is_empty());
}
