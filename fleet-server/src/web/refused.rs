//! Who knocked last, and was refused.

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::LamppostNumber;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, FromParameters, Parameters};
use super::timestamp::Timestamp;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RefusalsQuery {
    /// How many at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: u32,
}

impl FromParameters for RefusalsQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { limit: from.limit(50, 1000)? })
    }
}

/// What the lampposts' listener refused last, the newest first: counted by lamppost and reason, and written to the audit once
/// a minute.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusalList {
    refusals: Vec<RefusalDocument>,
}

/// Somebody was refused something.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusalDocument {
    /// When it was written to the audit, for the minute before; null: in the minute that is not written yet.
    #[schema(required = true)]
    at: Option<Timestamp>,
    /// Who; null for strangers, and where too many were refused to name them all.
    #[schema(value_type = Option<String>, required = true)]
    lamppost: Option<LamppostNumber>,
    /// Why: the label under which `/metrics` counts it.
    #[schema(example = "token_expired")]
    reason: String,
    /// How often.
    times: u64,
    /// The address that the last of them came from.
    #[schema(example = "10.20.30.40")]
    peer: String,
}

/// Refusals
///
/// Who was refused something at the lampposts' listener, why and how often, the newest first.
#[utoipa::path(
    get, path = "/api/v1/refusals", tag = "enrolment", params(RefusalsQuery),
    responses((status = 200, description = "The newest refusals", body = RefusalList), RefusalsProblems)
)]
pub(super) async fn list_refusals(
    State(app): State<App>,
    Asked(query): Asked<RefusalsQuery>,
) -> Result<Json<RefusalList>, Problem> {
    // First what is not written yet: what is written in between is told twice rather than not at all.
    let unwritten = app.refusals.so_far(query.limit as usize);
    let written = app.registry.refusals(query.limit).await.map_err(|error| registry_problem(&error))?;
    let unwritten = unwritten.into_iter().map(|refused| RefusalDocument {
        at: None,
        lamppost: refused.lamppost,
        reason: refused.reason.to_owned(),
        times: refused.times,
        peer: refused.peer.to_string(),
    });
    let written = written.into_iter().map(|refused| RefusalDocument {
        at: Some(Timestamp(refused.at)),
        lamppost: refused.lamppost,
        reason: refused.reason,
        times: refused.times,
        peer: refused.peer,
    });
    Ok(Json(RefusalList { refusals: unwritten.chain(written).take(query.limit as usize).collect() }))
}

problems!(RefusalsProblems: InvalidParameter, UnknownParameter, RegistryUnavailable);
