//! When each description was in force, and why what is not stored of that time is not: by the runs of a lamppost.
//!
//! Sequences become times by the ticks that are held before and after them, by what reports of drops say, and by when the
//! run opened and ended; in between they are taken to be even.

use std::collections::{BTreeMap, BTreeSet};

use lamplighter_protocol::{Digest, Log, Pieces, RunId, UtcMillis};

use super::account::{LogAccount, RunAccount, RunEnd};
use super::{Held, Ledger, Missing, RecordVerdict, Times};

/// A record comes this long after its tick at most, so that what is missing may be of so much earlier.
const READ_MS: i64 = 10_000;

/// A time in which one description was in force, for one reason why something may be missing. They overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Stretch {
    pub(in crate::ingest) from: UtcMillis,
    /// Itself not in it.
    pub(in crate::ingest) to: UtcMillis,
    pub(in crate::ingest) description: Digest,
    pub(in crate::ingest) missing: Missing,
}

/// What later openings say of a run.
#[derive(Clone, Copy, Debug)]
struct Sequel {
    ended: Option<UtcMillis>,
    /// Whether one of them states it; else the run may have gone on.
    is_stated: bool,
    opened: UtcMillis,
    description: Digest,
}

struct Teller<'a> {
    ledger: &'a Ledger,
    held: Held<'a>,
    from: UtcMillis,
    to: UtcMillis,
    sequels: BTreeMap<RunId, Sequel>,
    /// Instants at which some run is known to have ended, or been alive last, in ascending order.
    ends: Vec<UtcMillis>,
    /// When runs opened, in ascending order.
    openings: Vec<UtcMillis>,
    /// As [`Ledger::going_on`].
    going_on: Option<BTreeSet<RunId>>,
    told: Vec<Stretch>,
}

impl Ledger {
    /// All stretches that reach into the time from `from` to before `to`, which is not in the future.
    pub(in crate::ingest) fn timeline<'a>(
        &'a self,
        held: Held<'a>,
        from: UtcMillis,
        to: UtcMillis,
    ) -> Vec<Stretch> {
        let mut sequels: BTreeMap<RunId, Sequel> = BTreeMap::new();
        let (mut ends, mut openings) = (Vec::new(), Vec::new());
        for account in self.runs.values() {
            ends.extend(account.described.last_time());
            let Some(opening) = &account.opening else { continue };
            ends.extend(opening.ended);
            openings.push(opening.opened);
            let Some(before) = opening.before else { continue };
            let (opened, description) = (opening.opened, opening.description);
            let (ended, is_stated) = (self.end_before(before, opening.ended), opening.ended.is_some());
            let this = Sequel { ended: ended.map(RunEnd::time), is_stated, opened, description };
            let sequel = sequels.entry(before).or_insert(this);
            let ended = sequel.ended.max(this.ended);
            let is_stated = sequel.is_stated || is_stated;
            if opened < sequel.opened {
                *sequel = this;
            }
            (sequel.ended, sequel.is_stated) = (ended, is_stated);
        }
        ends.sort_unstable();
        openings.sort_unstable();
        let (ledger, going_on) = (self, self.going_on());
        let mut teller =
            Teller { ledger, held, from, to, sequels, ends, openings, going_on, told: Vec::new() };
        for (&run, account) in &self.runs {
            teller.stop(account);
            teller.run(run, account);
        }
        teller.told
    }
}

