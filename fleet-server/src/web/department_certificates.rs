//! Certificates by which departments log in to feeds: issued and ended by operators. They are listed with the departments.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::departments::{DepartmentPath, refused};
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, FromPath, InPath, NoParameters, Parameters, PathParameters};
use super::timestamp::Timestamp;
use crate::audit::Actor;
use crate::ca::{LamppostKey, NotAValidity, Validity};
use crate::clock;
use crate::est::requested_key;
use crate::feeds::DepartmentName;
use crate::registry::{CertificateSerial, DepartmentCertificate};

/// A certificate of a department.
#[derive(Serialize, ToSchema)]
pub(super) struct DepartmentCertificateDocument {
    /// Its serial number, in hexadecimal.
    serial: String,
    /// When it was issued.
    issued: Timestamp,
    /// The last moment at which it is good.
    until: Timestamp,
    /// Whether its time is over.
    is_expired: bool,
}

/// A certificate that was issued now.
#[derive(Serialize, ToSchema)]
pub(super) struct NewDepartmentCertificateDocument {
    /// What is kept of it.
    certificate: DepartmentCertificateDocument,
    /// The certificate itself, in PEM.
    pem: String,
    /// The certificate of the fleet's CA, in PEM: by it the department knows the server.
    ca_pem: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NewDepartmentCertificate {
    /// The request, PKCS#10 in PEM, signed with the department's own key: ECDSA on P-256. Of it the key alone is used.
    #[param(value_type = String)]
    request: LamppostKey,
    /// For how many days the certificate is good.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 3650, default = 365)]
    days: Validity,
}

impl FromParameters for NewDepartmentCertificate {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let request = from.optional("request", requested_key)?;
        let days = |text: &str| Validity::days(text.parse().map_err(|_| NotAValidity)?);
        Ok(Self {
            request: request.ok_or_else(|| Problem::invalid("request", "give a request in PEM"))?,
            days: from.optional("days", days)?.unwrap_or(Validity::DEPARTMENT),
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DepartmentCertificatePath {
    /// The name of the department.
    #[param(value_type = String, example = "traffic")]
    name: DepartmentName,
    /// Serial number of the certificate, in hexadecimal.
    #[param(value_type = String, example = "4a01")]
    serial: CertificateSerial,
}

impl FromPath for DepartmentCertificatePath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { name: from.get("name")?, serial: from.get("serial")? })
    }
}

/// Issue a certificate to a department
///
/// The department's system has made the key itself and keeps it. It logs in by the certificate, without name and key.
#[utoipa::path(
    post, path = "/api/v1/departments/{name}/certificates", tag = "departments",
    params(DepartmentPath, NewDepartmentCertificate),
    responses((status = 200, description = "It is issued", body = NewDepartmentCertificateDocument), CertifyProblems)
)]
pub(super) async fn certify_department(
    State(app): State<App>,
    InPath(DepartmentPath { name }): InPath<DepartmentPath>,
    Asked(NewDepartmentCertificate { request, days }): Asked<NewDepartmentCertificate>,
) -> Result<Json<NewDepartmentCertificateDocument>, Problem> {
    let now = clock::wall();
    let authority = app.entrance.authority.get();
    let (pem, record) = authority.certify_department(&name, &request, days, now).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no certificate was issued");
        Problem::new(ProblemKind::Internal, "no certificate was issued; the log says why")
    })?;
    let added = app.registry.add_department_certificate(&record, &Actor::Console).await;
    added.map_err(|error| refused(&error))?;
    let certificate = DepartmentCertificateDocument::of(&record, now);
    let ca_pem = authority.certificate_pem().to_owned();
    Ok(Json(NewDepartmentCertificateDocument { certificate, pem, ca_pem }))
}

/// End a certificate of a department
///
/// Who is connected with it is thrown out within seconds.
#[utoipa::path(
    delete, path = "/api/v1/departments/{name}/certificates/{serial}", tag = "departments",
    params(DepartmentCertificatePath),
    responses((status = 204, description = "It is ended"), EndProblems)
)]
pub(super) async fn end_department_certificate(
    State(app): State<App>,
    InPath(DepartmentCertificatePath { name, serial }): InPath<DepartmentCertificatePath>,
    _: Asked<NoParameters>,
) -> Result<StatusCode, Problem> {
    let now = clock::wall();
    let ended = app.registry.end_department_certificate(&serial, Some(&name), now, &Actor::Console).await;
    ended.map(|_| StatusCode::NO_CONTENT).map_err(|error| refused(&error))
}

impl DepartmentCertificateDocument {
    pub(super) fn of(record: &DepartmentCertificate, now: UtcMillis) -> Self {
        Self {
            serial: record.serial.to_string(),
            issued: Timestamp(record.issued),
            until: Timestamp(record.not_after),
            is_expired: record.is_expired(now),
        }
    }
}

problems!(
    CertifyProblems: InvalidParameter,
    UnknownParameter,
    UnknownDepartment,
    TooMany,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(
    EndProblems: InvalidParameter,
    UnknownParameter,
    UnknownCertificate,
    ForeignOrigin,
    RegistryUnavailable,
);
