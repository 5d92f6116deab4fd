//! Whether what the server stores is what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use edge_agent::outbox::RunState;
use fleet_server::ingest::RecordVerdict;
use fleet_server::store::{Point, SeriesKey, Tail};
use lamplighter_protocol::{RunId, UtcMillis};

use super::dating::{Exact, UndatedRun};
use super::model::{Kind, Known, RecordKey, Said, State};
use super::world::World;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

impl World {
    /// Whether all that a record says is stored, or lost a merge to something else that was observed at that time; of
    /// what cannot be stored, whether the server holds it.
    fn is_stored(&self, key: &RecordKey, known: &Known) -> bool {
        match known.kind {
            Kind::Opening | Kind::Report => return self.verdict(key, known) == Some(RecordVerdict::Held),
            Kind::Unreadable => return self.is_quarantined(key, known),
            Kind::Tick => {}
        }
        let is_stored_by = |shift_ms: i64, exact: Exact| {
            known.observed.iter().all(|one| {
                let said = exact.said(one.said);
                self.stored(&one.series, one.time.plus_ms(shift_ms))
                    .is_some_and(|stored| stored == said || stored.is_kept_before(said))
            })
        };
        if !known.is_provisional {
            return is_stored_by(0, Exact::Learnt);
        }
        let shifts = self.model.undated.get(&key.0).map(|run| &run.shifts);
        shifts.is_some_and(|shifts| shifts.iter().any(|(shift, exact)| is_stored_by(*shift, *exact)))
    }

    /// Every outbox has the opening of every run that ever began in it: none was dropped, and none was freed (D1).
    pub(super) fn check_openings(&mut self) -> Result<(), Broken> {
        for (post, home) in self.posts.iter_mut().zip(&self.homes) {
            let Some(agent) = &mut post.agent else { continue };
            let state = agent.outbox.state();
            let opened = |run: &&Arc<RunState>| run.events.on_disk.contains(0);
            let opened: BTreeSet<RunId> = state.runs.iter().filter(opened).map(|run| run.run).collect();
            if let Some(run) = home.difference(&opened).next() {
                return Err(Broken(format!("{} has no opening of run {run} any more", post.number)));
            }
        }
        Ok(())
    }

    /// No record was dated twice, or by what was not to be (D3).
    pub(super) fn check_times(&self) -> Result<(), Broken> {
        let jumped: Vec<bool> = self.posts.iter().map(|post| post.clock.jumped).collect();
        // How long a run went on is not known from a disk that does not have all of it.
        let damaged = |run: &UndatedRun| self.posts.get(run.post).is_none_or(|post| post.was_damaged);
        let uncertain = self.model.undated.iter().filter(|(_, run)| damaged(run)).map(|(run, _)| *run);
        // Copies of a run are placed each between its own neighbours.
        let uncertain = uncertain.chain(self.copied.iter().copied()).collect();
        self.model.check_bounds(&jumped, &uncertain).map_err(Broken)
    }

    /// Whether the server has a record: it holds it, and what it cannot store waits.
    pub(super) fn is_here(&self, key: &RecordKey) -> bool {
        let Some(known) = self.model.records.get(key) else { return false };
        self.verdict(key, known) == Some(RecordVerdict::Held)
            && (self.is_stored(key, known) || self.is_quarantined(key, known))
    }

    fn verdict(&self, (run, log, sequence): &RecordKey, known: &Known) -> Option<RecordVerdict> {
        let running = self.server.running.as_ref()?;
        Some(running.ingest.verdict(&known.lamppost, *run, *log, *sequence))
    }

    fn is_quarantined(&self, (run, log, sequence): &RecordKey, known: &Known) -> bool {
        let running = self.server.running.as_ref();
        running.is_some_and(|running| running.ingest.is_quarantined(&known.lamppost, *run, *log, *sequence))
    }

    /// Whether its lamppost said that it had to go. No opening ever has to (D1).
    fn is_reported(&self, key: &RecordKey, known: &Known) -> bool {
        known.kind != Kind::Opening
            && self.server.running.is_some()
            && self.server.heard.is_reported(key.0, key.1, key.2)
    }

    /// How many events had to go for want of room.
    pub(super) fn reports_dropped(&self) -> u64 {
        let is_one = |(key, known): &(&RecordKey, &Known)| {
            known.kind == Kind::Report && self.server.heard.is_reported(key.0, key.1, key.2)
        };
        self.model.records.iter().filter(is_one).count() as u64
    }

    fn stored(&self, series: &SeriesKey, time: UtcMillis) -> Option<Said> {
        let running = self.server.running.as_ref()?;
        let id = running.tail.find(series)?;
        let page = running.tail.range(id, time, time.plus_ms(1), 1).ok()?;
        page.points.first().map(|point: &Point| Said { value: point.value, reason: point.reason })
    }

