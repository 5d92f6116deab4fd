//! What the `type` of a problem leads to: the kind, explained.

use axum::Json;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromPath, InPath, NoParameters, PathParameters};

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ProblemPath {
    /// The end of a problem's `type`: `older-than-tail`.
    name: String,
}

impl FromPath for ProblemPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { name: from.get("name")? })
    }
}

/// A kind of problem, explained.
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemExplained {
    /// What problem documents of this kind have as their `type`.
    #[serde(rename = "type")]
    kind: String,
    /// What it is, in a few words.
    title: &'static str,
    /// The status that answers with it have.
    status: u16,
    /// When it happens, and what helps.
    explanation: &'static str,
}

/// A kind of problem, explained
///
/// Where the `type` of a problem document leads.
#[utoipa::path(
    get, path = "/problems/{name}", tag = "access", params(ProblemPath),
    responses((status = 200, description = "The kind of problem", body = ProblemExplained), Problems)
)]
pub(super) async fn problem(
    InPath(path): InPath<ProblemPath>,
    _: Asked<NoParameters>,
) -> Result<Json<ProblemExplained>, Problem> {
    let Some(kind) = ProblemKind::ALL.into_iter().find(|kind| kind.name() == path.name) else {
        let names = ProblemKind::ALL.map(ProblemKind::name).join(", ");
        let problem =
            Problem::new(ProblemKind::UnknownProblem, format!("the problems that there are: {names}"));
        return Err(problem.with_parameter("name"));
    };
    Ok(Json(ProblemExplained {
        kind: kind.type_uri(),
        title: kind.title(),
        status: kind.status().as_u16(),
        explanation: kind.explanation(),
    }))
}

problems!(Problems: InvalidParameter, UnknownParameter, UnknownProblem);
