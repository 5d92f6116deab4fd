//! Certificates of lampposts: which there are, how things stand with them, and their revocation.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, FromPath, InPath, Parameters, PathParameters};
use super::tagged::tagged;
use super::timestamp::Timestamp;
use crate::audit::Actor;
use crate::clock;
use crate::registry::{
    CertificateSerial, CertificateShown, CertificateState, CertificatesAsked, RegistryError, Revoke, reason,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CertificatesQuery {
    /// Only certificates of this lamppost.
    #[param(value_type = Option<String>, example = "DF3637")]
    lamppost: Option<LamppostNumber>,
    /// Only certificates with which things stand like this.
    #[param(value_type = Option<CertificateStateName>)]
    state: Option<CertificateStateName>,
    /// With `true` only certificates that are not replaced: after which their lamppost was given no other one.
    #[param(value_type = Option<bool>, default = false)]
    newest: bool,
    /// Only certificates past the one of this serial number: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<CertificateSerial>,
    /// How many certificates at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: u32,
}

impl FromParameters for CertificatesQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self {
            lamppost: from.optional("lamppost", LamppostNumber::new)?,
            state: from.optional("state", CertificateStateName::parse)?,
            newest: from
                .optional("newest", |text| text.parse().map_err(|_| "it is true or false"))?
                .unwrap_or(false),
            after: from.optional("after", str::parse)?,
            limit: from.limit(50, 1000)?,
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CertificatePath {
    /// Serial number of the certificate, in hexadecimal.
    #[param(value_type = String, example = "4a01")]
    serial: CertificateSerial,
}

impl FromPath for CertificatePath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { serial: from.get("serial")? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RevocationQuery {
    /// Why, for the audit: a line of up to 200 characters.
    #[param(value_type = Option<String>, example = "stolen")]
    reason: Option<String>,
}

impl FromParameters for RevocationQuery {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { reason: from.optional("reason", reason)? })
    }
}

/// Some certificates. Those that end soon are in the order in which they end, those that are revoked by when that was, the
/// newest first; all others by their end, the latest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CertificatePage {
    /// When they were read, by the server's clock.
    time: Timestamp,
    /// The certificates.
    certificates: Vec<CertificateDocument>,
    /// `after` of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// A certificate that was issued to a lamppost.
#[derive(Serialize, ToSchema)]
pub(super) struct CertificateDocument {
    /// Its serial number, in hexadecimal.
    serial: String,
    /// The lamppost.
    #[schema(value_type = String, example = "DF3637")]
    lamppost: LamppostNumber,
    state: CertificateStateName,
    /// Whether the lamppost was given another one since that is not revoked: what becomes of this one matters to nobody.
    replaced: bool,
    /// When it was issued.
    issued: Timestamp,
    /// The last moment at which it is good, or was going to be.
    until: Timestamp,
    /// Since when it is revoked; null if it is not.
    #[schema(required = true)]
    revoked: Option<Timestamp>,
}

/// `good`: it is. `ends_soon`: less than a quarter of its life is left, and less than 30 days: a lamppost that renews its own
/// has failed to. `expired`: its time is over. `revoked`: it is not to be trusted any more.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CertificateState)]
pub(super) enum CertificateStateName {
    Good,
    EndsSoon,
    Expired,
    Revoked,
}

impl CertificateStateName {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "good" => Ok(Self::Good),
            "ends_soon" => Ok(Self::EndsSoon),
            "expired" => Ok(Self::Expired),
            "revoked" => Ok(Self::Revoked),
            _ => Err("it is good, ends_soon, expired or revoked"),
        }
    }
}

