//! What a city says of itself, once a second.

use edge_agent::status::Status;
use serde::Serialize;

/// Sums over the agents of one process since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Ticks of sensors that were read.
    pub ticks: u64,
    /// Of these, ticks without any value.
    pub bad: u64,
    /// Ticks at which a sensor was not read.
    pub missed: u64,
    /// Records that the server has not said to hold yet.
    pub backlog: u64,
    /// Agents that are connected.
    pub connected: u64,
    /// Agents.
    pub lampposts: u64,
    /// Lampposts with an instrument that is broken now.
    pub faults: u64,
    /// The agents' time, RFC 3339 to the second.
    pub virtual_time: String,
    /// The same, ms UTC.
    pub virtual_time_ms: i64,
}

impl Figures {
    /// Adds what one agent says.
    pub(super) fn add(&mut self, status: &Status) {
        for sensor in &status.sensors {
            self.ticks += sensor.read;
            self.bad += sensor.bad;
            self.missed += sensor.missed;
        }
        self.backlog += status.backlog.records;
        self.connected += u64::from(status.connection.connected);
        self.lampposts += 1;
    }
}