impl Teller<'_> {
    /// The agent was stopped between the end of the run before and the opening of this one (D2).
    fn stop(&mut self, account: &RunAccount) {
        let Some(opening) = &account.opening else { return };
        let Some(before) = opening.before else { return };
        if let Some(end) = self.ledger.end_before(before, opening.ended) {
            self.tell(end.time().plus_ms(1), opening.opened, opening.description, Missing::AgentStopped);
        }
    }

    fn run(&mut self, run: RunId, account: &RunAccount) {
        let sequel = self.sequels.get(&run).copied();
        let Some(begin) = self.begin(account, sequel) else { return };
        let last = account.described.last_time().map_or(begin, |last| last.max(begin).plus_ms(1));
        let nothing = Pieces::new();
        let held = (self.held)(run, Log::Samples).unwrap_or(&nothing);
        let claimed = self.ledger.claimed(run, Log::Samples);
        let owed = account.samples.stated.max(held.end());
        let mut parts = Vec::new();
        if let Some(greatest) = owed.checked_sub(1) {
            account.samples.divide(held, &claimed, (0, greatest), &mut |first, last, verdict| {
                parts.push((first, last, Missing::of(verdict)));
            });
        }
        let is_awaited = parts.iter().any(|part| matches!(part.2, Some(Missing::NotYetHere | Missing::Lost)));
        // Until when what is owed was written, and how long the run went on.
        let (written_to, end) = if let Some(sequel) = sequel {
            let ended = match sequel.ended {
                // What is owed was written at some time before the next run opened.
                _ if is_awaited && !sequel.is_stated => sequel.opened,
                Some(ended) => ended.plus_ms(1),
                None => last,
            };
            let ended = ended.max(last);
            (ended, ended)
        } else {
            let next = self.next_opening_after(last).unwrap_or(self.to).max(last);
            let spoken = self.ledger.last_named(run).unwrap_or(last);
            (spoken.clamp(last, next), next)
        };
        let layers = in_force(account, sequel, begin, end);
        let tail = if sequel.is_some() {
            Missing::NotRecorded
        } else if self.going_on.as_ref().is_none_or(|runs| runs.contains(&run)) {
            Missing::NotYetHere
        } else {
            Missing::Unknown
        };
        // Within the time of what is owed all that is here is here; past it, the run has gone on or not.
        let known_to = if owed > held.end() { written_to } else { last };
        self.layer(&layers, begin, known_to, Missing::NotRecorded);
        self.layer(&layers, known_to, end, tail);
        if parts.is_empty() {
            return;
        }
        let knots = Knots::of(account, begin, written_to, owed);
        for (place, &(first, last, missing)) in parts.iter().enumerate() {
            let Some(missing) = missing else { continue };
            // Beside what is held, its ticks may be those of its neighbours, which were read by other devices.
            let is_held = |place: Option<usize>| place.and_then(|place| parts.get(place)?.2).is_none();
            let from = if is_held(place.checked_sub(1)) {
                knots.time(u128::from(first)).plus_ms(-READ_MS).max(begin)
            } else {
                knots.time(u128::from(first) + 1)
            };
            let is_before_held = place + 1 < parts.len() && is_held(Some(place + 1));
            let to = knots.time(u128::from(last) + 2).plus_ms(i64::from(is_before_held));
            self.layer(&layers, from, to, missing);
        }
    }

    /// When a run began: without its opening, with its first tick or the end of the run that was last before it.
    fn begin(&self, account: &RunAccount, sequel: Option<Sequel>) -> Option<UtcMillis> {
        let opened = account.opening.as_ref().map(|opening| opening.opened);
        let first =
            || account.described.0.iter().filter_map(|span| span.times).map(|times| times.first).min();
        let after_another = || {
            let ended = sequel.and_then(|sequel| sequel.ended)?;
            let behind = self.ends.partition_point(|end| *end < ended);
            self.ends.get(behind.checked_sub(1)?).copied()
        };
        opened.or_else(first).or_else(after_another)
    }

    fn next_opening_after(&self, time: UtcMillis) -> Option<UtcMillis> {
        self.openings.get(self.openings.partition_point(|opened| *opened < time)).copied()
    }

    /// All descriptions in force in this time.
    fn layer(
        &mut self,
        layers: &[(UtcMillis, UtcMillis, Digest)],
        from: UtcMillis,
        to: UtcMillis,
        missing: Missing,
    ) {
        for &(begin, end, description) in layers {
            self.tell(from.max(begin), to.min(end), description, missing);
        }
    }

    fn tell(&mut self, from: UtcMillis, to: UtcMillis, description: Digest, missing: Missing) {
        let (from, to) = (from.max(self.from), to.min(self.to));
        if from < to {
            self.told.push(Stretch { from, to, description, missing });
        }
    }
}

