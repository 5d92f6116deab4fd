//! Space that is kept back, so that a disk that something else has filled still takes what has to be written: the
//! opening of a run, a position, the report of what is dropped.

use std::path::{Path, PathBuf};

use super::disk::{self, Disk};
use super::error::{OutboxError, unwritten};

/// A position of 256 runs (40 KiB at most beside the one that it replaces), an opening, and a segment of reports.
const RESERVE_BYTES: u64 = 256 << 10;

/// A file that holds nothing and takes space, until the space is needed.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Kept,
    Missing,
}

impl Reserve {
    /// The reserve of the outbox in this directory, if there is one.
    pub(super) fn find(disk: &dyn Disk, directory: &Path) -> Self {
        let path = directory.join("reserve");
        let state = if disk.exists(&path).unwrap_or(false) { State::Kept } else { State::Missing };
        Self { path, state }
    }

    /// Makes it, if it is missing. Fails if there is no space for it, and is not made where there is another obstacle:
    /// whatever that is, it does not keep anything else from being written.
    pub(super) fn keep(&mut self, disk: &dyn Disk) -> Result<(), OutboxError> {
        if self.state == State::Kept {
            return Ok(());
        }
        let made = disk.create(&self.path).and_then(|file| file.allocate(RESERVE_BYTES));
        let Err(error) = made.map_err(unwritten(&self.path)) else {
            self.state = State::Kept;
            return Ok(());
        };
        // What there is of it is of no use; if it stays, the next attempt finds it in its way.
        disk.remove_file(&self.path).ok();
        if error.is_full_disk() {
            return Err(error);
        }
        tracing::warn!(%error, "the reserve cannot be made");
        Ok(())
    }

    /// Gives its space to whoever needs it; says whether there was any.
    pub(super) fn give_up(&mut self, disk: &dyn Disk) -> Result<bool, OutboxError> {
        let kept = self.state == State::Kept;
        if kept {
            tracing::warn!(path = %self.path.display(), "the disk is full: the reserve is used");
            disk::remove_file(disk, &self.path)?;
            self.state = State::Missing;
        }
        Ok(kept)
    }
}
