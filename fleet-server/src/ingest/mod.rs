//! Ingest: from committed bytes to observations, each with a verdict.
//!
//! [`Ingest`] is a pure function of the journal: handed its entries one by one, it always comes to the same state,
//! at a start (when the journal is replayed) as in service. It decodes, checks, and stores what is good; what it
//! cannot use is counted by reason and never stalls the rest (D12); what it may be able to use one day waits in
//! quarantine. It knows what the server holds of every run,
//! and so writes positions (D8). [`IngestThread`] is its shell: it takes committed batches, publishes what is new to
//! the live hub, and sends positions when they are due.

mod core;
mod current;
mod days;
mod intake;
mod known;
mod lamppost;
mod ledger;
mod lengths;
mod metrics;
mod named;
mod pace;
mod places;
mod pulse;
mod quarantine;
#[cfg(test)]
mod tests;
mod thread;

pub(crate) use self::core::IngestRestore;
pub use self::core::{Fresh, Ingest, IngestSnapshot};
pub use current::CurrentSeries;
pub use intake::Intake;
pub use lamppost::{DeviceReport, LamppostReport, Stop};
pub use ledger::{
    AsideReport, CommandFate, CommandFates, CommandStage, Course, CoursePart, DroppedCounts, DroppedSpan,
    ForkReport, ForkedRun, LamppostLedger, LogCounts, Missing, OutboxDecision, OutboxReport, OutboxStanding,
    PlacedBetween, RecordVerdict, Rejection, RunEnd, RunReport, SeriesCourse, Span, Spans,
};
pub use metrics::{IngestMetrics, Malformed, QuarantineMetrics, Verdict};
pub use pulse::Pulse;
pub(crate) use quarantine::MOST_BYTES as QUARANTINE_BYTES;
pub use thread::{Greeter, IngestThread, PositionSender};
