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

/// So much is written for each second that a commit costs whatever is in it. Of a disk that syncs in a few milliseconds it is
/// less than the least batch; while one of 300 ms syncs, more than that has come.
const BYTES_PER_SECOND: u64 = 32 << 20;

/// How much a commit takes. Small batches keep live data from waiting behind a backlog, for ingest takes one at a time; but
/// a sync costs something whatever it syncs, so that a slow disk would take one small batch for each. So a batch grows
/// with that cost, as far as it is the disk, and not ingest, that everything waits for. What bytes cost is no reason to write
/// more of them at once: a disk that is slow in that way takes the same time for them in any batches.
#[derive(Debug)]
pub(super) struct BatchSize {
    least: u64,
    most: u64,
    next: u64,
    cost: Cost,
}

impl BatchSize {
    pub(super) fn new(options: &JournalOptions) -> Self {
        let least = options.batch_bytes;
        Self { least, most: options.largest_batch_bytes.max(least), next: least, cost: Cost::default() }
    }

    /// Most bytes of the next batch.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// A commit of so many bytes took so long, and then ingest let it wait for so long.
    pub(super) fn committed(&mut self, bytes: u64, took: Duration, waited: Duration) {
        self.cost.of(bytes, took);
        let each = match self.cost.each() {
            Some(each) => each,
            // Of batches of one size nobody can tell: another one is tried.
            None if bytes <= self.least => took,
            None => Duration::ZERO,
        };
        let ms = u64::try_from(each.saturating_sub(waited).as_millis()).unwrap_or(u64::MAX);
        self.next = ms.saturating_mul(BYTES_PER_SECOND / 1000).clamp(self.least, self.most);
    }
}

/// How much of what came before weighs in what a commit costs: the last ten or so tell.
const MEMORY: f64 = 0.9;

/// The sizes of batches tell apart what each of them costs and what their bytes do, if they vary by more than a tenth.
const LEAST_VARIANCE: f64 = 0.01;

/// What commits took, by their sizes: the sums of a straight line through them.
#[derive(Debug, Default)]
struct Cost {
    count: f64,
    mib: f64,
    seconds: f64,
    mib_squared: f64,
    product: f64,
}

impl Cost {
    /// A commit of so many bytes took so long.
    fn of(&mut self, bytes: u64, took: Duration) {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let (mib, seconds) = (f64::from(kib) / 1024.0, took.as_secs_f64());
        self.count = self.count * MEMORY + 1.0;
        self.mib = self.mib * MEMORY + mib;
        self.seconds = self.seconds * MEMORY + seconds;
        self.mib_squared = self.mib_squared * MEMORY + mib * mib;
        self.product = self.product * MEMORY + mib * seconds;
    }

    /// What each commit takes, whatever is in it; none if that cannot be told from what its bytes take.
    fn each(&self) -> Option<Duration> {
        let variance = self.count * self.mib_squared - self.mib * self.mib;
        if variance <= LEAST_VARIANCE * self.mib * self.mib {
            return None;
        }
        let for_each_mib = (self.count * self.product - self.mib * self.seconds) / variance;
        let each = (self.seconds - for_each_mib.max(0.0) * self.mib) / self.count;
        Duration::try_from_secs_f64(each.max(0.0)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: u64 = 1 << 20;
    const MOST: u64 = 8 << 20;

    /// The sizes of so many commits of a backlog to a disk that takes this long for each, and for each MiB.
    fn sizes(commits: usize, each_ms: u64, mib_ms: u64, waited_ms: u64) -> Vec<u64> {
        let mut size = BatchSize::new(&JournalOptions::in_directory("journal".into()));
        let next = |_| {
            let bytes = size.next();
            let took = Duration::from_millis(each_ms) + Duration::from_millis(mib_ms * (bytes >> 10) / 1024);
            size.committed(bytes, took, Duration::from_millis(waited_ms));
            bytes
        };
        (0..commits).map(next).collect()
    }

    fn share(sizes: &[u64], is_such: impl Fn(u64) -> bool) -> usize {
        sizes.iter().filter(|size| is_such(**size)).count() * 100 / sizes.len()
    }

    #[test]
    fn a_batch_is_small_on_a_disk_that_syncs_fast() {
        for each_ms in [0, 5, 30] {
            assert_eq!(share(&sizes(200, each_ms, 1, 0), |size| size == LEAST), 100);
        }
    }

    #[test]
    fn a_batch_grows_with_the_time_that_a_sync_takes_whatever_it_syncs() {
        assert_eq!(sizes(2, 100, 0, 0), [LEAST, 3_355_400]);
        for mib_ms in [0, 5, 20, 100] {
            let sizes = sizes(200, 300, mib_ms, 0);
            assert!(share(&sizes, |size| size == MOST) > 90, "{mib_ms} ms for each MiB: {sizes:?}");
        }
    }

    #[test]
    fn a_batch_stays_small_on_a_disk_that_is_slow_for_each_byte() {
        for mib_ms in [50, 100, 500] {
            let sizes = sizes(200, 5, mib_ms, 0);
            assert!(share(&sizes, |size| size == LEAST) > 90, "{mib_ms} ms for each MiB: {sizes:?}");
        }
    }

    #[test]
    fn a_batch_is_small_while_ingest_is_what_everything_waits_for() {
        for waited_ms in [280, 5_000] {
            assert_eq!(share(&sizes(50, 300, 0, waited_ms), |size| size == LEAST), 100);
        }
    }

    #[test]
    fn a_disk_that_was_slow_to_sync_and_is_now_slow_for_each_byte_is_given_less_again() {
        let mut size = BatchSize::new(&JournalOptions::in_directory("journal".into()));
        let mut last = Vec::new();
        for (each_ms, mib_ms) in [(300, 0), (5, 100)] {
            last = (0..200)
                .map(|_| {
                    let bytes = size.next();
                    let took = Duration::from_millis(each_ms + mib_ms * (bytes >> 10) / 1024);
                    size.committed(bytes, took, Duration::ZERO);
                    bytes
                })
                .collect();
        }
        assert!(share(&last[100..], |size| size == LEAST) > 90, "{last:?}");
    }
}
