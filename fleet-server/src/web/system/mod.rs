//! How the server is: the figures behind `/metrics`, in a shape for the console's System page.
//!
//! It counts nothing by itself, waits for no lock that a read or ingest holds for long, and answers while the server
//! is still starting. Sets of reasons that are closed are objects with a key for each, also for what never happened.

mod checkpoint;
mod gateway;
mod ingest;
mod journal;
mod people;
mod store;

use axum::Json;
use axum::extract::State;
use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;

use self::checkpoint::CheckpointDocument;
use self::gateway::GatewayDocument;
use self::ingest::IngestDocument;
use self::journal::JournalDocument;
use self::people::PeopleDocument;
use self::store::StoreDocument;
use super::app::App;
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, NoParameters};
use super::readiness::{Phase, Progress};
use super::timestamp::Timestamp;
use crate::checkpoint::CheckpointMetrics;
use crate::clock;
use crate::gateway::GatewayMetrics;
use crate::ingest::IngestMetrics;
use crate::journal::JournalMetrics;
use crate::live::LiveMetrics;
use crate::store::{StoreMetrics, TailOptions};

/// What the other rooms count, and the bounds against which it is seen. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// When the server was started.
    pub started: UtcMillis,
    /// What the gateway counts.
    pub gateway: GatewayMetrics,
    /// Most connections that the gateway grants, within the file descriptors that the system does.
    pub connections: usize,
    /// What the journal counts.
    pub journal: JournalMetrics,
    /// What is counted of checkpoints.
    pub checkpoint: CheckpointMetrics,
    /// What ingest counts.
    pub ingest: IngestMetrics,
    /// What the store counts; as old as its last observation, which is at most a second.
    pub store: StoreMetrics,
    /// How much the store may hold.
    pub tail: TailOptions,
    /// What the live hub counts.
    pub live: LiveMetrics,
}

/// How the server is. Counters count from its start, and are the figures of `/metrics`.
#[derive(Serialize, ToSchema)]
pub(super) struct SystemDocument {
    /// The server as a whole.
    server: ServerDocument,
    /// What lampposts connect to.
    gateway: GatewayDocument,
    /// What is acknowledged is here first, on disk.
    journal: JournalDocument,
    /// What the journal told up to a moment, on disk: a start reads it, and of the journal what came later.
    checkpoint: CheckpointDocument,
    /// From journalled bytes to observations.
    ingest: IngestDocument,
    /// The newest observations, in memory.
    store: StoreDocument,
    /// Who asks this server.
    people: PeopleDocument,
}

/// The server as a whole.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerDocument {
    /// Its version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// When it was started, by its own clock.
    started: Timestamp,
    /// What its clock says now.
    time: Timestamp,
    /// Where it stands.
    phase: PhaseName,
    /// With `failing`: the part that does not work (`journal`, `clock`); else null.
    #[schema(required = true, example = "journal")]
    part: Option<&'static str>,
    /// With `starting`: what is read of the journal so far; else null.
    #[schema(required = true)]
    progress: Option<Progress>,
}

/// Where the server stands. `starting`: it reads its journal, and shows no observations yet. `ready`: all is well.
/// `failing`: a part on the path of observations does not work; lampposts keep what they read until it does.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Phase)]
pub(super) enum PhaseName {
    Starting,
    Ready,
    Failing,
}

/// How the server is
///
/// What each part has counted since the start, how far ingest is behind the journal, how full the store is, and why
/// lampposts were refused. Answered also while the server is still reading its journal.
#[utoipa::path(
    get, path = "/api/v1/system", tag = "operations",
    responses((status = 200, description = "How the server is", body = SystemDocument), SystemProblems)
)]
pub(super) async fn system(
    State(app): State<App>,
    _: Asked<NoParameters>,
) -> Result<Json<SystemDocument>, Problem> {
    let (figures, now) = (&app.figures, clock::wall());
    Ok(Json(SystemDocument {
        server: server(figures.started, now, &app.readiness.phase()),
        gateway: GatewayDocument::new(&figures.gateway, figures.connections),
        journal: JournalDocument::new(&figures.journal, clock::monotonic()),
        checkpoint: CheckpointDocument::new(&figures.checkpoint, now),
        ingest: IngestDocument::new(&figures.ingest),
        store: StoreDocument::new(&figures.store, figures.tail),
        people: PeopleDocument::new(&app.metrics, &figures.live, &app.limits),
    }))
}

fn server(started: UtcMillis, now: UtcMillis, phase: &Phase) -> ServerDocument {
    let (phase, part, progress) = match *phase {
        Phase::Starting(progress) => (PhaseName::Starting, None, Some(progress)),
        Phase::Ready => (PhaseName::Ready, None, None),
        Phase::Short => (PhaseName::Failing, Some("journal"), None),
        Phase::Failing { part } => (PhaseName::Failing, Some(part), None),
    };
    ServerDocument {
        version: env!("CARGO_PKG_VERSION"),
        started: Timestamp(started),
        time: Timestamp(now),
        phase,
        part,
        progress,
    }
}

/// A gauge of something that is never negative.
fn size(gauge: &prometheus_client::metrics::gauge::Gauge) -> u64 {
    u64::try_from(gauge.get()).unwrap_or(0)
}

problems!(SystemProblems: UnknownParameter);
