//! Departments, their API keys and what they may hear: listed, and decided by operators. Their certificates are listed here, too.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use lamplighter_protocol::UtcMillis;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::app::{App, registry_problem};
use super::department_certificates::DepartmentCertificateDocument;
use super::openapi::problems;
use super::problem::{Problem, ProblemKind};
use super::query::{Asked, FromParameters, FromPath, InPath, NoParameters, Parameters, PathParameters};
use super::tagged::tagged;
use super::timestamp::Timestamp;
use crate::audit::Actor;
use crate::clock;
use crate::feeds::{AccessKeyId, DepartmentName, Filter};
use crate::registry::{
    ApiKey, DepartmentRecord, GrantId, GrantRecord, KeyDays, KeyRecord, Label, RegistryError,
};

/// Every department that there is.
#[derive(Serialize, ToSchema)]
pub(super) struct DepartmentsDocument {
    /// By name.
    departments: Vec<DepartmentDocument>,
}

/// A department, its keys, its certificates and its grants.
#[derive(Serialize, ToSchema)]
pub(super) struct DepartmentDocument {
    /// What it logs in with.
    #[schema(example = "traffic")]
    name: String,
    /// What people call it.
    #[schema(example = "Transport Department")]
    title: String,
    /// When it was added.
    created: Timestamp,
    /// Its API keys that nobody has ended, the oldest first.
    keys: Vec<KeyDocument>,
    /// Certificates that it logs in by, and that nobody has ended, the oldest first.
    certificates: Vec<DepartmentCertificateDocument>,
    /// What it may hear, the oldest first.
    grants: Vec<GrantDocument>,
}

/// An API key, without itself: only who made it was shown it.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyDocument {
    /// Names it among the keys of all departments.
    id: u32,
    /// What it is for; null if nobody said.
    #[schema(required = true)]
    note: Option<String>,
    /// When it was made.
    created: Timestamp,
    /// From when on it is good no more; null if that is when somebody ends it.
    #[schema(required = true)]
    expires: Option<Timestamp>,
    /// Whether its time is over.
    is_expired: bool,
}

/// An API key that was made now.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyDocument {
    /// What is kept of it.
    key: KeyDocument,
    /// The key itself, which is shown this once: the password of a login whose user name is the department's name.
    api_key: String,
}

/// What a department may hear.
#[derive(Serialize, ToSchema)]
pub(super) struct GrantsDocument {
    /// The oldest first.
    grants: Vec<GrantDocument>,
}

