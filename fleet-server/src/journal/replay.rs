//! Replaying: every committed entry, once and in order, and a name for all that cannot be read.
//!
//! An earlier segment ends where the name of the next one says, whatever still stands behind: that was cut off before
//! the next one was created, and a disk that failed may have lost the cut.

use std::time::{Duration, Instant};

use super::disk::Disk;
use super::entry::Entry;
use super::open::{self, Found, HeaderFound};
use super::reader::{Reader, Stretch};
use super::segment::HEADER_BYTES;
use super::{Damage, DamageKind, JournalError, JournalOptions, ReplayReport};
use crate::clock;

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) fn replay(
    options: &JournalOptions,
    found: &Found,
    from: u64,
    each: impl FnMut(Entry),
) -> Result<ReplayReport, JournalError> {
    if from > found.next {
        return Err(JournalError::Ends { path: options.directory.clone(), next: found.next, asked: from });
    }
    // The last one that begins at or before `from`, and all behind it.
    let skipped = found.segments.partition_point(|segment| segment.first <= from).saturating_sub(1);
    let segments = &found.segments[skipped..];
    let expected = segments.first().map_or(from, |segment| segment.first.min(from));
    let report =
        ReplayReport { first: found.first(), torn_bytes: found.torn_bytes, ..ReplayReport::default() };
    let mut replay = Replay { expected, ..Replay::new(options, report, from, each) };
    for (place, segment) in segments.iter().enumerate() {
        let below = segments.get(place + 1).map_or(found.next, |next| next.first);
        replay.segment(&*found.disk, segment.first, below)?;
    }
    Ok(replay.finish(found.next))
}

pub(super) struct Replay<'a, F> {
    options: &'a JournalOptions,
    each: F,
    /// The first sequence that is handed on.
    from: u64,
    report: ReplayReport,
    /// The sequence that comes next if nothing is missing.
    expected: u64,
    /// The segment that was read last, and its length.
    last: (u64, u64),
    began: Instant,
    told: Instant,
}

impl<'a, F: FnMut(Entry)> Replay<'a, F> {
    /// Hands on what stands from this sequence on.
    pub(super) fn new(options: &'a JournalOptions, report: ReplayReport, from: u64, each: F) -> Self {
        let now = clock::monotonic();
        Self { options, each, from, report, expected: from, last: (from, 0), began: now, told: now }
    }

    /// Goes on at this sequence: what lies before it was trimmed.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.expected = sequence;
        if self.report.segments == 0 {
            self.report.first = sequence;
        }
    }

    /// Hands on the entries of one segment, which holds none from `below` on.
    pub(super) fn segment(&mut self, disk: &dyn Disk, first: u64, below: u64) -> Result<(), JournalError> {
        let file = open::open_segment(self.options, disk, first)?;
        let length = file.length().map_err(open::read_error(self.options, first))?;
        self.report.segments += 1;
        self.report.bytes += length;
        self.last = (first, length);
        let mark = match open::header_of(self.options, &*file, first)? {
            HeaderFound::Good(mark) => mark,
            HeaderFound::Bad(mark) => {
                self.damage(first, 0, HEADER_BYTES as u64, DamageKind::Header);
                mark
            }
            HeaderFound::Short => {
                self.damage(first, 0, length, DamageKind::Header);
                return Ok(());
            }
        };
        let mut reader = Reader::new(&*file, mark, HEADER_BYTES as u64);
        while self.expected < below
            && let Some(stretch) = reader.next().map_err(open::read_error(self.options, first))?
        {
            match stretch {
                Stretch::Unreadable { offset, bytes } => {
                    self.damage(first, offset, bytes, DamageKind::Records);
                }
                Stretch::Record { record, .. } if record.entry.sequence >= below => break,
                Stretch::Record { record, offset, .. } => self.entry(first, offset, record.entry),
            }
        }
        Ok(())
    }

    fn entry(&mut self, first: u64, offset: u64, entry: Entry) {
        let (expected, found) = (self.expected, entry.sequence);
        if found < expected {
            self.damage(first, offset, 0, DamageKind::Repeated { expected, found });
            return;
        }
        if found > expected {
            self.gap(first, offset, found);
        }
        self.expected = found.saturating_add(1);
        if found < self.from {
            return;
        }
        self.report.entries += 1;
        (self.each)(entry);
        if self.report.entries.is_multiple_of(1024) {
            self.tell_progress();
        }
    }

    fn gap(&mut self, first: u64, offset: u64, found: u64) {
        self.damage(first, offset, 0, DamageKind::Gap { expected: self.expected, found });
        self.report.missing += found.saturating_sub(self.expected.max(self.from));
    }

    fn damage(&mut self, first: u64, offset: u64, bytes: u64, kind: DamageKind) {
        let path = open::path(self.options, first);
        tracing::error!(file = %path.display(), offset, bytes, ?kind, "the journal is damaged; reading on behind it");
        self.report.damaged.push(Damage { path, offset, bytes, kind });
    }

    fn tell_progress(&mut self) {
        let now = clock::monotonic();
        if now.duration_since(self.told) >= PROGRESS_EVERY {
            self.told = now;
            self.report.seconds = now.duration_since(self.began).as_secs_f64();
            self.tell("replaying the journal");
        }
    }

    pub(super) fn finish(mut self, next: u64) -> ReplayReport {
        if self.expected < next {
            let (last, length) = self.last;
            self.gap(last, length, next);
        }
        self.report.seconds = clock::monotonic().duration_since(self.began).as_secs_f64();
        let metrics = &self.options.metrics;
        metrics.damaged_regions.set(i64::try_from(self.report.damaged.len()).unwrap_or(i64::MAX));
        metrics.damage_seen.found(&self.report.damaged);
        metrics.missing_entries.set(i64::try_from(self.report.missing).unwrap_or(i64::MAX));
        self.tell("the journal is replayed");
        self.report
    }

    fn tell(&self, what: &str) {
        let ReplayReport { first, entries, bytes, segments, seconds, .. } = self.report;
        let per_second = bytes_per_second(bytes, seconds);
        tracing::info!(first, entries, bytes, segments, seconds, bytes_per_second = per_second, "{what}");
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for people"
)]
fn bytes_per_second(bytes: u64, seconds: f64) -> u64 {
    (bytes as f64 / seconds.max(1e-6)) as u64
}
