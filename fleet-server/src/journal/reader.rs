//! Reads the records of one segment in order, and finds the next one behind what cannot be read.

use std::io;

use bytes::{Buf, BytesMut};

use super::disk::DiskFile;
use super::segment::{self, Mark, PREFIX_BYTES, Record};

const READ_BYTES: usize = 1 << 20;

/// A stretch of a segment.
#[derive(Debug)]
pub(super) enum Stretch {
    /// A record with a right checksum; `end` is the offset behind it.
    Record { record: Record, offset: u64, end: u64 },
    /// Bytes in which no record can be told.
    Unreadable { offset: u64, bytes: u64 },
}

/// Goes through one segment.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a dyn DiskFile,
    mark: Mark,
    /// Offset in the file of the buffer's first byte.
    offset: u64,
    buffer: BytesMut,
}

impl<'a> Reader<'a> {
    /// Reads from this offset on.
    pub(super) fn new(file: &'a dyn DiskFile, mark: Mark, offset: u64) -> Self {
        Self { file, mark, offset, buffer: BytesMut::new() }
    }

    /// The next stretch; none at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Stretch>> {
        let offset = self.offset;
        loop {
            let record_bytes = self.record_at_front()?;
            let skipped = self.offset - offset;
            if skipped > 0 && (record_bytes.is_some() || self.buffer.is_empty()) {
                return Ok(Some(Stretch::Unreadable { offset, bytes: skipped }));
            }
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let Some(record_bytes) = record_bytes else {
                self.skip_to_mark();
                continue;
            };
            self.offset += record_bytes as u64;
            let body = self.buffer.split_to(record_bytes).freeze().slice(PREFIX_BYTES..);
            return Ok(Some(match segment::read_body(body) {
                Some(record) => Stretch::Record { record, offset, end: self.offset },
                None => Stretch::Unreadable { offset, bytes: record_bytes as u64 },
            }));
        }
    }

    /// The length of the intact record that the buffer begins with, if it does.
    fn record_at_front(&mut self) -> io::Result<Option<usize>> {
        self.fill(PREFIX_BYTES)?;
        let prefix = &self.buffer[..PREFIX_BYTES.min(self.buffer.len())];
        let Some(record_bytes) = segment::record_length(prefix, self.mark) else { return Ok(None) };
        self.fill(record_bytes)?;
        let whole = self.buffer.get(..record_bytes);
        Ok(whole.is_some_and(segment::is_intact).then_some(record_bytes))
    }

    /// Drops at least one byte, and all up to what may be the next mark.
    fn skip_to_mark(&mut self) {
        let next = self.buffer.windows(self.mark.len()).skip(1).position(|bytes| bytes == self.mark);
        // Without a match, a mark may still begin in the last three bytes.
        let ahead = next.map_or_else(|| (self.buffer.len() + 1).saturating_sub(self.mark.len()), |at| at + 1);
        let ahead = ahead.max(1);
        self.buffer.advance(ahead);
        self.offset += ahead as u64;
    }

    /// Reads on until the buffer has this many bytes, or the file no more. No more room is made than the file has bytes.
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        while self.buffer.len() < bytes {
            let held = self.buffer.len();
            let rest = self.file.length()?.saturating_sub(self.offset);
            let room = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.max(READ_BYTES));
            if room <= held {
                break;
            }
            self.buffer.resize(room, 0);
            let read = self.file.read_at(&mut self.buffer[held..], self.offset + held as u64);
            self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                break;
            }
        }
        Ok(())
    }
}
