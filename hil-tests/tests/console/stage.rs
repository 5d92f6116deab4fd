//! The fleet that the scenes are played before, and what can be done to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use edge_agent::clock::{Clock as _, SystemClock};
use edge_agent::outbox::{Outbox, OutboxOptions};
use hil_tests::city::{Fidelity, Who};
use hil_tests::fleet::{
    Binaries, Certificates, Ending, ServerPlace, ServerProcess, Street, StreetProcess, wait_for,
};
use lamplighter_protocol::{Description, LamppostNumber};

use crate::prompt::Whereabouts;

const LAMPPOSTS: u16 = 50;

/// The lamppost whose agent is a process of its own.
const LONE: &str = "KB0003";

/// What stands for a city's own map; from the folder of this crate.
const BASEMAP: &str = "../fleet-server/console/basemap/sample.pmtiles";

/// Whom the console names as its makers.
const ATTRIBUTION: &str = "Test city";

/// Agents that lost their server come back within a minute, each after a time that it draws.
const COMES_BACK_WITHIN: Duration = Duration::from_mins(2);

/// A server, and lampposts of which nothing breaks that is not told to. All of it is killed when this is dropped.
pub(crate) struct Stage {
    place: ServerPlace,
    server: Option<ServerProcess>,
    /// Whether the server was started with a map.
    mapped: bool,
    lone: Option<StreetProcess>,
    others: StreetProcess,
    /// Lampposts that were told something, and not mended since.
    told: BTreeSet<String>,
    binaries: Binaries,
    certificates: Certificates,
    directory: PathBuf,
}

impl Stage {
    /// Starts all of it, and waits until every lamppost is connected.
    pub(crate) fn set(directory: &Path) -> anyhow::Result<Self> {
        let binaries = Binaries::beside_this_program()?;
        let server = ServerProcess::start(&binaries, directory)?;
        let certificates = server.register(LAMPPOSTS.into())?;
        let start = |who| StreetProcess::start(&binaries, &server, &certificates, directory, &street(who));
        let (lone, others) = (start(Who::Only(lone()?))?, start(Who::Except(lone()?))?);
        let mut stage = Self {
            place: server.place().clone(),
            server: Some(server),
            mapped: false,
            lone: Some(lone),
            others,
            told: BTreeSet::new(),
            binaries,
            certificates,
            directory: directory.to_owned(),
        };
        stage.restore()?;
        Ok(stage)
    }

    /// Does what a scene asks for, and says where the server is then.
    ///
    /// | action | what happens |
    /// | --- | --- |
    /// | `link` | nothing |
    /// | `kill server`, `start server`, `restart server` | SIGKILL; a start on the same ports, with another token; both |
    /// | `map server` | SIGKILL; a start on the same ports, with a city's own map |
    /// | `kill KB0003`, `start KB0003` | SIGKILL to the agent of this one lamppost; its start |
    /// | `freeze KB0003`, `thaw KB0003` | SIGSTOP and SIGCONT: it keeps its connection, and does nothing |
    /// | `rehouse KB0003` | while its agent does not run: what it has written belongs to other hardware of the same number |
    /// | `certify KB0003` | it is issued another certificate, in the place of the one that it has |
    /// | `break …`, `set …`, `mend …` | as `virtual-city run --help` says, for all lampposts that run |
    /// | `restore` | whatever was killed is started, whoever was told is mended; waits until all is well |
    pub(crate) fn perform(&mut self, action: &str) -> anyhow::Result<Whereabouts> {
        match action.split(' ').collect::<Vec<_>>()[..] {
            ["link"] => {}
            ["kill", "server"] => self.kill_server()?,
            ["start", "server"] => self.start_server()?,
            ["restart", "server"] => {
                self.kill_server()?;
                self.start_server()?;
            }
            ["map", "server"] => {
                self.kill_server()?;
                self.start_mapped_server()?;
            }
            ["kill", LONE] => {
                self.lone.take().context("it does not run")?.end(Ending::Kill)?;
            }
            ["start", LONE] => self.start_lone()?,
            ["rehouse", LONE] => self.rehouse()?,
            ["certify", LONE] => {
                let server = self.server.as_ref().context("start the server first")?;
                server.reissue(LONE, &self.certificates)?;
            }
            ["freeze", LONE] => self.lone.as_ref().context("it does not run")?.freeze(),
            ["thaw", LONE] => self.lone.as_ref().context("it does not run")?.thaw(),
            ["kill" | "start" | "freeze" | "thaw", other] => {
                bail!("{other} has no process of its own: {LONE} and the server have one")
            }
            ["break" | "set" | "mend", number, ..] => self.tell(number, action)?,
            ["restore"] => self.restore()?,
            _ => bail!("no such action: {action:?}"),
        }
        let link = self.server.as_ref().map(|server| server.api().link());
        let (lampposts, certificates) = (self.place.mqtt(), self.certificates.0.clone());
        Ok(Whereabouts { link, lampposts, certificates })
    }

