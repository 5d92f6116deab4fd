//! The outboxes of a lamppost, and what became of the records of its runs (D1, D9 to D12, D14).

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{RunId, SetAsideReason};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::decisions::{DecisionDocument, decide_problem};
use super::lampposts::LamppostPath;
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, FromParameters, InPath, Parameters};
use super::timestamp::Timestamp;
use crate::commands::DecisionReport;
use crate::ingest::{
    AsideReport, DroppedCounts, ForkReport, ForkedRun, LamppostLedger, LogCounts, OutboxReport,
    OutboxStanding, PlacedBetween, RunEnd, RunReport,
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
    /// Its outboxes, the one that was heard last first; those that were found set aside and never spoke here come last.
    outboxes: Vec<OutboxDocument>,
    /// What operators have decided of its outboxes, the newest first, and how far that has come; at most 64.
    decisions: Vec<DecisionDocument>,
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
    /// Serial number of the hardware that it last spoke from, or belongs to if it never spoke; null if that has none or is not
    /// known.
    #[schema(required = true)]
    hardware_serial: Option<String>,
    /// The run that last spoke, in hexadecimal; null if it never spoke here.
    #[schema(required = true)]
    run: Option<String>,
    /// When the server first received a hello of it; null if it never has.
    #[schema(required = true)]
    first_heard: Option<Timestamp>,
    /// When the server last received a hello of it; null if it never has.
    #[schema(required = true)]
    last_heard: Option<Timestamp>,
    /// How many agents speak from it at present: more than one if it was copied and the copies go on.
    lives: usize,
    /// Runs that its last hello named.
    runs: usize,
    /// Records that its last hello named and the server does not hold. At least so many: a hello that would be too long
    /// leaves some out.
    records: u64,
    /// What the outbox beside it tells of it, if it was set aside; null if it was not.
    #[schema(required = true)]
    set_aside: Option<SetAsideDocument>,
    /// Whether the lamppost speaks from it: it was heard last.
    speaks: bool,
}

/// An outbox that was set aside: an agent found it on its disk and it does not belong there.
#[derive(Serialize, ToSchema)]
pub(super) struct SetAsideDocument {
    /// When the server first heard of it.
    since: Timestamp,
    /// Id of the outbox whose agent found it, in hexadecimal.
    by: String,
    reason: SetAsideReasonName,
    /// The number of the lamppost that it belongs to; null if that is not known.
    #[schema(required = true)]
    lamppost: Option<String>,
    /// Serial number of the hardware that it belongs to; null if that has none or is not known.
    #[schema(required = true)]
    hardware_serial: Option<String>,
    /// Bytes of its records on that disk.
    bytes: u64,
    /// How many runs it has.
    runs: u32,
    /// When its first run opened, by the clock of its agent; null if that is not known.
    #[schema(required = true)]
    first: Option<Timestamp>,
    /// The last time that it is known to tell of; null if there is none.
    #[schema(required = true)]
    last: Option<Timestamp>,
    /// Whether it belongs to this lamppost's number, and so may be released.
    releasable: bool,
}

/// `other_lamppost`: it belongs to a lamppost of another number. `other_hardware`: it belongs to this number and to other
/// hardware. `damaged_identity`: its identity is not as it was written. `no_identity`: it has records and no identity.
/// `unknown`: for a reason that this server does not know.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SetAsideReason)]
pub(super) enum SetAsideReasonName {
    OtherLamppost,
    OtherHardware,
    DamagedIdentity,
    NoIdentity,
    Unknown,
}

/// `living`: what it has may still come. `set_aside`: it was found on a disk where it does not belong, and what it has comes
/// once it is released. `silent`: it was silent for 30 days beside another one, and so has closed itself. `closed`: an
/// operator has closed it. What only a silent or closed outbox has is lost, until it speaks again or is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OutboxStanding)]
pub(super) enum StandingName {
    Living,
    SetAside,
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
    /// When it was last alive; null as long as nothing says that it ended, and if no time of it is known.
    #[schema(required = true)]
    ended: Option<Timestamp>,
    /// Whether the opening of a later run states that. If not, `ended` is the newest time that is known of the run: it went on
    /// until then, or for longer. False without `ended`.
    ended_known: bool,
    /// The run never learnt the time, and its lamppost has placed it between these: distances within it are exact, its times,
    /// `opened` among them, are not, and its observations are uncertain. Null for a run that knew the time, or learnt it.
    #[schema(required = true)]
    placed_between: Option<PlacedBetweenDocument>,
    /// Its samples.
    samples: RecordsDocument,
    /// Its events.
    events: RecordsDocument,
}

