//! How a run begins (D1).

use std::path::Path;

use lamplighter_protocol::{Digest, Log, Opening, Record, RunId, UtcMillis};

use super::dating::RunTime;
use super::disk::{self, Disk};
use super::dropping::Drops;
use super::error::{OutboxError, manage};
use super::log_index::Segment;
use super::pen::Pen;
use super::run::{Run, run_name, segment_name};
use super::segment::{HEADER_BYTES, Header, PREFIX_BYTES};
use super::{ReadLimit, read, recover};

/// The opening of a run that follows this one (D1).
pub(super) fn opening_after(before: Option<&Run>, opened: UtcMillis) -> Opening {
    let Some(before) = before else {
        return Opening { run_before: None, samples_end: 0, events_end: 0, ended: None, opened };
    };
    let last_time = |log: Log| {
        let (sequence, time) = before.log(log).newest()?;
        before.time.of(log, sequence, time)
    };
    Opening {
        run_before: Some(before.id),
        samples_end: before.samples.state.end,
        events_end: before.events.state.end,
        ended: last_time(Log::Samples).max(last_time(Log::Events)),
        opened,
    }
}

/// When a record says that the agent was alive. None if the record is not there or cannot be read, or if its time is not
/// known (D3).
pub(super) fn time_of(disk: &dyn Disk, run: &Run, log: Log, sequence: u64) -> Option<UtcMillis> {
    let limit = ReadLimit { bytes: 0, records: 1, last: sequence };
    let chunk = read::read(disk, run, log, sequence, limit).ok()?.chunk()?;
    run.time.of(log, sequence, time_in(&Record::decode(chunk.records.first()?).ok()?))
}

/// The time that a record carries.
pub(super) fn time_in(record: &Record) -> UtcMillis {
    match record {
        Record::Tick(tick) => tick.time,
        Record::Opening(opening) => opening.opened,
        Record::Command(report) => report.time,
        Record::Dropped(dropped) => dropped.time,
        Record::Dating(dating) => dating.time,
    }
}

/// Makes the directory of a new run, its opening synced. It has another name until then, so that a run that is
/// found on disk has spoken its opening, or could have.
pub(super) fn begin_run(
    disk: &dyn Disk,
    runs: &Path,
    (number, id): (u64, RunId),
    description: Digest,
    opening: Opening,
    time: RunTime,
) -> Result<Run, OutboxError> {
    let unopened = runs.join(format!("{}{id}", recover::UNOPENED));
    let header = Header { run: id, log: Log::Events, first: 0, description };
    let record = Record::Opening(opening).encode();
    let written = write_opening(disk, &unopened, &header, &record, opening.opened);
    let written = written.and_then(|written| match &time {
        RunTime::Undated(undated) => undated.write(disk, &unopened).map(|()| written),
        RunTime::Known | RunTime::Dated(..) | RunTime::Unread => Ok(written),
    });
    let (seed, place) = written.inspect_err(|_| {
        // On a full disk what there is of it is in the way of the next attempt; if it stays, the next start removes it.
        disk::remove_directory(disk, &unopened).ok();
    })?;
    let directory = runs.join(run_name(number, id));
    disk.rename(&unopened, &directory).map_err(manage("name", &directory))?;
    disk::sync_directory(disk, runs)?;

    // The opening has this segment to itself: it is never freed, and what follows it is.
    let mut run = Run::new(id, number, directory);
    (run.opening, run.time) = (Some(opening), time);
    let events = run.log_mut(Log::Events);
    let header = Some((header, seed));
    events.segments.push_back(Segment::new(0, HEADER_BYTES as u64, header, Drops::Never));
    events.extend(place, (PREFIX_BYTES + record.len()) as u64, opening.opened);
    events.state.synced_end = 1;
    Ok(run)
}

/// Writes a run's first segment, synced; says the seed of its records' checksums, and where the opening is.
fn write_opening(
    disk: &dyn Disk,
    directory: &Path,
    header: &Header,
    record: &[u8],
    opened: UtcMillis,
) -> Result<(u32, (u32, u64)), OutboxError> {
    disk::create_directory(disk, directory)?;
    let path = directory.join(segment_name(Log::Events, 0));
    let mut pen = Pen::begin(disk, path, header, Drops::Never, 0)?;
    let place = pen.append(0, record, opened);
    pen.write()?;
    pen.sync(disk)?;
    Ok((pen.seed, place))
}
