//! Enrolment over HTTP: three routes, and nothing beside them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt as _;
use lamplighter_protocol::LamppostNumber;

use super::login::Login;
use super::metrics::Operation;
use super::pkcs7::certs_only;
use super::refusal::Refusal;
use super::request::LONGEST_REQUEST;
use super::{Est, Issued};
use crate::gateway::Caller;

/// Bytes of a body that are read for nothing, so that a client that sends too many gets to read why not.
const MOST_FOR_NOTHING: usize = 1024 * 1024;

impl Est {
    /// What the gateway serves by HTTP: enrolment, and nothing else.
    pub fn router(self) -> Router {
        Router::new()
            .route("/.well-known/est/cacerts", get(ca_certificates))
            .route("/.well-known/est/simpleenroll", post(enrol))
            .route("/.well-known/est/simplereenroll", post(renew))
            .fallback(|| async {
                (StatusCode::NOT_FOUND, "lampposts are enrolled here, and nothing else is served\n")
            })
            .with_state(Arc::new(self))
    }
}

async fn ca_certificates(State(est): State<Arc<Est>>) -> Response {
    est.metrics.count(Operation::CaCertificates, Ok(()));
    let authority = est.authority.get();
    hand_out(&authority.published().map(AsRef::as_ref).collect::<Vec<_>>())
}

async fn enrol(
    State(est): State<Arc<Est>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let login = Login::of(&parts.headers);
    let outcome = async {
        let login = est.log_in(login.as_ref()).await?;
        est.enrol(caller.peer, login, &read(&parts.headers, body).await?).await
    };
    let outcome = outcome.await;
    answer(&est, Operation::Enrol, (login.as_ref().map(|login| &login.number), caller.peer), outcome)
}

async fn renew(
    State(est): State<Arc<Est>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let outcome = async {
        let shown = caller.certificate.as_ref().ok_or(Refusal::NoCertificate)?;
        est.renew(caller.peer, shown, &read(&parts.headers, body).await?).await
    };
    let outcome = outcome.await;
    let number = caller.certificate.as_ref().map(|certificate| &certificate.number);
    answer(&est, Operation::Renew, (number, caller.peer), outcome)
}

fn answer(
    est: &Est,
    operation: Operation,
    asked: (Option<&LamppostNumber>, SocketAddr),
    outcome: Result<Issued, Refusal>,
) -> Response {
    est.note(operation, asked, outcome.as_ref().map(drop).map_err(|refusal| *refusal));
    match outcome {
        Ok(certificate) => hand_out(&[&certificate]),
        Err(refusal) => refusal.response(),
    }
}

fn hand_out(certificates: &[&[u8]]) -> Response {
    let kind = HeaderValue::from_static("application/pkcs7-mime; smime-type=certs-only");
    let coding = HeaderValue::from_static("base64");
    let mut response = certs_only(certificates).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert("content-transfer-encoding", coding);
    response
}

/// The body of a request for a certificate.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/pkcs10") {
        return Err(Refusal::MediaType);
    }
    let (mut chunks, mut bytes, mut count) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Cut)?;
        count += chunk.len();
        if count > MOST_FOR_NOTHING {
            break;
        }
        if count <= LONGEST_REQUEST {
            bytes.extend_from_slice(&chunk);
        }
    }
    if count > LONGEST_REQUEST { Err(Refusal::TooLong) } else { Ok(bytes) }
}
