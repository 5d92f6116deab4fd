//! Reads the register again when somebody has changed the registry: most often another process, which imports.

use super::register::{Register, RegisterBuilder};
use crate::registry::{Registry, RegistryChanges, RegistryError};

/// Lampposts of one read: between two of them everybody else gets a turn.
const PAGE: u32 = 1_000;

#[derive(Debug)]
pub(super) struct Reader {
    registry: Registry,
    changes: Option<RegistryChanges>,
    /// The registry's version before it was last read; none if that went wrong.
    read_at: Option<i64>,
    failing: bool,
}

impl Reader {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, changes: None, read_at: None, failing: false }
    }

    /// Whether it was read last time.
    pub(super) fn has_read(&self) -> bool {
        self.read_at.is_some()
    }

    /// The register, if something was written to the registry since it was last read. What cannot be read now is
    /// asked for the next time; the log says so once.
    pub(super) async fn changed(&mut self) -> Option<Register> {
        match self.look().await {
            Ok(register) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the registry can be read again");
                }
                register
            }
            Err(error) => {
                // The next version is that of another connection, and cannot be compared with this one's.
                (self.changes, self.read_at) = (None, None);
                if !std::mem::replace(&mut self.failing, true) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "the registry cannot be read: the map shows the lampposts that were read before, or none. \
                         See that {} in the data directory is whole, that this user may read and write it, and \
                         that its disk is well; it is tried again every second",
                        Registry::FILE_NAME
                    );
                }
                None
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Register>, RegistryError> {
        let changes = match &mut self.changes {
            Some(changes) => changes,
            none => none.insert(self.registry.changes().await?),
        };
        let version = changes.version().await?;
        if self.read_at == Some(version) {
            return Ok(None);
        }
        // Whoever writes while this reads makes another version, and it is read again.
        let register = self.read().await?;
        self.read_at = Some(version);
        Ok(Some(register))
    }

    async fn read(&self) -> Result<Register, RegistryError> {
        let mut register = RegisterBuilder::default();
        loop {
            let page = self.registry.lampposts(register.last(), PAGE).await?;
            for lamppost in &page {
                register.push(lamppost);
            }
            if page.len() < PAGE as usize {
                return Ok(register.finish());
            }
        }
    }
}
