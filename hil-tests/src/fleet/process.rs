//! Ending processes, politely or not.

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::bail;

use super::wait::wait_for;

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM, and it has to exit with 0 in time.
    Stop,
    /// SIGKILL: no instruction of it runs any more.
    Kill,
}

/// Time that a process has to stop.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn end(child: &mut Child, what: &str, ending: Ending) -> anyhow::Result<()> {
    match ending {
        Ending::Kill => {
            child.kill()?;
            child.wait()?;
            Ok(())
        }
        Ending::Stop => {
            terminate(child);
            let status = wait_for(&format!("{what} to stop"), PATIENCE, || child.try_wait().ok().flatten())?;
            if !status.success() {
                bail!("{what} ended with {status}");
            }
            Ok(())
        }
    }
}

/// SIGTERM.
pub(super) fn terminate(child: &Child) {
    signal(child, "TERM");
}

/// A signal, by the shell's own word: the standard library can only kill.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    // Fails if it has ended already, which is what is wanted.
    Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\" 2>/dev/null", name, &pid]).status().ok();
}
