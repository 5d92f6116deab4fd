//! The agent as a device of its own: how long it runs, how much memory it takes, how much the server does not hold yet,
//! and how many ticks were missed.

use std::sync::Arc;

use lamplighter_protocol::{Grid, Property, Tick};

use super::ended::Ended;
use super::pace::{Pace, Step};
use super::schedule::phenomenon_time;
use super::sink::Sink;
use super::task::observations;
use crate::clock::{Clock, Now, Stop};
use crate::health::{Health, resident_kib};
use crate::quality::{Absence, Reading};

/// Says how many records the server does not hold yet.
pub type CountBacklog = Box<dyn Fn() -> u64 + Send>;

/// Observes the agent.
pub(super) struct OwnTask {
    /// Place of the device in the description.
    pub(super) place: usize,
    pub(super) grid: Grid,
    /// Of [`AGENT_PROPERTIES`](crate::config::AGENT_PROPERTIES), in that order.
    pub(super) properties: Vec<Property>,
    pub(super) count_backlog: CountBacklog,
}

impl OwnTask {
    /// Observes what is due since the run opened until the process stops, or nothing more can be read in this run.
    pub(super) fn run(
        self,
        opened: Now,
        clock: Arc<dyn Clock>,
        stop: Stop,
        sink: &dyn Sink,
        health: &Health,
    ) -> Result<(), Ended> {
        let mut pace = Pace::new([self.grid], opened, clock, stop);
        let mut missed_before = 0;
        loop {
            let (tick, missed) = match pace.next(None)? {
                Step::Read { tick, missed, .. } => (tick, missed),
                Step::Wake => continue,
                Step::Stop => return Ok(()),
            };
            health.agent_missed(missed);
            let missed_in_all = health.missed_ticks();
            let now = pace.now();
            let readings = [
                Reading::Settled(now.monotonic.saturating_sub(opened.monotonic).as_secs_f64()),
                resident_kib().map_or(Reading::Absent(Absence::NotMeasured), whole),
                whole((self.count_backlog)()),
                whole(missed_in_all - missed_before),
            ];
            missed_before = missed_in_all;
            let time = phenomenon_time(self.grid, tick, now.wall);
            let observations = observations(&self.properties, &readings, now.trust);
            sink.put(Tick { device: self.place, time, observations }, now.trust)?;
            health.agent_missed(pace.answered(0, tick, time, now));
        }
    }
}

fn whole(count: u64) -> Reading {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and judged to be a fault beyond")]
    Reading::Settled(count as f64)
}
