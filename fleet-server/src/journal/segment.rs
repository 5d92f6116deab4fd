//! The format of a segment file, version 1. All numbers are little-endian.
//!
//! ```text
//! header   magic [8]  version u32  mark [4]  first sequence u64  CRC-32C of these u32
//! record   mark [4]  length of body u32  CRC-32C of length and body u32  body
//! body     sequence u64  place in its batch u32  received i64 (ms UTC)  leaf u8  length of number u8  number  payload
//! ```
//!
//! The *mark* is random, one for each segment: behind a damaged place the next record is found by it, and no payload,
//! which strangers write, can pass for a record. The *place in its batch* tells what was durable when the record was
//! written: every sequence before the first of its batch.

use bytes::{Buf, BufMut, Bytes};
use lamplighter_protocol::{LamppostNumber, Leaf, Log, UtcMillis};

use super::entry::{Entry, LARGEST_PAYLOAD_BYTES};

/// The newest format that this code reads, and the one that it writes.
pub(super) const VERSION: u32 = 1;
/// Length of a segment's header.
pub(super) const HEADER_BYTES: usize = 28;
/// Length of what stands before a record's body.
pub(super) const PREFIX_BYTES: usize = 12;

const MAGIC: &[u8; 8] = b"lampjrnl";
const FIXED_BODY_BYTES: usize = 22;
const LONGEST_NUMBER_BYTES: usize = 32;
const LARGEST_BODY_BYTES: usize = FIXED_BODY_BYTES + LONGEST_NUMBER_BYTES + LARGEST_PAYLOAD_BYTES;
/// The longest record.
pub(super) const LARGEST_RECORD_BYTES: usize = PREFIX_BYTES + LARGEST_BODY_BYTES;

/// Begins each record of one segment.
pub(super) type Mark = [u8; 4];

/// What the first bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// A header of ours, for this first sequence.
    Good { mark: Mark },
    /// A later release wrote it.
    Later { version: u32 },
    /// Nothing that can be believed.
    Bad,
}

/// An entry with its place in its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) entry: Entry,
    pub(super) place: u32,
}

/// The file name of the segment that begins with this sequence.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The first sequence of the segment of this file name, if it is one.
pub(crate) fn first_of(file_name: &str) -> Option<u64> {
    let first = file_name.strip_suffix(".log")?.parse().ok()?;
    (name(first) == file_name).then_some(first)
}

pub(super) fn write_header(first: u64, mark: Mark) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.put_slice(MAGIC);
    header.put_u32_le(VERSION);
    header.put_slice(&mark);
    header.put_u64_le(first);
    header.put_u32_le(crc32c::crc32c(&header));
    header
}

pub(super) fn read_header(header: &[u8], first: u64) -> Header {
    let Some((mut fields, mut crc)) = header.split_at_checked(HEADER_BYTES - 4) else { return Header::Bad };
    if crc.len() != 4 || crc.get_u32_le() != crc32c::crc32c(fields) {
        return Header::Bad;
    }
    let (mut magic, mut mark) = ([0; MAGIC.len()], Mark::default());
    fields.copy_to_slice(&mut magic);
    let version = fields.get_u32_le();
    fields.copy_to_slice(&mut mark);
    if magic != *MAGIC || version == 0 {
        return Header::Bad;
    }
    if version > VERSION {
        return Header::Later { version };
    }
    if fields.get_u64_le() == first { Header::Good { mark } } else { Header::Bad }
}

/// The length of an entry's record.
pub(super) fn record_bytes(lamppost: &LamppostNumber, payload: &Bytes) -> usize {
    PREFIX_BYTES + FIXED_BODY_BYTES + lamppost.as_str().len() + payload.len()
}

/// Appends the record of an entry that stands at this place in its batch.
pub(super) fn write_record(into: &mut Vec<u8>, mark: Mark, place: u32, entry: &Entry) {
    let number = entry.lamppost.as_str();
    let body_bytes = record_bytes(&entry.lamppost, &entry.payload) - PREFIX_BYTES;
    into.put_slice(&mark);
    let length_at = into.len();
    into.put_u32_le(
        u32::try_from(body_bytes).expect("an append takes no payload over LARGEST_PAYLOAD_BYTES"),
    );
    into.put_u32_le(0);
    let body_at = into.len();
    into.put_u64_le(entry.sequence);
    into.put_u32_le(place);
    into.put_i64_le(entry.received.0);
    into.put_u8(leaf_code(entry.leaf));
    into.put_u8(u8::try_from(number.len()).expect("a lamppost number has at most 32 characters"));
    into.put_slice(number.as_bytes());
    into.put_slice(&entry.payload);
    let crc = checksum(&into[length_at..length_at + 4], &into[body_at..]);
    into[length_at + 4..body_at].copy_from_slice(&crc.to_le_bytes());
}

/// The length of the whole record that this prefix begins, if it can be one.
pub(super) fn record_length(prefix: &[u8], mark: Mark) -> Option<usize> {
    let mut fields = prefix.strip_prefix(&mark)?;
    let body = usize::try_from(fields.try_get_u32_le().ok()?).ok()?;
    (FIXED_BODY_BYTES + 1..=LARGEST_BODY_BYTES).contains(&body).then_some(PREFIX_BYTES + body)
}

