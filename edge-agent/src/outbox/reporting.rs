//! What the server does not hold and has to go all the same: it is reported, the report is synced, and then it goes (D11).

use std::collections::{BTreeSet, HashMap};

use lamplighter_protocol::{
    Description, DropReason, Dropped, DroppedSeries, Log, Pieces, Record, RunId, UtcMillis,
};

use super::dating::RunTime;
use super::dropping::{self, Decision, Drops, Tally};
use super::error::OutboxError;
use super::files::Files;
use super::read::{self, Found};
use super::run::{At, Run};
use super::{ReadLimit, descriptions, disk};

impl Files {
    /// Reports what is in these segments and not held, syncs that, and then removes them.
    pub(super) fn drop_segments(&mut self, segments: &[At], reason: DropReason) -> Result<(), OutboxError> {
        if segments.is_empty() {
            return Ok(());
        }
        // What is proven to be damaged is not lost for want of space.
        for at in segments {
            self.verify(*at);
        }
        self.report_damage()?;
        for &(run, log, first) in segments {
            let pieces = self.runs[run].log(log).unspoken_of(first);
            self.report(run, log, pieces, reason, Some(first))?;
        }
        self.sync_reports()?;
        self.oldest_gone = true;
        self.remove_segments(segments)
    }

    /// Removes segments that were reported. A power cut does not bring them back: by then the report may be freed, and
    /// they would be reported again.
    fn remove_segments(&mut self, segments: &[At]) -> Result<(), OutboxError> {
        let mut directories = BTreeSet::new();
        for &at in segments {
            directories.insert(self.runs[at.0].directory.clone());
            self.remove_segment(at)?;
        }
        directories.iter().try_for_each(|directory| disk::sync_directory(&*self.disk, directory))
    }

    /// Reports proven damage that no report on disk speaks of. At the next start those reports are found again.
    pub(super) fn report_damage(&mut self) -> Result<(), OutboxError> {
        if !std::mem::take(&mut self.damage_found) {
            return Ok(());
        }
        for run in 0..self.runs.len() {
            for log in Log::ALL {
                let damage = self.runs[run].log(log).damage_unspoken_of();
                self.report(run, log, damage, DropReason::Damaged, None)?;
            }
        }
        self.sync_reports()
    }

    /// Removes what was reported before a crash and not removed. `reports` are those on disk.
    pub(super) fn finish_drops(&mut self, reports: &[(RunId, Dropped)]) -> Result<(), OutboxError> {
        let mut gone: HashMap<(RunId, Log), Pieces> = HashMap::new();
        for (_, report) in reports.iter().filter(|(_, report)| report.reason != DropReason::Damaged) {
            gone.entry((report.run, report.log)).or_default().union(&report.pieces);
        }
        let mut left = Vec::new();
        for (place, run) in self.runs.iter().enumerate() {
            for log in Log::ALL {
                let Some(gone) = gone.get(&(run.id, log)) else { continue };
                let index = run.log(log);
                let dropped = index.segments.iter().filter(|segment| index.was_dropped(segment, gone));
                left.extend(dropped.map(|segment| (place, log, segment.first)));
            }
        }
        self.remove_segments(&left)?;
        let places: HashMap<RunId, usize> =
            self.runs.iter().enumerate().map(|(place, run)| (run.id, place)).collect();
        for (_, report) in reports {
            self.dropped.add(report);
            if let Some(run) = places.get(&report.run).and_then(|place| self.runs.get_mut(*place)) {
                run.report(report);
            }
        }
        Ok(())
    }

