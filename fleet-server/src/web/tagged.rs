//! Lists that a client who asks again and again need not read again while nothing is different.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::city_copies::etag_of;

/// The answer with this document, named by `content`: what of the document says something, which the time at which it was
/// read does not. Without the document for a client that names the same content.
///
/// No cache keeps such an answer (`no-store`, as all that does not say otherwise): it has times in it that a page goes by.
pub(super) fn tagged(headers: &HeaderMap, content: &impl Serialize, document: impl Serialize) -> Response {
    let content = serde_json::to_vec(content).expect("a document has only text keys");
    let etag = etag_of(&content);
    let name = [(header::ETAG, etag.value())];
    if etag.is_known_to(headers) {
        return (StatusCode::NOT_MODIFIED, name).into_response();
    }
    (name, Json(document)).into_response()
}
