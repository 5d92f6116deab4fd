//! Which runs a hello names (D8), when there are more than it has room for.

use lamplighter_protocol::{Log, RunHeld, limits};

use super::Session;
use crate::outbox::{MOST_RUNS, RunState};

impl Session {
    /// The current run, then those of which something is not held, then those of which something may be freed.
    pub(super) fn runs_to_name(&self) -> Vec<RunHeld> {
        let wholly_held = |run: &RunState| {
            Log::ALL.into_iter().all(|log| {
                let held = self.held.get(&(run.run, log));
                let mut on_disk = run.log(log).on_disk.ranges();
                on_disk.all(|(first, last)| held.is_some_and(|held| held.contains_all(first, last)))
            })
        };
        let (current, earlier) = match self.outbox.runs.split_last() {
            Some((current, earlier)) => (Some(current), earlier),
            None => (None, &[][..]),
        };
        let (held, unheld): (Vec<_>, Vec<_>) = earlier.iter().partition(|run| wholly_held(run));
        // Of those that the server holds, the ones that have something to free besides their opening, the oldest first:
        // what a position does not name is not freed (D9). Nor does a run go that is one too many (D1).
        let size = |run: &RunState| run.samples.on_disk.count() + run.events.on_disk.count();
        let (full, bare): (Vec<_>, Vec<_>) = held.into_iter().partition(|run| size(run) > 1);
        let (excess, bare) = bare.split_at(self.outbox.runs.len().saturating_sub(MOST_RUNS).min(bare.len()));
        let excess = excess.iter().copied().take(limits::MAX_RUNS_PER_HELLO / 2);
        let runs = current.into_iter().chain(excess).chain(unheld).chain(full);
        let runs = runs.chain(bare.iter().copied().rev());
        let runs = runs.take(limits::MAX_RUNS_PER_HELLO);
        runs.map(|run| RunHeld {
            run: run.run,
            samples: run.samples.on_disk.clone(),
            events: run.events.on_disk.clone(),
        })
        .collect()
    }
}
