//! Who runs a command.

use crate::audit::Actor;

/// The operator who runs this command, as the audit names them: by the real user id, which nobody sets for himself.
pub(super) fn operator() -> Actor {
    Actor::CommandLine { user_id: rustix::process::getuid().as_raw() }
}
