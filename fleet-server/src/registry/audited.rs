//! The audit, as far as nothing else in the registry changes with it.

use super::{Registry, RegistryError};
use crate::audit::{self, Entry, Head};

const WHAT: &str = "a record of the audit";

impl Registry {
    /// Records what was done outside of the registry. It is on disk when this returns. With the head of the audit since.
    ///
    /// # Errors
    /// [`RegistryError::Write`].
    pub async fn audit(&self, entry: &Entry) -> Result<Head, RegistryError> {
        self.audit_all(std::slice::from_ref(entry)).await
    }

    /// Records all of this, or nothing.
    ///
    /// # Errors
    /// [`RegistryError::Write`].
    pub async fn audit_all(&self, entries: &[Entry]) -> Result<Head, RegistryError> {
        let append = async {
            let mut transaction = self.begin().await?;
            for entry in entries {
                audit::append(&mut transaction, entry).await?;
            }
            let head = audit::head(&mut transaction).await?;
            transaction.commit().await?;
            Ok(head)
        };
        append.await.map_err(|source| RegistryError::Write { what: WHAT, source })
    }

    /// Records that something was made outside of the registry, unless that is recorded: to be called at every start, so
    /// that no crash between the making and the recording hides it.
    ///
    /// # Errors
    /// [`RegistryError::Write`].
    pub async fn audit_once(&self, entry: &Entry) -> Result<(), RegistryError> {
        let append = async {
            let mut transaction = self.begin().await?;
            if !audit::is_recorded(&mut transaction, entry.action, &entry.subject).await? {
                audit::append(&mut transaction, entry).await?;
            }
            transaction.commit().await
        };
        append.await.map_err(|source| RegistryError::Write { what: WHAT, source })
    }
}
