//! What becomes of an outbox that was set aside, once an operator has decided (D14).
//!
//! *Released*: its runs move into the living outbox, each by one renaming, so that one hello names them all. Before the first
//! one moves, the end of the last run is settled as at any start, and what its records are written in is copied. A run is
//! in one of the two places at any time, so whoever is interrupted goes on with those that are left. Their directories begin
//! with 0: no run that goes on writing comes before them.
//!
//! *Closed*: it is deleted, its identity last, so that what is left of it after an interruption still says whose it is.

use std::collections::HashSet;
use std::path::Path;

use lamplighter_protocol::{Digest, Dropped, RunId};

use super::disk::{self, Disk};
use super::error::{OutboxError, manage};
use super::log_index::LogIndex;
use super::recover::{self, Recovered};
use super::run::{Run, parse_run_name, run_name};
use super::twin::Lacking;
use super::{descriptions, identity};

/// Directories of runs begin with this number if another outbox brought them: the first one of its own has 1.
const ADOPTED_NUMBER: u64 = 0;

/// Deeper than an outbox has directories in each other.
const DEEPEST: u32 = 4;

/// What has moved.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// Oldest first.
    pub(super) runs: Vec<Run>,
    /// What their events report as dropped.
    pub(super) reports: Vec<(RunId, Dropped)>,
    /// Places that are damaged, and in whose files each is.
    pub(super) damaged: Vec<RunId>,
    /// What dates them, where one copy is not whole.
    pub(super) lacking: Vec<(RunId, Lacking)>,
    /// Runs that stay where they were, because the living outbox has these already, and whatever is none.
    pub(super) left: usize,
    /// Why not all of them could move.
    pub(super) failed: Option<OutboxError>,
}

/// Moves the runs of an outbox that was set aside into the living one.
///
/// # Errors
/// A directory of the living outbox cannot be synced, and so nothing in it is sure any more.
pub(super) fn adopt(disk: &dyn Disk, aside: &Path, living: &Path) -> Result<Adopted, OutboxError> {
    let (from, to) = (aside.join("runs"), living.join("runs"));
    let (_lock, recovered) = match prepare(disk, aside, living) {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return Ok(Adopted::default()),
        Err(error) => return Ok(Adopted { failed: Some(error), ..Adopted::default() }),
    };
    let here = disk::list(disk, &to)?;
    let here: HashSet<RunId> = here.iter().filter_map(|name| Some(parse_run_name(name)?.1)).collect();
    let mut adopted = Adopted::default();
    for mut run in recovered.runs {
        if here.contains(&run.id) {
            continue;
        }
        let directory = to.join(run_name(ADOPTED_NUMBER, run.id));
        if let Err(source) = disk.rename(&run.directory, &directory) {
            adopted.failed = Some(manage("adopt", &run.directory)(source));
            break;
        }
        (run.number, run.directory) = (ADOPTED_NUMBER, directory);
        // What they hold is what the server is told.
        run.is_told = recovered.placed.contains(&run.id);
        adopted.runs.push(run);
    }
    // What is found in those that stay is not found here; if they are here already, it was.
    let moved: HashSet<RunId> = adopted.runs.iter().map(|run| run.id).collect();
    adopted.reports.extend(recovered.reports.into_iter().filter(|(run, _)| moved.contains(run)));
    adopted.damaged.extend(recovered.damaged.into_iter().filter(|run| moved.contains(run)));
    adopted.lacking.extend(recovered.lacking.into_iter().filter(|(run, _)| moved.contains(run)));
    // Where they are before where they were: at no time a power cut leaves none of them.
    disk::sync_directory(disk, &to)?;
    disk::sync_directory(disk, &from)?;
    adopted.left = disk::list(disk, &from)?.len();
    Ok(adopted)
}

type Prepared = (Box<dyn disk::DiskFile>, Recovered);

/// All that comes before the first renaming, and may be done again. None: it has no runs.
fn prepare(disk: &dyn Disk, aside: &Path, living: &Path) -> Result<Option<Prepared>, OutboxError> {
    let from = aside.join("runs");
    if !identity::exists(disk, &from)? {
        return Ok(None);
    }
    let lock = identity::lock(disk, aside)?;
    let recovered = recover::recover(disk, &from)?;
    let segments = recovered.runs.iter().flat_map(|run| [&run.samples, &run.events]);
    let segments = segments.flat_map(|log: &LogIndex| &log.segments);
    let headers = segments.filter_map(|segment| segment.header.as_ref());
    let needed: HashSet<Digest> = headers.map(|(header, _)| header.description).collect();
    let (theirs, ours) = (aside.join("descriptions"), living.join("descriptions"));
    for digest in needed {
        // Without it its records wait, here as there.
        if let Some(payload) = descriptions::load(disk, &theirs, digest)? {
            descriptions::keep(disk, &ours, digest, &payload)?;
        }
    }
    Ok(Some((lock, recovered)))
}

/// Deletes an outbox that was set aside, and all that is in it.
///
/// # Errors
/// What cannot be removed; the rest may be gone.
pub(super) fn delete(disk: &dyn Disk, aside: &Path) -> Result<(), OutboxError> {
    let _lock = identity::lock(disk, aside)?;
    let mut names = disk::list(disk, aside)?;
    names.sort_by_key(|name| identity::is_identity(name));
    for name in names {
        delete_all(disk, &aside.join(name), DEEPEST)?;
    }
    disk.remove_directory(aside).map_err(manage("remove", aside))?;
    disk::sync_directory(disk, &identity::parent_of(aside))
}

fn delete_all(disk: &dyn Disk, path: &Path, deepest: u32) -> Result<(), OutboxError> {
    // What has no names in it is a file.
    let Some(names) = disk.list(path).ok().filter(|_| deepest > 0) else {
        return disk::remove_file(disk, path);
    };
    for name in names {
        delete_all(disk, &path.join(name), deepest - 1)?;
    }
    disk.remove_directory(path).map_err(manage("remove", path))
}
