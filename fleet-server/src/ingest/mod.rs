//! Ingest: from committed bytes to observations, each with a verdict.
//!
//! [`Ingest`] is a pure function of the journal: handed its entries one by one, it always comes to the same state,
//! at a start (when the journal is replayed) as in service. It decodes, checks, and stores what is good; what it
//! cannot use is counted by reason and never stalls the rest (D12). It knows what the server holds of every run,
//! and so writes positions (D8). [`IngestThread`] is its shell: it takes committed batches, publishes what is new to
//! the live hub, and sends positions when they are due.

mod core;
mod current;
mod known;
mod lamppost;
mod ledger;
mod metrics;
mod named;
mod pace;
mod places;
mod pulse;
#[cfg(test)]
mod tests;
mod thread;

pub use self::core::{Fresh, Ingest};
pub use current::CurrentSeries;
pub use lamppost::{DeviceReport, LamppostReport, Stop};
pub use ledger::{
    Course, CoursePart, DroppedCounts, DroppedSpan, ForkReport, ForkedRun, LamppostLedger, LogCounts,
    Missing, OutboxDecision, OutboxReport, OutboxStanding, RecordVerdict, Rejection, RunReport, SeriesCourse,
    Span, Spans,
};
pub use metrics::{IngestMetrics, Malformed, Verdict};
pub use pulse::Pulse;
pub use thread::{IngestThread, PositionSender};
