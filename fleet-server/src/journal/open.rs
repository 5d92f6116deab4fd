//! Opening and replaying: what a journal found on disk is worth.
//!
//! Only the last segment can hold what was never committed, because a new one is begun only when the one before is
//! committed, or cut back, to its end. A write that never finished may leave any part of its batch behind, in any
//! order, so the last segment is cut where the next record cannot be read, **unless** a later record proves that
//! the unreadable one was committed: one whose batch begins behind it. Then, as in every earlier segment, it is
//! damage: reported, counted, left in place, and read past.
//!
//! An earlier segment ends where the name of the next one says, whatever still stands behind: that was cut off before
//! the next one was created, and a disk that failed may have lost the cut.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::disk::{Disk, DiskFile};
use super::entry::Entry;
use super::reader::{Reader, Stretch};
use super::segment::{self, HEADER_BYTES, Header, Mark};
use super::{Damage, DamageKind, JournalError, JournalOptions, ReplayReport};
use crate::clock;

/// The journal as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) disk: Box<dyn Disk>,
    /// First sequences of the segments, ascending.
    segments: Vec<u64>,
    /// The last segment, if more can be appended to it.
    pub(super) tail: Option<Segment>,
    /// The sequence of the next entry.
    pub(super) next: u64,
    torn_bytes: u64,
}

/// A segment that is being appended to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) mark: Mark,
    /// Bytes that are known to be durable.
    pub(super) committed_bytes: u64,
}

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) fn open(options: &JournalOptions, disk: Box<dyn Disk>) -> Result<Found, JournalError> {
    let mut segments = list(options, &*disk)?;
    segments.sort_unstable();
    let last = segments.last().copied();
    for &first in &segments {
        let mut file = open_segment(options, &*disk, first)?;
        if Some(first) == last {
            write_anew(options, &mut *file, first)?;
        }
        file.sync().map_err(|source| JournalError::Sync { path: path(options, first), source })?;
    }
    disk.sync_names().map_err(|source| JournalError::Sync { path: options.directory.clone(), source })?;

    let mut found = Found { disk, segments, tail: None, next: 0, torn_bytes: 0 };
    if let Some(first) = last {
        settle_last(options, &mut found, first)?;
    }
    Ok(found)
}

pub(super) fn replay(
    options: &JournalOptions,
    found: &Found,
    each: impl FnMut(Entry),
) -> Result<ReplayReport, JournalError> {
    let mut replay = Replay::new(options, found, each);
    for (place, &first) in found.segments.iter().enumerate() {
        let below = found.segments.get(place + 1).copied().unwrap_or(found.next);
        replay.segment(&*found.disk, first, below)?;
    }
    Ok(replay.finish(found.next))
}

/// A new random mark.
pub(super) fn new_mark() -> io::Result<Mark> {
    let mut mark = Mark::default();
    getrandom::fill(&mut mark).map_err(io::Error::other)?;
    Ok(mark)
}

pub(super) fn path(options: &JournalOptions, first: u64) -> PathBuf {
    options.directory.join(segment::name(first))
}

fn list(options: &JournalOptions, disk: &dyn Disk) -> Result<Vec<u64>, JournalError> {
    let names = disk.names();
    let names =
        names.map_err(|source| JournalError::Directory { path: options.directory.clone(), source })?;
    let known = |name: String| {
        let first = segment::first_of(&name);
        if first.is_none() {
            tracing::warn!(file = %options.directory.join(name).display(), "not a segment of the journal: left alone");
        }
        first
    };
    Ok(names.into_iter().filter_map(known).collect())
}

fn open_segment(
    options: &JournalOptions,
    disk: &dyn Disk,
    first: u64,
) -> Result<Box<dyn DiskFile>, JournalError> {
    disk.open(&segment::name(first)).map_err(read_error(options, first))
}

/// Writes the file's bytes over themselves, so that the sync that follows truly writes them: after a sync that failed,
/// and a server that died of it, the kernel may show bytes as clean that never reached the disk.
fn write_anew(options: &JournalOptions, file: &mut dyn DiskFile, first: u64) -> Result<(), JournalError> {
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let read = file.read_at(&mut buffer, offset).map_err(read_error(options, first))?;
        if read == 0 {
            return Ok(());
        }
        let write = file.write_at(&buffer[..read], offset);
        write.map_err(|source| JournalError::Sync { path: path(options, first), source })?;
        offset += read as u64;
    }
}

/// Finds the end of the last segment and cuts off what was never committed.
fn settle_last(options: &JournalOptions, found: &mut Found, first: u64) -> Result<(), JournalError> {
    let mut file = open_segment(options, &*found.disk, first)?;
    let length = file.length().map_err(read_error(options, first))?;
    let (mark, header_is_good) = match header_of(options, &*file, first)? {
        HeaderFound::Good(mark) => (mark, true),
        // Its creation was interrupted: it holds nothing, and the writer creates it again under the same name.
        HeaderFound::Short => {
            found.segments.pop();
            (found.next, found.torn_bytes) = (first, length);
            return Ok(());
        }
        HeaderFound::Bad(mark) => (mark, false),
    };
    let end = find_end(&*file, mark, first).map_err(read_error(options, first))?;
    if !header_is_good && end.next == first {
        return Err(JournalError::Unreadable(path(options, first)));
    }
    if end.offset < length {
        found.torn_bytes = length - end.offset;
        tracing::warn!(
            file = %path(options, first).display(), bytes = found.torn_bytes, offset = end.offset,
            "the last write never finished: cut off, nothing of it was acknowledged"
        );
        let cut = file.cut(end.offset).and_then(|()| file.sync());
        cut.map_err(|source| JournalError::Cut { path: path(options, first), source })?;
    }
    found.next = end.next;
    found.tail = header_is_good.then_some(Segment { first, file, mark, committed_bytes: end.offset });
    Ok(())
}

