//! In which order the runs on disk were, and where they ended: their openings tell (D1).

use std::collections::{HashMap, HashSet};

use lamplighter_protocol::{Log, Opening, Record, RunId};

use super::disk::{self, Disk};
use super::run::Run;
use super::segment::{self, HEADER_BYTES, Header};

/// Far more than a header and an opening have.
const OPENING_BYTES: usize = 1 << 10;

/// The opening of a run. None if it is damaged, or cannot be read.
pub(super) fn read_opening(disk: &dyn Disk, run: &Run) -> Option<Opening> {
    let file = disk.open(&run.segment_path(Log::Events, 0)).ok()?;
    let mut bytes = vec![0; OPENING_BYTES];
    let (filled, _) = disk::read_at(&*file, &mut bytes, 0);
    bytes.truncate(filled);
    let (header, seed) = Header::decode(&bytes).ok()?;
    if (header.run, header.log, header.first) != (run.id, Log::Events, 0) {
        return None;
    }
    match Record::decode(segment::record_at(&bytes, HEADER_BYTES, seed, 0)?).ok()? {
        Record::Opening(opening) => Some(opening),
        Record::Tick(_) | Record::Command(_) | Record::Dropped(_) | Record::Dating(_) => None,
    }
}

/// Oldest first: by the numbers of their directories, except that no run comes before the one that its opening
/// names as the run before.
pub(super) fn in_order(runs: Vec<Run>) -> Vec<Run> {
    let before: HashMap<RunId, RunId> =
        runs.iter().filter_map(|run| Some((run.id, run.opening?.run_before?))).collect();
    let mut waiting: HashMap<RunId, Run> = HashMap::new();
    let numbered: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    waiting.extend(runs.into_iter().map(|run| (run.id, run)));
    let mut ordered = Vec::new();
    for id in numbered {
        // This run and those before it that are still waiting, latest first. A ring of hostile openings ends it too.
        let mut chain = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(id);
        while let Some(run) = next.filter(|run| waiting.contains_key(run) && seen.insert(*run)) {
            chain.push(run);
            next = before.get(&run).copied();
        }
        ordered.extend(chain.into_iter().rev().filter_map(|run| waiting.remove(&run)));
    }
    ordered
}

/// A log ends where the next run's opening says, even if its last records are freed or lost by now.
pub(super) fn state_ends(runs: &mut [Run]) {
    let stated: Vec<_> = runs.iter().filter_map(|run| run.opening).collect();
    let places: HashMap<RunId, usize> = runs.iter().enumerate().map(|(place, run)| (run.id, place)).collect();
    for opening in stated {
        let place = opening.run_before.and_then(|before| places.get(&before));
        let Some(before) = place.and_then(|place| runs.get_mut(*place)) else { continue };
        for (log, end) in [(Log::Samples, opening.samples_end), (Log::Events, opening.events_end)] {
            let state = &mut before.log_mut(log).state;
            state.end = state.end.max(end);
            state.synced_end = state.end;
        }
    }
}
