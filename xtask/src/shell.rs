//! Running other programs, and saying what is run.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir)
}

/// Where builds go.
pub(crate) fn target() -> PathBuf {
    // Cargo sets no variable for it; a directory of another name is not supported by these commands.
    root().join("target")
}

/// A line for whoever runs the command.
pub(crate) fn say(line: &str) {
    // Nobody may be listening any more; the work goes on.
    writeln!(std::io::stdout(), "{line}").ok();
}

/// A command in the root of the workspace.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Cargo, the one that runs us.
pub(crate) fn cargo() -> Command {
    command(env!("CARGO"))
}

/// Runs it to its end, says so first, and how long it took.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    say(&format!("$ {line}"));
    let started = now();
    let status = command.status().with_context(|| format!("cannot run: {line}"))?;
    if !status.success() {
        bail!("failed ({status}): {line}");
    }
    say(&format!("  ({:.1} s)", started.elapsed().as_secs_f64()));
    Ok(())
}

/// What it prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// The moment, for durations.
#[expect(clippy::disallowed_methods, reason = "developer commands have no simulated time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Becomes that command: it gets this process's terminal and signals, and its exit code is ours.
pub(crate) fn hand_over(command: &mut Command) -> anyhow::Result<()> {
    let error = std::os::unix::process::CommandExt::exec(command);
    Err(error).with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))
}
