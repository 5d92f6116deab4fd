//! Grants: what a department may hear.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::UtcMillis;
use sqlx::sqlite::SqliteConnection;

use super::department::require;
use super::{Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};
use crate::feeds::{DepartmentName, Filter};

/// Grants that a department has at a time. Each is looked at for whatever is delivered to it; themes by districts of a
/// city are about as many.
pub const MOST_GRANTS: u32 = 64;

/// Names a grant among people: 1, 2, 3 and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantId(u32);

/// A text is no number of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a grant is named by a number: see `grant list`")]
pub struct NotAGrantId;

/// A grant that nobody has withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRecord {
    /// By what people name it.
    pub id: GrantId,
    /// Who may hear it.
    pub department: DepartmentName,
    /// What it may hear.
    pub filter: Filter,
    /// Since when.
    pub created: UtcMillis,
}

impl GrantId {
    pub(super) fn as_i64(self) -> i64 {
        self.0.into()
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for GrantId {
    type Err = NotAGrantId;

    fn from_str(text: &str) -> Result<Self, NotAGrantId> {
        text.parse().map(Self).map_err(|_| NotAGrantId)
    }
}

type Row = (i64, String, String, i64);

impl Registry {
    /// Grants a department what this filter names, and says so in the audit.
    ///
    /// # Errors
    /// [`RegistryError::NoDepartment`], [`RegistryError::GrantedAlready`], [`RegistryError::TooMany`] or
    /// [`RegistryError::Write`].
    pub async fn add_grant(
        &self,
        department: &DepartmentName,
        filter: &Filter,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<GrantRecord, RegistryError> {
        let writing = |source| RegistryError::Write { what: "a grant", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        require(&mut transaction, department).await?;
        let text = filter.to_string();
        let same: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM grants WHERE department = $1 AND filter = $2 AND withdrawn IS NULL",
        )
        .bind(department.as_str())
        .bind(&text)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(writing)?;
        if let Some(id) = same {
            return Err(RegistryError::GrantedAlready { id: self.grant_id(id)? });
        }
        if count(&mut transaction, department).await.map_err(writing)? >= MOST_GRANTS {
            return Err(RegistryError::TooMany { what: "grants of one department", most: MOST_GRANTS });
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO grants (id, department, filter, created)
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3 FROM grants
             RETURNING id",
        )
        .bind(department.as_str())
        .bind(&text)
        .bind(now.0)
        .fetch_one(&mut *transaction)
        .await
        .map_err(writing)?;
        let record = GrantRecord {
            id: self.grant_id(id)?,
            department: department.clone(),
            filter: filter.clone(),
            created: now,
        };
        let entry = record.entry(Action::GrantAdded, now, by);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(record)
    }

    /// Withdraws a grant, of this department or of any, and says so in the audit.
    ///
    /// # Errors
    /// [`RegistryError::NoGrant`], also when it was withdrawn before, [`RegistryError::Write`] or
    /// [`RegistryError::Damaged`]; nothing is changed then.
    pub async fn withdraw_grant(
        &self,
        id: GrantId,
        of: Option<&DepartmentName>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<GrantRecord, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the withdrawal of a grant", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let query = sqlx::query_as(
            "SELECT id, department, filter, created FROM grants WHERE id = $1 AND withdrawn IS NULL",
        );
        let row: Option<Row> =
            query.bind(id.as_i64()).fetch_optional(&mut *transaction).await.map_err(writing)?;
        let record = row.map(|row| self.grant_of(row)).transpose()?;
        let record = record.filter(|record| of.is_none_or(|department| record.department == *department));
        let record = record.ok_or(RegistryError::NoGrant { id })?;
        sqlx::query("UPDATE grants SET withdrawn = $2 WHERE id = $1")
            .bind(id.as_i64())
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(writing)?;
        let entry = record.entry(Action::GrantWithdrawn, now, by);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(record)
    }

    /// The grants of all departments, in the order in which they were made.
    pub(super) async fn grants_in(
        &self,
        snapshot: &mut SqliteConnection,
    ) -> Result<Vec<GrantRecord>, RegistryError> {
        let rows: Result<Vec<Row>, _> = sqlx::query_as(
            "SELECT id, department, filter, created FROM grants WHERE withdrawn IS NULL ORDER BY id",
        )
        .fetch_all(snapshot)
        .await;
        let rows = rows.map_err(|source| RegistryError::Read { what: "grants", source })?;
        rows.into_iter().map(|row| self.grant_of(row)).collect()
    }

    fn grant_of(&self, row: Row) -> Result<GrantRecord, RegistryError> {
        let (id, department, filter, created) = row;
        let damaged = || self.damaged("the grant", &id.to_string());
        Ok(GrantRecord {
            id: self.grant_id(id)?,
            department: department.parse().map_err(|_| damaged())?,
            filter: filter.parse().map_err(|_| damaged())?,
            created: UtcMillis(created),
        })
    }

    fn grant_id(&self, id: i64) -> Result<GrantId, RegistryError> {
        u32::try_from(id).map(GrantId).map_err(|_| self.damaged("the grant", &id.to_string()))
    }
}

impl GrantRecord {
    fn entry(&self, action: Action, at: UtcMillis, by: &Actor) -> Entry {
        Entry::new(at, by.clone(), action, Subject::Grant(self.id))
            .text("department", &self.department)
            .text("filter", &self.filter)
    }
}

/// How many grants a department has.
pub(super) async fn count(
    transaction: &mut SqliteConnection,
    of: &DepartmentName,
) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM grants WHERE department = $1 AND withdrawn IS NULL")
        .bind(of.as_str())
        .fetch_one(transaction)
        .await
}