    /// Nothing is stored that was not observed: not under another series, not at another time, not in another unit.
    pub(super) fn check_nothing_invented(&self) -> Result<(), Broken> {
        self.times.clone()?;
        let Some(running) = &self.server.running else { return Ok(()) };
        for series in running.tail.all() {
            let key = &series.meta.key;
            let page = running.tail.range(series.id, UtcMillis(i64::MIN), UtcMillis(i64::MAX), usize::MAX);
            let page = page.map_err(|error| Broken(format!("{key:?} cannot be read: {error}")))?;
            let may_say = self.model.may_say(key);
            for point in page.points {
                let said = Said { value: point.value, reason: point.reason };
                let there = may_say.and_then(|may_say| may_say.get(&point.time));
                if there.is_none_or(|there| !there.contains(&said)) {
                    return Err(Broken(format!(
                        "stored and never observed: {} {} at {}: {said:?}",
                        key.lamppost, key.name, point.time.0
                    )));
                }
            }
        }
        Ok(())
    }

    /// Everything that was read is stored or reported as dropped, unless it has an excuse. And the server's ledger says of
    /// every record what the model says (D12): held is stored, or was refused; dropped was reported; and what is neither is
    /// named as lost, if the server has ever heard that it was.
    pub(super) fn check_records(&self) -> Result<(), Broken> {
        let (mut lost, mut misjudged) = (Vec::new(), None);
        for (key, known) in &self.model.records {
            let (stored, reported) = (self.is_stored(key, known), self.is_reported(key, known));
            if known.state == State::Read && !known.may_be_rejected && !stored && !reported {
                lost.push(format!("{} run {} {:?} {}", known.lamppost, key.0, key.1, key.2));
            }
            let Some(verdict) = self.verdict(key, known) else { continue };
            let fits = match verdict {
                RecordVerdict::Held => stored || known.may_be_rejected,
                RecordVerdict::Dropped(_) => reported,
                // Nobody has it: nothing of it may be stored, unless another record said the same of that time.
                RecordVerdict::Lost => known.state != State::Read || reported,
                RecordVerdict::NotYetHere => {
                    matches!(known.state, State::Excused(_)) && (!self.is_owed(key) || self.may_be_found(key))
                }
            };
            if !fits && misjudged.is_none() {
                misjudged = Some(format!(
                    "the ledger says {verdict:?} of {} run {} {:?} {}, which is {:?}{}{}",
                    known.lamppost,
                    key.0,
                    key.1,
                    key.2,
                    known.state,
                    if stored { ", stored" } else { "" },
                    if reported { ", reported" } else { "" },
                ));
            }
        }
        if !lost.is_empty() {
            let (count, lost) = (lost.len(), lost.join("; "));
            return Err(Broken(format!(
                "{count} records were read, and are neither stored nor reported: {lost}"
            )));
        }
        misjudged.map_or(Ok(()), |misjudged| Err(Broken(misjudged)))
    }

    /// Whether the server has heard that the run of this record had so many.
    fn is_owed(&self, key: &RecordKey) -> bool {
        self.server.heard.is_stated(key.0, key.1, key.2)
    }

    /// Whether it may be in a copy of an outbox that was set aside, while another copy speaks: as often as it does, the one
    /// that was set aside is found anew, and what it has may come.
    fn may_be_found(&self, key: &RecordKey) -> bool {
        self.cards.iter().any(|card| card.contains(&key.0) && !card.is_disjoint(&self.copied))
    }

    /// What the server made of checkpoints and of a journal that was trimmed is what it would have made of all that it
    /// ever took in (D15).
    pub(super) fn check_nothing_hangs_on_starts(&self) -> Result<(), Broken> {
        let Some(running) = &self.server.running else { return Ok(()) };
        let (ingest, tail) = self.server.of_one_life();
        let stored = |tail: &Tail| {
            let series = tail.all().map(|series| {
                let points = tail.range(series.id, UtcMillis(i64::MIN), UtcMillis(i64::MAX), usize::MAX);
                (series.meta.key.clone(), points.map(|page| page.points).unwrap_or_default())
            });
            series.collect::<BTreeMap<_, _>>()
        };
        let (is, should_be) = (stored(&running.tail), stored(&tail));
        for (key, points) in &should_be {
            let is = is.get(key).map_or(&[][..], Vec::as_slice);
            if is == points.as_slice() {
                continue;
            }
            let differs = points.iter().find(|point| !is.contains(point));
            if let Some(differs) = differs.or_else(|| is.iter().find(|point| !points.contains(point))) {
                return Err(Broken(format!(
                    "{} {} is not as the journal tells: {differs:?}; stored are {} of {}",
                    key.lamppost,
                    key.name,
                    is.len(),
                    points.len()
                )));
            }
        }
        for (key, known) in &self.model.records {
            let (run, log, sequence) = *key;
            let should_be = ingest.verdict(&known.lamppost, run, log, sequence);
            let is = running.ingest.verdict(&known.lamppost, run, log, sequence);
            if is != should_be {
                return Err(Broken(format!(
                    "the ledger says {is:?} of {} run {run} {log:?} {sequence}; by the journal it is {should_be:?}",
                    known.lamppost
                )));
            }
        }
        Ok(())
    }
}
