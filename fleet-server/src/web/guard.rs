//! What every request passes on its way in, and every answer on its way out.
//!
//! From the outside in: log and count; headers that keep browsers strict; compression; the Host; the token; no body,
//! but where lampposts are imported; the time limit; what answers take in memory.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};

use super::access;
use super::app::App;
use super::coding;
use super::import;
use super::problem::{Problem, ProblemKind};
use super::unread::{self, Unread};
use crate::clock;

/// Headers of every answer: no type is guessed, no page of another site embeds it, and no link out of it says where
/// it came from.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Headers of every answer whose handler does not say otherwise: nothing is kept by caches, and nothing in it runs or
/// is framed.
const UNLESS_SAID: [(HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// The problems that the guards themselves answer with, for every operation.
pub(super) const PROBLEMS: [ProblemKind; 5] = [
    ProblemKind::BodyNotTaken,
    ProblemKind::ForeignHost,
    ProblemKind::Internal,
    ProblemKind::TooSlow,
    ProblemKind::TooMuchUnread,
];

/// Puts the guards around a router.
pub(super) fn around(router: Router<App>, app: &App) -> Router<App> {
    // The last layer is the outermost one.
    let unread = Unread::new(app.limits.unread, app.limits.take);
    let router = unread::around(router, unread)
        .layer(middleware::from_fn_with_state(app.clone(), in_time))
        .layer(middleware::from_fn(without_body))
        .layer(middleware::from_fn_with_state(app.clone(), with_token))
        .layer(middleware::from_fn(for_this_host));
    coding::around(router)
        .layer(middleware::from_fn(strict_headers))
        .layer(middleware::from_fn_with_state(app.clone(), counted))
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(128).collect();
    let detail =
        format!("no operation has the path {path}; /api/v1/openapi.json describes those that there are");
    Problem::new(ProblemKind::NotFound, detail)
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(128).collect();
    Problem::new(
        ProblemKind::MethodNotAllowed,
        format!("{path} does not take {method}; what it takes is in the header Allow"),
    )
}

/// Counts and logs. The query stays out of the log: that of /login carries the token.
async fn counted(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = clock::monotonic();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let (status, took) = (response.status(), clock::monotonic().duration_since(begun));
    app.metrics.answered(status, took);
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(%method, path, status = status.as_u16(), ?took, "a request failed");
    } else {
        tracing::debug!(%method, path, status = status.as_u16(), ?took, "a request was answered");
    }
    response
}

async fn strict_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in UNLESS_SAID {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn for_this_host(request: Request, next: Next) -> Response {
    let named = hosts(request.headers(), request.uri());
    if named.as_ref().is_some_and(|hosts| hosts.iter().all(|host| access::is_loopback(host))) {
        if !reads(request.method()) && is_foreign(request.headers()) {
            let detail = "decide this in the console itself, or with a tool";
            return Problem::new(ProblemKind::ForeignOrigin, detail).into_response();
        }
        return next.run(request).await;
    }
    let detail = "open this server as http://127.0.0.1:PORT or http://localhost:PORT, on its own machine";
    Problem::new(ProblemKind::ForeignHost, detail).into_response()
}

fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Whether a browser says that a page of another origin makes this request. Its cookie would come along from another port
/// of this machine, which browsers take for the same site.
fn is_foreign(headers: &HeaderMap) -> bool {
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        origin.is_some() && origin == host
    };
    !headers.get_all(header::ORIGIN).iter().all(is_own)
}

/// The hosts that a request names: one Host header, and the authority of its target if that has one.
fn hosts<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<Vec<&'a str>> {
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return None };
    let mut hosts = vec![host.to_str().ok()?];
    hosts.extend(uri.authority().map(axum::http::uri::Authority::as_str));
    Some(hosts)
}

async fn with_token(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if access::is_open(path) || app.console.has(path) || app.token.admits(request.headers()) {
        return next.run(request).await;
    }
    Problem::new(
        ProblemKind::Unauthorised,
        "open the link that the server printed when it started, or send the token in it as `Authorization: Bearer \
         TOKEN`; a token ends with the server's run",
    )
    .into_response()
}

async fn without_body(request: Request, next: Next) -> Response {
    // Other methods are refused as such, which says more.
    let decides = [Method::POST, Method::DELETE].contains(request.method());
    let is_taken = reads(request.method()) || decides;
    let is_import = import::is_import(request.method(), request.uri().path());
    if is_taken && !is_import && has_body(request.headers()) {
        let detail = "leave the body out: all parameters are in path and query";
        return Problem::new(ProblemKind::BodyNotTaken, detail).into_response();
    }
    next.run(request).await
}

fn has_body(headers: &HeaderMap) -> bool {
    let some_length = |value: &HeaderValue| value.as_bytes() != b"0";
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(some_length)
}

/// A live feed is answered at once, and then goes on: the limit is on the way to the answer.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_import = import::is_import(request.method(), request.uri().path());
    let limit = if is_import { app.limits.import } else { app.limits.answer };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            let detail = format!("there was no answer within {limit:?}; ask for less, or again later");
            Problem::new(ProblemKind::TooSlow, detail).into_response()
        }
    }
}
