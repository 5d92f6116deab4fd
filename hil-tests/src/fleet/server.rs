//! The server's process, and what is set up in it.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::api::Api;
use super::binaries::Binaries;
use super::process::{self, Ending};
use super::wait::wait_for;

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    place: ServerPlace,
    child: Child,
    api: Api,
}

/// Where a server's data are and where it listens, while it runs and while it does not.
#[derive(Clone, Debug)]
pub struct ServerPlace {
    binaries: Binaries,
    directory: PathBuf,
    mqtt: SocketAddr,
    http: SocketAddr,
    options: Vec<String>,
}

/// A folder with a folder for each lamppost, holding its certificate, its key, and the CA's certificate.
#[derive(Clone, Debug)]
pub struct Certificates(pub PathBuf);

impl ServerProcess {
    /// Starts a server whose data and log live in `directory`, on free ports, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start; names its log.
    pub fn start(binaries: &Binaries, directory: &Path) -> anyhow::Result<Self> {
        Self::start_with(binaries, directory, &[])
    }

    /// The same, with further options of `fleet-server run`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(binaries: &Binaries, directory: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let (binaries, directory) = (binaries.clone(), directory.to_owned());
        let place = ServerPlace { binaries, directory, mqtt: any, http: any, options: Vec::new() };
        place.with_options(options).start()
    }

    /// Ends it and starts it again on the same data and ports. The token is another one then.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(self, ending: Ending) -> anyhow::Result<Self> {
        let place = self.place.clone();
        self.end(ending)?;
        place.start()
    }

    /// Where it is, to start it there again once it has ended.
    pub fn place(&self) -> &ServerPlace {
        &self.place
    }

    /// Registers lampposts from the city's list and issues a certificate to each.
    ///
    /// # Errors
    /// What the server's commands say.
    pub fn register(&self, lampposts: usize) -> anyhow::Result<Certificates> {
        let csv = output(self.place.binaries.city().args(["list", "--lampposts", &lampposts.to_string()]))?;
        self.import(&csv)
    }

    /// Registers lampposts of these numbers, at one sample position, and issues a certificate to each.
    ///
    /// # Errors
    /// What the server's commands say.
    pub fn enrol(&self, numbers: &[&str]) -> anyhow::Result<Certificates> {
        let rows = numbers.iter().map(|number| format!("{number},22.3200,114.2100,Hoi Bun Road,Kwun Tong\n"));
        self.import(&format!("number,latitude,longitude,road,district\n{}", rows.collect::<String>()))
    }

    /// Registers the lampposts of a list, without certificates.
    ///
    /// # Errors
    /// What the server's command says.
    #[expect(
        clippy::disallowed_methods,
        reason = "a list that is read back at once, and made anew by every test"
    )]
    pub fn import_list(&self, csv: &str) -> anyhow::Result<()> {
        let list = self.place.directory.join("lampposts.csv");
        std::fs::write(&list, csv)?;
        let mut import = self.place.binaries.server();
        output(import.args(["lamppost", "import"]).arg(&list).arg("--data").arg(self.data()))?;
        Ok(())
    }

    /// A one-time token for a registered lamppost.
    ///
    /// # Errors
    /// What the server's command says.
    pub fn token(&self, number: &str) -> anyhow::Result<String> {
        let mut create = self.place.binaries.server();
        let said = output(create.args(["token", "create", number, "--data"]).arg(self.data()))?;
        let token = said.lines().nth(1).context("no token was printed")?;
        Ok(token.trim().to_owned())
    }

    /// What one of the server's commands prints, on the data of this one.
    ///
    /// # Errors
    /// What it complains of.
    pub fn operate(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(self.place.binaries.server().args(arguments).arg("--data").arg(self.data()))
    }

    /// Issues another certificate to a registered lamppost, in the place of the one that it has.
    ///
    /// # Errors
    /// What the server's command says.
    pub fn reissue(&self, number: &str, certificates: &Certificates) -> anyhow::Result<()> {
        // What is issued overwrites nothing.
        std::fs::remove_dir_all(certificates.0.join(number))?;
        self.issue(number, certificates)
    }

    fn import(&self, csv: &str) -> anyhow::Result<Certificates> {
        self.import_list(csv)?;
        let certificates = Certificates(self.place.directory.join("certificates"));
        for number in csv.lines().skip(1).filter_map(|line| line.split(',').next()) {
            self.issue(number, &certificates)?;
        }
        Ok(certificates)
    }

    fn issue(&self, number: &str, certificates: &Certificates) -> anyhow::Result<()> {
        let mut issue = self.place.binaries.server();
        issue.args(["cert", "issue", number, "--data"]).arg(self.data());
        output(issue.arg("--out").arg(certificates.0.join(number)))?;
        Ok(())
    }

    /// Everything that the server keeps.
    pub fn data(&self) -> PathBuf {
        self.place.directory.join("data")
    }

    /// Where lampposts connect.
    pub fn mqtt(&self) -> SocketAddr {
        self.place.mqtt
    }

    /// Where people connect.
    pub fn api(&self) -> &Api {
        &self.api
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
        process::end(&mut self.child, "the server", ending)
    }

    /// Stops its time (SIGSTOP): it keeps its connections, and does nothing.
    pub fn freeze(&self) {
        process::signal(&self.child, "STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        process::signal(&self.child, "CONT");
    }
}

