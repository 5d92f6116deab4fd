//! Reading records back, a piece of one segment at a time.

use std::io;

use bytes::Bytes;
use lamplighter_protocol::Log;

use super::disk::{self, Disk, DiskFile};
use super::error::OutboxError;
use super::log_index::{Segment, first_missing};
use super::run::Run;
use super::segment::{self, MAX_RECORD_BYTES, PREFIX_BYTES};
use super::{Chunk, Place, ReadLimit};

/// What a read found.
#[derive(Debug)]
pub(super) enum Found {
    /// The record is not on disk.
    Nothing,
    /// Records.
    Chunk(Chunk),
    /// The record `first` is not as it was when it was written. Those after it, up to `last`, cannot be told apart
    /// for that, though they may be whole.
    Damaged { first: u64, last: u64 },
}

impl Found {
    /// The records, if there are any.
    pub(super) fn chunk(self) -> Option<Chunk> {
        match self {
            Self::Chunk(chunk) => Some(chunk),
            Self::Nothing | Self::Damaged { .. } => None,
        }
    }
}

/// Reads records of one log from `sequence` on, within the limit and one segment.
/// What precedes a place that cannot be read is returned.
pub(super) fn read(
    disk: &dyn Disk,
    run: &Run,
    log: Log,
    sequence: u64,
    limit: ReadLimit,
) -> Result<Found, OutboxError> {
    let index = run.log(log);
    let segment = index.segment_of(sequence).filter(|_| index.state.on_disk.contains(sequence));
    let Some((segment, (header, seed))) = segment.and_then(|one| Some((one, one.header.as_ref()?))) else {
        return Ok(Found::Nothing);
    };
    let most = u64::try_from(limit.records).unwrap_or(u64::MAX);
    if most == 0 || limit.last < sequence {
        return Ok(Found::Nothing);
    }
    let last = (segment.end - 1).min(limit.last).min(sequence.saturating_add(most - 1));
    let last = first_missing(&index.state.on_disk, sequence, last).map_or(last, |missing| missing - 1);

    let path = run.segment_path(log, segment.first);
    let unread = |source| OutboxError::Read { path: path.clone(), source };
    let file = disk.open(&path).map_err(unread)?;
    let Some(piece) = piece(&*file, segment, sequence, last, limit) else {
        return Err(unread(io::ErrorKind::UnexpectedEof.into()));
    };
    let (records, stopped_at) = piece.records(*seed, sequence, last, limit);
    if records.is_empty() {
        return match piece.cut_short {
            Some(source) => Err(unread(source)),
            // Without the damaged record's length, where the next one begins is known from the index only.
            None => Ok(Found::Damaged { first: stopped_at, last: piece.known_to.unwrap_or(segment.end) - 1 }),
        };
    }
    let place = Place { run: run.id, log, sequence };
    Ok(Found::Chunk(Chunk { place, description: header.description, records }))
}

/// Bytes of a segment that hold the records asked for, from a record whose place is known.
struct Piece {
    bytes: Bytes,
    /// Place in the segment of the record that the bytes begin with.
    begins_at: u32,
    /// First sequence of the segment.
    first: u64,
    /// The next sequence whose offset is known, if there is one.
    known_to: Option<u64>,
    /// Why there are fewer bytes than were asked for.
    cut_short: Option<io::Error>,
}

fn piece(
    file: &dyn DiskFile,
    segment: &Segment,
    sequence: u64,
    last: u64,
    limit: ReadLimit,
) -> Option<Piece> {
    let (begins_at, start) = segment.offsets.at_or_before(place_in(segment.first, sequence))?;
    let whole = usize::try_from(segment.bytes).unwrap_or(usize::MAX);
    let enough = segment.offsets.behind(place_in(segment.first, last)).unwrap_or(whole);
    // The records passed over, those within the limit with their prefixes, and one that may exceed it.
    let passed =
        segment.offsets.behind(place_in(segment.first, sequence)).unwrap_or(whole).saturating_sub(start);
    let prefixes = PREFIX_BYTES.saturating_mul(limit.records);
    let wanted = passed.saturating_add(limit.bytes).saturating_add(prefixes).saturating_add(MAX_RECORD_BYTES);
    let length = enough.saturating_sub(start).min(wanted);
    let mut bytes = vec![0; length];
    let (filled, failed) = disk::read_at(file, &mut bytes, start as u64);
    let ended = (filled < length).then(|| io::ErrorKind::UnexpectedEof.into());
    bytes.truncate(filled);
    let known_to = segment.offsets.next_place(place_in(segment.first, sequence));
    Some(Piece {
        bytes: bytes.into(),
        begins_at,
        first: segment.first,
        known_to: known_to.map(|place| segment.first + u64::from(place)),
        cut_short: failed.or(ended),
    })
}

impl Piece {
    /// The records asked for, and the sequence of the first one that is not among them.
    fn records(&self, seed: u32, sequence: u64, last: u64, limit: ReadLimit) -> (Vec<Bytes>, u64) {
        let (wanted, last) = (place_in(self.first, sequence), place_in(self.first, last));
        let (mut offset, mut place, mut room) = (0, self.begins_at, limit.bytes);
        let mut records = Vec::new();
        while place <= last
            && let Some(record) = segment::record_at(&self.bytes, offset, seed, place)
        {
            let framed = bytes_in_frame(record.len());
            if place >= wanted {
                if framed > room && !records.is_empty() {
                    break;
                }
                room = room.saturating_sub(framed);
                records.push(self.bytes.slice_ref(record));
            }
            offset += PREFIX_BYTES + record.len();
            place += 1;
        }
        (records, self.first + u64::from(place))
    }
}

fn place_in(first: u64, sequence: u64) -> u32 {
    u32::try_from(sequence.saturating_sub(first)).unwrap_or(u32::MAX)
}

/// Bytes of a record in a frame: its tag (1), its length as a varint, and itself.
pub(super) fn bytes_in_frame(length: usize) -> usize {
    let varint = match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000.. => 3,
    };
    1 + varint + length
}
