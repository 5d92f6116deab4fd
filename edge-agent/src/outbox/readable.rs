//! Reading a segment whole, as far as the disk can.

use std::path::Path;

use super::disk::{self, DiskFile};
use super::segment::{self, Scan};

/// A file with more bytes was not written by an outbox; only so many are looked at.
const MAX_SEGMENT_BYTES: u64 = 16 << 20;

/// What a disk cannot read is passed over by this, the page that systems read at once.
const PAGE_BYTES: usize = 4 << 10;

/// So many pages of a segment are passed over at most: on a dying card each may take the system seconds.
const MAX_UNREAD_PAGES: usize = 8;

/// Verifies the records of a closed segment that was believed.
pub(super) fn verify(file: &dyn DiskFile, path: &Path, length: u64, seed: u32) -> (Scan, Readable) {
    let mut bytes = Vec::new();
    let readable = read_segment(file, path, length, &mut bytes);
    (segment::scan(&bytes, seed, |_| {}), readable)
}

/// How much of a segment could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readable {
    Wholly,
    /// There are zeros in place of pages that could not be read, or the rest is missing.
    Partly,
}

/// Reads a segment. Reading goes on behind what cannot be read: there may be whole records, and the end of the log.
pub(super) fn read_segment(file: &dyn DiskFile, path: &Path, length: u64, bytes: &mut Vec<u8>) -> Readable {
    let length = usize::try_from(length.min(MAX_SEGMENT_BYTES)).unwrap_or(usize::MAX);
    bytes.clear();
    bytes.resize(length, 0);
    let (mut at, mut unread) = (0, 0);
    while let Some(rest) = bytes.get_mut(at..) {
        let (filled, failed) = disk::read_at(file, rest, at as u64);
        at += filled;
        let Some(error) = failed else { break };
        tracing::error!(path = %path.display(), offset = at, %error, "a place of a segment cannot be read");
        unread += 1;
        let behind = (at / PAGE_BYTES + 1) * PAGE_BYTES;
        if unread > MAX_UNREAD_PAGES || behind >= length {
            break;
        }
        at = behind;
    }
    bytes.truncate(at);
    if unread == 0 { Readable::Wholly } else { Readable::Partly }
}
