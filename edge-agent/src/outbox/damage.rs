//! What is done when records on disk turn out not to be as they were written, or not to be readable. A closed segment is
//! not read by a start: this is where its damage is found, by whoever reads it to send it or to drop it.

use std::sync::Arc;

use lamplighter_protocol::Log;

use super::files::Files;
use super::log_index::Unread;
use super::readable::{self, Readable};
use super::run::At;
use super::seal;

impl Files {
    /// The record `first` is not as it was written; those behind it, up to `last`, could not be told apart for that. In a
    /// closed segment they are looked for; in the one that is being written the next start does.
    pub(super) fn found_damaged(&mut self, (run, log): (usize, Log), first: u64, last: u64) {
        let index = self.runs[run].log_mut(log);
        index.damaged.insert(first, first);
        index.state.on_disk.remove(first, last);
        let segment = index.segment_of(first).map(|segment| segment.first);
        self.damaged += 1;
        self.damage_found = true;
        let (id, name) = (self.runs[run].id, log.as_str());
        tracing::error!(run = %id, log = name, sequence = first, "a record on disk is damaged: it is lost here");
        if let Some(segment) = segment {
            self.verify((run, log, segment));
        }
    }

    /// What is in a segment from this sequence on cannot be read in this run; the next start tries it again, page by page.
    pub(super) fn found_unreadable(&mut self, (run, log): (usize, Log), sequence: u64) {
        let index = self.runs[run].log_mut(log);
        let Some((last, known)) = index.mark_unread(sequence) else { return };
        index.state.on_disk.remove(sequence, last);
        let segment = index.segment_of(sequence).map(|segment| segment.first);
        // However many of its records are asked for, by whoever comes first, a segment that cannot be read is one place.
        self.damaged += u64::from(known == Unread::News);
        let (id, name) = (self.runs[run].id, log.as_str());
        tracing::error!(
            run = %id, log = name, first = sequence, last,
            "records on disk cannot be read: the next start tries them again"
        );
        if let Some(segment) = segment {
            self.take_off_seal((run, log, segment));
        }
    }

    /// Reads a closed segment whole: its index then says which of its records are as they were written. What cannot be read
    /// is left to whoever reads it next.
    pub(super) fn verify(&mut self, (run, log, first): At) {
        if self.is_being_written((run, log, first)) {
            return;
        }
        let disk = Arc::clone(&self.disk);
        let path = self.runs[run].segment_path(log, first);
        let index = self.runs[run].log(log);
        let segment = index.place_of_segment(first).map(|at| &index.segments[at]).filter(|one| !one.unread);
        let Some((segment, (_, seed))) = segment.and_then(|one| Some((one, one.header.as_ref()?))) else {
            return;
        };
        let (end, bytes) = (segment.end, segment.bytes);
        let Some(last) = end.checked_sub(1).filter(|last| *last >= first) else { return };
        let Ok(file) = disk.open(&path) else { return };
        let (found, readable) = readable::verify(&*file, &path, bytes, *seed);
        if readable == Readable::Partly {
            return;
        }

        let index = self.runs[run].log_mut(log);
        let (mut known, mut places) = (first, 0);
        let whole =
            found.whole.iter().map(|(from, to)| (first + u64::from(*from), first + u64::from(*to) + 1));
        for (from, to) in whole.chain([(end, end)]) {
            if known < from {
                let known_before = index.damaged.missing_in(known, from - 1) != [(known, from - 1)];
                places += u64::from(!known_before);
                index.damaged.insert(known, from - 1);
            }
            known = to;
        }
        index.state.on_disk.insert(first, last);
        for (from, to) in index.damaged.ranges() {
            index.state.on_disk.remove(from, to);
        }
        if let Some(segment) = index.place_of_segment(first).and_then(|at| index.segments.get_mut(at)) {
            segment.offsets = found.offsets;
        }
        let harmed = !index.state.on_disk.contains_all(first, last);
        if places > 0 {
            self.damaged += places;
            self.damage_found = true;
            tracing::error!(path = %path.display(), places, "the segment is damaged: the records there are lost here");
        }
        if harmed {
            self.take_off_seal((run, log, first));
        }
    }

    /// The next start does not believe this segment, and reads it.
    fn take_off_seal(&mut self, at: At) {
        let (run, log, first) = at;
        if self.is_being_written(at) {
            return;
        }
        let index = self.runs[run].log(log);
        let Some(bytes) = index.place_of_segment(first).map(|at| index.segments[at].bytes) else { return };
        let path = self.runs[run].segment_path(log, first);
        // Nothing rests on it: what is not found by the next start is found when it is read.
        if let Err(error) = seal::take_off(&*self.disk, &path, bytes) {
            tracing::debug!(%error, "a damaged segment keeps its seal");
        }
    }

    fn is_being_written(&mut self, (run, log, first): At) -> bool {
        let current = run + 1 == self.runs.len();
        let last = self.runs[run].log(log).segments.back().is_some_and(|last| last.first == first);
        current && last
    }
}
