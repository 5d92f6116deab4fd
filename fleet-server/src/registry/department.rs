//! Departments: who may listen to what lampposts observe.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::UtcMillis;
use sqlx::sqlite::SqliteConnection;

use super::{DepartmentCertificate, GrantRecord, KeyRecord, Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};
use crate::feeds::{Access, DepartmentName};

/// Departments at a time. A city has some tens; what the gateway holds of so many in memory stays below some megabytes.
pub const MOST_DEPARTMENTS: u32 = 256;

/// Longest label, in characters: a line on a screen.
const LONGEST_LABEL: usize = 80;

/// A line for people's eyes: the title of a department, the note of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(Box<str>);

/// A text is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give a line of 1 to {LONGEST_LABEL} characters")]
pub struct NotALabel;

/// A department that has not ended, with what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartmentRecord {
    /// By what it logs in, and people name it.
    pub name: DepartmentName,
    /// What people call it.
    pub title: Label,
    /// When it was added.
    pub created: UtcMillis,
    /// Its keys that nobody has ended, the oldest first; the time of some may be over.
    pub keys: Vec<KeyRecord>,
    /// Its certificates that nobody has ended, the oldest first; the time of some may be over.
    pub certificates: Vec<DepartmentCertificate>,
    /// What it may hear, in the order in which it was granted.
    pub grants: Vec<GrantRecord>,
}

/// A department that has ended now, and what ended with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedDepartment {
    /// Its name, which no other will have.
    pub name: DepartmentName,
    /// Keys that were good for nothing any more from then on.
    pub keys: u32,
    /// Certificates that were, too.
    pub certificates: u32,
    /// Grants that went with it.
    pub grants: u32,
}

impl Label {
    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = NotALabel;

