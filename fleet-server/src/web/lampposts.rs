//! Lampposts: what the registry has, whether they are connected, and what their agents have said.

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::{DeviceName, LamppostNumber};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::WebState;
use super::app::{App, registry_problem};
use super::connections::ConnectionDocument;
use super::life::RetirementDocument;
use super::observation::GridDocument;
use super::openapi::problems;
use super::outboxes::LedgerDocument;
use super::problem::Problem;
use super::query::{Asked, FromParameters, FromPath, InPath, NoParameters, Parameters, PathParameters};
use super::state::StateDocument;
use super::timestamp::Timestamp;
use crate::clock;
use crate::ingest::{DeviceReport, LamppostReport};
use crate::registry::{Lamppost, Retirement};

/// The path of everything about one lamppost.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct LamppostPath {
    /// The official number of the lamppost: 1 to 32 characters of A-Z, a-z, 0-9, _ and -.
    #[param(value_type = String, pattern = "^[A-Za-z0-9_-]{1,32}$", example = "DF3637")]
    pub(super) number: LamppostNumber,
}

impl FromPath for LamppostPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { number: from.get("number")? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LamppostsQuery {
    /// Only lampposts past this one, in the order of their numbers: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<LamppostNumber>,
    /// How many lampposts at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
    /// `true`: those that are retired, instead of those in service.
    #[param(value_type = Option<bool>, default = false)]
    retired: bool,
}

impl FromParameters for LamppostsQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self {
            after: from.optional("after", LamppostNumber::new)?,
            limit: from.limit(100, 1000)?,
            retired: from.optional("retired", str::parse::<bool>)?.unwrap_or_default(),
        })
    }
}

/// Some lampposts, in the order of their numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct LamppostPage {
    /// The lampposts.
    lampposts: Vec<LamppostDocument>,
    /// `after` of the next page; null on the last one.
    #[schema(value_type = Option<String>, required = true)]
    next: Option<LamppostNumber>,
}

/// A lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct LamppostDocument {
    /// The official number.
    #[schema(value_type = String, example = "DF3637")]
    number: LamppostNumber,
    /// Degrees north, WGS 84.
    latitude_deg: f64,
    /// Degrees east, WGS 84.
    longitude_deg: f64,
    /// The road that it lights.
    road: String,
    /// The district that the road is in.
    district: String,
    /// The electrical feeder that it hangs on, where it is known.
    feeder: Option<String>,
    /// The switching pillar of that feeder, where it is known.
    pillar: Option<String>,
    /// Height of the pole in metres, where it is known.
    height_m: Option<f64>,
    /// What else the register says.
    remarks: Option<String>,
    /// Since when it is retired; null while it is in service.
    #[schema(required = true)]
    retired: Option<RetirementDocument>,
    /// How it is.
    state: StateDocument,
    /// Its connection; null while it is not connected.
    connection: Option<ConnectionDocument>,
    /// What its agent has said of itself; null if it has never said hello.
    report: Option<ReportDocument>,
    /// What it holds and the server does not; null if it has never said hello.
    #[schema(required = true)]
    backlog: Option<BacklogDocument>,
    /// What became of all that it has written; null if it has never sent anything.
    #[schema(required = true)]
    ledger: Option<LedgerDocument>,
    /// When the last message was received that is on the journal's disk, and so is acknowledged; null if none ever was.
    #[schema(required = true)]
    last_acknowledged: Option<Timestamp>,
    /// The shortest period at which one of its devices is read, in milliseconds; null if none is read on a grid.
    #[schema(required = true)]
    shortest_period_ms: Option<u32>,
}

/// What a lamppost holds and the server does not.
#[derive(Serialize, ToSchema)]
pub(super) struct BacklogDocument {
    /// Records that its last hello named, or a frame since, and that the server does not hold. At least so many: a
    /// hello that would be too long leaves some out.
    records: u64,
    /// In how many seconds all of it is here, if its records go on coming as they did in the last minute; null while it is
    /// not connected, the backlog does not shrink, or nobody knows yet.
    #[schema(required = true)]
    drains_in_s: Option<u64>,
}

/// What an agent has said of itself, in its last hello and description.
#[derive(Serialize, ToSchema)]
pub(super) struct ReportDocument {
    /// When its last hello was received.
    last_hello: Timestamp,
    /// Phenomenon time of its newest observation.
    last_observation: Option<Timestamp>,
    /// Version of the agent.
    agent_version: String,
    /// Serial number of the hardware; null if it has none.
    hardware_serial: Option<String>,
    /// Generation of the configuration that runs.
    generation: u64,
    /// Which outbox it is, in hexadecimal.
    outbox: String,
    /// Which run of the agent it is, in hexadecimal.
    run: String,
    /// SHA-256 of the description that its newest records are written in, in hexadecimal.
    description: Option<String>,
    /// The devices of that description.
    devices: Vec<DeviceDocument>,
}

