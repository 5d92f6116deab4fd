//! Reading all of a journal without changing it, to say what is wrong with it.
//!
//! It reads as an opening and a replay would, on files that are opened for reading only, and goes on behind whatever
//! would end those. While a server runs, the end of the newest segment is in motion: then only what a later batch
//! proves to be committed is read.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::entry::Entry;
use super::open::{self, Last};
use super::read_only_disk::ReadOnlyDisk;
use super::replay::Replay;
use super::{JournalError, JournalOptions, ReplayReport};

/// What [`verify`] found.
#[derive(Debug)]
pub struct Verified {
    /// Whether a server had the journal meanwhile.
    pub server_runs: bool,
    /// What was read, and what of it is damaged. Torn bytes are no damage: the next start cuts them off.
    pub report: ReplayReport,
    /// The sequence behind the last one that was read.
    pub next: u64,
    /// Segments that could not be read to their end, and why.
    pub refused: Vec<JournalError>,
}

impl Verified {
    /// Whether all that was ever committed and not trimmed is there.
    pub fn is_sound(&self) -> bool {
        self.report.damaged.is_empty() && self.report.missing == 0 && self.refused.is_empty()
    }
}

/// Reads all segments of the journal in this directory, hands on every entry that can be read, and says what is wrong.
/// Nothing is changed, and no lock is kept.
///
/// # Errors
/// [`JournalError::Directory`] if the directory cannot be read. What is wrong with its files is no error here.
pub fn verify(directory: &Path, each: impl FnMut(Entry)) -> Result<Verified, JournalError> {
    let options = JournalOptions::in_directory(directory.to_owned());
    let disk = ReadOnlyDisk::new(directory);
    let server_runs = disk.is_in_use()?;
    let mut verified = verify_on(&disk, &options, server_runs, each)?;
    // One that has started meanwhile has cut off what was torn.
    verified.server_runs |= disk.is_in_use()?;
    Ok(verified)
}

pub(super) fn verify_on(
    disk: &dyn Disk,
    options: &JournalOptions,
    server_runs: bool,
    each: impl FnMut(Entry),
) -> Result<Verified, JournalError> {
    let mut firsts = open::list(options, disk)?;
    firsts.sort_unstable();
    let mut refused = Vec::new();
    let (mut next, mut torn_bytes) = (0, 0);
    if let Some(&first) = firsts.last() {
        match look_at_last(options, disk, first) {
            Ok((Last::Interrupted, length)) => {
                firsts.pop();
                (next, torn_bytes) = (first, if server_runs { 0 } else { length });
            }
            Ok((Last::Ends { end, .. }, _)) if server_runs => next = end.last_batch,
            Ok((Last::Ends { end, .. }, length)) => (next, torn_bytes) = (end.next, length - end.offset),
            Err(error) => {
                if !(server_runs && is_gone(&error)) {
                    refused.push(error);
                }
                firsts.pop();
                next = first;
            }
        }
    }
    let first = firsts.first().map_or(next, |oldest| *oldest);
    let report = ReplayReport { first, torn_bytes, ..ReplayReport::default() };
    let mut replay = Replay::new(options, report, first, each);
    for (place, &first) in firsts.iter().enumerate() {
        let below = firsts.get(place + 1).map_or(next, |next| *next);
        match replay.segment(disk, first, below) {
            Ok(()) => {}
            Err(error) if server_runs && is_gone(&error) => replay.skip_to(below),
            Err(error) => refused.push(error),
        }
    }
    Ok(Verified { server_runs, report: replay.finish(next), next, refused })
}

/// Whether the segment was trimmed while the others were read.
fn is_gone(error: &JournalError) -> bool {
    matches!(error, JournalError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn look_at_last(options: &JournalOptions, disk: &dyn Disk, first: u64) -> Result<(Last, u64), JournalError> {
    let file = open::open_segment(options, disk, first)?;
    let length = file.length().map_err(open::read_error(options, first))?;
    Ok((open::look_at_last(options, &*file, first)?, length))
}