impl ServerPlace {
    /// The same place, where servers are started with these options instead.
    #[must_use]
    pub fn with_options(&self, options: &[&str]) -> Self {
        Self { options: options.iter().map(ToString::to_string).collect(), ..self.clone() }
    }

    /// The same place, where these programs are started instead.
    #[must_use]
    pub fn with_binaries(&self, binaries: &Binaries) -> Self {
        Self { binaries: binaries.clone(), ..self.clone() }
    }

    /// Where lampposts connect.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// Starts a server there, on the same data and ports, and waits until it is ready.
    ///
    /// # Errors
    /// As [`ServerProcess::start`].
    pub fn start(&self) -> anyhow::Result<ServerProcess> {
        std::fs::create_dir_all(&self.directory)?;
        let log = self.directory.join("server.log");
        let mut command = self.binaries.server();
        command.args(["run", "--mqtt", &self.mqtt.to_string(), "--http", &self.http.to_string(), "--data"]);
        command.arg(self.directory.join("data")).args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(OpenOptions::new().create(true).append(true).open(&log)?);
        let mut child = command.spawn().context("cannot start the server")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let found =
            addresses(stdout).with_context(|| format!("the server did not start: see {}", log.display()));
        let (mqtt, api) = match found {
            Ok(found) => found,
            Err(error) => {
                process::end(&mut child, "the server", Ending::Kill)?;
                return Err(error);
            }
        };
        let place = ServerPlace { mqtt, http: api.address(), ..self.clone() };
        let server = ServerProcess { place, child, api };
        let ready = || server.api.ask("/readyz").ok().filter(|(status, _)| *status == 200);
        wait_for("the server to be ready", Duration::from_mins(2), ready)?;
        Ok(server)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // After an orderly end there is nothing left to kill.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// Reads the server's first lines: where lampposts and people connect.
fn addresses(stdout: ChildStdout) -> anyhow::Result<(SocketAddr, Api)> {
    let mut lines = BufReader::new(stdout).lines();
    let mut mqtt = None;
    loop {
        let line = lines.next().context("it ended")??;
        if let Some(address) = line.strip_prefix("lampposts  mqtts://") {
            mqtt = Some(address.parse()?);
        }
        if let Some(link) = line.strip_prefix("people     http://") {
            let (address, token) = link.split_once("/login?token=").context("the link has no token")?;
            let api = Api::new(address.parse()?, token.to_owned());
            // The pipe is read on, or the server would block on it.
            std::thread::spawn(move || lines.count());
            return Ok((mqtt.context("the server printed no address for lampposts")?, api));
        }
    }
}

/// What a command prints, if it succeeds; what it complains of, if not.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
