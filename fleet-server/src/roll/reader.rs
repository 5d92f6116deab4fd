//! Reads the register again when somebody has changed the lampposts in the registry: most often another process, which imports.

use super::register::{Register, RegisterBuilder};
use crate::registry::{Part, Registry, RegistryError};

/// Lampposts of one read: between two of them everybody else gets a turn.
const PAGE: u32 = 1_000;

#[derive(Debug)]
pub(super) struct Reader {
    registry: Registry,
    /// The version of the lampposts before they were last read; none if that went wrong.
    read_at: Option<i64>,
    failing: bool,
}

impl Reader {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, read_at: None, failing: false }
    }

    /// Whether it was read last time.
    pub(super) fn has_read(&self) -> bool {
        self.read_at.is_some()
    }

    /// The register, if a lamppost was added or changed since it was last read. Whatever else is written to the registry,
    /// such as what the gateway has refused once a minute, costs one row to read here. What cannot be read now is
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
                self.read_at = None;
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
        let version = self.registry.version_of(Part::Lampposts).await?;
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
