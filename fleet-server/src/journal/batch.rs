//! What gathers between two commits, each entry with its place already, and how much of it the next commit takes.

use std::time::Duration;

use super::entry::{Draft, Entry};
use super::segment;
use super::{Commit, JournalOptions, Ticket};

/// Entries that are committed together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Bytes of their records.
    pub(super) bytes: u64,
}

/// Gives entries their places, and gathers them to a batch.
#[derive(Debug)]
pub(super) struct Gathering {
    epoch: u64,
    next: u64,
    batch: Batch,
}

impl Gathering {
    /// Nothing yet, behind this commit.
    pub(super) fn behind(commit: Commit) -> Self {
        Self { epoch: commit.epoch, next: commit.below, batch: Batch::default() }
    }

    pub(super) fn push(&mut self, draft: Draft) -> Ticket {
        let ticket = Ticket { epoch: self.epoch, sequence: self.next };
        let Draft { received, lamppost, leaf, payload } = draft;
        self.batch.bytes += segment::record_bytes(&lamppost, &payload) as u64;
        self.batch.entries.push(Entry { sequence: ticket.sequence, received, lamppost, leaf, payload });
        self.next += 1;
        ticket
    }

    pub(super) fn len(&self) -> usize {
        self.batch.entries.len()
    }

    /// The oldest of what has gathered, up to so many bytes; one entry at least, if there is any.
    pub(super) fn take(&mut self, most_bytes: u64) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        if batch.bytes <= most_bytes {
            return batch;
        }
        let (mut taken, mut bytes) = (0, 0);
        for entry in &batch.entries {
            let with_it = bytes + segment::record_bytes(&entry.lamppost, &entry.payload) as u64;
            if taken > 0 && with_it > most_bytes {
                break;
            }
            (taken, bytes) = (taken + 1, with_it);
        }
        self.batch = Batch { entries: batch.entries.split_off(taken), bytes: batch.bytes - bytes };
        Batch { entries: batch.entries, bytes }
    }

    /// Begins the epoch of this commit; gives back what had gathered in the one before.
    pub(super) fn begin(&mut self, commit: Commit) -> Batch {
        std::mem::replace(self, Self::behind(commit)).batch
    }
}

/// So much is written for each second that a commit takes. Of a disk that syncs in a few milliseconds it is less than the
/// least batch; while one of 300 ms syncs, more than that has come.
const BYTES_PER_SECOND: u64 = 32 << 20;

/// How much a commit takes. Small batches keep live data from waiting behind a backlog, for ingest takes one at a time; but
/// a sync costs the same whatever it syncs, so that a slow disk would take one small batch for each. So a batch grows
/// with the time that a commit takes, as far as it is the disk, and not ingest, that everything waits for.
#[derive(Debug)]
pub(super) struct BatchSize {
    least: u64,
    most: u64,
    next: u64,
}

impl BatchSize {
    pub(super) fn new(options: &JournalOptions) -> Self {
        let least = options.batch_bytes;
        Self { least, most: options.largest_batch_bytes.max(least), next: least }
    }

    /// Most bytes of the next batch.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// A commit took so long, and then ingest let it wait for so long.
    pub(super) fn committed(&mut self, took: Duration, waited: Duration) {
        let ms = u64::try_from(took.saturating_sub(waited).as_millis()).unwrap_or(u64::MAX);
        self.next = ms.saturating_mul(BYTES_PER_SECOND / 1000).clamp(self.least, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_small_on_a_fast_disk_and_grows_with_the_time_that_a_commit_takes() {
        let mut size = BatchSize::new(&JournalOptions::in_directory("journal".into()));
        let mut after = |took_ms, waited_ms| {
            size.committed(Duration::from_millis(took_ms), Duration::from_millis(waited_ms));
            size.next()
        };
        let (least, most) = (1 << 20, 8 << 20);
        assert_eq!([after(0, 0), after(5, 0), after(30, 0)], [least; 3]);
        assert_eq!(after(100, 0), 3_355_400);
        assert_eq!([after(300, 0), after(60_000, 0)], [most; 2]);
        assert_eq!([after(300, 280), after(300, 5_000)], [least; 2], "ingest is what everything waits for");
    }
}
