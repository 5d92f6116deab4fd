//! What supervisors and Prometheus ask.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, NoParameters};
use super::readiness::Phase;
use crate::gateway::{Stuck, Way};
use crate::journal::Shortage;

/// Yes.
#[derive(Serialize, ToSchema)]
pub(super) struct Yes {
    /// Always `yes`: a no is a problem document.
    #[schema(example = "yes")]
    answer: &'static str,
    /// What somebody should hear of all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

const YES: Json<Yes> = Json(Yes { answer: "yes", detail: None });

/// Is the server healthy?
///
/// Yes if a message of the server's own comes through: gateway, journal and ingest, within seconds. It is sent when
/// somebody asks, once in five seconds at most. Reading the journal at a start is healthy, and so is a journal that takes nothing
/// because the disk is nearly full: that is said, and a restart would not help.
#[utoipa::path(
    get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "Yes", body = Yes), HealthProblems)
)]
pub(super) async fn healthz(State(app): State<App>, _: Asked<NoParameters>) -> Result<Json<Yes>, Problem> {
    match app.readiness.phase() {
        Phase::Starting(_) => Ok(YES),
        Phase::Ready | Phase::Short => match app.probe.ask().await {
            Ok(Way::Open) => Ok(YES),
            Ok(Way::Short(shortage)) => Ok(Json(Yes { detail: Some(nearly_full(shortage)), ..YES.0 })),
            Err(Stuck::Gateway) => Err(unhealthy("way to the journal")),
            Err(Stuck::Ingest) => Err(unhealthy("ingest")),
        },
        Phase::Failing { part } => Err(unhealthy(part)),
    }
}

/// Is the server ready to answer?
///
/// Yes once the journal is read and everything works; until then the problem says how far the server has come. No while the disk
/// is nearly full.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Yes", body = Yes), ReadinessProblems)
)]
pub(super) async fn readyz(State(app): State<App>, _: Asked<NoParameters>) -> Result<Json<Yes>, Problem> {
    match app.readiness.phase() {
        Phase::Ready => Ok(YES),
        Phase::Starting(progress) => Err(Problem::rebuilding(progress)),
        Phase::Short => {
            Err(Problem::new(ProblemKind::Unhealthy, "the journal takes nothing: the disk is nearly full"))
        }
        Phase::Failing { part } => Err(unhealthy(part)),
    }
}

/// Figures for Prometheus
///
/// Text by `OpenMetrics` 1.0.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, description = "All figures", body = String, content_type = "application/openmetrics-text"),
        MetricsProblems
    )
)]
pub(super) async fn metrics(State(app): State<App>, _: Asked<NoParameters>) -> Result<Response, Problem> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &app.prometheus).map_err(|error| {
        tracing::error!(%error, "the figures cannot be written");
        Problem::new(ProblemKind::Internal, "the figures cannot be written; the log says why")
    })?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

fn nearly_full(Shortage { free_bytes, needed_bytes }: Shortage) -> String {
    format!(
        "the disk is nearly full: nothing new is acknowledged before {needed_bytes} bytes are free; now {free_bytes} are"
    )
}

fn unhealthy(part: &str) -> Problem {
    Problem::new(ProblemKind::Unhealthy, format!("the {part} does not work; the log says why"))
}

problems!(HealthProblems: UnknownParameter, Unhealthy);
problems!(ReadinessProblems: UnknownParameter, Unhealthy, Rebuilding);
problems!(MetricsProblems: UnknownParameter);
