//! Where a log ends on disk: what a power cut may have left there, and what it took.

use std::collections::HashSet;

use lamplighter_protocol::{Log, RunId};

use super::disk::{self, Disk};
use super::error::{OutboxError, manage, unwritten};
use super::readable::{Readable, read_segment};
use super::run::Run;
use super::{seal, segment};

/// The last records of a run that another one follows were on disk when that one began: bytes of the last segment that
/// are no record were those records.
pub(super) fn damaged_tails(run: &mut Run, cut_short: &HashSet<(RunId, Log)>) {
    let id = run.id;
    for log in Log::ALL.into_iter().filter(|log| cut_short.contains(&(id, *log))) {
        let index = run.log_mut(log);
        if let (Some(segment), Some(last)) = (index.segments.back(), index.state.end.checked_sub(1)) {
            index.damaged.insert(segment.end, last);
        }
    }
}

/// Settles the end of the run that was the last to write: bytes are written over themselves and synced, because after
/// a sync that failed, and a process that died of it, the system may show bytes as clean that never reached the disk
/// (D2). What a power cut left of the last record is cut off; a segment that is whole is sealed.
pub(super) fn settle_tail(disk: &dyn Disk, run: &mut Run, log: Log) -> Result<(), OutboxError> {
    // Bytes that could not be read are no torn write.
    let Some(last) = run.log(log).segments.back().filter(|last| !last.unread) else { return Ok(()) };
    let (path, length) = (run.segment_path(log, last.first), last.bytes);
    let Some((_, seed)) = &last.header else {
        // Nothing of it can be read, and what its seal says was never all synced: the next start would believe it.
        return seal::take_off(disk, &path, length);
    };
    let seed = *seed;
    // Read again: each run was read into the same place.
    let file = disk.open(&path).map_err(manage("open", &path))?;
    let mut bytes = Vec::new();
    let readable = read_segment(&*file, &path, length, &mut bytes);
    let whole = match readable {
        // What cannot be read is neither written again nor cut.
        Readable::Partly => length,
        Readable::Wholly => {
            disk::write_at(&*file, &path, &bytes, 0)?;
            let whole = segment::scan(&bytes, seed, |_| {}).whole_bytes as u64;
            // Too much for one torn write is more than was looked through for whole records.
            if length - whole <= segment::LOOK_AHEAD_BYTES as u64 { whole } else { length }
        }
    };
    // What was allocated ahead is given back too, and so is a seal.
    file.cut(whole).map_err(unwritten(&path))?;
    let index = run.log_mut(log);
    if let Some(last) = index.segments.back_mut() {
        last.bytes = whole;
        let unharmed = last.end > last.first && index.state.on_disk.contains_all(last.first, last.end - 1);
        if let Some(seal) = seal::seal(last).filter(|_| unharmed && readable == Readable::Wholly) {
            match disk::write_at(&*file, &path, &seal, whole) {
                // What follows needs the space more.
                Err(error) if error.is_full_disk() => file.cut(whole).map_err(unwritten(&path))?,
                done => done?,
            }
        }
    }
    disk::sync(&*file, &path)
}