    /// Appends the report that these records go; `segment`, if they can be read, is the first sequence of theirs.
    fn report(
        &mut self,
        run: usize,
        log: Log,
        pieces: Pieces,
        reason: DropReason,
        segment: Option<u64>,
    ) -> Result<(), OutboxError> {
        if pieces.is_empty() {
            return Ok(());
        }
        self.date_for_report(run)?;
        let of = &self.runs[run];
        // Not before anything of this run: that it went on until then may be known by this report alone.
        let time = self.now.max(self.newest_sample().unwrap_or(self.now));
        let decision = Decision { run: of.id, log, reason, time };
        let described = segment.and_then(|first| self.description_of(of, log, first));
        let mut series_of = |pieces: &Pieces| {
            described.as_ref().map_or_else(Vec::new, |description| self.count(of, log, pieces, description))
        };
        for report in dropping::reports(decision, pieces, &mut series_of) {
            let (records, observations) = (report.pieces.count(), report.observations());
            tracing::warn!(
                run = %report.run, log = log.as_str(), reason = reason.as_str(), records, observations,
                "records that the server does not hold are dropped, and reported"
            );
            self.dropped.add(&report);
            self.runs[run].report(&report);
            let record = Record::Dropped(report);
            self.put(Log::Events, &record.encode(), time, Drops::Never)?;
        }
        Ok(())
    }

    /// The time of the newest sample of this run that is still on disk, by the times that the run has.
    fn newest_sample(&self) -> Option<UtcMillis> {
        let current = self.runs.last()?;
        let (sequence, written) = current.samples.newest()?;
        Some(current.time.of(Log::Samples, sequence, written).unwrap_or(written))
    }

    pub(super) fn sync_reports(&mut self) -> Result<(), OutboxError> {
        if let Some(pen) = self.pen(Log::Events) {
            pen.write()?;
        }
        self.sync_log(Log::Events)
    }

    fn description_of(&self, run: &Run, log: Log, first: u64) -> Option<Description> {
        let (header, _) = run.log(log).segment_of(first)?.header.as_ref()?;
        let payload =
            descriptions::load(&*self.disk, &self.directory.join("descriptions"), header.description)
                .ok()??;
        Description::decode(&payload).ok()
    }

    /// What is in these records of one segment. Of what cannot be read nothing is known.
    fn count(&self, run: &Run, log: Log, pieces: &Pieces, description: &Description) -> Vec<DroppedSeries> {
        let mut tally = Tally::default();
        // A run that knows the time reports true times, or none; one that does not is dated later, and its reports with it.
        let nobody_knows = match run.time {
            RunTime::Known | RunTime::Dated(..) => false,
            RunTime::Undated(_) => !self.is_undated(),
            RunTime::Unread => true,
        };
        if nobody_knows {
            return Vec::new();
        }
        let of = |sequence: u64, time: UtcMillis| run.time.of(log, sequence, time).unwrap_or(time);
        for (first, last) in pieces.ranges() {
            let mut next = first;
            while next <= last {
                let limit = ReadLimit { bytes: usize::MAX, records: usize::MAX, last };
                match read::read(&*self.disk, run, log, next, limit) {
                    Ok(Found::Chunk(chunk)) => {
                        for (sequence, record) in (next..).zip(&chunk.records) {
                            tally.add(record, |time| of(sequence, time));
                        }
                        next += chunk.records.len() as u64;
                    }
                    Ok(Found::Damaged { last: behind, .. }) => next = behind.max(next) + 1,
                    Ok(Found::Nothing) => next += 1,
                    Err(_) => break,
                }
            }
        }
        tally.named(description)
    }

    /// Removes a segment of which nothing is owed any more, unless it is gone: making space for a report may have freed it.
    pub(super) fn remove_segment(&mut self, (run, log, first): At) -> Result<(), OutboxError> {
        let run = &mut self.runs[run];
        let index = run.log_mut(log);
        let Some(removed) = index.place_of_segment(first).and_then(|at| index.segments.remove(at)) else {
            return Ok(());
        };
        disk::remove_file(&*self.disk, &run.segment_path(log, removed.first))?;
        if removed.end > removed.first {
            let index = run.log_mut(log);
            index.state.on_disk.remove(removed.first, removed.end - 1);
        }
        self.bytes -= removed.bytes;
        let (run, log, first, end) = (run.id, log.as_str(), removed.first, removed.end);
        tracing::debug!(%run, log, first, end, "a segment was removed");
        Ok(())
    }
}
