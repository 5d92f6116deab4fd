//! What operators tell of a lamppost's life: its controller is replaced, it is moved, it is taken down, and is there again.

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::lampposts::LamppostPath;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, InPath, NoParameters, Parameters};
use super::timestamp::Timestamp;
use super::tokens::NewTokenDocument;
use crate::audit::Actor;
use crate::clock;
use crate::est::{Hours, Token};
use crate::registry::{
    Coordinates, LifeError, RegistryError, Relocation, Retirement, Site, reason, register_text,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReplacementQuery {
    /// For how many hours the new token is good.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 720, default = 72)]
    hours: Hours,
    /// Why, for the audit: a line of 1 to 200 characters.
    reason: Option<String>,
}

impl FromParameters for ReplacementQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let hours = from.optional("hours", str::parse::<Hours>)?.unwrap_or_default();
        Ok(Self { hours, reason: from.optional("reason", reason)? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RelocationQuery {
    /// Degrees north, WGS 84; together with `longitude_deg`.
    #[param(minimum = -90, maximum = 90)]
    latitude_deg: Option<f64>,
    /// Degrees east, WGS 84; together with `latitude_deg`.
    #[param(minimum = -180, maximum = 180)]
    longitude_deg: Option<f64>,
    /// The road that it lights.
    road: Option<String>,
    /// The district that the road is in.
    district: Option<String>,
    /// The electrical feeder that it hangs on.
    feeder: Option<String>,
    /// The switching pillar of that feeder.
    pillar: Option<String>,
    /// Since when it stands there; now if it is not given. Not before it was moved last.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<UtcMillis>,
}

impl FromParameters for RelocationQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self {
            latitude_deg: from.optional("latitude_deg", str::parse::<f64>)?,
            longitude_deg: from.optional("longitude_deg", str::parse::<f64>)?,
            road: from.optional("road", register_text)?,
            district: from.optional("district", register_text)?,
            feeder: from.optional("feeder", register_text)?,
            pillar: from.optional("pillar", register_text)?,
            since: from.optional("since", Timestamp::parse)?,
        })
    }
}

impl RelocationQuery {
    fn coordinates(&self) -> Result<Option<Coordinates>, Problem> {
        match (self.latitude_deg, self.longitude_deg) {
            (Some(latitude), Some(longitude)) => {
                // The one that is wrong, or the first of both.
                let is_north = Coordinates::new(latitude, 0.0).is_ok();
                let wrong = if is_north { "longitude_deg" } else { "latitude_deg" };
                let coordinates = Coordinates::new(latitude, longitude);
                coordinates.map(Some).map_err(|error| Problem::invalid(wrong, error.to_string()))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(Problem::invalid("longitude_deg", "a position has a longitude, too")),
            (None, Some(_)) => Err(Problem::invalid("latitude_deg", "a position has a latitude, too")),
        }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RetirementQuery {
    /// Why: a line of 1 to 200 characters.
    reason: Option<String>,
}

impl FromParameters for RetirementQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { reason: from.optional("reason", reason)? })
    }
}

/// By what the new controller of a lamppost is enrolled, and what the old one has no more.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplacementDocument {
    /// The one-time token of the new one, and what is needed at the lamppost.
    enrolment: NewTokenDocument,
    /// Certificates that were revoked.
    revoked_certificates: u64,
    /// Tokens that were ended.
    ended_tokens: u64,
}

/// Where a lamppost stands and stood.
#[derive(Serialize, ToSchema)]
pub(super) struct PlacesDocument {
    /// The places, in the order of time; the last one is where it stands.
    places: Vec<PlaceDocument>,
}

/// A place of a lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct PlaceDocument {
    /// Until when it stood there; null where it stands now.
    #[schema(required = true)]
    until: Option<Timestamp>,
    /// Degrees north, WGS 84.
    latitude_deg: f64,
    /// Degrees east, WGS 84.
    longitude_deg: f64,
    /// The road.
    road: String,
    /// The district.
    district: String,
    /// The electrical feeder, where it is known.
    feeder: Option<String>,
    /// The switching pillar, where it is known.
    pillar: Option<String>,
}

/// Since when a lamppost is retired: it was taken down, and counts no more among the lampposts of the city.
#[derive(Serialize, ToSchema)]
pub(super) struct RetirementDocument {
    /// Since when.
    since: Timestamp,
    /// Why, where somebody said so.
    #[schema(required = true)]
    reason: Option<String>,
}

/// Replace the controller of a lamppost
///
/// What the old controller could log in with is good no more: its certificates are revoked, its tokens ended, and it is
/// thrown out within seconds. The new one is enrolled by the token of the answer. The lamppost's history stays.
#[utoipa::path(
    post, path = "/api/v1/lampposts/{number}/replacement", tag = "lampposts", params(LamppostPath, ReplacementQuery),
    responses((status = 200, description = "It has another controller", body = ReplacementDocument), LifeProblems)
)]
pub(super) async fn replace_controller(
    State(app): State<App>,
    InPath(LamppostPath { number }): InPath<LamppostPath>,
    Asked(query): Asked<ReplacementQuery>,
) -> Result<Json<ReplacementDocument>, Problem> {
    let now = clock::wall();
    let expires = query.hours.after(now);
    let token = Token::generate().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no token can be made");
        Problem::new(ProblemKind::Internal, "no token can be made; the log says why")
    })?;
    let digest = token.digest();
    let reason = query.reason.as_deref();
    let replaced = app.registry.replace_controller(&number, (&digest, expires), reason, now, &Actor::Console);
    let (id, had) = replaced.await.map_err(|error| life_problem(&error.into()))?;
    tracing::warn!(lamppost = %number, "its controller is replaced: what the old one logged in with is revoked");
    Ok(Json(ReplacementDocument {
        enrolment: NewTokenDocument::new(&app.entrance, id, number, &token, (now, expires)),
        revoked_certificates: had.certificates,
        ended_tokens: had.tokens,
    }))
}

