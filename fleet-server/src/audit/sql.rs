//! The rim: the table in the registry's database.

use std::path::{Path, PathBuf};

use lamplighter_protocol::{Digest, UtcMillis};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::chain::{Head, Record, Stored};
use super::{Action, Entry, Subject};
use crate::registry::BUSY_TIMEOUT;

/// Records of one read: the database is let go between two of them, however slowly they are printed.
const PAGE: i64 = 1_000;

/// Writes an entry behind the last record. To be called in the transaction of the change that it tells of, which has to have
/// begun with `BEGIN IMMEDIATE`: nobody else can write a record meanwhile, and both are there or neither is.
///
/// # Errors
/// What the database says. The transaction is to be rolled back then.
pub(crate) async fn append(transaction: &mut SqliteConnection, entry: &Entry) -> Result<Head, sqlx::Error> {
    let record = head(transaction).await?.next(entry);
    sqlx::query(
        "INSERT INTO audit (sequence, at_ms, actor, action, subject, detail, previous, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(record.sequence)
    .bind(record.at.0)
    .bind(&record.actor)
    .bind(&record.action)
    .bind(&record.subject)
    .bind(&record.detail)
    .bind(&record.previous.0[..])
    .bind(&record.hash.0[..])
    .execute(transaction)
    .await?;
    Ok(record.head())
}

/// How far the chain goes.
pub(crate) async fn head(connection: &mut SqliteConnection) -> Result<Head, sqlx::Error> {
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    let Some((sequence, hash)) = last else { return Ok(Head::GENESIS) };
    let hash = Digest::from_slice(&hash).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Head { sequence, hash })
}

/// Whether this was ever done to this.
pub(crate) async fn is_recorded(
    connection: &mut SqliteConnection,
    action: Action,
    subject: &Subject,
) -> Result<bool, sqlx::Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT sequence FROM audit WHERE action = $1 AND subject = $2 LIMIT 1")
            .bind(action.as_str())
            .bind(subject.to_string())
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// The newest records of this action, at most so many, the newest first.
pub(crate) async fn newest(
    connection: &mut SqliteConnection,
    action: Action,
    most: u32,
) -> Result<Vec<Stored>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT sequence, at_ms, actor, action, subject, detail, previous, hash
         FROM audit WHERE action = $1 ORDER BY sequence DESC LIMIT $2",
    )
    .bind(action.as_str())
    .bind(most)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(stored).collect())
}

/// What failed at reading the audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database could not be opened.
    #[error("cannot open {path}: is it the registry of a server, and may this user read it?")]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// The table could not be read.
    #[error("cannot read the audit in {path}: has a server of this release ever run on it?")]
    Read {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
}

/// Reads the audit beside a server that runs, and changes nothing.
#[derive(Debug)]
pub struct AuditReader {
    path: PathBuf,
    connection: SqliteConnection,
    after: Option<i64>,
}

type Row = (i64, i64, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

impl AuditReader {
    /// Opens the registry of this path, before the first record.
    ///
    /// # Errors
    /// [`AuditError::Open`].
    pub async fn open(path: &Path) -> Result<Self, AuditError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let connection = options.connect().await;
        let connection = connection.map_err(|source| AuditError::Open { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), connection, after: None })
    }

    /// The next records, in the order of their sequences; none when there are no more.
    ///
    /// # Errors
    /// [`AuditError::Read`].
    pub async fn page(&mut self) -> Result<Vec<Stored>, AuditError> {
        let rows: Result<Vec<Row>, _> = sqlx::query_as(
            "SELECT sequence, at_ms, actor, action, subject, detail, previous, hash
             FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(self.after.unwrap_or(i64::MIN))
        .bind(PAGE)
        .fetch_all(&mut self.connection)
        .await;
        let rows = rows.map_err(|source| AuditError::Read { path: self.path.clone(), source })?;
        self.after = rows.last().map(|row| row.0).or(self.after);
        Ok(rows.into_iter().map(stored).collect())
    }

    /// Lets go of the database.
    pub async fn close(self) {
        // Nothing was written, so nothing can be lost.
        self.connection.close().await.ok();
    }
}

fn stored((sequence, at, actor, action, subject, detail, previous, hash): Row) -> Stored {
    let text = |bytes| String::from_utf8(bytes).ok();
    let record = || {
        Some(Record {
            sequence,
            at: UtcMillis(at),
            actor: text(actor)?,
            action: text(action)?,
            subject: text(subject)?,
            detail: text(detail)?,
            previous: Digest::from_slice(&previous).ok()?,
            hash: Digest::from_slice(&hash).ok()?,
        })
    };
    Stored { sequence, record: record() }
}
