//! The format of a checkpoint's file, version 1. All numbers are little-endian.
//!
//! ```text
//! header   magic [8]  version u32  sequence u64  taken i64 (ms UTC)  CRC-32C of these u32
//! part     length of message u32  CRC-32C u32  message
//! ```
//!
//! The checksum of a part is that of the lengths and messages of all parts so far, on top of the header's: so a part is
//! as it was written, and where it was. The last one is an `End`, behind which the file ends.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use lamplighter_protocol::UtcMillis;
use prost::Message as _;

use super::error::Unusable;
use super::wire;
use crate::journal::DiskFile;

/// The newest format that this code reads, and the one that it writes.
pub(super) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"lampchkp";
const HEADER_BYTES: usize = 32;
const PREFIX_BYTES: usize = 8;

/// Largest message of a part. The largest that is written is a lamppost's last hello, with its 256 runs of 128 pieces.
const MOST_PART_BYTES: usize = 4 << 20;

/// How much is written and read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The first sequence that is not in it.
    pub(super) sequence: u64,
    /// When it was taken.
    pub(super) taken: UtcMillis,
}

/// What a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    Good(Header),
    /// A later release wrote it.
    Later {
        version: u32,
    },
}

/// Writes a file, part by part.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    file: &'a mut dyn DiskFile,
    buffer: Vec<u8>,
    written: u64,
    crc: u32,
    parts: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(file: &'a mut dyn DiskFile, header: Header) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + HEADER_BYTES);
        buffer.put_slice(MAGIC);
        buffer.put_u32_le(VERSION);
        buffer.put_u64_le(header.sequence);
        buffer.put_i64_le(header.taken.0);
        let crc = crc32c::crc32c(&buffer);
        buffer.put_u32_le(crc);
        Self { file, buffer, written: 0, crc, parts: 0 }
    }

    pub(super) fn part(&mut self, body: wire::part::Body) -> io::Result<()> {
        let part = wire::Part { body: Some(body) };
        let length = part.encoded_len();
        if length > MOST_PART_BYTES {
            return Err(io::Error::other(format!("a part of {length} bytes could not be read again")));
        }
        let begin = self.buffer.len();
        self.buffer.put_u32_le(u32::try_from(length).map_err(io::Error::other)?);
        self.buffer.put_u32_le(0);
        part.encode(&mut self.buffer).map_err(io::Error::other)?;
        let (length, message) = (&self.buffer[begin..begin + 4], &self.buffer[begin + PREFIX_BYTES..]);
        self.crc = crc32c::crc32c_append(crc32c::crc32c_append(self.crc, length), message);
        self.buffer[begin + 4..begin + PREFIX_BYTES].copy_from_slice(&self.crc.to_le_bytes());
        self.parts += 1;
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.flush()?;
        // At once: the journal's own syncs, which lampposts wait for, so never stand behind more than this.
        self.file.sync()
    }

    /// Writes the end; says how long the file is. The end is not synced.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.part(wire::part::Body::End(wire::End { parts: self.parts }))?;
        self.flush()?;
        Ok(self.written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Reads a file, part by part. Its memory is bounded, whatever is in the file.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a dyn DiskFile,
    buffer: BytesMut,
    /// Offset in the file of the buffer's first byte.
    offset: u64,
    crc: u32,
    parts: u64,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    pub(super) fn begin(file: &'a dyn DiskFile) -> Result<(Beginning, Self), Unusable> {
        let mut reader = Self { file, buffer: BytesMut::new(), offset: 0, crc: 0, parts: 0 };
        let Some(mut header) = reader.take(HEADER_BYTES)? else { return Err(Unusable::Header) };
        let crc = crc32c::crc32c(&header[..HEADER_BYTES - 4]);
        let is_ours = header.starts_with(MAGIC);
        header.advance(MAGIC.len());
        let version = header.get_u32_le();
        let said = Header { sequence: header.get_u64_le(), taken: UtcMillis(header.get_i64_le()) };
        if !is_ours || version == 0 || header.get_u32_le() != crc {
            return Err(Unusable::Header);
        }
        reader.crc = crc;
        let beginning = if version > VERSION { Beginning::Later { version } } else { Beginning::Good(said) };
        Ok((beginning, reader))
    }

    /// The next part; none when all have been read and the file is whole.
    pub(super) fn next(&mut self) -> Result<Option<wire::part::Body>, Unusable> {
        loop {
            let offset = self.offset;
            let Some(mut prefix) = self.take(PREFIX_BYTES)? else { return Err(Unusable::Length) };
            let crc = crc32c::crc32c_append(self.crc, &prefix[..4]);
            let length = usize::try_from(prefix.get_u32_le()).unwrap_or(usize::MAX);
            if length > MOST_PART_BYTES {
                return Err(Unusable::Checksum { offset });
            }
            let Some(message) = self.take(length)? else { return Err(Unusable::Length) };
            self.crc = crc32c::crc32c_append(crc, &message);
            if prefix.get_u32_le() != self.crc {
                return Err(Unusable::Checksum { offset });
            }
            match wire::Part::decode(message)?.body {
                Some(wire::part::Body::End(end)) => {
                    let is_whole = end.parts == self.parts && self.take(1)?.is_none();
                    return if is_whole { Ok(None) } else { Err(Unusable::Length) };
                }
                Some(body) => {
                    self.parts += 1;
                    return Ok(Some(body));
                }
                // Of a later release that let earlier ones read past it.
                None => self.parts += 1,
            }
        }
    }

    /// So many bytes; none if the file has no more. No more room is made than the file has bytes.
    fn take(&mut self, bytes: usize) -> io::Result<Option<Bytes>> {
        while self.buffer.len() < bytes {
            let held = self.buffer.len();
            let rest = self.file.length()?.saturating_sub(self.offset);
            let room = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.max(BUFFER_BYTES));
            if room <= held {
                return Ok(None);
            }
            self.buffer.resize(room, 0);
            let read = self.file.read_at(&mut self.buffer[held..], self.offset + held as u64);
            self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                return Ok(None);
            }
        }
        self.offset += bytes as u64;
        Ok(Some(self.buffer.split_to(bytes).freeze()))
    }
}
