//! The registry's database.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{QueryBuilder, SqlSafeStr, Sqlite, SqlitePool, Transaction};

use super::certificate::insert_certificate;
use super::revocation::Row;
use super::{CertificateRecord, CertificateSerial, Coordinates, Lamppost, RegistryError};
use crate::audit::{self, Action, Actor, Entry, Subject};

/// How long a writer waits for another one: an import of a whole city, on a slow disk, and then some.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Readers at a time. Each is a thread with a page cache; a point read takes well under a millisecond.
const READERS: u32 = 4;

/// Rows of one INSERT. Eleven values each keep it far below the 32,766 that SQLite binds to a statement.
const ROWS_PER_STATEMENT: usize = 500;

/// Handle to the registry. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Registry {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
}

/// What an import did, in lampposts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// They were not registered before.
    pub added: u64,
    /// They were, and something about them is different now.
    pub changed: u64,
    /// They were, and were the same.
    pub unchanged: u64,
}

/// Which lampposts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Are {
    InService,
    Retired,
}

impl Registry {
    /// The registry's file in the data directory.
    pub const FILE_NAME: &'static str = "registry.sqlite";

    /// Opens the registry, and makes it when it is not there, together with its directory (mode 0700). Safe beside
    /// other processes that do the same.
    ///
    /// # Errors
    /// [`RegistryError::Directory`], [`Lock`](RegistryError::Lock), [`Open`](RegistryError::Open),
    /// [`Newer`](RegistryError::Newer) or [`Migrate`](RegistryError::Migrate).
    pub async fn open(path: &Path) -> Result<Self, RegistryError> {
        let directory = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| RegistryError::Directory { path: directory.to_owned(), source })?;
        // SQLite does not wait when two connections turn the same new file to write-ahead logging, and sqlx does
        // not lock it for migrations: so one opens at a time. The lock goes with the file, also after kill -9.
        let _one_at_a_time = lock(path.with_extension("lock")).await?;
        let opening = |source| RegistryError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let writer = pool(1).connect_with(options.clone()).await.map_err(opening)?;
        migrate(path, &writer).await?;
        let readers =
            pool(READERS).connect_with(options.pragma("query_only", "ON")).await.map_err(opening)?;
        Ok(Self { path: path.to_owned(), writer, readers })
    }

    /// Registers lampposts, all or none: those that are new are added, those that differ are changed. Lampposts that
    /// are not named stay as they are. The audit tells of it, unless nothing is different afterwards.
    ///
    /// # Errors
    /// [`RegistryError::Twice`], [`RegistryError::ImportsRetired`] or [`RegistryError::Write`]; nothing is stored then.
    pub async fn import(
        &self,
        rows: Vec<Lamppost>,
        now: UtcMillis,
        by: &Actor,
    ) -> Result<Imported, RegistryError> {
        let mut seen = HashSet::with_capacity(rows.len());
        if let Some(twice) = rows.iter().find(|row| !seen.insert(&row.number)) {
            return Err(RegistryError::Twice { number: twice.number.clone() });
        }
        self.upsert(&rows, now, by).await
    }

    /// A lamppost, if it is registered; also a retired one.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn lamppost(&self, number: &LamppostNumber) -> Result<Option<Lamppost>, RegistryError> {
        let row: Option<LamppostRow> = sqlx::query_as(
            "SELECT number, latitude, longitude, road, district, feeder, pillar, height_m, remarks
             FROM lampposts WHERE number = $1",
        )
        .bind(number.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|source| RegistryError::Read { what: "a lamppost", source })?;
        row.map(|row| self.lamppost_of(row)).transpose()
    }

    /// Up to `limit` lampposts in service, in the order of their numbers (byte by byte), from the first `after` the given one.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn lampposts(
        &self,
        after: Option<&LamppostNumber>,
        limit: u32,
    ) -> Result<Vec<Lamppost>, RegistryError> {
        self.lampposts_that(Are::InService, after, limit).await
    }

    pub(super) async fn lampposts_that(
        &self,
        are: Are,
        after: Option<&LamppostNumber>,
        limit: u32,
    ) -> Result<Vec<Lamppost>, RegistryError> {
        let rows: Vec<LamppostRow> = sqlx::query_as(
            "SELECT number, latitude, longitude, road, district, feeder, pillar, height_m, remarks
             FROM lampposts WHERE number > $1 AND (retired IS NOT NULL) = $3 ORDER BY number LIMIT $2",
        )
        .bind(after.map_or("", LamppostNumber::as_str))
        .bind(i64::from(limit))
        .bind(are == Are::Retired)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| RegistryError::Read { what: "the lampposts", source })?;
        rows.into_iter().map(|row| self.lamppost_of(row)).collect()
    }

    /// How many lampposts are in service.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn count(&self) -> Result<u64, RegistryError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM lampposts WHERE retired IS NULL")
            .fetch_one(&self.readers)
            .await
            .map_err(|source| RegistryError::Read { what: "the number of lampposts", source })?;
        Ok(count.unsigned_abs())
    }

    /// Records a certificate that was issued, also in the audit. Until it is on disk here, no gateway admits it.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::SerialTaken`] or [`RegistryError::Write`].
    pub async fn record_certificate(
        &self,
        record: &CertificateRecord,
        by: &Actor,
    ) -> Result<(), RegistryError> {
        let writing = |source| RegistryError::Write { what: "a certificate", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        insert_certificate(&mut transaction, record, &record.issued_by(by.clone())).await?;
        transaction.commit().await.map_err(writing)
    }

    /// What is known of the certificate with this serial number, if it was issued here.
    ///
    /// # Errors
    /// [`RegistryError::Read`] or [`RegistryError::Damaged`].
    pub async fn certificate(
        &self,
        serial: &CertificateSerial,
    ) -> Result<Option<CertificateRecord>, RegistryError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT serial, lamppost, issued, not_after, revoked, authority FROM certificates WHERE serial = $1",
        )
        .bind(serial.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|source| RegistryError::Read { what: "a certificate", source })?;
        row.map(|row| self.certificate_of(row)).transpose()
    }

    /// Closes the connections of all clones, once what they are doing is done. What is asked for afterwards fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// How to open another connection that reads.
    pub(super) fn reader_options(&self) -> Arc<SqliteConnectOptions> {
        self.readers.connect_options()
    }

    /// The connection that writes, and those that read.
    #[cfg(test)]
    pub(crate) fn pools(&self) -> (&SqlitePool, &SqlitePool) {
        (&self.writer, &self.readers)
    }

    /// A transaction that writes. IMMEDIATE: waits for another writer now, for once it has read, it cannot wait any more.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    async fn upsert(&self, rows: &[Lamppost], now: UtcMillis, by: &Actor) -> Result<Imported, RegistryError> {
        let writing = |source| RegistryError::Write { what: "the lampposts", source };
        let mut transaction = self.begin().await.map_err(writing)?;
        let retired: Vec<String> =
            sqlx::query_scalar("SELECT number FROM lampposts WHERE retired IS NOT NULL")
                .fetch_all(&mut *transaction)
                .await
                .map_err(writing)?;
        let retired: HashSet<String> = retired.into_iter().collect();
        let numbers = rows.iter().map(|row| &row.number).filter(|number| retired.contains(number.as_str()));
        let numbers: Vec<LamppostNumber> = numbers.cloned().collect();
        if !numbers.is_empty() {
            return Err(RegistryError::ImportsRetired { numbers });
        }
        let imported = upsert(&mut transaction, rows, now, by).await.map_err(writing)?;
        transaction.commit().await.map_err(writing)?;
        Ok(imported)
    }

    fn lamppost_of(&self, row: LamppostRow) -> Result<Lamppost, RegistryError> {
        let (number, latitude, longitude, road, district, feeder, pillar, height_m, remarks) = row;
        let coordinates = Coordinates::new(latitude, longitude)
            .map_err(|_| self.damaged("the position of lamppost", &number))?;
        let number =
            LamppostNumber::new(&number).map_err(|_| self.damaged("the number of lamppost", &number))?;
        Ok(Lamppost { number, coordinates, road, district, feeder, pillar, height_m, remarks })
    }

    pub(super) fn damaged(&self, what: &'static str, key: &str) -> RegistryError {
        RegistryError::Damaged { path: self.path.clone(), what, key: key.to_owned() }
    }
}

