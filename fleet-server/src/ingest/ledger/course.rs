//! The course of a lamppost over a time: which ticks its series were to have, and why each that is not stored is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lamplighter_protocol::{Digest, DropReason, Grid, SeriesName, UtcMillis};

use super::span::{Span, Spans};
use super::tally::{Rejection, Tallied, Tallies};
use super::timeline::Stretch;
use crate::ingest::known::Known;

/// Why a tick is missing that is not stored. Where several reasons hold at once, the greatest one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// The agent ran, and what it sent of that time is here, with no record of the tick that can be read.
    NotRecorded,
    /// The agent was stopped (D2).
    AgentStopped,
    /// After the last that is known of an outbox that does not live any more: read or not, nobody knows.
    Unknown,
    /// Its record is lost (D9).
    Lost,
    /// Its record may still come.
    NotYetHere,
    /// Its record was dropped (D11).
    Dropped(DropReason),
}

/// What is known of a lamppost over a time, to be asked series by series.
#[derive(Clone, Debug)]
pub struct Course {
    pub(in crate::ingest) stretches: Vec<Stretch>,
    pub(in crate::ingest) descriptions: BTreeMap<Digest, Arc<Known>>,
    pub(in crate::ingest) tallies: Tallies,
    pub(in crate::ingest) dropped: BTreeMap<SeriesName, Vec<DroppedSpan>>,
    pub(in crate::ingest) known_from: Option<UtcMillis>,
}

/// The course of one series.
#[derive(Clone, Debug, Default)]
pub struct SeriesCourse {
    /// When it was to be observed, in ascending order; they do not overlap.
    pub parts: Vec<CoursePart>,
    /// What is stored and came late.
    pub late: Spans,
    /// What is rejected.
    pub rejected: Vec<(Rejection, Spans)>,
    /// What its lamppost reported as dropped.
    pub dropped: Vec<DroppedSpan>,
}

/// A time in which a series was to be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoursePart {
    /// Its begin.
    pub from: UtcMillis,
    /// Its end, itself not in it.
    pub to: UtcMillis,
    /// When it was to be read; none: by exception.
    pub grid: Option<Grid>,
    /// Why what is not stored is missing.
    pub missing: Missing,
}

/// What a lamppost reported as dropped of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DroppedSpan {
    /// Why.
    pub reason: DropReason,
    /// When, and how many.
    pub span: Span,
    /// Of so many records that were reported together...
    pub records: u64,
    /// ...so many have not come all the same.
    pub gone: u64,
}

impl Course {
    /// From when on the server remembers what became of records; none: from the first on.
    pub fn known_from(&self) -> Option<UtcMillis> {
        self.known_from
    }

    /// Observations that are late or rejected and are in no series' counts: there is no name or no room for them.
    pub fn unplaced(&self) -> u64 {
        self.tallies.unplaced
    }

    /// Records that cannot be read, of all times.
    pub fn unreadable(&self) -> u64 {
        self.tallies.unreadable
    }

    /// All series of which anything is known.
    pub fn series(&self) -> BTreeSet<SeriesName> {
        let in_force: BTreeSet<Digest> = self.stretches.iter().map(|stretch| stretch.description).collect();
        let described =
            in_force.iter().filter_map(|digest| self.descriptions.get(digest)).flat_map(|known| {
                let devices = known.description.devices.iter();
                devices.flat_map(|device| device.series.iter().map(|series| device.name_of(series)))
            });
        described.chain(self.tallies.spans.keys().cloned()).chain(self.dropped.keys().cloned()).collect()
    }

    /// The course of one series.
    pub fn of(&self, series: &SeriesName) -> SeriesCourse {
        let mut course = SeriesCourse { parts: self.parts(series), ..SeriesCourse::default() };
        for (why, spans) in self.tallies.spans.get(series).into_iter().flatten() {
            match why {
                Tallied::Late => course.late = spans.clone(),
                Tallied::Rejected(reason) => course.rejected.push((*reason, spans.clone())),
            }
        }
        course.dropped = self.dropped.get(series).cloned().unwrap_or_default();
        course
    }

    /// Sweeps over the begins and ends of all stretches in which the series is described. Of several grids at once, which
    /// only copies of an agent have, the one with the shortest period counts.
    fn parts(&self, series: &SeriesName) -> Vec<CoursePart> {
        let grid_in = |known: &Known| {
            let device = known.device_of(series)?;
            Some(Shown::of(known.description.grid_of(device)))
        };
        let described = self.descriptions.iter();
        let grids: BTreeMap<Digest, Shown> =
            described.filter_map(|(digest, known)| Some((*digest, grid_in(known)?))).collect();
        let mut changes: Vec<(UtcMillis, bool, Shown, Missing)> = Vec::new();
        for stretch in &self.stretches {
            if let Some(grid) = grids.get(&stretch.description) {
                changes.push((stretch.from, true, *grid, stretch.missing));
                changes.push((stretch.to, false, *grid, stretch.missing));
            }
        }
        changes.sort_unstable();
        let (mut shown, mut missing) = (Counted::<Shown>::default(), Counted::<Missing>::default());
        let mut parts: Vec<CoursePart> = Vec::new();
        let mut since = UtcMillis::default();
        for (time, begins, grid, why) in changes {
            if since < time
                && let (Some(grid), Some(missing)) = (shown.greatest(), missing.greatest())
            {
                push(&mut parts, CoursePart { from: since, to: time, grid: grid.grid(), missing });
            }
            since = time;
            shown.change(grid, begins);
            missing.change(why, begins);
        }
        parts
    }
}

/// Appends a part, to the one before it if that is the same.
fn push(parts: &mut Vec<CoursePart>, part: CoursePart) {
    if let Some(before) = parts.last_mut()
        && (before.to, before.grid, before.missing) == (part.from, part.grid, part.missing)
    {
        before.to = part.to;
        return;
    }
    parts.push(part);
}

/// A grid in the order in which it is preferred: a short period before a long one, and any before none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shown(Option<std::cmp::Reverse<(u32, u32)>>);

impl Shown {
    fn of(grid: Option<Grid>) -> Self {
        Self(grid.map(|grid| std::cmp::Reverse((grid.period_ms, grid.phase_ms))))
    }

    fn grid(self) -> Option<Grid> {
        self.0.map(|std::cmp::Reverse((period_ms, phase_ms))| Grid { period_ms, phase_ms })
    }
}

/// A set in which each may be several times.
struct Counted<T>(BTreeMap<T, usize>);

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy + Ord> Counted<T> {
    fn change(&mut self, one: T, begins: bool) {
        let count = self.0.entry(one).or_insert(0);
        if begins {
            *count += 1;
        } else {
            *count -= 1;
        }
        if *count == 0 {
            self.0.remove(&one);
        }
    }

    fn greatest(&self) -> Option<T> {
        self.0.last_key_value().map(|(one, _)| *one)
    }
}
