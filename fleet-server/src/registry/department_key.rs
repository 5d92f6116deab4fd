//! API keys of departments: by what a department that has no certificate logs in.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::{Digest, UtcMillis};
use sqlx::sqlite::SqliteConnection;

use super::certificate::hex;
use super::department::{Label, require};
use super::{Registry, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};
use crate::feeds::{AccessKey, AccessKeyId, DepartmentName};

/// Keys that a department has at a time: one for each of its systems, and two while one is changed for another.
pub const MOST_KEYS: u32 = 16;

/// Random bytes of a key: nobody guesses one, however long it is good.
const BYTES: usize = 32;

/// Longest that a key is given an end for: ten years. Who means for ever says nothing.
const MOST_DAYS: u16 = 3650;

const DAY_MS: i64 = 86_400_000;

/// An API key: 64 hexadecimal digits, sent as the password of a login. It does not print in `Debug`.
#[derive(Clone)]
pub struct ApiKey(String);

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes for a key")]
pub struct NoKeyBytes(#[source] getrandom::Error);

/// A text is no number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is named by a number: see `department list`")]
pub struct NotAKeyId;

/// For how many days a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDays(u16);

/// A text is no number of days for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give 1 to {MOST_DAYS} whole days")]
pub struct NotKeyDays;

/// A key that was made. The key itself is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// By what people name it.
    pub id: AccessKeyId,
    /// Whose it is.
    pub department: DepartmentName,
    /// What it is for.
    pub note: Option<Label>,
    /// When it was made.
    pub created: UtcMillis,
    /// From when on it is good no more, if so.
    pub expires: Option<UtcMillis>,
    digest: KeyDigest,
}

/// SHA-256 of a key. Who has it has no key, and yet it is not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct KeyDigest(Digest);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

impl ApiKey {
    /// A new one.
    ///
    /// # Errors
    /// [`NoKeyBytes`].
    pub fn generate() -> Result<Self, NoKeyBytes> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(NoKeyBytes)?;
        Ok(Self(hex(&bytes)))
    }

    /// The key as it is sent: for the department's eyes, and not for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// By what the registry knows it: of the digits, as they are sent.
    fn digest(&self) -> KeyDigest {
        KeyDigest(Digest(AccessKey::digest_of(self.0.as_bytes())))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl FromStr for AccessKeyId {
    type Err = NotAKeyId;

    fn from_str(text: &str) -> Result<Self, NotAKeyId> {
        text.parse().map(Self).map_err(|_| NotAKeyId)
    }
}

impl KeyDays {
    /// When a key ends that is made now.
    pub fn after(self, now: UtcMillis) -> UtcMillis {
        now.plus_ms(i64::from(self.0) * DAY_MS)
    }
}

impl FromStr for KeyDays {
    type Err = NotKeyDays;

    fn from_str(text: &str) -> Result<Self, NotKeyDays> {
        text.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days)).map(Self).ok_or(NotKeyDays)
    }
}

impl KeyRecord {
    /// Whether its time is over.
    pub fn is_expired(&self, now: UtcMillis) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    pub(super) fn access(&self) -> AccessKey {
        AccessKey { id: self.id, digest: self.digest.0.0, until: self.expires }
    }
}

type Row = (i64, String, String, Option<String>, i64, Option<i64>);

