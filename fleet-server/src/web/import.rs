//! The import of lampposts: the one operation that takes a body.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, Parameters};
use crate::audit::Actor;
use crate::clock;
use crate::registry::{self, Place, parse_list};

/// Where lampposts are imported.
pub(super) const PATH: &str = "/api/v1/import";

/// Problems of a list that one answer names: more than anybody mends without another look.
const MOST_NAMED: usize = 1_000;

/// Whether this is the request that takes a body, and the time to send one.
pub(super) fn is_import(method: &Method, path: &str) -> bool {
    method == Method::POST && path == PATH
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// With `true` nothing is stored: the answer says what would be.
    #[param(value_type = Option<bool>, default = false)]
    dry_run: bool,
}

impl FromParameters for ImportQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let dry_run = from.optional("dry_run", |text| text.parse().map_err(|_| "it is true or false"))?;
        Ok(Self { dry_run: dry_run.unwrap_or(false) })
    }
}

/// What an import did, or would do, in lampposts.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportDocument {
    /// Whether it was only looked at.
    dry_run: bool,
    /// They were not registered before.
    added: u64,
    /// They were, and something about them is different now.
    changed: u64,
    /// They were, and are the same.
    unchanged: u64,
    /// How many are registered now.
    registered: u64,
}

/// What is wrong at one place of a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct ListErrorDocument {
    /// The line in which the row or the feature begins; the first is 1.
    line: u64,
    /// Which feature, from 1 on; null in CSV.
    #[schema(required = true)]
    feature: Option<u64>,
    /// The column or property that is wrong; null if it is not a single one.
    #[schema(required = true, example = "latitude")]
    field: Option<String>,
    /// What is wrong with it.
    #[schema(example = "is empty")]
    problem: String,
}

/// Import lampposts
///
/// The list is CSV or GeoJSON, as `fleet-server lamppost import --help` describes both; which of them it is shows by how it
/// begins. Lampposts that are new are added, those that differ are changed, those that the list does not name stay. If anything
/// in it is wrong, all of it is told and nothing is stored.
#[utoipa::path(
    post, path = "/api/v1/import", tag = "enrolment", params(ImportQuery),
    request_body(
        description = "The list, in UTF-8",
        content((String = "text/csv"), (Object = "application/geo+json"))
    ),
    responses((status = 200, description = "What was done", body = ImportDocument), ImportProblems)
)]
pub(super) async fn import_lampposts(
    State(app): State<App>,
    Asked(query): Asked<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportDocument>, Problem> {
    app.rebuilt()?;
    let Some(_place) = app.import_place() else {
        let detail = "another list is being imported; send this one once that is done";
        return Err(Problem::new(ProblemKind::ImportRunning, detail));
    };
    let bytes = whole(body, &headers, app.limits.import_bytes).await?;
    let parsed = app.blocking(move |_| parse_list(&bytes)).await?;
    let lampposts = parsed.map_err(|problems| refused(&problems))?;
    let imported = if query.dry_run {
        app.registry.rehearse_import(&lampposts).await
    } else {
        app.registry.import(lampposts, clock::wall(), &Actor::Console).await
    };
    let imported = imported.map_err(|error| registry_problem(&error))?;
    let registered = app.registry.count().await.map_err(|error| registry_problem(&error))?;
    let registry::Imported { added, changed, unchanged } = imported;
    Ok(Json(ImportDocument { dry_run: query.dry_run, added, changed, unchanged, registered }))
}

/// All of a body, if it is no longer than that.
async fn whole(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("a list of lampposts has at most {} MiB", most >> 20);
        Problem::new(ProblemKind::BodyTooLarge, detail)
    };
    let told =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > most as u64) {
        return Err(too_large());
    }
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => {
            tracing::debug!(%error, "a list of lampposts did not come whole");
            Err(Problem::new(ProblemKind::InvalidList, "the list did not come whole; send it again"))
        }
    }
}

fn refused(problems: &[registry::Problem]) -> Problem {
    let count = problems.len();
    let plural = if count == 1 { "" } else { "s" };
    let more = if count >= registry::MOST_PROBLEMS { "; the list was read no further" } else { "" };
    let detail = format!("the list has {count} problem{plural}, nothing was stored{more}");
    let errors = problems.iter().take(MOST_NAMED).map(ListErrorDocument::of).collect();
    Problem::new(ProblemKind::InvalidList, detail).with_errors(errors, count)
}

impl ListErrorDocument {
    fn of(problem: &registry::Problem) -> Self {
        let (line, feature) = match problem.place {
            Place::Line(line) => (line, None),
            Place::Feature { index, line, .. } => (line, Some(index)),
        };
        Self { line, feature, field: problem.column.clone(), problem: problem.fault.to_string() }
    }
}

problems!(
    ImportProblems: InvalidParameter,
    UnknownParameter,
    ForeignOrigin,
    ImportRunning,
    BodyTooLarge,
    InvalidList,
    Rebuilding,
    RegistryUnavailable,
);
