//! The outboxes that were set aside (D14): what can be told of them without believing any of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lamplighter_protocol::{
    Digest, LamppostNumber, Log, OutboxId, SetAside, SetAsideReason, UtcMillis, limits,
};

use super::disk::Disk;
use super::identity::{self, Identity};
use super::run::{Run, parse_run_name, parse_segment_name};
use super::{dating, order, seal};

/// An outbox that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it is.
    pub directory: PathBuf,
    /// What the server is told of it.
    pub told: SetAside,
    /// By its directory's name.
    pub(super) number: u64,
}

#[cfg(test)]
impl Aside {
    /// One that is told of like this.
    pub(crate) fn of(told: SetAside) -> Self {
        Self { directory: PathBuf::new(), told, number: 1 }
    }
}

/// All outboxes that were set aside from this directory, the first one first. One that cannot be looked into is told of all
/// the same: nothing about it keeps the living outbox from its work.
pub(super) fn find(
    disk: &dyn Disk,
    directory: &Path,
    (lamppost, living): (&LamppostNumber, OutboxId),
) -> Vec<Aside> {
    let names = disk.list(&identity::parent_of(directory)).unwrap_or_else(|error| {
        tracing::warn!(%error, "it cannot be seen which outboxes were set aside");
        Vec::new()
    });
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| identity::aside_number(directory, name)).collect();
    numbers.sort_unstable();
    let mut taken = HashSet::from([living]);
    let asides = numbers.into_iter().map(|number| {
        let path = identity::aside_path(directory, number);
        let told = look(disk, &path, lamppost, &mut taken);
        Aside { directory: path, told, number }
    });
    asides.collect()
}

fn look(disk: &dyn Disk, directory: &Path, ours: &LamppostNumber, taken: &mut HashSet<OutboxId>) -> SetAside {
    let (owner, reason) = match identity::read(disk, directory) {
        Ok(Identity::Whole(owner)) if owner.lamppost == *ours => (Some(owner), SetAsideReason::OtherHardware),
        Ok(Identity::Whole(owner)) => (Some(owner), SetAsideReason::OtherLamppost),
        Ok(Identity::Damaged) => (None, SetAsideReason::DamagedIdentity),
        Ok(Identity::Absent) => (None, SetAsideReason::NoIdentity),
        Err(_) => (None, SetAsideReason::Unknown),
    };
    let own = owner.as_ref().map(|owner| owner.outbox).filter(|outbox| taken.insert(*outbox));
    let outbox = own.unwrap_or_else(|| made_id(disk, directory));
    taken.insert(outbox);
    let mut told = SetAside {
        outbox,
        lamppost: owner.as_ref().map(|owner| owner.lamppost.clone()),
        hardware_serial: owner.map(|owner| cut(owner.hardware_serial)).unwrap_or_default(),
        reason,
        bytes: 0,
        runs: 0,
        first: None,
        last: None,
    };
    let runs = directory.join("runs");
    for name in disk.list(&runs).unwrap_or_default() {
        if let Some((number, run)) = parse_run_name(&name) {
            told.runs = told.runs.saturating_add(1);
            add_run(disk, Run::new(run, number, runs.join(&name)), &mut told);
        }
    }
    told
}

/// Adds what a run's files show without being read. Of a run that is not dated nobody knows when it was: what its records
/// say may be years off (D3).
fn add_run(disk: &dyn Disk, mut run: Run, told: &mut SetAside) {
    run.opening = order::read_opening(disk, &run);
    run.time = dating::load(disk, &run).0;
    let opened = run.opening.and_then(|opening| run.time.of(Log::Events, 0, opening.opened));
    if let Some(opened) = opened {
        told.first = Some(told.first.map_or(opened, |first| first.min(opened)));
        told.last = told.last.max(Some(opened));
    }
    let names = disk.list(&run.directory).unwrap_or_default();
    let mut newest: [Option<(u64, UtcMillis)>; 2] = [None; 2];
    for (log, first) in names.iter().filter_map(|name| parse_segment_name(name)) {
        let Ok(file) = disk.open(&run.segment_path(log, first)) else { continue };
        let length = file.length().unwrap_or(0);
        told.bytes = told.bytes.saturating_add(length);
        let newest = &mut newest[usize::from(log == Log::Events)];
        if newest.is_none_or(|(known, _)| known < first)
            && let Some(seal) = seal::read(&*file, length, (run.id, log, first))
        {
            *newest = Some((first, seal.newest));
        }
    }
    // A segment has times of one kind.
    let time = |(log, newest): (Log, Option<(u64, UtcMillis)>)| {
        let (first, time) = newest?;
        run.time.of(log, first, time)
    };
    told.last = [Log::Samples, Log::Events].into_iter().zip(newest).map(time).fold(told.last, Ord::max);
}

/// An id for an outbox that cannot say its own, or whose own another one has: made of what it is found to be, so that every
/// start makes the same.
fn made_id(disk: &dyn Disk, directory: &Path) -> OutboxId {
    let mut names = disk.list(&directory.join("runs")).unwrap_or_default();
    names.sort_unstable();
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let digest = Digest::of([&[name][..], &names].concat().join("/").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    OutboxId(id)
}

/// No longer than a hello may tell.
fn cut(mut serial: String) -> String {
    serial.truncate(serial.floor_char_boundary(limits::MAX_SERIAL_BYTES));
    serial
}
