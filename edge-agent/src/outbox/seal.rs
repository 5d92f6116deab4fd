//! The seal of a closed segment: what has to be known of it, so that a start need not read it.
//!
//! A segment is sealed when it is closed: the seal follows its last record, and is synced with it. It is believed only if
//! the segment is followed by another one, or its run by another: before either is there the seal and all before it was
//! synced (D2). A seal that is missing, damaged, or of a later version costs nothing but time: the segment is read, record by
//! record. Numbers are little-endian:
//!
//! | seal | bytes |
//! | --- | --- |
//! | digest of the description | 32 |
//! | bytes of the header and the records | 4 |
//! | number of records | 4 |
//! | time of the newest record | 8 |
//! | where some of the records begin: place in the segment, offset | 8 each |
//! | how many those are | 4 |
//! | version | 2 |
//! | magic `LLSEAL` | 6 |
//! | checksum, which begins from the segment's header's | 4 |
//!
//! Only a segment all of whose records are whole, and may be dropped, is sealed: what a start has to learn from records
//! (openings, reports of drops) is read.

use std::path::Path;

use lamplighter_protocol::{Digest, Log, RunId, UtcMillis};

use super::disk::{self, Disk, DiskFile};
use super::dropping::Drops;
use super::error::{OutboxError, manage, unwritten};
use super::log_index::Segment;
use super::sealed::VERSION;
use super::segment::{self, HEADER_BYTES, Header, Offsets, PREFIX_BYTES};

const MAGIC: &[u8; 6] = b"LLSEAL";

/// What the seal has before the places of records, and behind them.
const HEAD_BYTES: usize = 32 + 4 + 4 + 8;
const TAIL_BYTES: usize = 4 + 2 + MAGIC.len() + 4;
const PLACE_BYTES: usize = 8;

/// So much is read of a file's end at first: all of the seal, unless the records are tiny.
const FIRST_READ_BYTES: u64 = 4 << 10;

/// A longer one was not written by an outbox.
const MAX_BYTES: u64 = 1 << 20;

/// What a seal says of its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) header: (Header, u32),
    /// One past the sequence of the last record.
    pub(super) end: u64,
    /// Bytes of the header and the records.
    pub(super) bytes: u64,
    pub(super) newest: UtcMillis,
    pub(super) offsets: Offsets,
}

/// Most bytes of the seal of a segment of so many bytes.
pub(super) fn most_bytes(segment_bytes: u64) -> u64 {
    let least = segment::RECORDS_PER_OFFSET as usize * (PREFIX_BYTES + 1);
    let places = segment_bytes / least as u64 + 1;
    (HEAD_BYTES + TAIL_BYTES) as u64 + places * PLACE_BYTES as u64
}

/// The seal of a segment whose records are all whole. None if it is none that is sealed.
pub(super) fn seal(segment: &Segment) -> Option<Vec<u8>> {
    let ((header, seed), newest) = (segment.header.as_ref()?, segment.newest?);
    let records = u32::try_from(segment.end - segment.first).ok().filter(|records| *records > 0)?;
    let bytes = u32::try_from(segment.bytes).ok()?;
    if segment.drops == Drops::Never || segment.unread {
        return None;
    }
    let mut seal = Vec::new();
    seal.extend_from_slice(&header.description.0);
    seal.extend_from_slice(&bytes.to_le_bytes());
    seal.extend_from_slice(&records.to_le_bytes());
    seal.extend_from_slice(&newest.0.to_le_bytes());
    let places = segment.offsets.places();
    for (place, offset) in places {
        seal.extend_from_slice(&place.to_le_bytes());
        seal.extend_from_slice(&offset.to_le_bytes());
    }
    seal.extend_from_slice(&u32::try_from(places.len()).ok()?.to_le_bytes());
    seal.extend_from_slice(&VERSION.to_le_bytes());
    seal.extend_from_slice(MAGIC);
    let checksum = crc32c::crc32c_append(*seed, &seal);
    seal.extend_from_slice(&checksum.to_le_bytes());
    Some(seal)
}

/// The seal at the end of this segment's file. None if there is none that can be read and understood.
pub(super) fn read(file: &dyn DiskFile, length: u64, (run, log, first): (RunId, Log, u64)) -> Option<Seal> {
    let mut read = length.min(FIRST_READ_BYTES);
    let mut bytes = Vec::new();
    // Once more if the seal turns out to be longer.
    for _ in 0..2 {
        bytes.clear();
        bytes.resize(usize::try_from(read).ok()?, 0);
        let (filled, failed) = disk::read_at(file, &mut bytes, length - read);
        if filled < bytes.len() || failed.is_some() {
            return None;
        }
        let seal_bytes = length_of(&bytes).filter(|seal_bytes| *seal_bytes <= length.min(MAX_BYTES))?;
        if seal_bytes <= read {
            let at = usize::try_from(read - seal_bytes).ok()?;
            return decode(bytes.get(at..)?, length, (run, log, first));
        }
        read = seal_bytes;
    }
    None
}

/// Takes the seal off a segment whose header and records have so many bytes: the next start reads it again, record by
/// record.
pub(super) fn take_off(disk: &dyn Disk, path: &Path, bytes: u64) -> Result<(), OutboxError> {
    let file = disk.open(path).map_err(manage("open", path))?;
    if file.length().map_err(manage("measure", path))? > bytes {
        file.cut(bytes).map_err(unwritten(path))?;
        disk::sync(&*file, path)?;
    }
    Ok(())
}

/// How long the seal is that ends these bytes.
fn length_of(bytes: &[u8]) -> Option<u64> {
    let (_, tail) = bytes.split_last_chunk::<TAIL_BYTES>()?;
    let (places, tail) = tail.split_first_chunk::<4>()?;
    let (version, tail) = tail.split_first_chunk::<2>()?;
    if !tail.starts_with(MAGIC) || u16::from_le_bytes(*version) > VERSION {
        return None;
    }
    let places = u64::from(u32::from_le_bytes(*places));
    Some((HEAD_BYTES + TAIL_BYTES) as u64 + places * PLACE_BYTES as u64)
}

fn decode(seal: &[u8], length: u64, (run, log, first): (RunId, Log, u64)) -> Option<Seal> {
    let (fields, stated) = seal.split_last_chunk::<4>()?;
    let (description, rest) = fields.split_first_chunk::<32>()?;
    let (bytes, rest) = rest.split_first_chunk::<4>()?;
    let (records, rest) = rest.split_first_chunk::<4>()?;
    let (newest, rest) = rest.split_first_chunk::<8>()?;
    let places = rest.get(..rest.len().checked_sub(TAIL_BYTES - 4)?)?;

    let header = Header { run, log, first, description: Digest(*description) };
    let (_, seed) = header.encode();
    if crc32c::crc32c_append(seed, fields) != u32::from_le_bytes(*stated) {
        return None;
    }
    let (bytes, records) = (u32::from_le_bytes(*bytes), u32::from_le_bytes(*records));
    let offsets = Offsets::parse(places, records, bytes)?;
    let fits = u64::from(bytes) + seal.len() as u64 == length && bytes as usize > HEADER_BYTES;
    fits.then_some(Seal {
        header: (header, seed),
        end: first.checked_add(u64::from(records))?,
        bytes: u64::from(bytes),
        newest: UtcMillis(i64::from_le_bytes(*newest)),
        offsets,
    })
}
