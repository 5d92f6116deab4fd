//! Who is connected to the gateway.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use lamplighter_protocol::LamppostNumber;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::openapi::problems;
use super::problem::Problem;
use super::query::{Asked, FromParameters, Parameters};
use super::tagged::tagged;
use super::timestamp::Timestamp;
use crate::clock;
use crate::gateway::SessionInfo;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ConnectionsQuery {
    /// Only lampposts past this one, in the order of their numbers: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<LamppostNumber>,
    /// How many connections at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

impl FromParameters for ConnectionsQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { after: from.optional("after", LamppostNumber::new)?, limit: from.limit(100, 1000)? })
    }
}

/// Some connections, in the order of the lampposts' numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionPage {
    /// When they were read, by the server's clock.
    time: Timestamp,
    /// How many lampposts are connected, all together.
    total: usize,
    /// The connections.
    connections: Vec<LamppostConnection>,
    /// `after` of the next page; null on the last one.
    #[schema(value_type = Option<String>, required = true)]
    next: Option<LamppostNumber>,
}

/// The connection of a lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct LamppostConnection {
    /// The lamppost.
    #[schema(value_type = String, example = "DF3637")]
    lamppost: LamppostNumber,
    connection: ConnectionDocument,
}

/// A connection that is open now.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionDocument {
    /// When the lamppost logged in.
    since: Timestamp,
    /// When its last message came.
    last_message: Timestamp,
    /// Where it calls from: address and port.
    #[schema(example = "10.20.30.40:50123")]
    peer: String,
    /// Serial number of the certificate that it has shown, in hexadecimal.
    certificate: String,
    /// Whether it listens to what the server says.
    subscribed: bool,
}

/// Connections
///
/// The lampposts that are connected, page by page.
#[utoipa::path(
    get, path = "/api/v1/connections", tag = "enrolment", params(ConnectionsQuery),
    responses(
        (
            status = 200, description = "Some connections", body = ConnectionPage,
            headers(("ETag" = String, description = "Goes by all but `time`"))
        ),
        (status = 304, description = "Nothing is different from what is known"),
        ConnectionsProblems
    )
)]
pub(super) async fn list_connections(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(query): Asked<ConnectionsQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit as usize;
    let page = move |state: &super::WebState| {
        let found = state.sessions.page(query.after.as_ref(), limit + 1);
        (state.sessions.count(), found)
    };
    let (total, mut found) = app.blocking(page).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(number, _)| number.clone());
    let connection = |(lamppost, session): (LamppostNumber, SessionInfo)| LamppostConnection {
        lamppost,
        connection: session.into(),
    };
    let connections = found.into_iter().map(connection).collect();
    let page = ConnectionPage { time: Timestamp(clock::wall()), total, connections, next };
    Ok(tagged(&headers, &(page.total, &page.connections, &page.next), &page))
}

impl From<SessionInfo> for ConnectionDocument {
    fn from(session: SessionInfo) -> Self {
        Self {
            since: Timestamp(session.since),
            last_message: Timestamp(session.last_message),
            peer: session.peer.to_string(),
            certificate: session.certificate_serial,
            subscribed: session.subscribed,
        }
    }
}

problems!(ConnectionsProblems: InvalidParameter, UnknownParameter, Rebuilding);
