//! The outboxes of a lamppost, and what became of the records of its runs (D1, D9 to D12, D14).

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::RunId;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::lampposts::LamppostPath;
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, FromParameters, InPath, Parameters};
use super::timestamp::Timestamp;
use crate::ingest::{
    DroppedCounts, ForkReport, ForkedRun, LamppostLedger, LogCounts, OutboxReport, OutboxStanding, RunReport,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OutboxesQuery {
    /// Only runs past this one: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<RunId>,
    /// How many runs at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

impl FromParameters for OutboxesQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { after: from.optional("after", str::parse::<RunId>)?, limit: from.limit(100, 1000)? })
    }
}

/// What became of all that a lamppost has ever written.
#[derive(Serialize, ToSchema)]
pub(super) struct OutboxesDocument {
    /// Its outboxes, the one that was heard last first.
    outboxes: Vec<OutboxDocument>,
    /// Runs that continue the same run: an outbox or a card was copied. What all of them wrote is stored.
    forks: Vec<ForkDocument>,
    /// Of all runs together.
    records: RecordsDocument,
    /// Records that the lamppost reported as dropped when the server had no more room to note which: they are counted as
    /// lost.
    unplaced: u64,
    /// Some runs, the one that opened last first; those whose opening is not here come last.
    runs: Vec<RunDocument>,
    /// `after` of the next page of runs; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// An outbox: where a lamppost keeps records until the server holds them.
#[derive(Serialize, ToSchema)]
pub(super) struct OutboxDocument {
    /// Its id, in hexadecimal.
    outbox: String,
    /// Whether what it has may still come.
    standing: StandingName,
    /// Serial number of the hardware that it last spoke from; null if that has none.
    #[schema(required = true)]
    hardware_serial: Option<String>,
    /// The run that last spoke, in hexadecimal.
    run: String,
    /// When the server first received a hello of it.
    first_heard: Timestamp,
    /// When the server last received a hello of it.
    last_heard: Timestamp,
    /// How many agents speak from it at present: more than one if it was copied and the copies go on.
    lives: usize,
    /// Runs that its last hello named.
    runs: usize,
    /// Records that its last hello named and the server does not hold. At least so many: a hello that would be too long
    /// leaves some out.
    records: u64,
}

/// `living`: what it has may still come. `silent`: it was silent for 30 days beside another one, and so has closed itself.
/// `closed`: an operator has closed it. What only an outbox has that does not live is lost, until it speaks again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OutboxStanding)]
pub(super) enum StandingName {
    Living,
    Silent,
    Closed,
}

/// Runs that continue the same run.
#[derive(Serialize, ToSchema)]
pub(super) struct ForkDocument {
    /// The run that they continue, in hexadecimal.
    run_before: String,
    /// Those runs, in the order in which they opened.
    runs: Vec<ForkedRunDocument>,
}

/// One of the runs that continue the same run.
#[derive(Serialize, ToSchema)]
pub(super) struct ForkedRunDocument {
    /// Which run, in hexadecimal.
    run: String,
    /// When it opened.
    opened: Timestamp,
    /// When the server received its opening.
    received: Timestamp,
}

/// A run of the agent, and what became of its records.
#[derive(Serialize, ToSchema)]
pub(super) struct RunDocument {
    /// Which run, in hexadecimal.
    run: String,
    /// The run before it in its outbox, in hexadecimal; null for the first one, and while its opening is not here.
    #[schema(required = true)]
    run_before: Option<String>,
    /// When it opened; null while its opening is not here.
    #[schema(required = true)]
    opened: Option<Timestamp>,
    /// When it was last alive, by the opening of a later one; null as long as there is none.
    #[schema(required = true)]
    ended: Option<Timestamp>,
    /// Its samples.
    samples: RecordsDocument,
    /// Its events.
    events: RecordsDocument,
}

/// How many records there are, and what became of them: `held`, `dropped`, `lost` and `not_yet_here` add up to `owed`.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordsDocument {
    /// How many there are, as far as anything says.
    owed: u64,
    /// They are here: their observations are stored or rejected.
    held: u64,
    /// The lamppost had to drop them, and they did not come all the same.
    dropped: DroppedDocument,
    /// No outbox that lives has them.
    lost: u64,
    /// An outbox that lives has them, or may have.
    not_yet_here: u64,
}

/// What a lamppost had to drop, by reason.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(super) struct DroppedDocument {
    /// Newer records needed the space.
    pub(super) bytes: u64,
    /// They were older than the lamppost keeps anything.
    pub(super) age: u64,
    /// They were damaged on its disk.
    pub(super) damaged: u64,
}

