//! The shipped agent as a process of its own, on instruments that a test gives it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use edge_agent::clock::SystemClock;
use hil_tests::fleet::ServerProcess;
use hil_tests::rig::Scene;
use hil_tests::rig::serial::SerialInstruments;
use hil_tests::world::faults::Faults;
use hil_tests::world::{Recordings, Site, Variation, World};
use serde_json::Value;

use super::commands::{binaries, done, put};

/// A running agent, with a PMS5003 on a serial line of its own. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct AgentProcess {
    child: Child,
    config: PathBuf,
    _instruments: SerialInstruments,
}

/// An agent that is configured and does not run.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) config: PathBuf,
    folder: PathBuf,
    instruments: SerialInstruments,
}

impl AgentProcess {
    /// Starts the agent of a lamppost that reads each second. Its certificate is expected in `certificates`, and
    /// `buses` are added to its configuration.
    pub(crate) fn start(
        folder: &Path,
        server: &ServerProcess,
        number: &str,
        certificates: &Path,
        buses: &str,
    ) -> Self {
        Self::start_on("a rig", folder, server, number, (certificates, buses))
    }

    /// The same on hardware of this serial number; what an agent has left in the folder is still there.
    pub(crate) fn start_on(
        hardware: &str,
        folder: &Path,
        server: &ServerProcess,
        number: &str,
        own: (&Path, &str),
    ) -> Self {
        Configured::on(hardware, folder, server, number, own).start()
    }

    /// What it says of itself; none before it answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = with(&["status", "--json"], &self.config).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// What it says of itself, for people.
    pub(crate) fn status_for_people(&self) -> String {
        done(&mut with(&["status"], &self.config))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Configured {
    /// Writes the configuration that [`AgentProcess::start_on`] starts with.
    pub(crate) fn on(
        hardware: &str,
        folder: &Path,
        server: &ServerProcess,
        number: &str,
        (certificates, buses): (&Path, &str),
    ) -> Self {
        let clock = Arc::new(SystemClock::believed());
        let world = World::new(Arc::new(Recordings::built_in()), Site::STREET, Variation::None);
        let scene = Scene::new(world, Faults::None, 0, clock);
        let mut instruments = SerialInstruments::start().unwrap();
        let air = instruments.plug_in_pms5003(scene).unwrap();
        let state = folder.join("state");
        std::fs::create_dir_all(&state).unwrap();
        let (certificates, port) = (certificates.display(), server.mqtt().port());
        let config = folder.join("agent.toml");
        put(
            &config,
            format!(
                r#"
lamppost = "{number}"
state_dir = "{state}"
hardware_serial = "{hardware}"

[server]
host = "127.0.0.1"
port = {port}
ca_file = "{certificates}/ca.pem"
certificate_file = "{certificates}/{number}.pem"
key_file = "{certificates}/{number}.key"

[[bus]]
name = "air"
kind = "serial"
path = "{air}"

[[device]]
name = "air-1"
bus = "air"
sensor = "pms5003"
every_s = 1
warm_up_s = 0
{buses}"#,
                state = state.display(),
                air = air.display()
            ),
        );
        Self { config, folder: folder.to_owned(), instruments }
    }

    /// Starts the agent.
    pub(crate) fn start(self) -> AgentProcess {
        self.start_in(&[])
    }

    /// Starts the agent with these variables in its environment.
    pub(crate) fn start_in(self, variables: &[(&str, &Path)]) -> AgentProcess {
        let Self { config, folder, instruments } = self;
        let log = OpenOptions::new().create(true).append(true).open(folder.join("agent.log")).unwrap();
        let mut agent = with(&["run"], &config);
        agent.envs(variables.iter().copied());
        let child = agent.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        AgentProcess { child, config, _instruments: instruments }
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// What a subcommand of the agent is told about a configuration.
pub(crate) fn with(words: &[&str], config: &Path) -> Command {
    let mut agent = binaries().agent();
    agent.args(words).arg("--config").arg(config);
    agent
}
