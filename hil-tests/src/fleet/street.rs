//! The processes of simulated lampposts.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde_json::Value;

use super::binaries::Binaries;
use super::process::{self, Ending};
use super::server::{Certificates, ServerProcess};
use crate::city::{Fidelity, Who};

/// How lampposts behave.
#[derive(Clone, Debug)]
pub struct Street {
    /// How many.
    pub lampposts: usize,
    /// How many times faster than real time.
    pub speed: f64,
    /// When their time begins.
    pub start: UtcMillis,
    /// How true to the recordings.
    pub fidelity: Fidelity,
    /// Time from reading to reading of each sensor.
    pub every_ms: u32,
    /// Which of them.
    pub who: Who,
    /// Whether they can be told what befalls them. Not if they are exact.
    pub told: bool,
}

/// A process that runs lampposts. It is killed when this is dropped.
#[derive(Debug)]
pub struct StreetProcess {
    child: Child,
    figures: Arc<Mutex<Value>>,
    orders: Option<ChildStdin>,
    answers: Receiver<Value>,
}

/// Time within which an order is answered: it waits for nothing.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

impl StreetProcess {
    /// Starts lampposts that connect to `server`; what they keep and their log live in `directory`.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(
        binaries: &Binaries,
        server: &ServerProcess,
        certificates: &Certificates,
        directory: &Path,
        street: &Street,
    ) -> anyhow::Result<Self> {
        Self::start_through(binaries, server.mqtt(), certificates, directory, street, &[])
    }

    /// The same for lampposts that connect to this address, with further options of `virtual-city run`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_through(
        binaries: &Binaries,
        gateway: SocketAddr,
        certificates: &Certificates,
        directory: &Path,
        street: &Street,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut city = binaries.city();
        city.arg("run").arg("--state").arg(Self::state(directory));
        city.arg("--certificates").arg(&certificates.0);
        city.args(["--server", &gateway.to_string()]);
        city.args(["--lampposts", &street.lampposts.to_string()]);
        city.args(["--speed", &street.speed.to_string()]);
        city.args(["--every-ms", &street.every_ms.to_string()]);
        city.args(["--start-ms", &street.start.0.to_string()]);
        street.choose(&mut city);
        city.args(options);
        let log = directory.join(format!("{}.log", street.name()));
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let stdin = if street.told { Stdio::piped() } else { Stdio::null() };
        let mut child = city.stdin(stdin).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().context("the lampposts have no output")?;
        let orders = child.stdin.take();
        let (figures, (answer, answers)) = (Arc::default(), mpsc::channel());
        let newest = Arc::clone(&figures);
        std::thread::spawn(move || read(stdout, &newest, &answer));
        Ok(Self { child, figures, orders, answers })
    }

    /// Tells a lamppost of this process what befalls it, such as `break KB0007 chip absent`: `virtual-city run --help`
    /// says what there is to tell. It is so from its next reading on.
    ///
    /// # Errors
    /// If the order is refused, with the reason; if the process does not answer; if it was not started to be told.
    pub fn tell(&mut self, order: &str) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("these lampposts cannot be told anything")?;
        ensure!(!order.contains('\n'), "an order is one line, not {order:?}");
        writeln!(orders, "{order}").context("the lampposts do not listen any more")?;
        loop {
            let answer = self.answers.recv_timeout(ANSWERS_WITHIN).context("the lampposts do not answer")?;
            // An answer that came too late for an earlier order says nothing of this one.
            if answer["refused"] == order {
                bail!("{order}: {}", answer["because"].as_str().unwrap_or_default());
            }
            if answer["told"] == order {
                return Ok(());
            }
        }
    }

    /// Where lampposts keep their state below `directory`: a folder each.
    pub fn state(directory: &Path) -> PathBuf {
        directory.join("lampposts")
    }

    /// What it last said of itself, a line of JSON a second; null before the first.
    pub fn figures(&self) -> Value {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it does not stop cleanly in time.
    pub fn end(mut self, ending: Ending) -> anyhow::Result<()> {
        process::end(&mut self.child, "a process of lampposts", ending)
    }

    /// Stops its time (SIGSTOP): it keeps its connections, and does nothing.
    pub fn freeze(&self) {
        process::signal(&self.child, "STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        process::signal(&self.child, "CONT");
    }

    /// Tells it to stop, and does not wait.
    pub fn tell_to_stop(&self) {
        process::terminate(&self.child);
    }
}

impl Drop for StreetProcess {
    fn drop(&mut self) {
        // After an orderly end there is nothing left to kill.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

impl Street {
    /// Hands its choices to `virtual-city run`.
    fn choose(&self, city: &mut Command) {
        match self.fidelity {
            Fidelity::Exact => city.arg("--exact"),
            Fidelity::Unbroken { seed } => city.arg("--no-faults").args(["--seed", &seed.to_string()]),
            Fidelity::Natural { seed } => city.args(["--seed", &seed.to_string()]),
        };
        let (choice, numbers) = match &self.who {
            Who::All => ("", [].as_slice()),
            Who::Only(numbers) => ("--only", numbers.as_slice()),
            Who::Except(numbers) => ("--except", numbers.as_slice()),
        };
        for number in numbers {
            city.args([choice, number.as_str()]);
        }
        if self.told {
            city.arg("--told");
        }
    }

    /// Of its log: processes that run at the same time must not share one.
    fn name(&self) -> &str {
        match &self.who {
            Who::Only(numbers) => numbers.first().map_or("nobody", LamppostNumber::as_str),
            Who::All | Who::Except(_) => "lampposts",
        }
    }
}

/// Keeps the newest line of figures, and hands on answers to orders.
fn read(stdout: ChildStdout, figures: &Mutex<Value>, answers: &Sender<Value>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        if said.get("told").or_else(|| said.get("refused")).is_none() {
            *figures.lock().unwrap_or_else(PoisonError::into_inner) = said;
        } else if answers.send(said).is_err() {
            // Nobody looks after this process any more.
            return;
        }
    }
}