/// Which descriptions were in force when: each from its first tick to the first of the next one. What came before the
/// first tick was in that of the opening; where there is nothing else, that of the run that followed is taken.
fn in_force(
    account: &RunAccount,
    sequel: Option<Sequel>,
    begin: UtcMillis,
    end: UtcMillis,
) -> Vec<(UtcMillis, UtcMillis, Digest)> {
    let mut changes: Vec<(UtcMillis, Digest)> = Vec::new();
    let opened_in = account.opening.as_ref().map(|opening| opening.description);
    let first = account.described.0.first().map(|span| span.description);
    let at_first = opened_in.or(first).or(sequel.map(|sequel| sequel.description));
    changes.extend(at_first.map(|description| (begin, description)));
    for span in &account.described.0 {
        let (Some(times), Some(&(since, before))) = (span.times, changes.last()) else { continue };
        if span.description != before {
            changes.push((times.first.max(since), span.description));
        }
    }
    let ends = changes.iter().skip(1).map(|(since, _)| *since).chain([end]);
    changes.iter().zip(ends).map(|(&(since, description), to)| (since, to, description)).collect()
}

/// Which sequence was written when: known places and their times, ascending in both. A place is one past a sequence, so
/// that the begin of the run has one too.
struct Knots(Vec<(u128, UtcMillis)>);

impl Knots {
    fn of(account: &RunAccount, begin: UtcMillis, written_to: UtcMillis, owed: u64) -> Self {
        let mut knots = vec![(0, begin), (u128::from(owed) + 1, written_to)];
        for span in &account.described.0 {
            if let Some(times) = span.times {
                knots.push((u128::from(span.first) + 1, times.first));
                knots.push((u128::from(span.last) + 1, times.last));
            }
        }
        knots.extend(reported(&account.samples));
        knots.sort_unstable();
        let mut latest = begin;
        for (_, time) in &mut knots {
            latest = latest.max(*time);
            *time = latest;
        }
        Self(knots)
    }

    /// When the place was written, between the places that are known.
    fn time(&self, place: u128) -> UtcMillis {
        let behind = self.0.partition_point(|(known, _)| *known < place);
        match (behind.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(behind)) {
            (_, Some(&(known, time))) if known == place => time,
            (Some(&(before, from)), Some(&(after, to))) => {
                let length = u128::from(to.since_ms(from).unsigned_abs());
                let into = length.saturating_mul(place - before) / (after - before);
                from.plus_ms(i64::try_from(into).unwrap_or(i64::MAX))
            }
            (Some(&(_, time)), None) | (None, Some(&(_, time))) => time,
            (None, None) => UtcMillis::default(),
        }
    }
}

/// The first and the last place of what was dropped for a reason, by the times of its observations.
fn reported(log: &LogAccount) -> Vec<(u128, UtcMillis)> {
    let mut knots = Vec::new();
    for part in log.dropped.values() {
        let mut ranges = part.pieces.ranges();
        if let (Some(Times { first, last }), Some((begin, end))) = (part.times(), ranges.next()) {
            knots.push((u128::from(begin) + 1, first));
            knots.push((u128::from(ranges.next_back().map_or(end, |(_, end)| end)) + 1, last));
        }
    }
    knots
}

impl Missing {
    /// Why the ticks of a record are missing; none of one that is held, whose ticks are not.
    fn of(verdict: RecordVerdict) -> Option<Self> {
        match verdict {
            RecordVerdict::Held => None,
            RecordVerdict::Dropped(reason) => Some(Self::Dropped(reason)),
            RecordVerdict::Lost => Some(Self::Lost),
            RecordVerdict::NotYetHere => Some(Self::NotYetHere),
        }
    }
}
