//! A disk that takes its time for each sync, such as a memory card.

use std::io;
use std::sync::mpsc::sync_channel;

use tokio::task::JoinSet;

use super::super::{DiskFile, FileDisk, Space};
use super::*;

const SYNC: Duration = Duration::from_millis(200);

/// Lampposts, each with so many payloads of this size: 12 MiB in all.
const LAMPPOSTS: u64 = 24;
const PAYLOADS: u64 = 16;
const PAYLOAD_BYTES: usize = 32 << 10;

#[test]
fn a_disk_that_takes_its_time_to_sync_is_given_more_with_each() {
    let grown = commits(JournalOptions::in_directory);
    let small = commits(|directory| JournalOptions {
        largest_batch_bytes: 1 << 20,
        ..JournalOptions::in_directory(directory)
    });
    assert!(small >= 12 && grown * 2 <= small, "{grown} instead of {small}");
}

#[test]
fn what_one_commit_does_not_take_is_in_the_next_ones_in_order() {
    let disk = MemoryDisk::new(1);
    block_on(async {
        let journal = Journal::open_on(options(), Box::new(disk.clone())).unwrap();
        // While nobody takes the first batch all others gather.
        let (sender, committed) = sync_channel(0);
        let (handle, thread) = journal.start(sender).unwrap();
        for (id, size) in (0..40).zip([20, 90, 400].into_iter().cycle()) {
            handle.append(draft(id, size)).await.unwrap();
        }
        handle.close();
        let batches: Vec<Vec<Entry>> = committed.iter().collect();
        thread.join().unwrap();
        let bytes = |entry: &Entry| super::super::segment::record_bytes(&entry.lamppost, &entry.payload);
        let is_bounded =
            |batch: &Vec<Entry>| batch.len() == 1 || batch.iter().map(bytes).sum::<usize>() <= 250;
        assert!(batches.iter().skip(1).all(is_bounded));
        assert!(batches.iter().skip(1).any(|batch| batch.len() == 2));
        assert_eq!(batches.iter().flatten().map(id_of).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
        assert_eq!(open(&disk).unwrap().1, batches.concat());
    });
}

/// How many commits it takes until all that the lampposts have is on disk.
fn commits(options: impl FnOnce(std::path::PathBuf) -> JournalOptions) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let options =
        JournalOptions { low_water: LowWater::of_bytes(0), ..options(folder.path().join("journal")) };
    let metrics = options.metrics.clone();
    let disk = SlowDisk(FileDisk::open(&options.directory).unwrap());
    block_on(async {
        let running = start(Journal::open_on(options, Box::new(disk)).unwrap());
        let mut lampposts = JoinSet::new();
        let draft = draft(0, PAYLOAD_BYTES);
        for _ in 0..LAMPPOSTS {
            let (handle, draft) = (running.handle.clone(), draft.clone());
            lampposts.spawn(async move {
                let mut last = None;
                for _ in 0..PAYLOADS {
                    last = Some(handle.append(draft.clone()).await.unwrap());
                }
                assert_eq!(settled(&handle, last.unwrap()).await, Fate::Committed);
            });
        }
        lampposts.join_all().await;
        assert_eq!(running.finish().len() as u64, LAMPPOSTS * PAYLOADS);
    });
    metrics.commits.get()
}

/// Files whose syncs wait, and that are never read again.
#[derive(Debug)]
struct SlowDisk(FileDisk);

#[derive(Debug)]
struct SlowFile(Box<dyn DiskFile>);

impl Disk for SlowDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile(self.0.open(name)?)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile(self.0.create(name)?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        self.0.space()
    }
}

impl DiskFile for SlowFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.cut(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        std::thread::sleep(SYNC);
        Ok(())
    }
}