type LamppostRow =
    (String, f64, f64, String, String, Option<String>, Option<String>, Option<f64>, Option<String>);

async fn lock(path: PathBuf) -> Result<File, RegistryError> {
    let locking = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
            file.lock()?;
            Ok(file)
        })
    };
    let locked = locking.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    locked.map_err(|source| RegistryError::Lock { path, source })
}

/// Connections that stay open: to open one costs more than to keep it.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None)
}

async fn migrate(path: &Path, writer: &SqlitePool) -> Result<(), RegistryError> {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrations = Migrator::with_migrations(vec![
        migration(
            1,
            "lampposts and certificates",
            include_str!("../../migrations/sqlite/0001_lampposts_and_certificates.sql"),
        ),
        migration(
            2,
            "decisions about outboxes",
            include_str!("../../migrations/sqlite/0002_decisions_about_outboxes.sql"),
        ),
        migration(3, "audit", include_str!("../../migrations/sqlite/0003_audit.sql")),
        migration(4, "tokens", include_str!("../../migrations/sqlite/0004_tokens.sql")),
        migration(5, "departments", include_str!("../../migrations/sqlite/0005_departments.sql")),
        migration(
            6,
            "retired and moved lampposts",
            include_str!("../../migrations/sqlite/0006_retired_and_moved_lampposts.sql"),
        ),
        migration(7, "rotation", include_str!("../../migrations/sqlite/0007_rotation.sql")),
        migration(
            8,
            "department certificates",
            include_str!("../../migrations/sqlite/0008_department_certificates.sql"),
        ),
    ]);
    let path = path.to_owned();
    migrations.run(writer).await.map_err(|source| {
        if let MigrateError::VersionMissing(schema) = source {
            return RegistryError::Newer { path, schema };
        }
        RegistryError::Migrate { path, source }
    })
}

