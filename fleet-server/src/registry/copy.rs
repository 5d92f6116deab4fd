//! A copy of the registry, made while others read and write it.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use super::sqlite::BUSY_TIMEOUT;
use super::{Registry, RegistryError};
use crate::audit::{self, Entry};

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedRegistry {
    /// Lampposts that are registered.
    pub lampposts: u64,
    /// Certificates that were issued to them.
    pub certificates: u64,
}

impl Registry {
    /// Writes all that the database in `from` holds at one moment to `to`, which must not exist or be empty, and reads that
    /// again from end to end. It waits for nobody and nobody for it; the schema is left as it is. The copy is not synced.
    ///
    /// # Errors
    /// [`RegistryError::Open`], [`RegistryError::Copy`], [`RegistryError::Unsound`] or [`RegistryError::Read`].
    pub async fn copy(from: &Path, to: &Path) -> Result<CopiedRegistry, RegistryError> {
        let copying = |source| RegistryError::Copy { path: to.to_owned(), source };
        let mut original = connect(from, SqliteConnectOptions::new()).await?;
        // SQLite takes texts for names of files.
        let name =
            to.to_str().ok_or_else(|| copying(sqlx::Error::Protocol("its name is not UTF-8".into())))?;
        let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(&mut original).await;
        original.close().await.ok();
        copied.map_err(copying)?;
        inspect(to).await
    }

    /// Records something in the audit of the database in `path`, whose schema is left as it is: it may be that of a server
    /// of another release. It is on disk when this returns.
    ///
    /// # Errors
    /// [`RegistryError::Open`] or [`RegistryError::Write`].
    pub async fn audit_as_it_is(path: &Path, entry: &Entry) -> Result<(), RegistryError> {
        let options = SqliteConnectOptions::new().synchronous(SqliteSynchronous::Full);
        let mut database = connect(path, options).await?;
        let append = async {
            let mut transaction = database.begin_with("BEGIN IMMEDIATE").await?;
            audit::append(&mut transaction, entry).await?;
            transaction.commit().await
        };
        let appended: Result<(), sqlx::Error> = append.await;
        database.close().await.ok();
        appended.map_err(|source| RegistryError::Write { what: "a record of the audit", source })
    }
}

async fn inspect(path: &Path) -> Result<CopiedRegistry, RegistryError> {
    let reading = |what| move |source| RegistryError::Read { what, source };
    let mut copy = connect(path, SqliteConnectOptions::new().read_only(true)).await?;
    let said: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut copy)
        .await
        .map_err(reading("the copy of the registry"))?;
    if said != "ok" {
        return Err(RegistryError::Unsound { path: path.to_owned(), said });
    }
    let lampposts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM lampposts")
        .fetch_one(&mut copy)
        .await
        .map_err(reading("the number of lampposts"))?;
    let certificates: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM certificates")
        .fetch_one(&mut copy)
        .await
        .map_err(reading("the number of certificates"))?;
    copy.close().await.ok();
    Ok(CopiedRegistry { lampposts: lampposts.unsigned_abs(), certificates: certificates.unsigned_abs() })
}

async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<SqliteConnection, RegistryError> {
    let options = options.filename(path).create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    options.connect().await.map_err(|source| RegistryError::Open { path: path.to_owned(), source })
}