struct End {
    offset: u64,
    next: u64,
}

fn find_end(file: &dyn DiskFile, mark: Mark, first: u64) -> io::Result<End> {
    let mut end = End { offset: HEADER_BYTES as u64, next: first };
    let mut in_doubt = false;
    let mut reader = Reader::new(file, mark, end.offset);
    while let Some(stretch) = reader.next()? {
        match stretch {
            Stretch::Unreadable { .. } => in_doubt = true,
            Stretch::Record { record, end: offset, .. } => {
                let batch_begins = record.entry.sequence.saturating_sub(u64::from(record.place));
                in_doubt |= record.entry.sequence != end.next;
                in_doubt &= batch_begins <= end.next;
                if !in_doubt {
                    end = End { offset, next: end.next.max(record.entry.sequence.saturating_add(1)) };
                }
            }
        }
    }
    Ok(end)
}

enum HeaderFound {
    Good(Mark),
    /// Damaged; records may still be told by what stands where the first one begins.
    Bad(Mark),
    /// No more than (part of) a header.
    Short,
}

fn header_of(options: &JournalOptions, file: &dyn DiskFile, first: u64) -> Result<HeaderFound, JournalError> {
    let mut start = [0; HEADER_BYTES + size_of::<Mark>()];
    let mut length = 0;
    while length < start.len() {
        let read = file.read_at(&mut start[length..], length as u64).map_err(read_error(options, first))?;
        if read == 0 {
            break;
        }
        length += read;
    }
    let (header, mark) = start[..length].split_at(HEADER_BYTES.min(length));
    match segment::read_header(header, first) {
        Header::Good { mark } => Ok(HeaderFound::Good(mark)),
        Header::Later { version: found } => {
            Err(JournalError::Version { path: path(options, first), found, known: segment::VERSION })
        }
        Header::Bad => Ok(mark.try_into().map_or(HeaderFound::Short, HeaderFound::Bad)),
    }
}

struct Replay<'a, F> {
    options: &'a JournalOptions,
    each: F,
    report: ReplayReport,
    /// The sequence that comes next if nothing is missing.
    expected: u64,
    /// The segment that was read last, and its length.
    last: (u64, u64),
    began: Instant,
    told: Instant,
}

impl<'a, F: FnMut(Entry)> Replay<'a, F> {
    fn new(options: &'a JournalOptions, found: &Found, each: F) -> Self {
        let now = clock::monotonic();
        let expected = found.segments.first().copied().unwrap_or(found.next);
        let report = ReplayReport { torn_bytes: found.torn_bytes, ..ReplayReport::default() };
        Self { options, each, report, expected, last: (expected, 0), began: now, told: now }
    }

    /// Hands on the entries of one segment, which holds none from `below` on.
    fn segment(&mut self, disk: &dyn Disk, first: u64, below: u64) -> Result<(), JournalError> {
        let file = open_segment(self.options, disk, first)?;
        let length = file.length().map_err(read_error(self.options, first))?;
        self.report.segments += 1;
        self.report.bytes += length;
        self.last = (first, length);
        let mark = match header_of(self.options, &*file, first)? {
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
            && let Some(stretch) = reader.next().map_err(read_error(self.options, first))?
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
            self.damage(first, offset, 0, DamageKind::Gap { expected, found });
            self.report.missing += found - expected;
        }
        self.expected = found.saturating_add(1);
        self.report.entries += 1;
        (self.each)(entry);
        if self.report.entries.is_multiple_of(1024) {
            self.tell_progress();
        }
    }

    fn damage(&mut self, first: u64, offset: u64, bytes: u64, kind: DamageKind) {
        let path = path(self.options, first);
        tracing::error!(file = %path.display(), offset, bytes, ?kind, "the journal is damaged; reading on behind it");
        self.report.damaged.push(Damage { path, offset, bytes, kind });
    }

    fn tell_progress(&mut self) {
        let now = clock::monotonic();
        if now.duration_since(self.told) >= PROGRESS_EVERY {
            self.told = now;
            let seconds = now.duration_since(self.began).as_secs_f64();
            tracing::info!(
                entries = self.report.entries,
                segments = self.report.segments,
                seconds,
                "replaying"
            );
        }
    }

    fn finish(mut self, next: u64) -> ReplayReport {
        if self.expected < next {
            let (expected, found) = (self.expected, next);
            let (last, length) = self.last;
            self.damage(last, length, 0, DamageKind::Gap { expected, found });
            self.report.missing += found - expected;
        }
        self.report.seconds = clock::monotonic().duration_since(self.began).as_secs_f64();
        let metrics = &self.options.metrics;
        metrics.damaged_regions.set(i64::try_from(self.report.damaged.len()).unwrap_or(i64::MAX));
        metrics.missing_entries.set(i64::try_from(self.report.missing).unwrap_or(i64::MAX));
        self.report
    }
}

fn read_error(options: &JournalOptions, first: u64) -> impl Fn(io::Error) -> JournalError {
    let path = path(options, first);
    move |source| JournalError::Read { path: path.clone(), source }
}
