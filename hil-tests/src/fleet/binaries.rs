//! Where the programs of a fleet are: beside the one that runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The programs that a fleet consists of.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
    /// Words before each program: what starts it.
    under: Vec<OsString>,
}

impl Binaries {
    /// Finds them beside the running program, or one folder up, where Cargo puts them for tests.
    ///
    /// # Errors
    /// If one is missing; says how it is built.
    pub fn beside_this_program() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let folders = program.ancestors().skip(1).take(2).map(Path::to_owned);
        let complete = |folder: &PathBuf| Self::NAMES.iter().all(|name| folder.join(name).is_file());
        match folders.into_iter().find(complete) {
            Some(folder) => Ok(Self { folder, under: Vec::new() }),
            None => bail!("{} are not all built: cargo build --workspace --bins", Self::NAMES.join(", ")),
        }
    }

    const NAMES: [&'static str; 3] = ["fleet-server", "edge-agent", "virtual-city"];

    /// The same programs, each started by this command. It has to become the program: signals go to it.
    #[must_use]
    pub fn under(&self, command: Vec<OsString>) -> Self {
        Self { under: command, ..self.clone() }
    }

    /// The fleet server.
    pub fn server(&self) -> Command {
        self.command("fleet-server")
    }

    /// The agent.
    pub fn agent(&self) -> Command {
        self.command("edge-agent")
    }

    /// The simulated lampposts.
    pub fn city(&self) -> Command {
        self.command("virtual-city")
    }

    fn command(&self, name: &str) -> Command {
        let program = self.folder.join(name);
        let Some((first, rest)) = self.under.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }
}
