//! The web: what people and their tools ask the server, over HTTP.
//!
//! It reads, but for what an operator decides (outboxes, tokens, revocations, imports, departments and their grants), and of
//! that the audit tells. It is served on the loopback alone
//! ([`PeopleListener`] refuses any other address), to whoever holds the token that the server prints at its start; a
//! lamppost can never reach it. Everything is described by the OpenAPI document that is generated from the handlers
//! ([`openapi()`]), and every error is a problem document (RFC 9457).
//!
//! What it guarantees: a value is never shown without its unit, time and quality; what is older than the memory
//! reaches is named as such and never answered as empty; while the journal is being read there are no answers
//! instead of incomplete ones; and no client, however slow, holds a lock or makes another wait (reads copy what they
//! need on threads where blocking is allowed; feeds, connections and what answers take in memory are bounded and
//! timed).

mod access;
mod app;
mod basemap;
mod catalogue;
mod certificates;
mod city;
mod city_copies;
mod coding;
mod completeness;
mod connections;
mod console;
mod csv;
mod decisions;
mod department_certificates;
mod departments;
mod entrance;
mod etag;
mod guard;
mod import;
mod lampposts;
mod latest;
mod life;
mod lifelines;
mod limits;
mod listener;
mod live;
mod live_document;
mod login;
mod metrics;
mod missed;
mod observation;
mod openapi;
mod outboxes;
mod probes;
mod problem;
mod problem_kind;
mod problems;
mod query;
mod range;
mod readiness;
mod refused;
mod series;
mod series_data;
mod state;
mod step;
mod stops;
mod system;
mod tagged;
mod timestamp;
mod tokens;
mod unread;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, RwLock};

use axum::Router;
use axum::routing::get;
use lamplighter_protocol::Catalogue;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use access::{AccessToken, TokenError};
pub use basemap::{Basemap, BasemapError};
pub use console::Console;
pub use entrance::Entrance;
pub use lifelines::Lifelines;
pub use limits::WebLimits;
pub use listener::{BindError, PeopleListener, bind};
pub use metrics::WebMetrics;
pub use openapi::openapi;
pub use readiness::{Phase, Progress, Readiness};
pub use system::Figures;
pub use timestamp::Timestamp;

use self::app::App;
use crate::commands::Commands;
use crate::gateway::{Probe, Refusals, Sessions};
use crate::live::LiveHub;
use crate::registry::Registry;
use crate::roll::Roll;
use crate::store::Tail;

/// What the web reads from, and how much it grants.
#[derive(Clone)]
pub struct WebState {
    /// Observations.
    pub store: Arc<RwLock<Tail>>,
    /// Changes as they come.
    pub live: LiveHub,
    /// Which lampposts there are.
    pub registry: Registry,
    /// Which of them are connected.
    pub sessions: Sessions,
    /// What is refused to lampposts and strangers, until it is in the audit.
    pub refusals: Refusals,
    /// Where lampposts find the server.
    pub entrance: Entrance,
    /// Where all of them stand, and how they are.
    pub roll: Roll,
    /// What their agents have said of themselves.
    pub lifelines: Arc<dyn Lifelines>,
    /// What operators decide of outboxes.
    pub commands: Commands,
    /// The properties that the server knows.
    pub catalogue: Arc<Catalogue>,
    /// How far the server has come.
    pub readiness: Readiness,
    /// Whether a message comes through.
    pub probe: Probe,
    /// What `/` serves.
    pub console: Console,
    /// The city's own map, if there is one.
    pub basemap: Option<Basemap>,
    /// Lets people in.
    pub token: AccessToken,
    /// What `/metrics` prints.
    pub prometheus: Arc<prometheus_client::registry::Registry>,
    /// What the web itself counts; part of `prometheus`.
    pub metrics: WebMetrics,
    /// What the other rooms count; part of `prometheus`.
    pub figures: Figures,
    /// How much is granted.
    pub limits: WebLimits,
    /// Ends live feeds and the listener.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for WebState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebState").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

/// All operations behind their guards.
pub fn router(state: WebState) -> Router {
    let app = App::new(state);
    let (router, _described) = operations().split_for_parts();
    let beside_page = |router: Router<App>, path| router.route(path, get(console::beside_page));
    let router = app.console.beside_page().fold(router, beside_page);
    let router = router.fallback(guard::not_found).method_not_allowed_fallback(guard::method_not_allowed);
    guard::around(router, &app).with_state(app)
}

/// Serves people until [`WebState::stop`]; then live feeds end, answers under way are finished, and whoever takes
/// longer than [`WebLimits::stop`] is cut off.
///
/// # Errors
/// None so far: what goes wrong with a connection ends that connection alone.
pub async fn serve(listener: PeopleListener, state: WebState) -> io::Result<()> {
    let (stop, grace) = (state.stop.clone(), state.limits.stop);
    let listener = listener.limited(state.limits.connections, state.limits.idle);
    let serving = axum::serve(listener, router(state)).with_graceful_shutdown(stop.clone().cancelled_owned());
    let out_of_patience = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        served = serving => served,
        () = out_of_patience => {
            tracing::warn!(?grace, "people's connections did not end in time and are cut");
            Ok(())
        }
    }
}

/// The one list of operations: whatever the router serves is in the OpenAPI document, and the other way round. The
/// files beside the console's page alone are not, for they come and go with its build.
fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(console::console_page))
        .routes(routes!(console::console_asset))
        .routes(routes!(basemap::basemap_archive))
        .routes(routes!(basemap::basemap))
        .routes(routes!(login::login))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(live::live))
        .routes(routes!(problems::problem))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(catalogue::list_properties))
        .routes(routes!(city::city))
        .routes(routes!(city::city_states))
        .routes(routes!(latest::latest_of_fleet))
        .routes(routes!(lampposts::list_lampposts))
        .routes(routes!(lampposts::lamppost))
        .routes(routes!(life::places))
        .routes(routes!(life::replace_controller))
        .routes(routes!(life::relocate))
        .routes(routes!(life::retire))
        .routes(routes!(life::revive))
        .routes(routes!(latest::latest_of_lamppost))
        .routes(routes!(series::list_series))
        .routes(routes!(series_data::series_data))
        .routes(routes!(completeness::series_completeness))
        .routes(routes!(completeness::completeness))
        .routes(routes!(stops::list_stops))
        .routes(routes!(outboxes::list_outboxes))
        .routes(routes!(decisions::release_outbox))
        .routes(routes!(decisions::close_outbox))
        .routes(routes!(departments::list_departments, departments::add_department))
        .routes(routes!(departments::end_department))
        .routes(routes!(departments::add_department_key))
        .routes(routes!(departments::end_department_key))
        .routes(routes!(department_certificates::certify_department))
        .routes(routes!(department_certificates::end_department_certificate))
        .routes(routes!(departments::list_grants, departments::add_grant))
        .routes(routes!(departments::withdraw_grant))
        .routes(routes!(tokens::list_tokens, tokens::make_token))
        .routes(routes!(tokens::end_token))
        .routes(routes!(certificates::list_certificates))
        .routes(routes!(certificates::revoke_certificate))
        .routes(routes!(connections::list_connections))
        .routes(routes!(refused::list_refusals))
        .routes(routes!(import::import_lampposts))
        .routes(routes!(system::system))
}
