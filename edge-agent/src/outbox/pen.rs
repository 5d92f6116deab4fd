//! A segment while it is written.

use std::path::PathBuf;

use lamplighter_protocol::Digest;

use super::disk::{self, Disk, DiskFile};
use super::error::OutboxError;
use super::segment::{self, Header, PREFIX_BYTES};

/// A segment that is being written.
#[derive(Debug)]
pub(super) struct Pen {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    pub(super) seed: u32,
    first: u64,
    pub(super) description: Digest,
    /// Bytes of the segment, those of `pending` among them.
    pub(super) bytes: u64,
    /// What is appended and not yet written.
    pending: Vec<u8>,
    pub(super) written: Written,
}

/// How safe what was written is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Neither the file's bytes nor its name.
    New,
    /// The name is.
    Unsynced,
    /// All of it is.
    Synced,
}

impl Pen {
    /// Begins a segment; its header is written with the first record.
    pub(super) fn begin(disk: &dyn Disk, path: PathBuf, header: &Header) -> Result<Self, OutboxError> {
        let (bytes, seed) = header.encode();
        Ok(Self {
            file: disk::create_file(disk, &path)?,
            path,
            seed,
            first: header.first,
            description: header.description,
            bytes: bytes.len() as u64,
            pending: bytes.to_vec(),
            written: Written::New,
        })
    }

    /// Takes a record; says which place of the segment it has, and at which offset.
    pub(super) fn append(&mut self, sequence: u64, record: &[u8]) -> (u32, u64) {
        let place =
            u32::try_from(sequence - self.first).expect("a segment's places are fewer than its bytes");
        let offset = self.bytes;
        segment::write_record(&mut self.pending, self.seed, place, record);
        self.bytes += (PREFIX_BYTES + record.len()) as u64;
        (place, offset)
    }

    /// Writes what is appended.
    pub(super) fn write(&mut self) -> Result<(), OutboxError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        disk::append(&*self.file, &self.path, &self.pending)?;
        self.pending.clear();
        if self.written == Written::Synced {
            self.written = Written::Unsynced;
        }
        Ok(())
    }

    /// Syncs what is written, and the segment's name.
    pub(super) fn sync(&mut self, disk: &dyn Disk) -> Result<(), OutboxError> {
        disk::sync(&*self.file, &self.path)?;
        if let (Written::New, Some(directory)) = (self.written, self.path.parent()) {
            disk::sync_directory(disk, directory)?;
        }
        self.written = Written::Synced;
        Ok(())
    }
}