/// Move a lamppost
///
/// It stands elsewhere since a time that may be past. What is not named is as it was. What was observed stays with the
/// number; `places` tells where it stood when.
#[utoipa::path(
    post, path = "/api/v1/lampposts/{number}/relocation", tag = "lampposts", params(LamppostPath, RelocationQuery),
    responses((status = 200, description = "Where it stands and stood", body = PlacesDocument), LifeProblems)
)]
pub(super) async fn relocate(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    Asked(query): Asked<RelocationQuery>,
) -> Result<Json<PlacesDocument>, Problem> {
    let (now, number) = (clock::wall(), &path.number);
    let coordinates = query.coordinates()?;
    let RelocationQuery { road, district, feeder, pillar, since, .. } = query;
    let relocation = Relocation { coordinates, road, district, feeder, pillar };
    let since = since.unwrap_or(now);
    let moved = app.registry.relocate(number, &relocation, since, now, &Actor::Console).await;
    moved.map_err(|error| life_problem(&error))?;
    places_of(&app, &path).await
}

/// Retire a lamppost
///
/// It was taken down: its certificates are revoked, its tokens ended, and it counts no more among the lampposts of the
/// city. What was observed on it stays. `revive` brings it back.
#[utoipa::path(
    post, path = "/api/v1/lampposts/{number}/retirement", tag = "lampposts", params(LamppostPath, RetirementQuery),
    responses((status = 200, description = "It is retired", body = RetirementDocument), LifeProblems)
)]
pub(super) async fn retire(
    State(app): State<App>,
    InPath(LamppostPath { number }): InPath<LamppostPath>,
    Asked(query): Asked<RetirementQuery>,
) -> Result<Json<RetirementDocument>, Problem> {
    let now = clock::wall();
    let retired = app.registry.retire(&number, query.reason.as_deref(), now, &Actor::Console).await;
    retired.map_err(|error| life_problem(&error.into()))?;
    tracing::warn!(lamppost = %number, "it is retired: what it logged in with is revoked");
    Ok(Json(Retirement { since: now, reason: query.reason }.into()))
}

/// Revive a lamppost
///
/// One that was retired is there again, and one of the city. It has to be enrolled anew: what was revoked stays revoked.
#[utoipa::path(
    post, path = "/api/v1/lampposts/{number}/revive", tag = "lampposts", params(LamppostPath),
    responses(
        (status = 200, description = "It is in service; since when it was retired, and why", body = RetirementDocument),
        LifeProblems
    )
)]
pub(super) async fn revive(
    State(app): State<App>,
    InPath(LamppostPath { number }): InPath<LamppostPath>,
    _: Asked<NoParameters>,
) -> Result<Json<RetirementDocument>, Problem> {
    let revived = app.registry.revive(&number, clock::wall(), &Actor::Console).await;
    let retired = revived.map_err(|error| life_problem(&error))?;
    tracing::info!(lamppost = %number, "it is one of the city again");
    Ok(Json(retired.into()))
}

/// Places of a lamppost
///
/// Where it stands, and where it stood before it was moved.
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}/places", tag = "lampposts", params(LamppostPath),
    responses((status = 200, description = "Where it stands and stood", body = PlacesDocument), PlacesProblems)
)]
pub(super) async fn places(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    _: Asked<NoParameters>,
) -> Result<Json<PlacesDocument>, Problem> {
    places_of(&app, &path).await
}

async fn places_of(app: &App, path: &LamppostPath) -> Result<Json<PlacesDocument>, Problem> {
    let lamppost = app.lamppost(&path.number).await?;
    let former = app.registry.former_sites(&path.number).await.map_err(|error| registry_problem(&error))?;
    let former = former.into_iter().map(|former| place(Some(former.until), former.site));
    Ok(Json(PlacesDocument { places: former.chain([place(None, Site::of(&lamppost))]).collect() }))
}

fn place(until: Option<UtcMillis>, site: Site) -> PlaceDocument {
    let Site { coordinates, road, district, feeder, pillar } = site;
    let (latitude_deg, longitude_deg) = (coordinates.latitude_deg(), coordinates.longitude_deg());
    PlaceDocument { until: until.map(Timestamp), latitude_deg, longitude_deg, road, district, feeder, pillar }
}

impl From<Retirement> for RetirementDocument {
    fn from(Retirement { since, reason }: Retirement) -> Self {
        Self { since: Timestamp(since), reason }
    }
}

/// Nothing was changed.
fn life_problem(error: &LifeError) -> Problem {
    match error {
        LifeError::Registry(error @ RegistryError::NotRegistered { .. }) => {
            Problem::new(ProblemKind::UnknownLamppost, error.to_string()).with_parameter("number")
        }
        LifeError::Registry(error @ RegistryError::Retired { .. }) => {
            Problem::new(ProblemKind::LamppostState, error.to_string()).with_parameter("number")
        }
        LifeError::Registry(error) => registry_problem(error),
        LifeError::StillToCome { .. } | LifeError::MovedSince { .. } => {
            Problem::invalid("since", error.to_string())
        }
        LifeError::InService { .. } | LifeError::SameSite { .. } => {
            Problem::new(ProblemKind::LamppostState, error.to_string())
        }
    }
}

problems!(
    LifeProblems: InvalidParameter,
    UnknownParameter,
    UnknownLamppost,
    LamppostState,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(PlacesProblems: InvalidParameter, UnknownParameter, UnknownLamppost, RegistryUnavailable);