/// Certificates
///
/// The certificates that were issued to lampposts, page by page.
#[utoipa::path(
    get, path = "/api/v1/certificates", tag = "enrolment", params(CertificatesQuery),
    responses(
        (
            status = 200, description = "Some certificates", body = CertificatePage,
            headers(("ETag" = String, description = "Goes by all but `time`"))
        ),
        (status = 304, description = "Nothing is different from what is known"),
        CertificatesProblems
    )
)]
pub(super) async fn list_certificates(
    State(app): State<App>,
    headers: HeaderMap,
    Asked(query): Asked<CertificatesQuery>,
) -> Result<Response, Problem> {
    let after = match &query.after {
        Some(serial) => {
            let record = app.registry.certificate(serial).await.map_err(|error| registry_problem(&error))?;
            let unknown =
                || Problem::invalid("after", "no certificate of this serial number was issued here");
            Some(record.ok_or_else(unknown)?)
        }
        None => None,
    };
    let asked = CertificatesAsked {
        lamppost: query.lamppost,
        state: query.state.map(CertificateState::from),
        only_newest: query.newest,
    };
    let now = clock::wall();
    let found = app.registry.certificate_page(&asked, after.as_ref(), query.limit + 1, now).await;
    let mut found = found.map_err(|error| registry_problem(&error))?;
    let more = found.len() > query.limit as usize;
    found.truncate(query.limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.record.serial.to_string());
    let certificates = found.into_iter().map(|one| document(one, now)).collect();
    let page = CertificatePage { time: Timestamp(now), certificates, next };
    Ok(tagged(&headers, &(&page.certificates, &page.next), &page))
}

/// Revoke a certificate
///
/// Who is connected with it is thrown out within two seconds, and nobody logs in with it any more. This cannot be undone: the
/// lamppost needs a token then. One that was revoked before stays as it is.
#[utoipa::path(
    post, path = "/api/v1/certificates/{serial}/revocation", tag = "enrolment",
    params(CertificatePath, RevocationQuery),
    responses((status = 200, description = "It is revoked", body = CertificateDocument), RevocationProblems)
)]
pub(super) async fn revoke_certificate(
    State(app): State<App>,
    InPath(path): InPath<CertificatePath>,
    Asked(query): Asked<RevocationQuery>,
) -> Result<Json<CertificateDocument>, Problem> {
    let now = clock::wall();
    let what = Revoke::Certificate(path.serial.clone());
    let revoked = app.registry.revoke(&what, query.reason.as_deref(), now, &Actor::Console).await;
    match revoked {
        Ok(_) => {}
        Err(RegistryError::NoCertificate { serial }) => {
            let detail = format!("no certificate with the serial number {serial} was issued here");
            return Err(Problem::new(ProblemKind::UnknownCertificate, detail).with_parameter("serial"));
        }
        Err(error) => return Err(registry_problem(&error)),
    }
    let shown = app.registry.certificate_shown(&path.serial).await;
    let shown = shown.map_err(|error| registry_problem(&error))?;
    // One that was issued is never deleted.
    let gone = || Problem::new(ProblemKind::Internal, "what was revoked just now is not there any more");
    Ok(Json(document(shown.ok_or_else(gone)?, now)))
}

fn document(
    CertificateShown { record, is_replaced }: CertificateShown,
    now: UtcMillis,
) -> CertificateDocument {
    CertificateDocument {
        serial: record.serial.to_string(),
        state: match record.state(now) {
            CertificateState::Good => CertificateStateName::Good,
            CertificateState::Soon => CertificateStateName::EndsSoon,
            CertificateState::Expired => CertificateStateName::Expired,
            CertificateState::Revoked => CertificateStateName::Revoked,
        },
        replaced: is_replaced,
        issued: Timestamp(record.issued),
        until: Timestamp(record.not_after),
        revoked: record.revoked.map(Timestamp),
        lamppost: record.lamppost,
    }
}

impl From<CertificateStateName> for CertificateState {
    fn from(name: CertificateStateName) -> Self {
        match name {
            CertificateStateName::Good => Self::Good,
            CertificateStateName::EndsSoon => Self::Soon,
            CertificateStateName::Expired => Self::Expired,
            CertificateStateName::Revoked => Self::Revoked,
        }
    }
}

problems!(CertificatesProblems: InvalidParameter, UnknownParameter, RegistryUnavailable);
problems!(
    RevocationProblems: InvalidParameter, UnknownParameter, UnknownCertificate, ForeignOrigin, RegistryUnavailable
);