/// Between which times a run lies that never learnt the time.
#[derive(Serialize, ToSchema)]
pub(super) struct PlacedBetweenDocument {
    /// It was not before this: the run before it had not ended. Null: nothing is known of that.
    #[schema(required = true)]
    earliest: Option<Timestamp>,
    /// It was not after this: the next run whose time is known had opened.
    latest: Timestamp,
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
    /// How many of these were in an outbox that an operator has closed.
    lost_closed: u64,
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
    /// How many were found where they do not belong, and are not closed: somebody has to decide.
    set_aside: usize,
    /// How many that are set aside, closed or not, the lamppost could not do with as was decided last: its reason stands with
    /// the decision, and somebody has to look.
    failed_decisions: usize,
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
    app.rebuilt()?;
    let decisions = app.commands.reports(&path.number).await.map_err(|error| decide_problem(&error))?;
    let number = path.number.to_string();
    let ledger = app.blocking(move |state| state.lifelines.ledger(&path.number)).await?;
    Ok(Json(document(&number, ledger.unwrap_or_default(), decisions, &query)?))
}

fn document(
    number: &str,
    ledger: LamppostLedger,
    decisions: Vec<DecisionReport>,
    query: &OutboxesQuery,
) -> Result<OutboxesDocument, Problem> {
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
        outboxes: ledger.outboxes.into_iter().map(|outbox| OutboxDocument::of(outbox, number)).collect(),
        decisions: decisions.into_iter().map(DecisionDocument::from).collect(),
        forks: ledger.forks.into_iter().map(ForkDocument::from).collect(),
        records,
        unplaced: ledger.unplaced,
        next,
    })
}

impl LedgerDocument {
    pub(super) fn of(ledger: &LamppostLedger, failed_decisions: usize) -> Self {
        let living = || ledger.outboxes.iter().filter(|one| one.standing == OutboxStanding::Living);
        Self {
            records: ledger.total().into(),
            outboxes: living().count(),
            copied: living().filter(|one| one.lives > 1).count(),
            set_aside: ledger
                .outboxes
                .iter()
                .filter(|one| one.set_aside.is_some() && one.standing != OutboxStanding::Closed)
                .count(),
            failed_decisions,
            forks: ledger.forks.len(),
        }
    }
}

impl OutboxDocument {
    fn of(outbox: OutboxReport, number: &str) -> Self {
        Self {
            outbox: outbox.outbox.to_string(),
            standing: outbox.standing.into(),
            hardware_serial: Some(outbox.hardware_serial).filter(|serial| !serial.is_empty()),
            run: outbox.run.map(|run| run.to_string()),
            first_heard: outbox.first_heard.map(Timestamp),
            last_heard: outbox.last_heard.map(Timestamp),
            lives: outbox.lives,
            runs: outbox.runs,
            records: outbox.waiting,
            set_aside: outbox.set_aside.map(|aside| SetAsideDocument::of(aside, number)),
            speaks: outbox.speaks,
        }
    }
}

impl SetAsideDocument {
    fn of(aside: AsideReport, number: &str) -> Self {
        let AsideReport { since, by, told } = aside;
        let lamppost = told.lamppost.map(|lamppost| lamppost.to_string());
        Self {
            since: Timestamp(since),
            by: by.to_string(),
            reason: match told.reason {
                SetAsideReason::OtherLamppost => SetAsideReasonName::OtherLamppost,
                SetAsideReason::OtherHardware => SetAsideReasonName::OtherHardware,
                SetAsideReason::DamagedIdentity => SetAsideReasonName::DamagedIdentity,
                SetAsideReason::NoIdentity => SetAsideReasonName::NoIdentity,
                SetAsideReason::Unknown => SetAsideReasonName::Unknown,
            },
            releasable: lamppost.as_deref() == Some(number),
            lamppost,
            hardware_serial: Some(told.hardware_serial).filter(|serial| !serial.is_empty()),
            bytes: told.bytes,
            runs: told.runs,
            first: told.first.map(Timestamp),
            last: told.last.map(Timestamp),
        }
    }
}

impl From<OutboxStanding> for StandingName {
    fn from(standing: OutboxStanding) -> Self {
        match standing {
            OutboxStanding::Living => Self::Living,
            OutboxStanding::SetAside => Self::SetAside,
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
            ended: run.ended.map(|end| Timestamp(end.time())),
            ended_known: run.ended.is_some_and(RunEnd::is_stated),
            placed_between: run.placed.map(|PlacedBetween { earliest, latest }| PlacedBetweenDocument {
                earliest: earliest.map(Timestamp),
                latest: Timestamp(latest),
            }),
            samples: run.samples.into(),
            events: run.events.into(),
        }
    }
}

impl From<LogCounts> for RecordsDocument {
    fn from(counts: LogCounts) -> Self {
        let LogCounts { owed, held, dropped, lost, lost_closed, not_yet_here } = counts;
        Self { owed, held, dropped: dropped.into(), lost, lost_closed, not_yet_here }
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
