//! A segment while it is written.

use std::path::PathBuf;

use lamplighter_protocol::{Digest, UtcMillis};

use super::disk::{self, Disk, DiskFile};
use super::dropping::Drops;
use super::error::{OutboxError, unwritten};
use super::segment::{self, Header, PREFIX_BYTES};

/// A segment that is being written.
#[derive(Debug)]
pub(super) struct Pen {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    pub(super) seed: u32,
    first: u64,
    pub(super) description: Digest,
    pub(super) drops: Drops,
    /// Time of its first record; none until there is one.
    pub(super) began: Option<UtcMillis>,
    /// Bytes of the segment, those of `pending` among them; of its seal, none.
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
    /// Begins a segment, for which space for `ahead` bytes is taken; its header is written with the first record.
    pub(super) fn begin(
        disk: &dyn Disk,
        path: PathBuf,
        header: &Header,
        drops: Drops,
        ahead: u64,
    ) -> Result<Self, OutboxError> {
        let (bytes, seed) = header.encode();
        let file = disk::create_file(disk, &path)?;
        if let Err(error) = file.allocate(ahead) {
            disk::remove_file(disk, &path)?;
            return Err(unwritten(&path)(error));
        }
        Ok(Self {
            file,
            path,
            seed,
            first: header.first,
            description: header.description,
            drops,
            began: None,
            bytes: bytes.len() as u64,
            pending: bytes.to_vec(),
            written: Written::New,
        })
    }

    /// Begins it again with another header, before its first record.
    pub(super) fn restart(&mut self, header: &Header, drops: Drops, ahead: u64) -> Result<(), OutboxError> {
        // If there is no space, it stays as it is.
        self.file.allocate(ahead).map_err(unwritten(&self.path))?;
        let (bytes, seed) = header.encode();
        if self.pending.is_empty() {
            // No header that is torn between the two.
            disk::write_at(&*self.file, &self.path, &vec![0; bytes.len()], 0)?;
        }
        self.pending = bytes.to_vec();
        (self.seed, self.description, self.drops) = (seed, header.description, drops);
        Ok(())
    }

    /// Takes a record; says which place of the segment it has, and at which offset.
    pub(super) fn append(&mut self, sequence: u64, record: &[u8], time: UtcMillis) -> (u32, u64) {
        let place =
            u32::try_from(sequence - self.first).expect("a segment's places are fewer than its bytes");
        let offset = self.bytes;
        self.began = self.began.or(Some(time));
        segment::write_record(&mut self.pending, self.seed, place, record);
        self.bytes += (PREFIX_BYTES + record.len()) as u64;
        (place, offset)
    }

    /// Writes what is appended.
    pub(super) fn write(&mut self) -> Result<(), OutboxError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let offset = self.bytes - self.pending.len() as u64;
        disk::write_at(&*self.file, &self.path, &self.pending, offset)?;
        self.pending.clear();
        if self.written == Written::Synced {
            self.written = Written::Unsynced;
        }
        Ok(())
    }

    /// Writes the seal behind what is written, if it is to have one, and gives back what was allocated ahead and not used:
    /// nothing more will be appended. What is left to do is to sync it.
    pub(super) fn close(&mut self, seal: Option<&[u8]>) -> Result<(), OutboxError> {
        let mut length = self.bytes;
        if let Some(seal) = seal {
            disk::write_at(&*self.file, &self.path, seal, length)?;
            length += seal.len() as u64;
        }
        self.file.cut(length).map_err(unwritten(&self.path))?;
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
