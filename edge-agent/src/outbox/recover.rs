//! Opening what earlier runs left: synced before it is believed (D2). Of a segment that was closed its seal is believed;
//! any other is verified record by record, never more than one in memory.

use std::collections::HashSet;
use std::path::Path;

use lamplighter_protocol::{Dropped, Log, Record, RunId};

use super::disk::{self, Disk};
use super::dropping::Drops;
use super::error::{OutboxError, manage};
use super::log_index::Segment;
use super::readable::{Readable, read_segment};
use super::run::{Run, parse_run_name, parse_segment_name};
use super::seal::{self, Seal};
use super::sealed::VERSION;
use super::segment::{self, BadHeader, HEADER_BYTES, Header, Scan};
use super::twin::Lacking;
use super::{dating, opening, order, settle};

/// Begins the name of a run's directory until its opening is synced. What has it after a restart never was a run.
pub(super) const UNOPENED: &str = "opening-";

/// What earlier runs left.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Oldest first.
    pub(super) runs: Vec<Run>,
    /// Places on disk that are damaged, and in whose files each is.
    pub(super) damaged: Vec<RunId>,
    /// What was reported as dropped (D11), and in whose events.
    pub(super) reports: Vec<(RunId, Dropped)>,
    /// Runs of which is said when they were (D3).
    pub(super) placed: HashSet<RunId>,
    /// What dates runs, where one copy is not whole.
    pub(super) lacking: Vec<(RunId, Lacking)>,
    /// Logs whose last segment was read wholly and ends in bytes that are no whole record.
    cut_short: HashSet<(RunId, Log)>,
}

/// Reads all runs.
pub(super) fn recover(disk: &dyn Disk, directory: &Path) -> Result<Recovered, OutboxError> {
    let mut named = Vec::new();
    for name in disk::list(disk, directory)? {
        if let Some((number, run)) = parse_run_name(&name) {
            named.push((number, run, directory.join(name)));
        } else if name.starts_with(UNOPENED) {
            disk::remove_directory(disk, &directory.join(name))?;
        } else {
            let path = directory.join(name);
            tracing::warn!(path = %path.display(), "this is not a run: it is left alone");
        }
    }
    named.sort();
    disk::sync_directory(disk, directory)?;
    let runs = named.into_iter().map(|(number, id, path)| {
        let mut run = Run::new(id, number, path);
        run.opening = order::read_opening(disk, &run);
        run
    });
    let mut runs = order::in_order(runs.collect());
    let mut recovered = Recovered::default();
    let mut bytes = Vec::new();
    if let Some((last, earlier)) = runs.split_last_mut() {
        for run in earlier {
            recover_run(disk, run, Tail::Settled, &mut bytes, &mut recovered)?;
        }
        recover_run(disk, last, Tail::MayBeTorn, &mut bytes, &mut recovered)?;
    }
    recovered.runs = runs;
    order::state_ends(&mut recovered.runs);
    if let Some((last, earlier)) = recovered.runs.split_last_mut() {
        for run in earlier {
            settle::damaged_tails(run, &recovered.cut_short);
        }
        for log in Log::ALL {
            settle::settle_tail(disk, last, log)?;
        }
    }
    Ok(recovered)
}