async fn upsert(
    transaction: &mut SqliteConnection,
    rows: &[Lamppost],
    now: UtcMillis,
    by: &Actor,
) -> Result<Imported, sqlx::Error> {
    let before: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM lampposts").fetch_one(&mut *transaction).await?;
    let mut touched = 0;
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        touched += upsert_statement(rows, now).build().execute(&mut *transaction).await?.rows_affected();
    }
    let after: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM lampposts").fetch_one(&mut *transaction).await?;
    let added = (after - before).unsigned_abs();
    let imported = Imported { added, changed: touched - added, unchanged: rows.len() as u64 - touched };
    if touched > 0 {
        let entry = Entry::new(now, by.clone(), Action::LamppostsImported, Subject::Lampposts)
            .number("added", imported.added)
            .number("changed", imported.changed)
            .number("unchanged", imported.unchanged);
        audit::append(transaction, &entry).await?;
    }
    Ok(imported)
}

/// Counts as affected what it adds and what it changes, and leaves alone what is the same.
fn upsert_statement(rows: &[Lamppost], now: UtcMillis) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new(
        "INSERT INTO lampposts (number, latitude, longitude, road, district, feeder, pillar, height_m, remarks,
                                created, changed) ",
    );
    statement.push_values(rows, |mut row, lamppost| {
        row.push_bind(lamppost.number.as_str())
            .push_bind(lamppost.coordinates.latitude_deg())
            .push_bind(lamppost.coordinates.longitude_deg())
            .push_bind(&lamppost.road)
            .push_bind(&lamppost.district)
            .push_bind(&lamppost.feeder)
            .push_bind(&lamppost.pillar)
            .push_bind(lamppost.height_m)
            .push_bind(&lamppost.remarks)
            .push_bind(now.0)
            .push_bind(now.0);
    });
    statement.push(
        " ON CONFLICT (number) DO UPDATE SET
            latitude = excluded.latitude, longitude = excluded.longitude, road = excluded.road,
            district = excluded.district, feeder = excluded.feeder, pillar = excluded.pillar,
            height_m = excluded.height_m, remarks = excluded.remarks, changed = excluded.changed
          WHERE lampposts.latitude IS DISTINCT FROM excluded.latitude
             OR lampposts.longitude IS DISTINCT FROM excluded.longitude
             OR lampposts.road IS DISTINCT FROM excluded.road
             OR lampposts.district IS DISTINCT FROM excluded.district
             OR lampposts.feeder IS DISTINCT FROM excluded.feeder
             OR lampposts.pillar IS DISTINCT FROM excluded.pillar
             OR lampposts.height_m IS DISTINCT FROM excluded.height_m
             OR lampposts.remarks IS DISTINCT FROM excluded.remarks",
    );
    statement
}
