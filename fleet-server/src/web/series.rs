//! The series of a lamppost.

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::lampposts::LamppostPath;
use super::observation::{GridDocument, SeriesDocument};
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, InPath, NoParameters};
use super::timestamp::Timestamp;
use crate::store::{SeriesLatest, Tail};

/// The series of a lamppost, in the order of their names.
#[derive(Serialize, ToSchema)]
pub(super) struct SeriesList {
    /// The series.
    series: Vec<DescribedSeries>,
}

/// What a series is, and from when to when it can be asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct DescribedSeries {
    #[serde(flatten)]
    series: SeriesDocument,
    /// Values are whole numbers of this; a decimal, as text so that it stays exact.
    #[schema(example = "0.01")]
    resolution: String,
    /// When it is read; null: it reports by exception.
    grid: Option<GridDocument>,
    /// The earliest time that can be asked for; null: nothing has left the server's memory yet.
    floor: Option<Timestamp>,
    /// Phenomenon time of its newest observation; null if there never was one.
    latest: Option<Timestamp>,
}

/// The series of a lamppost
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/series", tag = "observations", params(LamppostPath),
    responses((status = 200, description = "All of its series", body = SeriesList), ListProblems)
)]
pub(super) async fn list_series(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    _: Asked<NoParameters>,
) -> Result<Json<SeriesList>, Problem> {
    app.lamppost(&path.number).await?;
    let series = app
        .read(move |tail| tail.latest_of_lamppost(&path.number).map(|one| described(tail, &one)).collect());
    Ok(Json(SeriesList { series: series.await? }))
}

fn described(tail: &Tail, of: &SeriesLatest<'_>) -> DescribedSeries {
    let floor = tail.floor(of.id);
    DescribedSeries {
        series: of.meta.into(),
        resolution: of.meta.resolution.to_string(),
        grid: of.meta.grid.map(GridDocument::from),
        floor: (floor > UtcMillis(i64::MIN)).then_some(Timestamp(floor)),
        latest: of.latest.map(|point| Timestamp(point.time)),
    }
}

problems!(ListProblems: InvalidParameter, UnknownParameter, UnknownLamppost, Rebuilding, RegistryUnavailable);