fn recover_run(
    disk: &dyn Disk,
    run: &mut Run,
    last: Tail,
    bytes: &mut Vec<u8>,
    recovered: &mut Recovered,
) -> Result<(), OutboxError> {
    let mut names: Vec<(Log, u64)> = Vec::new();
    for name in disk::list(disk, &run.directory)? {
        if let Some(segment) = parse_segment_name(&name) {
            names.push(segment);
        } else if !name.starts_with(dating::UNDATED) && !name.starts_with(dating::DATING) {
            let path = run.directory.join(name);
            tracing::warn!(path = %path.display(), "this is not a segment: it is left alone");
        }
    }
    names.sort_unstable();
    disk::sync_directory(disk, &run.directory)?;
    let (time, lacking) = dating::load(disk, run);
    run.time = time;
    recovered.lacking.extend(lacking.map(|lacking| (run.id, lacking)));
    for (at, (log, first)) in names.iter().enumerate() {
        let tail = match names.get(at + 1) {
            Some((of, next)) if of == log => Tail::Synced { next: *next },
            Some(_) | None => last,
        };
        recover_segment(disk, run, (*log, *first), tail, bytes, recovered)?;
    }
    for log in Log::ALL {
        // All before a segment's first record was written, even if it is freed and the segment itself is torn.
        let begun = names.iter().filter(|name| name.0 == log).map(|name| name.1).max();
        let opened = match log {
            Log::Samples => 0,
            // The run has its name since its opening was synced (D1).
            Log::Events => 1,
        };
        let state = &mut run.log_mut(log).state;
        state.end = state.on_disk.end().max(begun.unwrap_or(0)).max(opened);
        state.synced_end = state.end;
    }
    Ok(())
}

/// How a segment may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Another one follows, before which it was synced: bytes that are no record are damage.
    Synced {
        /// The sequence that the other one begins with.
        next: u64,
    },
    /// It is the last of its log, in a run that another one follows, before which it was settled.
    Settled,
    /// It is the last of its log, in the last run: they may also be what a power cut left of a write.
    MayBeTorn,
}

impl Tail {
    /// Whether all of the segment was synced, its seal included, by whoever knew where it ends.
    fn permits(self, seal: &Seal) -> bool {
        match self {
            Self::Synced { next } => seal.end <= next,
            Self::Settled => true,
            Self::MayBeTorn => false,
        }
    }
}

fn recover_segment(
    disk: &dyn Disk,
    run: &mut Run,
    (log, first): (Log, u64),
    tail: Tail,
    bytes: &mut Vec<u8>,
    recovered: &mut Recovered,
) -> Result<(), OutboxError> {
    let path = run.segment_path(log, first);
    let file = disk.open(&path).map_err(manage("open", &path))?;
    let length = file.length().map_err(manage("measure", &path))?;
    let sealed = seal::read(&*file, length, (run.id, log, first));
    if let Some(seal) = sealed.as_ref().filter(|seal| tail.permits(seal)) {
        believe(run, (log, first), seal);
        return Ok(());
    }
    disk::sync(&*file, &path)?;
    let mut length = sealed.map_or(length, |seal| seal.bytes);
    let readable = read_segment(&*file, &path, length, bytes) == Readable::Wholly;
    let header = match Header::decode(bytes) {
        Ok((header, seed)) if header.run == run.id && header.log == log && header.first == first => {
            Some((header, seed))
        }
        Err(BadHeader::Newer(version)) => return Err(OutboxError::Newer { path, version, ours: VERSION }),
        Err(BadHeader::Short | BadHeader::Damaged) if readable && was_not_begun(bytes, tail) => {
            tracing::warn!(path = %path.display(), "the segment ends before its first record: it is removed");
            return disk::remove_file(disk, &path);
        }
        Ok(_) | Err(BadHeader::Damaged | BadHeader::Short) => None,
    };
    let Some((_, seed)) = &header else {
        recovered.damaged.push(run.id);
        let path = path.display();
        if readable {
            tracing::error!(%path, length, "the segment's header is damaged: its records are lost here");
        } else {
            tracing::error!(%path, length, "the segment cannot be read: it is kept, the next start tries again");
        }
        let (id, index) = (run.id, run.log_mut(log));
        match tail {
            Tail::Synced { next } if readable => index.damaged.insert(first, next.saturating_sub(1)),
            Tail::Settled | Tail::MayBeTorn if readable => drop(recovered.cut_short.insert((id, log))),
            Tail::Synced { .. } | Tail::Settled | Tail::MayBeTorn => {}
        }
        // An opening, or a report of drops, may be in it.
        let drops = if log == Log::Events { Drops::Never } else { Drops::Allowed };
        index.segments.push_back(Segment { unread: !readable, ..Segment::new(first, length, header, drops) });
        return Ok(());
    };
    let (mut last, mut drops) = (None, Drops::Allowed);
    let found = segment::scan(bytes, *seed, |record| {
        last = Some(record);
        // Samples have no such records, and are many.
        if log == Log::Events
            && let Ok(record) = Record::decode(record)
            && Drops::of(&record) == Drops::Never
        {
            drops = Drops::Never;
            match record {
                Record::Dropped(report) => recovered.reports.push((run.id, report)),
                Record::Dating(placed) => drop(recovered.placed.insert(placed.run)),
                Record::Tick(_) | Record::Opening(_) | Record::Command(_) => {}
            }
        }
    });
    let newest = last.and_then(|record| Some(opening::time_in(&Record::decode(record).ok()?)));
    let end = found.whole.last().map_or(first, |(_, last)| first + u64::from(*last) + 1);
    if tail == Tail::MayBeTorn && readable {
        length = used(bytes).max(found.whole_bytes) as u64;
    }
    if tail == (Tail::Synced { next: end }) && readable && found.whole_bytes as u64 != length {
        tracing::warn!(path = %path.display(), "the segment's seal is damaged: its records were verified");
        length = found.whole_bytes as u64;
    }
    let places = report(&path, &found, length, tail, readable);
    recovered.damaged.extend(std::iter::repeat_n(run.id, places));
    let (id, index) = (run.id, run.log_mut(log));
    let mut known = first;
    for (from, to) in &found.whole {
        let (from, to) = (first + u64::from(*from), first + u64::from(*to));
        if readable && known < from {
            index.damaged.insert(known, from - 1);
        }
        index.state.on_disk.insert(from, to);
        known = to + 1;
    }
    let cut_short = readable && found.whole_bytes as u64 != length;
    match tail {
        Tail::Synced { next } if cut_short => index.damaged.insert(end, next.saturating_sub(1)),
        Tail::Settled | Tail::MayBeTorn if cut_short => drop(recovered.cut_short.insert((id, log))),
        Tail::Synced { .. } | Tail::Settled | Tail::MayBeTorn => {}
    }
    let (offsets, unread) = (found.offsets, !readable);
    let segment = Segment::new(first, length, header, drops);
    index.segments.push_back(Segment { end, offsets, unread, newest, ..segment });
    Ok(())
}