/// A device on a lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceDocument {
    /// Its name.
    #[schema(value_type = String, example = "weather-1")]
    name: DeviceName,
    /// What it is.
    #[schema(example = "bme280")]
    model: String,
    /// When it is read; null: it reports by exception.
    grid: Option<GridDocument>,
    /// What it observes, as `device/property` or `device/property/channel`.
    series: Vec<String>,
}

/// Lampposts
///
/// All lampposts that are registered and in service, page by page; or those that are retired.
#[utoipa::path(
    get, path = "/api/v1/lampposts", tag = "lampposts", params(LamppostsQuery),
    responses((status = 200, description = "Some lampposts", body = LamppostPage), PageProblems)
)]
pub(super) async fn list_lampposts(
    State(app): State<App>,
    Asked(query): Asked<LamppostsQuery>,
) -> Result<Json<LamppostPage>, Problem> {
    let (after, limit) = (query.after.as_ref(), query.limit + 1);
    let found = if query.retired {
        app.registry.retired_lampposts(after, limit).await
    } else {
        app.registry.lampposts(after, limit).await
    };
    let mut found = found.map_err(|error| registry_problem(&error))?;
    let more = found.len() > query.limit as usize;
    found.truncate(query.limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.number.clone());
    let mut with_retirement = Vec::with_capacity(found.len());
    for one in found {
        let retired = if query.retired { app.retirement(&one.number).await? } else { None };
        with_retirement.push((one, retired));
    }
    let documents = |state: &WebState| {
        with_retirement.into_iter().map(|(one, retired)| document(state, one, retired)).collect()
    };
    Ok(Json(LamppostPage { lampposts: app.blocking(documents).await?, next }))
}

/// A lamppost
#[utoipa::path(
    get, path = "/api/v1/lampposts/{number}", tag = "lampposts", params(LamppostPath),
    responses((status = 200, description = "The lamppost", body = LamppostDocument), LamppostProblems)
)]
pub(super) async fn lamppost(
    State(app): State<App>,
    InPath(path): InPath<LamppostPath>,
    _: Asked<NoParameters>,
) -> Result<Json<LamppostDocument>, Problem> {
    let found = app.lamppost(&path.number).await?;
    let retired = app.retirement(&path.number).await?;
    Ok(Json(app.blocking(move |state| document(state, found, retired)).await?))
}

fn document(state: &WebState, lamppost: Lamppost, retired: Option<Retirement>) -> LamppostDocument {
    let connection = state.sessions.connected(&lamppost.number);
    let is_connected = connection.is_some();
    let report = state.lifelines.report(&lamppost.number);
    let last_acknowledged = state.lifelines.last_acknowledged(&lamppost.number).map(Timestamp);
    let ledger = state.lifelines.ledger(&lamppost.number);
    let ledger = ledger.map(|one| LedgerDocument::of(&one, state.commands.failed(&lamppost.number, &one)));
    let grids = report.iter().flat_map(|report| &report.devices).filter_map(|device| device.grid);
    let shortest_period_ms = grids.map(|grid| grid.period_ms).min();
    LamppostDocument {
        state: state.roll.state(&lamppost.number, clock::wall()).into(),
        number: lamppost.number,
        latitude_deg: lamppost.coordinates.latitude_deg(),
        longitude_deg: lamppost.coordinates.longitude_deg(),
        road: lamppost.road,
        district: lamppost.district,
        feeder: lamppost.feeder,
        pillar: lamppost.pillar,
        height_m: lamppost.height_m,
        remarks: lamppost.remarks,
        retired: retired.map(RetirementDocument::from),
        connection: connection.map(ConnectionDocument::from),
        backlog: report.as_ref().map(|report| BacklogDocument {
            records: report.backlog,
            drains_in_s: is_connected.then(|| report.drains_in_s(clock::wall())).flatten(),
        }),
        report: report.map(report_document),
        ledger,
        last_acknowledged,
        shortest_period_ms,
    }
}

fn report_document(report: LamppostReport) -> ReportDocument {
    ReportDocument {
        last_hello: Timestamp(report.last_hello),
        last_observation: report.last_observation.map(Timestamp),
        agent_version: report.agent_version,
        hardware_serial: Some(report.hardware_serial).filter(|serial| !serial.is_empty()),
        generation: report.generation,
        outbox: report.outbox.to_string(),
        run: report.run.to_string(),
        description: report.description.map(|digest| digest.to_string()),
        devices: report.devices.into_iter().map(device_document).collect(),
    }
}

fn device_document(device: DeviceReport) -> DeviceDocument {
    DeviceDocument {
        name: device.name,
        model: device.model,
        grid: device.grid.map(GridDocument::from),
        series: device.series.iter().map(ToString::to_string).collect(),
    }
}

problems!(PageProblems: InvalidParameter, UnknownParameter, Rebuilding, RegistryUnavailable);
problems!(LamppostProblems: InvalidParameter, UnknownParameter, UnknownLamppost, Rebuilding, RegistryUnavailable);
