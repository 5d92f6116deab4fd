//! The description of all this: OpenAPI 3.1, generated from the handlers.

use std::sync::OnceLock;

use axum::Extension;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, SecurityRequirement};

use super::live_document::{LiveChangesDocument, LiveReset, LiveTime};
use super::problem::{self, Problem, ProblemDocument, ProblemKind};
use super::query::{Asked, NoParameters};
use super::unread::Shared;
use super::{access, guard, operations};

/// Declares the problems that an operation answers with by itself, beyond those of the guards.
macro_rules! problems {
    ($name:ident: $($kind:ident),+ $(,)?) => {
        /// The problems that the operations of this module answer with.
        pub(super) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                $crate::web::problem::responses(&[$($crate::web::problem::ProblemKind::$kind),+])
            }
        }
    };
}
pub(super) use problems;

const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Lamplighter fleet server",
        description = "What the lampposts of a city observe, and how they are.\n\nEvery value comes with its unit \
                       (UCUM), its time and its quality (`good`, `uncertain`, `bad`) and the reason when it is less \
                       than good. A bad observation has no value: `value` is null, and never a number that stands \
                       for an error.\n\nTimes are written by RFC 3339 in UTC, to the millisecond; in a query, \
                       offsets and whole milliseconds since 1970 are taken as well. A range of time takes in `from` \
                       and leaves out `to`. An unknown query parameter is refused.\n\nEvery error is a problem \
                       document (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    components(schemas(ProblemDocument, LiveChangesDocument, LiveReset, LiveTime)),
    tags(
        (name = "lampposts", description = "Lampposts and how they are"),
        (name = "observations", description = "What they observe"),
        (name = "departments", description = "Who may listen to what, over MQTT"),
        (name = "enrolment", description = "Who may join, who is connected, who was refused"),
        (name = "operations", description = "How the server is"),
        (name = "access", description = "The way in, and what goes wrong"),
    ),
)]
struct Head;

/// What the document says before any operation is added.
pub(super) fn head() -> OpenApi {
    Head::openapi()
}

/// The OpenAPI 3.1 document of everything that the people's listener serves.
pub fn openapi() -> OpenApi {
    let mut document = operations().into_openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme(
        COOKIE,
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(access::COOKIE))),
    );
    for (path, item) in &mut document.paths.paths {
        add_guards(path, item);
    }
    document
}

/// What the guards do to every operation: who is let in, and what they answer with.
fn add_guards(path: &str, item: &mut PathItem) {
    for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
        add_guards_to(path, operation);
    }
}

fn add_guards_to(path: &str, operation: &mut Operation) {
    let mut kinds = guard::PROBLEMS.to_vec();
    if !access::is_open(path) {
        kinds.push(ProblemKind::Unauthorised);
        let either =
            [BEARER, COOKIE].map(|scheme| SecurityRequirement::new::<_, [&str; 0], &str>(scheme, []));
        operation.security = Some(either.into());
    }
    for (status, response) in problem::responses(&kinds) {
        let own = operation.responses.responses.entry(status).or_insert_with(|| response.clone());
        problem::merge_description(own, &response);
    }
}

/// This document
///
/// OpenAPI 3.1, generated from the code that serves it.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "operations",
    responses((status = 200, description = "The document", body = Object), OpenApiProblems)
)]
pub(super) async fn openapi_json(_: Asked<NoParameters>) -> Result<Response, Problem> {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| openapi().to_json().expect("the document has only text keys"));
    Ok((Extension(Shared), [(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response())
}

problems!(OpenApiProblems: UnknownParameter);