/// A grant.
#[derive(Serialize, ToSchema)]
pub(super) struct GrantDocument {
    /// Names it among the grants of all departments.
    id: u32,
    /// What may be heard: an MQTT topic filter.
    #[schema(example = "highway/traffic/#")]
    filter: String,
    /// When it was granted.
    created: Timestamp,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NewDepartment {
    /// What it is to log in with: 1 to 32 of a-z 0-9 -, and a letter first. A name is given once.
    #[param(value_type = String, example = "traffic")]
    name: DepartmentName,
    /// What people call it: a line of up to 80 characters.
    #[param(value_type = String, example = "Transport Department")]
    title: Label,
}

impl FromParameters for NewDepartment {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let (name, title) = (from.optional("name", str::parse)?, from.optional("title", str::parse)?);
        Ok(Self {
            name: name.ok_or_else(|| Problem::invalid("name", "give the department a name"))?,
            title: title.ok_or_else(|| Problem::invalid("title", "give the department a title"))?,
        })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NewKey {
    /// What it is for: a line of up to 80 characters.
    #[param(value_type = Option<String>, example = "signal control")]
    note: Option<Label>,
    /// For how many days it is good; until somebody ends it if this is not given.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    days: Option<KeyDays>,
}

impl FromParameters for NewKey {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        Ok(Self { note: from.optional("note", str::parse)?, days: from.optional("days", str::parse)? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NewGrant {
    /// What may be heard: an MQTT topic filter in `highway/{theme}/{district}/{lamppost}/{property}[/{channel}]`.
    #[param(value_type = String, example = "highway/traffic/#")]
    filter: Filter,
}

impl FromParameters for NewGrant {
    fn take(from: &mut Parameters) -> Result<Self, Problem> {
        let filter = from.optional("filter", str::parse)?;
        Ok(Self { filter: filter.ok_or_else(|| Problem::invalid("filter", "say what may be heard"))? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DepartmentPath {
    /// The name of the department.
    #[param(value_type = String, example = "traffic")]
    pub(super) name: DepartmentName,
}

impl FromPath for DepartmentPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { name: from.get("name")? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct KeyPath {
    /// The name of the department.
    #[param(value_type = String, example = "traffic")]
    name: DepartmentName,
    /// The number of the key.
    #[param(value_type = u32)]
    id: AccessKeyId,
}

impl FromPath for KeyPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { name: from.get("name")?, id: from.get("id")? })
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct GrantPath {
    /// The name of the department.
    #[param(value_type = String, example = "traffic")]
    name: DepartmentName,
    /// The number of the grant.
    #[param(value_type = u32)]
    id: GrantId,
}

impl FromPath for GrantPath {
    fn take(from: &PathParameters) -> Result<Self, Problem> {
        Ok(Self { name: from.get("name")?, id: from.get("id")? })
    }
}

/// List departments
///
/// With their API keys and certificates that nobody has ended, and what they may hear. What has ended is in the audit.
#[utoipa::path(
    get, path = "/api/v1/departments", tag = "departments",
    responses(
        (
            status = 200, description = "The departments", body = DepartmentsDocument,
            headers(("ETag" = String, description = "Goes by all of it"))
        ),
        (status = 304, description = "Nothing is different from what is known"),
        ListProblems
    )
)]
pub(super) async fn list_departments(
    State(app): State<App>,
    headers: HeaderMap,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    let now = clock::wall();
    let departments = app.registry.departments().await.map_err(|error| refused(&error))?;
    let departments = departments.into_iter().map(|one| DepartmentDocument::of(one, now)).collect();
    let document = DepartmentsDocument { departments };
    Ok(tagged(&headers, &document, &document))
}

/// Add a department
///
/// It hears nothing until it has a key or a certificate, and a grant.
#[utoipa::path(
    post, path = "/api/v1/departments", tag = "departments", params(NewDepartment),
    responses((status = 200, description = "It is added", body = DepartmentDocument), AddDepartmentProblems)
)]
pub(super) async fn add_department(
    State(app): State<App>,
    Asked(NewDepartment { name, title }): Asked<NewDepartment>,
) -> Result<Json<DepartmentDocument>, Problem> {
    let now = clock::wall();
    let added = app.registry.add_department(&name, &title, now, &Actor::Console).await;
    Ok(Json(DepartmentDocument::of(added.map_err(|error| refused(&error))?, now)))
}

/// End a department
///
/// None of its keys, certificates and grants is good for anything any more; who listens is thrown out within seconds. Its name
/// is not given again.
#[utoipa::path(
    delete, path = "/api/v1/departments/{name}", tag = "departments", params(DepartmentPath),
    responses((status = 204, description = "It is ended"), DepartmentProblems)
)]
pub(super) async fn end_department(
    State(app): State<App>,
    InPath(DepartmentPath { name }): InPath<DepartmentPath>,
    _: Asked<NoParameters>,
) -> Result<StatusCode, Problem> {
    let ended = app.registry.end_department(&name, clock::wall(), &Actor::Console).await;
    ended.map(|_| StatusCode::NO_CONTENT).map_err(|error| refused(&error))
}

/// Make an API key for a department
///
/// It is in this answer and nowhere else: what is kept does not tell it.
#[utoipa::path(
    post, path = "/api/v1/departments/{name}/keys", tag = "departments", params(DepartmentPath, NewKey),
    responses((status = 200, description = "It is made", body = NewKeyDocument), AddKeyProblems)
)]
pub(super) async fn add_department_key(
    State(app): State<App>,
    InPath(DepartmentPath { name }): InPath<DepartmentPath>,
    Asked(NewKey { note, days }): Asked<NewKey>,
) -> Result<Json<NewKeyDocument>, Problem> {
    let now = clock::wall();
    let secret = ApiKey::generate().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "no key was made");
        Problem::new(ProblemKind::Internal, "no key was made; the log says why")
    })?;
    let times = (now, days.map(|days| days.after(now)));
    let made = app.registry.add_department_key(&name, &secret, note.as_ref(), times, &Actor::Console).await;
    let key = KeyDocument::of(made.map_err(|error| refused(&error))?, now);
    Ok(Json(NewKeyDocument { key, api_key: secret.expose().to_owned() }))
}

/// End an API key of a department
///
/// Who is connected with it is thrown out within seconds.
#[utoipa::path(
    delete, path = "/api/v1/departments/{name}/keys/{id}", tag = "departments", params(KeyPath),
    responses((status = 204, description = "It is ended"), KeyProblems)
)]
pub(super) async fn end_department_key(
    State(app): State<App>,
    InPath(KeyPath { name, id }): InPath<KeyPath>,
    _: Asked<NoParameters>,
) -> Result<StatusCode, Problem> {
    let ended = app.registry.end_department_key(id, Some(&name), clock::wall(), &Actor::Console).await;
    ended.map(|_| StatusCode::NO_CONTENT).map_err(|error| refused(&error))
}

/// List what a department may hear
#[utoipa::path(
    get, path = "/api/v1/departments/{name}/grants", tag = "departments", params(DepartmentPath),
    responses(
        (
            status = 200, description = "Its grants", body = GrantsDocument,
            headers(("ETag" = String, description = "Goes by all of it"))
        ),
        (status = 304, description = "Nothing is different from what is known"),
        GrantsProblems
    )
)]
pub(super) async fn list_grants(
    State(app): State<App>,
    headers: HeaderMap,
    InPath(DepartmentPath { name }): InPath<DepartmentPath>,
    _: Asked<NoParameters>,
) -> Result<Response, Problem> {
    let department = app.registry.department(&name).await.map_err(|error| refused(&error))?;
    let document =
        GrantsDocument { grants: department.grants.into_iter().map(GrantDocument::from).collect() };
    Ok(tagged(&headers, &document, &document))
}

