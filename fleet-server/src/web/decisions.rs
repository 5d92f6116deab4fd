//! What operators decide of outboxes (D14).

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{LamppostNumber, OutboxId};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromPath, InPath, NoParameters, PathParameters};
use super::timestamp::Timestamp;
use crate::audit::Actor;
use crate::commands::{DecideError, DecisionReport, DecisionStage, Refusal};
use crate::registry::Decision;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OutboxPath {
    /// The official number of the lamppost.
    #[param(value_type = String, example = "DF3637")]
    number: LamppostNumber,
    /// Id of the outbox, in hexadecimal.
    #[param(value_type = String)]
    outbox: OutboxId,
}

impl FromPath for OutboxPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { number: from.get("number")?, outbox: from.get("outbox")? })
    }
}

/// What an operator has decided of an outbox, and how far it has come.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionDocument {
    /// Names it, in hexadecimal; the command by which the lamppost is told has the same id.
    id: String,
    /// The outbox, in hexadecimal.
    outbox: String,
    decision: DecisionName,
    /// When it was decided.
    decided: Timestamp,
    /// By whom.
    operator: String,
    state: DecisionState,
    /// When the lamppost says that it was that far, by its own clock; null before it has said anything.
    #[schema(required = true)]
    reported: Option<Timestamp>,
    /// Why it failed, in the lamppost's words; null unless it did.
    #[schema(required = true)]
    reason: Option<String>,
}

/// `release`: the outbox belongs here, and what it has is to come. `close`: what only it has is given up.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Decision)]
pub(super) enum DecisionName {
    Release,
    Close,
}

/// `waiting`: the lamppost is not told yet, or its connection has ended before it said anything of it; it is told at its next
/// hello. `sent`: the command is written to the connection that it has. `expired`: it says that the command came too late to
/// be begun, by its clock and the server's, of which one may be wrong; it is told again at its next hello. `acknowledged`: the
/// decision is on its disk. `done`: it is carried out, or there was nothing to be carried out. `failed`: the lamppost could
/// not; `reason` says why.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DecisionState {
    Waiting,
    Sent,
    Expired,
    Acknowledged,
    Done,
    Failed,
}

/// Release an outbox
///
/// An outbox that was set aside, and belongs to this lamppost's number, is taken over by the lamppost that found it: what it
/// has is sent. One that was silent or closed, and is set aside nowhere, counts as living again.
#[utoipa::path(
    post, path = "/api/v1/lampposts/{number}/outboxes/{outbox}/release", tag = "lampposts", params(OutboxPath),
    responses((status = 200, description = "It is decided", body = DecisionDocument), DecisionProblems)
)]
pub(super) async fn release_outbox(
    State(app): State<App>,
    InPath(path): InPath<OutboxPath>,
    _: Asked<NoParameters>,
) -> Result<Json<DecisionDocument>, Problem> {
    decide(&app, path, Decision::Release).await
}

/// Close an outbox
///
/// What only this outbox has is given up: it counts as lost. If it was set aside the lamppost deletes it; this cannot be undone.
/// One that is elsewhere counts again should it ever speak.
#[utoipa::path(
    post, path = "/api/v1/lampposts/{number}/outboxes/{outbox}/close", tag = "lampposts", params(OutboxPath),
    responses((status = 200, description = "It is decided", body = DecisionDocument), DecisionProblems)
)]
pub(super) async fn close_outbox(
    State(app): State<App>,
    InPath(path): InPath<OutboxPath>,
    _: Asked<NoParameters>,
) -> Result<Json<DecisionDocument>, Problem> {
    decide(&app, path, Decision::Close).await
}

async fn decide(app: &App, path: OutboxPath, decision: Decision) -> Result<Json<DecisionDocument>, Problem> {
    app.rebuilt()?;
    app.lamppost(&path.number).await?;
    let decided = app.commands.decide((path.number, path.outbox), decision, Actor::Console).await;
    Ok(Json(decided.map_err(|error| decide_problem(&error))?.into()))
}

/// Nothing was decided.
pub(super) fn decide_problem(error: &DecideError) -> Problem {
    match error {
        DecideError::Refused(Refusal::Unknown) => {
            Problem::new(ProblemKind::UnknownOutbox, Refusal::Unknown.to_string()).with_parameter("outbox")
        }
        DecideError::Refused(refusal) => {
            Problem::new(ProblemKind::OutboxState, refusal.to_string()).with_parameter("outbox")
        }
        DecideError::Registry(error) => registry_problem(error),
        DecideError::Random(_) | DecideError::Panicked => {
            tracing::error!(error = error as &dyn std::error::Error, "a decision about an outbox failed");
            Problem::new(ProblemKind::Internal, "nothing was decided; the log says why")
        }
    }
}

impl From<DecisionReport> for DecisionDocument {
    fn from(report: DecisionReport) -> Self {
        let DecisionReport { record, stage, reported, reason } = report;
        Self {
            id: record.id.to_string(),
            outbox: record.outbox.to_string(),
            decision: match record.decision {
                Decision::Release => DecisionName::Release,
                Decision::Close => DecisionName::Close,
            },
            decided: Timestamp(record.decided),
            operator: record.operator,
            state: match stage {
                DecisionStage::Waiting => DecisionState::Waiting,
                DecisionStage::Sent => DecisionState::Sent,
                DecisionStage::Expired => DecisionState::Expired,
                DecisionStage::Acknowledged => DecisionState::Acknowledged,
                DecisionStage::Done => DecisionState::Done,
                DecisionStage::Failed => DecisionState::Failed,
            },
            reported: reported.map(Timestamp),
            reason: Some(reason).filter(|reason| !reason.is_empty()),
        }
    }
}

problems!(
    DecisionProblems: InvalidParameter,
    UnknownParameter,
    UnknownLamppost,
    UnknownOutbox,
    OutboxState,
    ForeignOrigin,
    Rebuilding,
    RegistryUnavailable,
);
