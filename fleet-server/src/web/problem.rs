//! Problem documents (RFC 9457): every answer of 400 and above is one, and says which kind it is by its `type`.
//!
//! `type` is a reference relative to this server, `/problems/{name}`, and there the kind explains itself. The only
//! errors without a document are those of HTTP itself: bytes that are no request never get this far.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::import::ListErrorDocument;
pub(super) use super::problem_kind::ProblemKind;
use super::readiness::Progress;
use super::timestamp::Timestamp;

/// A problem on its way to the client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    kind: ProblemKind,
    detail: String,
    parameter: Option<String>,
    floor: Option<UtcMillis>,
    progress: Option<Progress>,
    errors: Option<Box<ListErrors>>,
}

/// What is wrong with a list: the first of it, and how much there is.
#[derive(Clone, Debug, PartialEq)]
struct ListErrors {
    first: Vec<ListErrorDocument>,
    count: usize,
}

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// Which kind of problem it is, relative to this server; it explains itself there.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/problems/older-than-tail")]
    kind: String,
    /// The kind of problem in a few words, always the same ones.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, and what to do next.
    detail: String,
    /// Which parameter of path or query is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// With `older-than-tail`: the earliest time from which the server can answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    floor: Option<Timestamp>,
    /// With `rebuilding`: how far the server has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    progress: Option<Progress>,
    /// With `invalid-list`: what is wrong with it, in its order; the first thousand at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<ListErrorDocument>>,
    /// With `invalid-list`: how much is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors_count: Option<usize>,
}

impl Problem {
    /// A problem of this kind; `detail` says what is wrong this time, and what to do next.
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), parameter: None, floor: None, progress: None, errors: None }
    }

    /// A parameter breaks its rule.
    pub(super) fn invalid(parameter: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidParameter, detail).with_parameter(parameter)
    }

    /// What was asked for begins before the tail does.
    pub(super) fn older_than_tail(parameter: &str, floor: UtcMillis) -> Self {
        let detail = format!("the server holds this series from {} on: ask from there", Timestamp(floor));
        let problem = Self::new(ProblemKind::OlderThanTail, detail).with_parameter(parameter);
        Self { floor: Some(floor), ..problem }
    }

    /// The server has not read its journal yet.
    pub(super) fn rebuilding(progress: Progress) -> Self {
        let Progress { entries, bytes } = progress;
        let detail =
            format!("{entries} journal entries ({bytes} bytes) are read so far; ask again in a moment");
        Self { progress: Some(progress), ..Self::new(ProblemKind::Rebuilding, detail) }
    }

    /// Names the parameter that is wrong.
    pub(super) fn with_parameter(self, parameter: &str) -> Self {
        Self { parameter: Some(parameter.to_owned()), ..self }
    }

    /// Names what is wrong with a list: the first of so many.
    pub(super) fn with_errors(self, first: Vec<ListErrorDocument>, count: usize) -> Self {
        Self { errors: Some(Box::new(ListErrors { first, count })), ..self }
    }

    fn document(self) -> ProblemDocument {
        let errors_count = self.errors.as_ref().map(|errors| errors.count);
        ProblemDocument {
            kind: self.kind.type_uri(),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail,
            parameter: self.parameter,
            floor: self.floor.map(Timestamp),
            progress: self.progress,
            errors: self.errors.map(|errors| errors.first),
            errors_count,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = self.kind;
        let body = serde_json::to_string(&self.document()).expect("a problem document has only text keys");
        let mut response = (kind.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if kind.status() == StatusCode::UNAUTHORIZED {
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Lamplighter\""));
        }
        if kind.status() == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if kind.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

/// Media type of a problem document.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// These kinds as responses of an operation, one for each status.
pub(super) fn responses(kinds: &[ProblemKind]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let mut by_status: BTreeMap<String, Vec<ProblemKind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status().as_str().to_owned()).or_default().push(*kind);
    }
    by_status.into_iter().map(|(status, kinds)| (status, RefOr::T(response_of(&kinds)))).collect()
}

/// Lets the response of an operation to a status also say what the guards answer with it.
pub(super) fn merge_description(
    own: &mut RefOr<utoipa::openapi::Response>,
    of_guards: &RefOr<utoipa::openapi::Response>,
) {
    if let (RefOr::T(own), RefOr::T(of_guards)) = (own, of_guards)
        && !own.description.contains(&of_guards.description)
    {
        own.description = format!("{} {}", own.description, of_guards.description);
    }
}

fn response_of(kinds: &[ProblemKind]) -> utoipa::openapi::Response {
    let lines: Vec<String> =
        kinds.iter().map(|kind| format!("`{}`: {}.", kind.type_uri(), kind.title())).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(lines.join(" ")).content(CONTENT_TYPE, content).build()
}
