//! What a backup copies of a journal that a server is writing meanwhile. Nothing is trimmed while it does so (D15), and what
//! has been written below a later segment's name does not change; only the end of the newest segment is in motion.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use super::disk::{Disk as _, DiskFile as _};
use super::open::{self, Last};
use super::read_only_disk::ReadOnlyDisk;
use super::{JournalError, JournalOptions, segment};

/// The first sequences of the segments that there are, oldest first. What is begun later is not among them.
pub(crate) fn segments_to_copy(directory: &Path) -> io::Result<Vec<u64>> {
    let disk = ReadOnlyDisk::new(directory);
    let list = || Ok::<_, io::Error>(disk.names()?.into_iter().filter_map(|name| segment::first_of(&name)));
    // A listing may show a segment that is created meanwhile and not the one that was created just before it. All that
    // are older than the newest of one listing are in the next.
    let Some(newest) = list()?.max() else { return Ok(Vec::new()) };
    let mut firsts: Vec<u64> = list()?.filter(|first| *first <= newest).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// Cuts the copy of the newest segment where a start would cut the segment itself: behind the last whole record. What stands
/// there may never have been acknowledged, and is an entry like any other all the same. A copy of which no record can be told
/// stays as it is: a start says what is to be done about it. Says which sequence is behind the last one.
pub(crate) fn settle_copy(directory: &Path, first: u64) -> Result<u64, JournalError> {
    let options = JournalOptions::in_directory(directory.to_owned());
    let path = open::path(&options, first);
    let reading = open::read_error(&options, first);
    let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(&reading)?;
    let length = file.length().map_err(&reading)?;
    let end = match open::look_at_last(&options, &file, first) {
        Ok(Last::Ends { end, .. }) => end,
        Ok(Last::Interrupted) | Err(JournalError::Unreadable(_)) => {
            return Ok(first);
        }
        Err(error) => return Err(error),
    };
    if end.offset < length {
        let cut = file.cut(end.offset).and_then(|()| file.sync());
        cut.map_err(|source| JournalError::Cut { path, source })?;
    }
    Ok(end.next)
}