/// Grant a department what a filter names
///
/// It may subscribe within its grants, and to nothing else. What the catalogue calls restricted is granted only by its name.
#[utoipa::path(
    post, path = "/api/v1/departments/{name}/grants", tag = "departments", params(DepartmentPath, NewGrant),
    responses((status = 200, description = "It is granted", body = GrantDocument), AddGrantProblems)
)]
pub(super) async fn add_grant(
    State(app): State<App>,
    InPath(DepartmentPath { name }): InPath<DepartmentPath>,
    Asked(NewGrant { filter }): Asked<NewGrant>,
) -> Result<Json<GrantDocument>, Problem> {
    let granted = app.registry.add_grant(&name, &filter, clock::wall(), &Actor::Console).await;
    Ok(Json(granted.map_err(|error| refused(&error))?.into()))
}

/// Withdraw a grant
///
/// Who listens to it hears no more of it within seconds, unless another grant names the same.
#[utoipa::path(
    delete, path = "/api/v1/departments/{name}/grants/{id}", tag = "departments", params(GrantPath),
    responses((status = 204, description = "It is withdrawn"), GrantProblems)
)]
pub(super) async fn withdraw_grant(
    State(app): State<App>,
    InPath(GrantPath { name, id }): InPath<GrantPath>,
    _: Asked<NoParameters>,
) -> Result<StatusCode, Problem> {
    let withdrawn = app.registry.withdraw_grant(id, Some(&name), clock::wall(), &Actor::Console).await;
    withdrawn.map(|_| StatusCode::NO_CONTENT).map_err(|error| refused(&error))
}

/// Nothing was decided.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else fails is the registry's own fault, also what comes to be added there"
)]
pub(super) fn refused(error: &RegistryError) -> Problem {
    let (kind, parameter) = match error {
        RegistryError::NoDepartment { .. } => (ProblemKind::UnknownDepartment, Some("name")),
        RegistryError::NoKey { .. } => (ProblemKind::UnknownKey, Some("id")),
        RegistryError::NoDepartmentCertificate { .. } => (ProblemKind::UnknownCertificate, Some("serial")),
        RegistryError::NoGrant { .. } => (ProblemKind::UnknownGrant, Some("id")),
        RegistryError::DepartmentTaken { .. } => (ProblemKind::TakenAlready, Some("name")),
        RegistryError::GrantedAlready { .. } => (ProblemKind::TakenAlready, Some("filter")),
        RegistryError::TooMany { .. } => (ProblemKind::TooMany, None),
        other => return registry_problem(other),
    };
    let problem = Problem::new(kind, error.to_string());
    match parameter {
        Some(parameter) => problem.with_parameter(parameter),
        None => problem,
    }
}

impl DepartmentDocument {
    fn of(record: DepartmentRecord, now: UtcMillis) -> Self {
        Self {
            name: record.name.to_string(),
            title: record.title.to_string(),
            created: Timestamp(record.created),
            keys: record.keys.into_iter().map(|key| KeyDocument::of(key, now)).collect(),
            certificates: record
                .certificates
                .iter()
                .map(|one| DepartmentCertificateDocument::of(one, now))
                .collect(),
            grants: record.grants.into_iter().map(GrantDocument::from).collect(),
        }
    }
}

impl KeyDocument {
    fn of(record: KeyRecord, now: UtcMillis) -> Self {
        Self {
            id: record.id.0,
            is_expired: record.is_expired(now),
            note: record.note.map(|note| note.to_string()),
            created: Timestamp(record.created),
            expires: record.expires.map(Timestamp),
        }
    }
}

impl From<GrantRecord> for GrantDocument {
    fn from(record: GrantRecord) -> Self {
        let GrantRecord { id, department: _, filter, created } = record;
        Self { id: id.number(), filter: filter.to_string(), created: Timestamp(created) }
    }
}

problems!(ListProblems: InvalidParameter, UnknownParameter, RegistryUnavailable);
problems!(
    AddDepartmentProblems: InvalidParameter,
    UnknownParameter,
    TakenAlready,
    TooMany,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(
    DepartmentProblems: InvalidParameter,
    UnknownParameter,
    UnknownDepartment,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(
    AddKeyProblems: InvalidParameter,
    UnknownParameter,
    UnknownDepartment,
    TooMany,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(
    KeyProblems: InvalidParameter,
    UnknownParameter,
    UnknownKey,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(GrantsProblems: InvalidParameter, UnknownParameter, UnknownDepartment, RegistryUnavailable);
problems!(
    AddGrantProblems: InvalidParameter,
    UnknownParameter,
    UnknownDepartment,
    TakenAlready,
    TooMany,
    ForeignOrigin,
    RegistryUnavailable,
);
problems!(
    GrantProblems: InvalidParameter,
    UnknownParameter,
    UnknownGrant,
    ForeignOrigin,
    RegistryUnavailable,
);
