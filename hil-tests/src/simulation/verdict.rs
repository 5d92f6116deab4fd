//! Whether what the server stores is what was read.

use fleet_server::ingest::RecordVerdict;
use fleet_server::store::{Point, SeriesKey};
use lamplighter_protocol::{LamppostNumber, SeriesName, UtcMillis};

use super::model::{RecordKey, Said, State};
use super::world::World;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

impl World {
    /// Whether all that a record says is stored, or lost a merge to something else that was observed at that time.
    pub(super) fn is_stored(&self, key: &RecordKey) -> bool {
        let Some(known) = self.model.records.get(key) else { return false };
        known.observed.iter().all(|one| {
            self.stored(&known.lamppost, &one.series, one.time)
                .is_some_and(|stored| stored == one.said || stored.is_kept_before(one.said))
        })
    }

    /// Whether its lamppost said that it had to go.
    pub(super) fn is_reported(&self, key: &RecordKey) -> bool {
        let reported = self.server.running.as_ref().and_then(|running| running.reported.get(&(key.0, key.1)));
        reported.is_some_and(|pieces| pieces.contains(key.2))
    }

    fn stored(&self, lamppost: &LamppostNumber, series: &SeriesName, time: UtcMillis) -> Option<Said> {
        let running = self.server.running.as_ref()?;
        let key = SeriesKey { lamppost: lamppost.clone(), name: series.clone() };
        let id = running.tail.find(&key)?;
        let page = running.tail.range(id, time, time.plus_ms(1), 1).ok()?;
        page.points.first().map(|point: &Point| Said { value: point.value, reason: point.reason })
    }

    /// Nothing is stored that was not observed: not under another series, not at another time, not in another unit.
    pub(super) fn check_nothing_invented(&self) -> Result<(), Broken> {
        let Some(running) = &self.server.running else { return Ok(()) };
        for series in running.tail.all() {
            let key = &series.meta.key;
            let page = running.tail.range(series.id, UtcMillis(i64::MIN), UtcMillis(i64::MAX), usize::MAX);
            let page = page.map_err(|error| Broken(format!("{key:?} cannot be read: {error}")))?;
            for point in page.points {
                let said = Said { value: point.value, reason: point.reason };
                if !self.model.may_say(&key.lamppost, &key.name, point.time).contains(&said) {
                    return Err(Broken(format!(
                        "stored and never observed: {} {} at {}: {said:?}",
                        key.lamppost, key.name, point.time.0
                    )));
                }
            }
        }
        Ok(())
    }

    /// The server's ledger says of every record what the model says (D12): held is stored, or was refused; dropped was
    /// reported; and what is neither is named as lost, if the server has ever heard that it was.
    pub(super) fn check_verdicts(&self) -> Result<(), Broken> {
        let Some(running) = &self.server.running else { return Ok(()) };
        for (key, known) in &self.model.records {
            let (run, log, sequence) = *key;
            let verdict = running.ingest.verdict(&known.lamppost, run, log, sequence);
            let stored = self.is_stored(key);
            let fits = match verdict {
                RecordVerdict::Held => stored || known.may_be_rejected,
                RecordVerdict::Dropped(_) => self.is_reported(key),
                // Nobody has it: nothing of it may be stored, unless another record said the same of that time.
                RecordVerdict::Lost => known.state != State::Read || self.is_reported(key),
                RecordVerdict::NotYetHere => matches!(known.state, State::Excused(_)) && !self.is_owed(key),
            };
            if !fits {
                return Err(Broken(format!(
                    "the ledger says {verdict:?} of {} run {run} {log:?} {sequence}, which is {:?}{}{}",
                    known.lamppost,
                    known.state,
                    if stored { ", stored" } else { "" },
                    if self.is_reported(key) { ", reported" } else { "" },
                )));
            }
        }
        Ok(())
    }

    /// Whether the server has heard that the run of this record had so many.
    fn is_owed(&self, key: &RecordKey) -> bool {
        let (run, log, sequence) = *key;
        let ends = self.server.running.as_ref().and_then(|running| running.stated.get(&(run, log)));
        ends.is_some_and(|end| sequence < *end)
    }

    /// Everything that was read is stored or reported as dropped, unless it has an excuse.
    pub(super) fn check_nothing_lost(&self) -> Result<(), Broken> {
        let mut lost = Vec::new();
        for (key, known) in &self.model.records {
            let owed = known.state == State::Read && !known.may_be_rejected;
            if owed && !self.is_stored(key) && !self.is_reported(key) {
                lost.push(format!("{} run {} {:?} {}", known.lamppost, key.0, key.1, key.2));
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        Err(Broken(format!(
            "{} records were read, and are neither stored nor reported: {}",
            lost.len(),
            lost.join("; ")
        )))
    }
}
