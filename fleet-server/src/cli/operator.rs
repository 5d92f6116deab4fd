//! Who runs a command, and on what.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::audit::Actor;
use crate::registry::Registry;

/// The operator who runs this command, as the audit names them: by the real user id.
pub(super) fn operator() -> Actor {
    Actor::CommandLine { user_id: rustix::process::getuid().as_raw() }
}

/// The registry of a data directory, for commands that have nothing to do where there is none.
pub(super) fn registry_in(data: &Path) -> anyhow::Result<PathBuf> {
    let path = data.join(Registry::FILE_NAME);
    if !path.is_file() {
        bail!("there is no registry in {}: give the data directory of a server", data.display());
    }
    Ok(path)
}
