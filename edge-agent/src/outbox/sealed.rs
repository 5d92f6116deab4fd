//! Small files that are replaced whole: a magic, a version, a checksum, and what they hold.

use std::path::Path;

use super::disk::{self, Disk};
use super::error::OutboxError;

/// Version of the outbox's format: of its small files, and of its segments. An agent that meets a later one leaves the file
/// alone.
pub(super) const VERSION: u16 = 1;

const MAGIC: &[u8; 6] = b"LLOBOX";
const HEAD: usize = MAGIC.len() + 2 + 4;

/// What a small file was found to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// There is no such file.
    Absent,
    /// It is not as it was written.
    Damaged,
    /// It is whole.
    Whole(Vec<u8>),
}

/// Replaces the file.
pub(super) fn write(disk: &dyn Disk, path: &Path, body: &[u8]) -> Result<(), OutboxError> {
    disk::replace(disk, path, &seal(VERSION, body))
}

/// The file's bytes.
pub(super) fn seal(version: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&checksum(version, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Reads the file.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Sealed, OutboxError> {
    read_up_to(disk, path, VERSION)
}

/// Reads a file of one of the versions up to this one.
pub(super) fn read_up_to(disk: &dyn Disk, path: &Path, newest: u16) -> Result<Sealed, OutboxError> {
    let Some(bytes) = disk::read_file(disk, path)? else { return Ok(Sealed::Absent) };
    let Some((head, body)) = bytes.split_first_chunk::<HEAD>() else { return Ok(Sealed::Damaged) };
    let [m0, m1, m2, m3, m4, m5, v0, v1, c0, c1, c2, c3] = *head;
    let version = u16::from_le_bytes([v0, v1]);
    if [m0, m1, m2, m3, m4, m5] != *MAGIC || u32::from_le_bytes([c0, c1, c2, c3]) != checksum(version, body) {
        return Ok(Sealed::Damaged);
    }
    if version > newest {
        return Err(OutboxError::Newer { path: path.to_owned(), version, ours: newest });
    }
    Ok(Sealed::Whole(body.to_owned()))
}

fn checksum(version: u16, body: &[u8]) -> u32 {
    crc32c::crc32c_append(u32::from(version), body)
}
