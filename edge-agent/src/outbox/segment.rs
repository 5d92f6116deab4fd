//! The bytes of a segment, and how they are read when some of them are wrong.
//!
//! A segment is a header and then records, all numbers little-endian:
//!
//! | header | bytes | | record | bytes |
//! | --- | --- | --- | --- | --- |
//! | magic `LLSEGM` | 6 | | checksum | 4 |
//! | version | 2 | | length | 2 |
//! | run | 16 | | low 16 bits of its place in the segment | 2 |
//! | log: 0 samples, 1 events | 1 | | the record, serialised | length |
//! | first sequence | 8 | | | |
//! | digest of the description | 32 | | | |
//! | checksum of the header | 4 | | | |
//!
//! Behind the last record of a closed segment is its [seal](super::seal).
//!
//! Checksums are CRC-32C. A record's begins from the header's and from the rest of its place, so a record is whole
//! only in its own run, log and sequence: bytes that another file left on the disk are never taken for one of ours,
//! and reading goes on behind damage without mistaking the sequence.

use lamplighter_protocol::{Digest, Log, RunId, limits};

use super::sealed::VERSION;

const MAGIC: &[u8; 6] = b"LLSEGM";

/// Bytes of a segment before its first record.
pub(super) const HEADER_BYTES: usize = 69;

/// Bytes of a record before what it holds.
pub(super) const PREFIX_BYTES: usize = 8;

/// Most bytes of a record: it has to fit in a frame, beside the envelope (under 200 bytes).
pub(super) const MAX_RECORD_BYTES: usize = limits::MAX_PAYLOAD_BYTES - 256;

/// How far behind damage the next whole record is looked for: past the longest record, and past the largest unit
/// in which cards commonly lose data. Bounds the time that hostile bytes can cost.
pub(super) const LOOK_AHEAD_BYTES: usize = 64 * 1024;

/// One offset is kept for as many records: a read skips 128 of them on average, and a GB of two-sensor ticks
/// (50 bytes) takes 0.7 MB of index.
pub(super) const RECORDS_PER_OFFSET: u32 = 256;

/// What a segment's records have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) run: RunId,
    pub(super) log: Log,
    pub(super) first: u64,
    pub(super) description: Digest,
}

/// Why a header is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// There are fewer bytes than a header has: its writing was cut short.
    Short,
    /// It is not as it was written.
    Damaged,
    /// A later version wrote it.
    Newer(u16),
}

impl Header {
    /// The header's bytes, and its checksum: the seed of its records'.
    pub(super) fn encode(&self) -> ([u8; HEADER_BYTES], u32) {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.run.0);
        bytes.push(match self.log {
            Log::Samples => 0,
            Log::Events => 1,
        });
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.description.0);
        let seed = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&seed.to_le_bytes());
        (bytes.try_into().expect("the parts have the header's length"), seed)
    }

    /// Reads a header, and the seed of its records' checksums.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, u32), BadHeader> {
        let (head, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(BadHeader::Short)?;
        let (fields, stated) = head.split_last_chunk::<4>().ok_or(BadHeader::Short)?;
        let seed = crc32c::crc32c(fields);
        if !fields.starts_with(MAGIC) || seed != u32::from_le_bytes(*stated) {
            return Err(BadHeader::Damaged);
        }
        let mut rest = fields.get(MAGIC.len()..).unwrap_or_default();
        let version = u16::from_le_bytes(take(&mut rest)?);
        if version > VERSION {
            return Err(BadHeader::Newer(version));
        }
        let run = RunId(take(&mut rest)?);
        let log = match take::<1>(&mut rest)? {
            [0] => Log::Samples,
            [1] => Log::Events,
            [_] => return Err(BadHeader::Damaged),
        };
        let first = u64::from_le_bytes(take(&mut rest)?);
        Ok((Self { run, log, first, description: Digest(take(&mut rest)?) }, seed))
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadHeader> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(BadHeader::Short)?;
    *bytes = rest;
    Ok(*taken)
}