/// Whether nothing was written of a segment, or no more than part of its header: behind that there is at most the space that
/// was taken ahead.
fn was_not_begun(bytes: &[u8], tail: Tail) -> bool {
    let most = match tail {
        Tail::MayBeTorn => used(bytes),
        Tail::Synced { .. } | Tail::Settled => bytes.len(),
    };
    most < HEADER_BYTES
}

/// How many bytes there are up to the last that is not zero.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Takes a segment as its seal says: whether its records are still as they were written is found when they are read.
fn believe(run: &mut Run, (log, first): (Log, u64), seal: &Seal) {
    let index = run.log_mut(log);
    index.state.on_disk.insert(first, seal.end - 1);
    let (end, offsets, newest) = (seal.end, seal.offsets.clone(), Some(seal.newest));
    let segment = Segment::new(first, seal.bytes, Some(seal.header.clone()), Drops::Allowed);
    index.segments.push_back(Segment { end, offsets, newest, ..segment });
}

/// Says what is wrong with a segment, and in how many places.
fn report(path: &Path, found: &Scan, length: u64, tail: Tail, readable: bool) -> usize {
    let path = path.display();
    let rest = length.saturating_sub(found.whole_bytes as u64);
    if !readable {
        let places = found.damaged.max(1);
        tracing::error!(%path, places, "the segment cannot all be read: it is kept, the next start tries again");
        return places;
    }
    let damaged = found.damaged + usize::from(rest > 0 && matches!(tail, Tail::Synced { .. }));
    if damaged > 0 {
        tracing::error!(%path, places = damaged, "the segment is damaged: the records there are lost here");
    } else if rest > 0 {
        tracing::warn!(%path, bytes = rest, "the segment ends in bytes that are no whole record");
    }
    damaged
}