impl Registry {
    /// Records a new key of a department, also in the audit. It is on disk when this returns.
    ///
    /// # Errors
    /// [`RegistryError::NoDepartment`], [`RegistryError::TooMany`] or [`RegistryError::Write`].
    pub async fn add_department_key(
        &self,
        department: &DepartmentName,
        key: &ApiKey,
        note: Option<&Label>,
        (created, expires): (UtcMillis, Option<UtcMillis>),
        by: &Actor,
    ) -> Result<KeyRecord, RegistryError> {
        let writing = |source| RegistryError::Write { what: "a key", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        require(&mut transaction, department).await?;
        if count(&mut transaction, department).await.map_err(writing)? >= MOST_KEYS {
            return Err(RegistryError::TooMany { what: "keys of one department", most: MOST_KEYS });
        }
        let digest = key.digest();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO department_keys (id, department, digest, note, created, expires)
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5 FROM department_keys
             RETURNING id",
        )
        .bind(department.as_str())
        .bind(digest.0.to_string())
        .bind(note.map(Label::as_str))
        .bind(created.0)
        .bind(expires.map(|expires| expires.0))
        .fetch_one(&mut *transaction)
        .await
        .map_err(writing)?;
        let id = self.key_id(id)?;
        let entry = Entry::new(created, by.clone(), Action::DepartmentKeyAdded, Subject::DepartmentKey(id))
            .text("department", department);
        let entry = match note {
            Some(note) => entry.text("note", note),
            None => entry,
        };
        let entry = match expires {
            Some(expires) => entry.number("expires_ms", expires.0),
            None => entry,
        };
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(KeyRecord { id, department: department.clone(), note: note.cloned(), created, expires, digest })
    }

    /// Ends a key, of this department or of any, and says so in the audit: it is good for nothing from then on.
    ///
    /// # Errors
    /// [`RegistryError::NoKey`], also when it was ended before, [`RegistryError::Write`] or [`RegistryError::Damaged`];
    /// nothing is changed then.
    pub async fn end_department_key(
        &self,
        id: AccessKeyId,
        of: Option<&DepartmentName>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<KeyRecord, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the end of a key", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let query = sqlx::query_as(
            "SELECT id, department, digest, note, created, expires FROM department_keys WHERE id = $1 AND ended IS NULL",
        );
        let row: Option<Row> =
            query.bind(i64::from(id.0)).fetch_optional(&mut *transaction).await.map_err(writing)?;
        let record = row.map(|row| self.key_of(row)).transpose()?;
        let record = record.filter(|record| of.is_none_or(|department| record.department == *department));
        let record = record.ok_or(RegistryError::NoKey { id })?;
        sqlx::query("UPDATE department_keys SET ended = $2 WHERE id = $1")
            .bind(i64::from(id.0))
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(writing)?;
        let entry = Entry::new(now, by.clone(), Action::DepartmentKeyEnded, Subject::DepartmentKey(id))
            .text("department", &record.department);
        audit::append(&mut transaction, &entry).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(record)
    }

    /// The keys of all departments that nobody has ended, the oldest first.
    pub(super) async fn keys_in(
        &self,
        snapshot: &mut SqliteConnection,
    ) -> Result<Vec<KeyRecord>, RegistryError> {
        let rows: Result<Vec<Row>, _> = sqlx::query_as(
            "SELECT id, department, digest, note, created, expires FROM department_keys
             WHERE ended IS NULL ORDER BY id",
        )
        .fetch_all(snapshot)
        .await;
        let rows = rows.map_err(|source| RegistryError::Read { what: "keys of departments", source })?;
        rows.into_iter().map(|row| self.key_of(row)).collect()
    }

    fn key_of(&self, row: Row) -> Result<KeyRecord, RegistryError> {
        let (id, department, digest, note, created, expires) = row;
        let damaged = || self.damaged("the key", &id.to_string());
        Ok(KeyRecord {
            id: self.key_id(id)?,
            department: department.parse().map_err(|_| damaged())?,
            note: note.map(|note| note.parse().map_err(|_| damaged())).transpose()?,
            created: UtcMillis(created),
            expires: expires.map(UtcMillis),
            digest: digest.parse().map(KeyDigest).map_err(|_| damaged())?,
        })
    }

    fn key_id(&self, id: i64) -> Result<AccessKeyId, RegistryError> {
        u32::try_from(id).map(AccessKeyId).map_err(|_| self.damaged("the key", &id.to_string()))
    }
}

/// How many keys a department has that nobody has ended.
pub(super) async fn count(
    transaction: &mut SqliteConnection,
    of: &DepartmentName,
) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM department_keys WHERE department = $1 AND ended IS NULL")
        .bind(of.as_str())
        .fetch_one(transaction)
        .await
}