    /// Leaves out spaces around it.
    fn from_str(text: &str) -> Result<Self, NotALabel> {
        let line = text.trim();
        if line.is_empty() || line.chars().count() > LONGEST_LABEL || line.contains(char::is_control) {
            return Err(NotALabel);
        }
        Ok(Self(line.into()))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Registry {
    /// Adds a department, and says so in the audit. It has no key and no grant yet.
    ///
    /// # Errors
    /// [`RegistryError::DepartmentTaken`], [`RegistryError::TooMany`] or [`RegistryError::Write`].
    pub async fn add_department(
        &self,
        name: &DepartmentName,
        title: &Label,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<DepartmentRecord, RegistryError> {
        let writing = |source| RegistryError::Write { what: "a department", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM departments WHERE ended IS NULL")
            .fetch_one(&mut *transaction)
            .await
            .map_err(writing)?;
        if there >= i64::from(MOST_DEPARTMENTS) {
            return Err(RegistryError::TooMany { what: "departments", most: MOST_DEPARTMENTS });
        }
        let inserted = sqlx::query("INSERT INTO departments (name, title, created) VALUES ($1, $2, $3)")
            .bind(name.as_str())
            .bind(title.as_str())
            .bind(now.0)
            .execute(&mut *transaction)
            .await;
        inserted.map_err(|source| {
            let refused = source.as_database_error();
            if refused.is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
                return RegistryError::DepartmentTaken { name: name.clone() };
            }
            writing(source)
        })?;
        let department = Subject::Department(name.clone());
        let entry = Entry::new(now, by.clone(), Action::DepartmentAdded, department).text("title", title);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        let (name, title) = (name.clone(), title.clone());
        let (keys, certificates, grants) = (Vec::new(), Vec::new(), Vec::new());
        Ok(DepartmentRecord { name, title, created: now, keys, certificates, grants })
    }

    /// Ends a department, and says so in the audit: none of its keys, certificates and grants is good for anything any more. Its
    /// name is not given again.
    ///
    /// # Errors
    /// [`RegistryError::NoDepartment`] or [`RegistryError::Write`]; nothing is changed then.
    pub async fn end_department(
        &self,
        name: &DepartmentName,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<EndedDepartment, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the end of a department", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        require(&mut transaction, name).await?;
        sqlx::query("UPDATE departments SET ended = $2 WHERE name = $1")
            .bind(name.as_str())
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(writing)?;
        let keys = super::department_key::count(&mut transaction, name).await.map_err(writing)?;
        let certificates = super::department_certificate::count(&mut transaction, name).await;
        let certificates = certificates.map_err(writing)?;
        let grants = super::grant::count(&mut transaction, name).await.map_err(writing)?;
        let entry = Entry::new(now, by.clone(), Action::DepartmentEnded, Subject::Department(name.clone()))
            .number("keys", keys)
            .number("certificates", certificates)
            .number("grants", grants);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(EndedDepartment { name: name.clone(), keys, certificates, grants })
    }

    /// The departments that there are, by name, with their keys, certificates and grants, as they were at one moment.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn departments(&self) -> Result<Vec<DepartmentRecord>, RegistryError> {
        let reading = |source| RegistryError::Read { what: "departments", source };
        let mut snapshot = self.readers().begin().await.map_err(reading)?;
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT name, title, created FROM departments WHERE ended IS NULL ORDER BY name")
                .fetch_all(&mut *snapshot)
                .await
                .map_err(reading)?;
        let mut keys = of_departments(self.keys_in(&mut snapshot).await?, |key| &key.department);
        let certificates = self.department_certificates_in(&mut snapshot).await?;
        let mut certificates = of_departments(certificates, |certificate| &certificate.department);
        let mut grants = of_departments(self.grants_in(&mut snapshot).await?, |grant| &grant.department);
        let department = |(name, title, created): (String, String, i64)| {
            let damaged = || self.damaged("the department", &name);
            let name: DepartmentName = name.parse().map_err(|_| damaged())?;
            Ok(DepartmentRecord {
                title: title.parse().map_err(|_| damaged())?,
                created: UtcMillis(created),
                keys: keys.remove(&name).unwrap_or_default(),
                certificates: certificates.remove(&name).unwrap_or_default(),
                grants: grants.remove(&name).unwrap_or_default(),
                name,
            })
        };
        rows.into_iter().map(department).collect()
    }

    /// A department that has not ended.
    ///
    /// # Errors
    /// [`RegistryError::NoDepartment`], [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn department(&self, name: &DepartmentName) -> Result<DepartmentRecord, RegistryError> {
        let found = self.departments().await?.into_iter().find(|department| department.name == *name);
        found.ok_or_else(|| RegistryError::NoDepartment { name: name.clone() })
    }

    /// Who may listen to what, by which keys and certificates: what the gateway asks. Their time is for the gateway to judge.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn feed_access(&self) -> Result<Vec<Access>, RegistryError> {
        let departments = self.departments().await?;
        let access = |department: DepartmentRecord| Access {
            department: department.name,
            keys: department.keys.iter().map(KeyRecord::access).collect(),
            certificates: department.certificates.iter().map(|one| one.serial.to_string()).collect(),
            grants: department.grants.into_iter().map(|grant| grant.filter).collect(),
        };
        Ok(departments.into_iter().map(access).collect())
    }
}

/// Refuses what is asked for a department that is not there, or has ended.
pub(super) async fn require(
    transaction: &mut SqliteConnection,
    name: &DepartmentName,
) -> Result<(), RegistryError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT created FROM departments WHERE name = $1 AND ended IS NULL")
            .bind(name.as_str())
            .fetch_optional(transaction)
            .await
            .map_err(|source| RegistryError::Read { what: "a department", source })?;
    found.map(drop).ok_or_else(|| RegistryError::NoDepartment { name: name.clone() })
}

fn of_departments<T>(all: Vec<T>, whose: impl Fn(&T) -> &DepartmentName) -> BTreeMap<DepartmentName, Vec<T>> {
    let mut sorted = BTreeMap::<_, Vec<T>>::new();
    for one in all {
        sorted.entry(whose(&one).clone()).or_default().push(one);
    }
    sorted
}
