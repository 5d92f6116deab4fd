//! Descriptions are kept as long as a record that is written in them (D4).

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use lamplighter_protocol::Digest;

use super::disk::{self, Disk};
use super::error::{OutboxError, manage};

/// Sees to it that the description is on disk before a record is written in it.
pub(super) fn keep(
    disk: &dyn Disk,
    directory: &Path,
    digest: Digest,
    payload: &[u8],
) -> Result<(), OutboxError> {
    if load(directory, digest)?.is_none() {
        disk::replace(disk, &path_of(directory, digest), payload)?;
    }
    Ok(())
}

/// The payload of a description. None if it is not here, or no longer what its digest says.
pub(super) fn load(directory: &Path, digest: Digest) -> Result<Option<Vec<u8>>, OutboxError> {
    let path = path_of(directory, digest);
    let found = disk::read_file(&path)?;
    if found.as_ref().is_some_and(|payload| Digest::of(payload) != digest) {
        tracing::error!(path = %path.display(), "the description is damaged: records written in it cannot be sent");
        return Ok(None);
    }
    Ok(found)
}

/// Removes the descriptions that no record needs.
pub(super) fn retain(directory: &Path, needed: &HashSet<Digest>) -> Result<(), OutboxError> {
    for entry in fs::read_dir(directory).map_err(manage("list", directory))? {
        let name = entry.map_err(manage("list", directory))?.file_name();
        let digest = name.to_str().and_then(|name| name.parse::<Digest>().ok());
        if digest.is_none_or(|digest| !needed.contains(&digest)) {
            disk::remove_file(&directory.join(name))?;
        }
    }
    Ok(())
}

fn path_of(directory: &Path, digest: Digest) -> PathBuf {
    directory.join(digest.to_string())
}