/// What became of all records of a lamppost, in short.
#[derive(Serialize, ToSchema)]
pub(super) struct LedgerDocument {
    /// Of all runs together.
    records: RecordsDocument,
    /// How many outboxes it has that live; more than one if its card was changed or copied.
    outboxes: usize,
    /// How many of these speak from more than one place: they were copied.
    copied: usize,
    /// How many runs are continued by more than one run: an outbox or a card was copied.
    forks: usize,
}

/// What became of a lamppost's records
///
/// Its outboxes, what became of the records of each run, and whether any was copied.
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/outboxes", tag = "observations", params(LamppostPath, OutboxesQuery),
    responses((status = 200, description = "Its outboxes and runs", body = OutboxesDocument), OutboxesProblems)
)]
pub(super) async fn list_outboxes(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    Asked(query): Asked<OutboxesQuery>,
) -> Result<Json<OutboxesDocument>, Problem> {
    app.lamppost(&path.number).await?;
    let ledger = app.blocking(move |state| state.lifelines.ledger(&path.number)).await?;
    Ok(Json(document(ledger.unwrap_or_default(), &query)?))
}

fn document(ledger: LamppostLedger, query: &OutboxesQuery) -> Result<OutboxesDocument, Problem> {
    let begin = match query.after {
        None => 0,
        Some(after) => {
            let place = ledger.runs.iter().position(|run| run.run == after);
            1 + place.ok_or_else(|| {
                Problem::invalid("after", "this lamppost has no such run: take `next` as it was")
            })?
        }
    };
    let records = ledger.total().into();
    let rest = ledger.runs.get(begin..).unwrap_or_default();
    let page = rest.get(..query.limit as usize).unwrap_or(rest);
    let next = page.last().filter(|_| page.len() < rest.len()).map(|run| run.run.to_string());
    Ok(OutboxesDocument {
        runs: page.iter().map(RunDocument::from).collect(),
        outboxes: ledger.outboxes.into_iter().map(OutboxDocument::from).collect(),
        forks: ledger.forks.into_iter().map(ForkDocument::from).collect(),
        records,
        unplaced: ledger.unplaced,
        next,
    })
}

impl From<&LamppostLedger> for LedgerDocument {
    fn from(ledger: &LamppostLedger) -> Self {
        let living = || ledger.outboxes.iter().filter(|one| one.standing == OutboxStanding::Living);
        Self {
            records: ledger.total().into(),
            outboxes: living().count(),
            copied: living().filter(|one| one.lives > 1).count(),
            forks: ledger.forks.len(),
        }
    }
}

impl From<OutboxReport> for OutboxDocument {
    fn from(outbox: OutboxReport) -> Self {
        Self {
            outbox: outbox.outbox.to_string(),
            standing: outbox.standing.into(),
            hardware_serial: Some(outbox.hardware_serial).filter(|serial| !serial.is_empty()),
            run: outbox.run.to_string(),
            first_heard: Timestamp(outbox.first_heard),
            last_heard: Timestamp(outbox.last_heard),
            lives: outbox.lives,
            runs: outbox.runs,
            records: outbox.waiting,
        }
    }
}

impl From<OutboxStanding> for StandingName {
    fn from(standing: OutboxStanding) -> Self {
        match standing {
            OutboxStanding::Living => Self::Living,
            OutboxStanding::Silent => Self::Silent,
            OutboxStanding::Closed => Self::Closed,
        }
    }
}

impl From<ForkReport> for ForkDocument {
    fn from(fork: ForkReport) -> Self {
        let run = |ForkedRun { run, opened, received }| ForkedRunDocument {
            run: run.to_string(),
            opened: Timestamp(opened),
            received: Timestamp(received),
        };
        Self { run_before: fork.before.to_string(), runs: fork.runs.into_iter().map(run).collect() }
    }
}

impl From<&RunReport> for RunDocument {
    fn from(run: &RunReport) -> Self {
        Self {
            run: run.run.to_string(),
            run_before: run.before.map(|before| before.to_string()),
            opened: run.opened.map(Timestamp),
            ended: run.ended.map(Timestamp),
            samples: run.samples.into(),
            events: run.events.into(),
        }
    }
}

impl From<LogCounts> for RecordsDocument {
    fn from(counts: LogCounts) -> Self {
        let LogCounts { owed, held, dropped, lost, not_yet_here } = counts;
        Self { owed, held, dropped: dropped.into(), lost, not_yet_here }
    }
}

impl DroppedDocument {
    pub(super) fn total(self) -> u64 {
        self.bytes + self.age + self.damaged
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            age: self.age + other.age,
            damaged: self.damaged + other.damaged,
        }
    }
}

impl From<DroppedCounts> for DroppedDocument {
    fn from(dropped: DroppedCounts) -> Self {
        let DroppedCounts { bytes, age, damaged } = dropped;
        Self { bytes, age, damaged }
    }
}

problems!(
    OutboxesProblems: InvalidParameter,
    UnknownParameter,
    UnknownLamppost,
    Rebuilding,
    RegistryUnavailable,
);