/// Writes the record at `place` (counted from 0 in its segment) behind what `to` holds.
pub(super) fn write_record(to: &mut Vec<u8>, seed: u32, place: u32, record: &[u8]) {
    let length = u16::try_from(record.len()).expect("a record has at most MAX_RECORD_BYTES");
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&low_bits(place).to_le_bytes());
    to.extend_from_slice(record);
    let checksum = crc32c::crc32c_append(seed ^ (place >> 16), &to[start + 4..]);
    to[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// The record at `place` if its bytes, whole, begin at `offset`.
pub(super) fn record_at(bytes: &[u8], offset: usize, seed: u32, place: u32) -> Option<&[u8]> {
    let (stated, rest) = bytes.get(offset..)?.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_le_bytes(*rest.first_chunk::<2>()?));
    let covered = rest.get(..4 + length)?;
    let record = covered.get(4..)?;
    // A record is never empty: zeros, which a file system may leave in place of what was lost, are no record.
    let fits = !record.is_empty() && covered.get(2..4)? == low_bits(place).to_le_bytes();
    let whole = fits && crc32c::crc32c_append(seed ^ (place >> 16), covered) == u32::from_le_bytes(*stated);
    whole.then_some(record)
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is meant")]
fn low_bits(place: u32) -> u16 {
    place as u16
}

/// Where some of a segment's records begin: (place, offset), ascending. From each on, records follow each other
/// without damage up to the next or the end of what is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets(Vec<(u32, u32)>);

impl Offsets {
    /// Notes where a record begins, if it is the first or far enough from the last noted.
    pub(super) fn note(&mut self, place: u32, offset: usize) {
        if self.0.last().is_none_or(|last| place >= last.0.saturating_add(RECORDS_PER_OFFSET)) {
            self.note_always(place, offset);
        }
    }

    fn note_always(&mut self, place: u32, offset: usize) {
        // A segment that is too large for this is not read: see MAX_SEGMENT_BYTES.
        self.0.push((place, u32::try_from(offset).unwrap_or(u32::MAX)));
    }

    /// The nearest record at or before `place` whose offset is known.
    pub(super) fn at_or_before(&self, place: u32) -> Option<(u32, usize)> {
        let at = self.0.partition_point(|noted| noted.0 <= place).checked_sub(1)?;
        self.0.get(at).map(|noted| (noted.0, noted.1 as usize))
    }

    /// The nearest record after `place` whose offset is known.
    pub(super) fn next_place(&self, place: u32) -> Option<u32> {
        self.0.get(self.0.partition_point(|noted| noted.0 <= place)).map(|noted| noted.0)
    }

    /// An offset that lies behind the record at `place`; none: as far as the file goes.
    pub(super) fn behind(&self, place: u32) -> Option<usize> {
        let at = self.0.partition_point(|noted| noted.0 <= place);
        self.0.get(at).map(|noted| noted.1 as usize)
    }

    /// The places and their offsets.
    pub(super) fn places(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Reads places and offsets, four bytes each: of a segment of so many records and bytes, from its first record on.
    pub(super) fn parse(bytes: &[u8], records: u32, segment_bytes: u32) -> Option<Self> {
        let numbers = |pair: &[u8; 8]| {
            let [p0, p1, p2, p3, o0, o1, o2, o3] = *pair;
            (u32::from_le_bytes([p0, p1, p2, p3]), u32::from_le_bytes([o0, o1, o2, o3]))
        };
        let (pairs, []) = bytes.as_chunks::<8>() else { return None };
        let places: Vec<_> = pairs.iter().map(numbers).collect();
        let ascend = places.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1);
        let begins = places.first().is_some_and(|first| first.0 == 0 && first.1 as usize == HEADER_BYTES);
        let ends = places.last().is_some_and(|last| last.0 < records && last.1 < segment_bytes);
        (ascend && begins && ends).then_some(Self(places))
    }

    /// Gives back what was reserved for more.
    pub(super) fn settle(&mut self) {
        self.0.shrink_to_fit();
    }
}

/// What was found behind a segment's header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Ranges of places whose records are whole, both ends included, ascending.
    pub(super) whole: Vec<(u32, u32)>,
    pub(super) offsets: Offsets,
    /// Bytes up to the end of the last whole record.
    pub(super) whole_bytes: usize,
    /// Places in the file where bytes were passed over to go on behind them.
    pub(super) damaged: usize,
}

/// Verifies all records of a segment, and shows each. Bytes behind the last whole record are a torn tail, or damage: `whole_bytes`
/// then is less than there are.
pub(super) fn scan<'a>(bytes: &'a [u8], seed: u32, mut each: impl FnMut(&'a [u8])) -> Scan {
    let mut found = Scan { whole_bytes: HEADER_BYTES, ..Scan::default() };
    let (mut offset, mut place) = (HEADER_BYTES, 0_u32);
    let mut begin = 0_u32;
    loop {
        while let Some(record) = record_at(bytes, offset, seed, place) {
            found.offsets.note(place, offset);
            each(record);
            offset += PREFIX_BYTES + record.len();
            place += 1;
        }
        if place > begin {
            found.whole.push((begin, place - 1));
            found.whole_bytes = offset;
        }
        let Some((behind, next)) = next_whole(bytes, offset, seed, place) else { break };
        found.damaged += 1;
        found.offsets.note_always(next, behind);
        (offset, place, begin) = (behind, next, next);
    }
    found.offsets.settle();
    found
}

/// Looks for a whole record behind damage that begins at `offset`, where the record at `place` should be. To be
/// taken, it has to be followed by another whole one, by the end, or by zeros: space that was taken ahead.
fn next_whole(bytes: &[u8], offset: usize, seed: u32, place: u32) -> Option<(usize, u32)> {
    let end = bytes.len().min(offset.saturating_add(LOOK_AHEAD_BYTES));
    (offset + PREFIX_BYTES + 1..end).find_map(|at| {
        let low = bytes.get(at + 6..at + 8).map(|low| u16::from_le_bytes([low[0], low[1]]))?;
        let ahead = low.wrapping_sub(low_bits(place));
        // So many records fit into the bytes passed over, at most.
        if ahead == 0 || usize::from(ahead) > (at - offset) / (PREFIX_BYTES + 1) {
            return None;
        }
        let found = place.checked_add(u32::from(ahead))?;
        let after = at + PREFIX_BYTES + record_at(bytes, at, seed, found)?.len();
        let ends =
            || bytes.get(after..).is_some_and(|rest| rest.iter().take(PREFIX_BYTES).all(|byte| *byte == 0));
        let confirmed = ends() || record_at(bytes, after, seed, found.checked_add(1)?).is_some();
        confirmed.then_some((at, found))
    })
}
