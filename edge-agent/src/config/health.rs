//! `[health]`: when the agent observes itself.

use lamplighter_protocol::Grid;

use super::grid;
use super::print::Printer;
use super::reader::{Key, Section, keys};

/// When the agent observes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// The grid of the device `agent`.
    pub grid: Grid,
}

keys! {
    /// Seconds from one observation of the agent itself (uptime, memory, backlog, missed ticks) to the next,
    /// 1 to 86400.
    EVERY_S = "every_s";
    /// Seconds by which these observations come after the full period (counted from midnight UTC).
    PHASE_S = "phase_s";
}

const GRID: (&Key, &Key) = (&EVERY_S, &PHASE_S);
const LEAST_MS: u32 = 1000;
/// A leak or a stall shows within minutes, for 1440 small records a day.
const DEFAULT_MS: u32 = 60_000;

impl Default for HealthConfig {
    fn default() -> Self {
        Self { grid: Grid { period_ms: DEFAULT_MS, phase_ms: 0 } }
    }
}

impl HealthConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let grid = grid::read(&mut section, GRID, LEAST_MS, Some(DEFAULT_MS));
        section.finish();
        Some(Self { grid: grid? })
    }

    pub(super) fn print(&self, to: &mut Printer) {
        grid::print(self.grid, GRID, to);
    }
}
