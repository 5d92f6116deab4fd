//! How much there is to be sent: figures for people.

use std::sync::Arc;

use lamplighter_protocol::{Log, Pieces};

use super::Session;
use crate::outbox::OutboxState;

impl Session {
    /// Records on disk that are neither held nor under way, and may be sent.
    pub fn to_send(&self) -> u64 {
        static NONE: Pieces = Pieces::new();
        let mut owed = 0;
        for run in self.outbox.runs.iter().filter(|run| run.may_be_sent) {
            for log in Log::ALL {
                let key = (run.run, log);
                let held = self.held.get(&key).map_or(&NONE, |held| held);
                let under_way = self.under_way.get(&key).unwrap_or(&NONE);
                let missing =
                    run.log(log).on_disk.ranges().flat_map(|(first, last)| held.missing_in(first, last));
                let unsent = missing.flat_map(|(first, last)| under_way.missing_in(first, last));
                owed += unsent.map(|(first, last)| last - first + 1).sum::<u64>();
            }
        }
        owed
    }

    /// Records on disk that wait for their time (D3).
    pub fn waiting_for_time(outbox: &OutboxState) -> u64 {
        let runs = outbox.runs.iter().filter(|run| !run.may_be_sent);
        runs.flat_map(|run| Log::ALL.map(|log| run.log(log).on_disk.count())).sum()
    }

    /// Records on disk that no position has named yet.
    pub fn backlog(outbox: &OutboxState) -> u64 {
        let logs = outbox.runs.iter().flat_map(|run| Log::ALL.map(|log| run.log(log)));
        let missing = logs.flat_map(|log| {
            let held = Arc::clone(&log.held);
            log.on_disk
                .ranges()
                .flat_map(move |(first, last)| held.missing_in(first, last))
                .collect::<Vec<_>>()
        });
        missing.map(|(first, last)| last - first + 1).sum()
    }
}
