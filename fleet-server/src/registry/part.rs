//! Whether a part of the registry has changed.

use super::{Registry, RegistryError};

/// A part of the registry that somebody keeps in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The lampposts.
    Lampposts,
    /// Departments, their keys and their grants.
    Departments,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lampposts => "lampposts",
            Self::Departments => "departments",
        }
    }
}

impl Registry {
    /// Another number than before if something was written to this part in between, by this process or another one. Reads
    /// one row. To be asked for before the part is read: what is written meanwhile shows at the next time then.
    ///
    /// # Errors
    /// [`RegistryError::Read`].
    pub async fn version_of(&self, part: Part) -> Result<i64, RegistryError> {
        sqlx::query_scalar("SELECT version FROM part_versions WHERE part = $1")
            .bind(part.as_str())
            .fetch_one(self.readers())
            .await
            .map_err(|source| RegistryError::Read { what: "the version of a part", source })
    }
}
