//! Opening: what a journal found on disk is worth (D15).
//!
//! Only the last segment can hold what was never committed, because a new one is begun only when the one before is
//! committed, or cut back, to its end. A write that never finished may leave any part of its batch behind, in any
//! order, so the last segment is cut where the next record cannot be read, **unless** a later record proves that
//! the unreadable one was committed: one whose batch begins behind it. Then, as in every earlier segment, it is
//! damage: reported, counted, left in place, and read past.

use std::io;
use std::path::PathBuf;

use super::disk::{Disk, DiskFile};
use super::low_water::Room;
use super::random::Random;
use super::reader::{Reader, Stretch};
use super::segment::{self, HEADER_BYTES, Header, Mark};
use super::{JournalError, JournalOptions, SegmentInfo};

/// The journal as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) disk: Box<dyn Disk>,
    /// Ascending.
    pub(super) segments: Vec<SegmentInfo>,
    /// The last segment, if more can be appended to it.
    pub(super) tail: Option<Segment>,
    /// The sequence of the next entry.
    pub(super) next: u64,
    pub(super) torn_bytes: u64,
    pub(super) room: Room,
}

impl Found {
    /// The sequence of the oldest entry, or of the next one if there is none.
    pub(super) fn first(&self) -> u64 {
        self.segments.first().map_or(self.next, |oldest| oldest.first)
    }
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

pub(super) fn open(options: &JournalOptions, disk: Box<dyn Disk>) -> Result<Found, JournalError> {
    let mut firsts = list(options, &*disk)?;
    firsts.sort_unstable();
    let last = firsts.last().copied();
    let mut segments = Vec::with_capacity(firsts.len());
    for first in firsts {
        let mut file = open_segment(options, &*disk, first)?;
        segments.push(SegmentInfo { first, bytes: file.length().map_err(read_error(options, first))? });
        if Some(first) == last {
            write_anew(options, &mut *file, first)?;
        }
        file.sync().map_err(|source| JournalError::Sync { path: path(options, first), source })?;
    }
    disk.sync_names().map_err(|source| JournalError::Sync { path: options.directory.clone(), source })?;

    let mut room = Room::new(options.low_water);
    room.look(&*disk, &options.metrics);
    let mut found = Found { disk, segments, tail: None, next: 0, torn_bytes: 0, room };
    if let Some(first) = last {
        settle_last(options, &mut found, first)?;
    }
    let bytes = found.segments.iter().map(|segment| segment.bytes).sum::<u64>();
    options.metrics.segments.set(i64::try_from(found.segments.len()).unwrap_or(i64::MAX));
    options.metrics.disk_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    Ok(found)
}

/// A new random mark.
pub(super) fn new_mark(random: &Random) -> io::Result<Mark> {
    let mut mark = Mark::default();
    random.fill(&mut mark)?;
    Ok(mark)
}

pub(super) fn path(options: &JournalOptions, first: u64) -> PathBuf {
    options.directory.join(segment::name(first))
}

pub(super) fn list(options: &JournalOptions, disk: &dyn Disk) -> Result<Vec<u64>, JournalError> {
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

pub(super) fn open_segment(
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
    let (end, mark, header_is_good) = match look_at_last(options, &*file, first)? {
        Last::Ends { end, mark, header_is_good } => (end, mark, header_is_good),
        // The writer creates it again under the same name.
        Last::Interrupted => {
            found.segments.pop();
            (found.next, found.torn_bytes) = (first, length);
            return Ok(());
        }
    };
    if end.offset < length {
        found.torn_bytes = length - end.offset;
        tracing::warn!(
            file = %path(options, first).display(), bytes = found.torn_bytes, offset = end.offset,
            "the last write never finished: cut off, nothing of it was acknowledged"
        );
        let cut = file.cut(end.offset).and_then(|()| file.sync());
        cut.map_err(|source| JournalError::Cut { path: path(options, first), source })?;
    }
    if let Some(last) = found.segments.last_mut() {
        last.bytes = end.offset;
    }
    found.next = end.next;
    found.tail = header_is_good.then_some(Segment { first, file, mark, committed_bytes: end.offset });
    Ok(())
}

/// How the last segment ends.
pub(super) enum Last {
    /// Its creation was interrupted: it holds nothing.
    Interrupted,
    /// With entries, or just begun.
    Ends { end: End, mark: Mark, header_is_good: bool },
}

/// The end of what may be committed.
pub(super) struct End {
    /// Behind the last record.
    pub(super) offset: u64,
    /// The sequence behind the last record's.
    pub(super) next: u64,
    /// The sequence at which the last batch begins: all before it is committed.
    pub(super) last_batch: u64,
}

pub(super) fn look_at_last(
    options: &JournalOptions,
    file: &dyn DiskFile,
    first: u64,
) -> Result<Last, JournalError> {
    let (mark, header_is_good) = match header_of(options, file, first)? {
        HeaderFound::Good(mark) => (mark, true),
        HeaderFound::Bad(mark) => (mark, false),
        HeaderFound::Short => return Ok(Last::Interrupted),
    };
    let end = find_end(file, mark, first).map_err(read_error(options, first))?;
    if !header_is_good && end.next == first {
        return Err(JournalError::Unreadable(path(options, first)));
    }
    Ok(Last::Ends { end, mark, header_is_good })
}

fn find_end(file: &dyn DiskFile, mark: Mark, first: u64) -> io::Result<End> {
    let mut end = End { offset: HEADER_BYTES as u64, next: first, last_batch: first };
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
                    let next = end.next.max(record.entry.sequence.saturating_add(1));
                    end = End { offset, next, last_batch: end.last_batch.max(batch_begins) };
                }
            }
        }
    }
    Ok(end)
}

/// How a segment begins.
pub(super) enum HeaderFound {
    /// As it was written.
    Good(Mark),
    /// Damaged; records may still be told by what stands where the first one begins.
    Bad(Mark),
    /// No more than (part of) a header.
    Short,
}

pub(super) fn header_of(
    options: &JournalOptions,
    file: &dyn DiskFile,
    first: u64,
) -> Result<HeaderFound, JournalError> {
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

pub(super) fn read_error(options: &JournalOptions, first: u64) -> impl Fn(io::Error) -> JournalError {
    let path = path(options, first);
    move |source| JournalError::Read { path: path.clone(), source }
}
