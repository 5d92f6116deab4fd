//! Whether somebody has written to the registry.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::{Registry, RegistryError};

/// Notices what anybody writes to the registry: this process, or another one that imports beside it. It holds a
/// connection of its own, because a version says something only when compared with an earlier one of the same
/// connection.
#[derive(Debug)]
pub struct RegistryChanges {
    connection: SqliteConnection,
}

const WHAT: &str = "its version";

impl Registry {
    /// Notices what is written from now on.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn changes(&self) -> Result<RegistryChanges, RegistryError> {
        let connected = SqliteConnection::connect_with(&self.reader_options()).await;
        let connection = connected.map_err(|source| RegistryError::Read { what: WHAT, source })?;
        Ok(RegistryChanges { connection })
    }
}

impl RegistryChanges {
    /// Another number than before if something was written in between. Reads no row. It is SQLite's own word;
    /// PostgreSQL would do the same with a table's trigger.
    ///
    /// # Errors
    /// [`RegistryError::Read`]; ask with a new connection then.
    pub async fn version(&mut self) -> Result<i64, RegistryError> {
        let version = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.connection).await;
        version.map_err(|source| RegistryError::Read { what: WHAT, source })
    }
}
