//! The processes of simulated lampposts.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use lamplighter_protocol::UtcMillis;
use serde_json::Value;

use super::binaries::Binaries;
use super::process::{self, Ending};
use super::server::{Certificates, ServerProcess};

/// How lampposts behave.
#[derive(Clone, Debug)]
pub struct Street {
    /// How many.
    pub lampposts: usize,
    /// How many times faster than real time.
    pub speed: f64,
    /// When their time begins.
    pub start: UtcMillis,
    /// No variation between lampposts, and no fault.
    pub exact: bool,
    /// Time from reading to reading of each sensor.
    pub every_ms: u32,
    /// Only this one of them, if one is named.
    pub only: Option<String>,
}

/// A process that runs lampposts. It is killed when this is dropped.
#[derive(Debug)]
pub struct StreetProcess {
    child: Child,
    figures: Arc<Mutex<String>>,
}

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
        std::fs::create_dir_all(directory)?;
        let mut city = binaries.city();
        city.arg("run").arg("--state").arg(Self::state(directory));
        city.arg("--certificates").arg(&certificates.0);
        city.args(["--server", &server.mqtt().to_string()]);
        city.args(["--lampposts", &street.lampposts.to_string()]);
        city.args(["--speed", &street.speed.to_string()]);
        city.args(["--every-ms", &street.every_ms.to_string()]);
        city.args(["--start-ms", &street.start.0.to_string()]);
        if street.exact {
            city.arg("--exact");
        }
        if let Some(number) = &street.only {
            city.args(["--only", number]);
        }
        let name = street.only.as_deref().unwrap_or("lampposts");
        let log = OpenOptions::new().create(true).append(true).open(directory.join(format!("{name}.log")))?;
        let mut child = city.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().context("the lampposts have no output")?;
        let figures = Arc::new(Mutex::new(String::new()));
        let last = Arc::clone(&figures);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        });
        Ok(Self { child, figures })
    }

    /// Where lampposts keep their state below `directory`: a folder each.
    pub fn state(directory: &Path) -> PathBuf {
        directory.join("lampposts")
    }

    /// What it last said of itself, a line of JSON a second; null before the first.
    pub fn figures(&self) -> Value {
        let line = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_str(&line).unwrap_or_default()
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