    /// Nothing has ended that was not told to.
    pub(crate) fn still_runs(&mut self) -> anyhow::Result<()> {
        let server = self.server.as_mut().is_some_and(ServerProcess::has_ended);
        let lone = self.lone.as_mut().is_some_and(StreetProcess::has_ended);
        ensure!(!server, "the server ended by itself");
        ensure!(!lone && !self.others.has_ended(), "lampposts ended by themselves");
        Ok(())
    }

    fn kill_server(&mut self) -> anyhow::Result<()> {
        self.server.take().context("the server does not run")?.end(Ending::Kill)
    }

    fn start_server(&mut self) -> anyhow::Result<()> {
        ensure!(self.server.is_none(), "the server runs");
        self.server = Some(self.place.start()?);
        self.mapped = false;
        Ok(())
    }

    fn start_mapped_server(&mut self) -> anyhow::Result<()> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(BASEMAP);
        let file = file.to_string_lossy();
        let options = ["--basemap", file.as_ref(), "--basemap-attribution", ATTRIBUTION];
        self.server = Some(self.place.with_options(&options).start()?);
        self.mapped = true;
        Ok(())
    }

    fn start_lone(&mut self) -> anyhow::Result<()> {
        ensure!(self.lone.is_none(), "{LONE} runs");
        let server = self.server.as_ref().context("start the server first")?;
        let street = street(Who::Only(lone()?));
        let started =
            StreetProcess::start(&self.binaries, server, &self.certificates, &self.directory, &street)?;
        self.lone = Some(started);
        // Its new agent knows nothing of what its old one was told.
        self.told.remove(LONE);
        Ok(())
    }

    /// As if the card had come from a lamppost whose hardware was changed: the identity of its outbox is that of one which
    /// other hardware has made.
    fn rehouse(&self) -> anyhow::Result<()> {
        ensure!(self.lone.is_none(), "kill {LONE} first");
        let made = tempfile::tempdir_in(&self.directory)?;
        let options = OutboxOptions {
            directory: made.path().join("outbox"),
            lamppost: LONE.parse()?,
            hardware_serial: "other hardware".to_owned(),
            max_bytes: 1 << 20,
            segment_bytes: OutboxOptions::segment_bytes_of(1 << 20),
            max_age: Duration::MAX,
            sync_every: Duration::ZERO,
        };
        let identity = options.directory.join("identity");
        let nothing = Description { grids: Vec::new(), devices: Vec::new() };
        let (outbox, thread) = Outbox::open(options, &nothing, Arc::new(SystemClock::new()))?;
        drop(outbox);
        thread.join()?;
        let outbox = StreetProcess::state(&self.directory).join(LONE).join("outbox");
        std::fs::copy(identity, outbox.join("identity"))?;
        Ok(())
    }

    fn tell(&mut self, number: &str, order: &str) -> anyhow::Result<()> {
        if number == LONE {
            self.lone.as_mut().context("it does not run")?.tell(order)?;
        } else {
            self.others.tell(order)?;
        }
        self.told.insert(number.to_owned());
        Ok(())
    }

    fn restore(&mut self) -> anyhow::Result<()> {
        if self.mapped && self.server.is_some() {
            self.kill_server()?;
        }
        if self.server.is_none() {
            self.start_server()?;
        }
        match &self.lone {
            Some(lone) => lone.thaw(),
            None => self.start_lone()?,
        }
        let told = std::mem::take(&mut self.told);
        for number in &told {
            self.tell(number, &format!("mend {number}"))?;
        }
        self.told.clear();
        let server = self.server.as_ref().context("the server does not run")?;
        wait_for("all lampposts to be connected and mended", COMES_BACK_WITHIN, || {
            let connected = server.api().metric("lamplighter_gateway_sessions", "").ok()?;
            let well = connected >= f64::from(LAMPPOSTS) && told.iter().all(|number| is_well(server, number));
            well.then_some(())
        })
    }
}

/// Whether each of its series has had a good observation last.
fn is_well(server: &ServerProcess, number: &str) -> bool {
    let Ok(latest) = server.api().json(&format!("/api/v1/lampposts/{number}/latest")) else { return false };
    let latest = latest["latest"].as_array().cloned().unwrap_or_default();
    !latest.is_empty() && latest.iter().all(|one| one["quality"] == "good")
}

fn street(who: Who) -> Street {
    Street {
        lampposts: LAMPPOSTS.into(),
        speed: 1.0,
        // At this speed time is the machine's.
        start: SystemClock::new().now().wall,
        fidelity: Fidelity::Unbroken { seed: 1 },
        every_ms: 2_000,
        who,
        told: true,
    }
}

fn lone() -> anyhow::Result<Vec<LamppostNumber>> {
    Ok(vec![LONE.parse()?])
}
