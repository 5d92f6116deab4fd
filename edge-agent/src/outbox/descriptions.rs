//! Descriptions are kept as long as a record that is written in them (D4).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lamplighter_protocol::Digest;

use super::disk::{self, Disk};
use super::error::OutboxError;

/// Sees to it that the description is on disk before a record is written in it.
pub(super) fn keep(
    disk: &dyn Disk,
    directory: &Path,
    digest: Digest,
    payload: &[u8],
) -> Result<(), OutboxError> {
    if load(disk, directory, digest)?.is_none() {
        disk::replace(disk, &path_of(directory, digest), payload)?;
    }
    Ok(())
}

/// The payload of a description. None if it is not here, or no longer what its digest says.
pub(super) fn load(
    disk: &dyn Disk,
    directory: &Path,
    digest: Digest,
) -> Result<Option<Vec<u8>>, OutboxError> {
    let path = path_of(directory, digest);
    let found = disk::read_file(disk, &path)?;
    if found.as_ref().is_some_and(|payload| Digest::of(payload) != digest) {
        tracing::error!(path = %path.display(), "the description is damaged: records written in it cannot be sent");
        return Ok(None);
    }
    Ok(found)
}

/// Removes the descriptions that no record needs.
pub(super) fn retain(disk: &dyn Disk, directory: &Path, needed: &HashSet<Digest>) -> Result<(), OutboxError> {
    for name in disk::list(disk, directory)? {
        let digest = name.parse::<Digest>();
        if digest.is_ok_and(|digest| needed.contains(&digest)) {
            continue;
        }
        disk::remove_file(disk, &directory.join(name))?;
    }
    Ok(())
}

fn path_of(directory: &Path, digest: Digest) -> PathBuf {
    directory.join(digest.to_string())
}