/// Whether these bytes, of the length that [`record_length`] told, are what was written.
pub(super) fn is_intact(record: &[u8]) -> bool {
    let Some((prefix, body)) = record.split_at_checked(PREFIX_BYTES) else { return false };
    let (length, mut crc) = prefix[4..].split_at(4);
    crc.get_u32_le() == checksum(length, body)
}

/// Reads the body of an intact record; the payload is a slice of it.
pub(super) fn read_body(mut body: Bytes) -> Option<Record> {
    let sequence = body.try_get_u64_le().ok()?;
    let place = body.try_get_u32_le().ok()?;
    let received = UtcMillis(body.try_get_i64_le().ok()?);
    let leaf = leaf_of(body.try_get_u8().ok()?)?;
    let number_bytes = usize::from(body.try_get_u8().ok()?);
    if number_bytes > body.len() {
        return None;
    }
    let number = body.split_to(number_bytes);
    let lamppost = LamppostNumber::new(std::str::from_utf8(&number).ok()?).ok()?;
    Some(Record { entry: Entry { sequence, received, lamppost, leaf, payload: body }, place })
}

fn checksum(length: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(length), body)
}

fn leaf_code(leaf: Leaf) -> u8 {
    match leaf {
        Leaf::Hello => 1,
        Leaf::Description => 2,
        Leaf::Frames(Log::Samples) => 3,
        Leaf::Frames(Log::Events) => 4,
        Leaf::Position => 5,
        Leaf::Command => 6,
    }
}

fn leaf_of(code: u8) -> Option<Leaf> {
    match code {
        1 => Some(Leaf::Hello),
        2 => Some(Leaf::Description),
        3 => Some(Leaf::Frames(Log::Samples)),
        4 => Some(Leaf::Frames(Log::Events)),
        5 => Some(Leaf::Position),
        6 => Some(Leaf::Command),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: Mark = [0xa1, 0xb2, 0xc3, 0xd4];

    proptest! {
        #[test]
        fn every_record_reads_back_and_no_changed_byte_passes(
            sequence: u64, place: u32, received: i64, code in 1..=6_u8, number in "[A-Za-z0-9_-]{1,32}",
            payload in proptest::collection::vec(any::<u8>(), 0..80), at: prop::sample::Index, flip in 1..=255_u8,
        ) {
            let entry = Entry {
                sequence,
                received: UtcMillis(received),
                lamppost: LamppostNumber::new(&number).unwrap(),
                leaf: leaf_of(code).unwrap(),
                payload: payload.into(),
            };
            let mut written = Vec::new();
            write_record(&mut written, MARK, place, &entry);
            prop_assert_eq!(written.len(), record_bytes(&entry.lamppost, &entry.payload));
            prop_assert_eq!(record_length(&written[..PREFIX_BYTES], MARK), Some(written.len()));
            prop_assert!(is_intact(&written));
            let body = Bytes::from(written.clone()).slice(PREFIX_BYTES..);
            prop_assert_eq!(read_body(body), Some(Record { entry, place }));

            let at = at.index(written.len());
            written[at] ^= flip;
            let length = record_length(&written[..PREFIX_BYTES], MARK);
            prop_assert!(length != Some(written.len()) || !is_intact(&written));
        }

        #[test]
        fn hostile_bodies_are_refused_or_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(record) = read_body(body.clone().into()) {
                prop_assert!(record.entry.payload.len() < body.len());
            }
        }
    }

    #[test]
    fn version_1_stays_readable() {
        let golden = b"lampjrnl\x01\0\0\0\xa1\xb2\xc3\xd4\x07\0\0\0\0\0\0\0";
        let header = write_header(7, MARK);
        assert_eq!(header[..HEADER_BYTES - 4], golden[..]);
        assert_eq!(header.len(), HEADER_BYTES);
        assert_eq!(read_header(&header, 7), Header::Good { mark: MARK });
        assert_eq!(read_header(&header, 8), Header::Bad, "the name of the file says otherwise");

        let mut record = Vec::new();
        let entry = Entry {
            sequence: 7,
            received: UtcMillis(-1),
            lamppost: LamppostNumber::new("AB1").unwrap(),
            leaf: Leaf::Frames(Log::Events),
            payload: Bytes::from_static(b"xyz"),
        };
        write_record(&mut record, MARK, 2, &entry);
        assert_eq!(record[..8], *b"\xa1\xb2\xc3\xd4\x1c\0\0\0");
        assert_eq!(
            record[PREFIX_BYTES..],
            *b"\x07\0\0\0\0\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x04\x03AB1xyz"
        );
    }

    #[test]
    fn a_header_with_any_byte_changed_is_not_believed() {
        let header = write_header(7, MARK);
        for at in 0..header.len() {
            let mut changed = header.clone();
            changed[at] ^= 1;
            assert_eq!(read_header(&changed, 7), Header::Bad, "byte {at}");
            assert_eq!(read_header(&header[..at], 7), Header::Bad, "cut to {at}");
        }
    }

    #[test]
    fn names_sort_as_sequences_and_nothing_else_is_a_segment() {
        assert_eq!(name(42), "00000000000000000042.log");
        assert_eq!(first_of(&name(u64::MAX)), Some(u64::MAX));
        for text in [
            "",
            ".log",
            "42.log",
            "00000000000000000042",
            "+0000000000000000042.log",
            "99999999999999999999.log",
        ] {
            assert_eq!(first_of(text), None, "{text:?}");
        }
    }
}
