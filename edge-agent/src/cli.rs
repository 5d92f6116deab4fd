//! The command line of `edge-agent`: what may be typed, and every command but `run`, which is the binary's.
//!
//! Commands write to what they are handed, so that tests read what people see.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, Parser, Subcommand};
use lamplighter_protocol::Catalogue;
use tracing::level_filters::LevelFilter;

use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::identity::{self, Fingerprint, IfEnrolled, Token, Trust};
use crate::status::{self, AskError};

/// The agent on one lamppost: reads its sensors, keeps every sample until the fleet server holds it, and sends it.
#[derive(Debug, Parser)]
#[command(name = "edge-agent", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// How much is logged: off, error, warn, info, debug or trace. A part of the agent may have its own level:
    /// `info,edge_agent::uplink=debug`.
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL", value_parser = log_filter)]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent until it is told to stop (SIGTERM, Ctrl-C).
    Run(ConfigFile),
    /// Get this lamppost its certificate, for a one-time token. The key is made here, and stays here. Run it as the agent's
    /// user; it can be run again, and goes on where it was.
    Enrol(Enrolment),
    /// Check or print a configuration, touching nothing that it names.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what the running agent does: connection, backlog, each bus, each sensor.
    Status(StatusQuestion),
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Name everything that is wrong in the file, with line, column and remedy; fail if anything is.
    Check(ConfigFile),
    /// Print the configuration in force, every key explained. It can be used as a file again.
    Print(ConfigFile),
}

/// Names a configuration file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration (TOML). `config print` explains its keys.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Who enrols, and how the server is known.
#[derive(Debug, Args)]
pub struct Enrolment {
    /// The configuration that the agent will run with: it says which lamppost this is, where the server is, and where
    /// certificate and key go.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The one-time token that `fleet-server token create` printed. Others on this machine see it while the command runs:
    /// better use --token-file.
    #[arg(long, value_name = "TOKEN", required_unless_present = "token_file", conflicts_with = "token_file")]
    pub token: Option<Token>,
    /// A file with the token; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The certificate of the fleet's authority (PEM), if it is not where the configuration says: it is copied there.
    #[arg(long, value_name = "FILE", conflicts_with = "ca_sha256")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of that certificate: it is fetched from the server, and taken if it has this fingerprint.
    #[arg(long, value_name = "HEX")]
    pub ca_sha256: Option<Fingerprint>,
    /// Get another certificate though there is one.
    #[arg(long)]
    pub again: bool,
}

/// Which agent is asked for its status, and how the answer is printed.
#[derive(Debug, Args)]
pub struct StatusQuestion {
    /// The configuration that the agent runs with.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print one JSON document instead of tables. Its times are ms since 1970-01-01T00:00:00Z.
    #[arg(long)]
    pub json: bool,
}

/// Says that a configuration is good, and what is in it.
///
/// # Errors
/// Everything that is wrong with it; a failed write.
pub fn check(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    let series = config
        .description(&Catalogue::built_in())
        .devices
        .iter()
        .map(|device| device.series.len())
        .sum::<usize>();
    writeln!(
        out,
        "{}: good: lamppost {}, configuration {}, {}, {}, {} with the agent's own",
        path.display(),
        config.lamppost,
        config.generation,
        counted(config.buses.len(), "bus", "buses"),
        counted(config.devices.len(), "device", "devices"),
        counted(series, "series", "series"),
    )?;
    Ok(())
}

/// Writes a configuration as it is in force, every key explained.
///
/// # Errors
/// Everything that is wrong with it; a failed write.
pub fn print(path: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    out.write_all(Config::load(path)?.commented().as_bytes())?;
    Ok(())
}

/// Gets the lamppost its certificate, and says how long it is good.
///
/// # Errors
/// What is wrong with configuration or token, what the server says; a failed write.
pub fn enrol(arguments: &Enrolment, out: &mut dyn Write) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config)?;
    let token = match (&arguments.token, &arguments.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(file)) => token_of(file)?,
        (None, None) => return Err(anyhow!("there is no token: give one with --token-file")),
    };
    let trust = match (&arguments.ca, arguments.ca_sha256) {
        (Some(file), _) => Trust::File(file.clone()),
        (None, Some(fingerprint)) => Trust::Fingerprint(fingerprint),
        (None, None) => Trust::Configured,
    };
    let if_enrolled = if arguments.again { IfEnrolled::Replace } else { IfEnrolled::Leave };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let clock = Arc::new(SystemClock::new());
    let enrolment = identity::enrol(&config, &token, &trust, if_enrolled, Arc::clone(&clock) as _);
    let enrolled = runtime.block_on(enrolment)?;
    let now = clock.now().wall;
    let what =
        if enrolled.is_new { "enrolled" } else { "enrolled already (--again gets another certificate)" };
    writeln!(out, "{} is {what}: certificate {}", config.lamppost, enrolled.serial)?;
    if now < enrolled.from || enrolled.until < now {
        writeln!(
            out,
            "by this machine's clock it is not good now: the clock is wrong, which does no harm if nobody sets it, for the \
             agent then learns the time from the server"
        )?;
    } else {
        let left = enrolled.until.since_ms(now);
        writeln!(out, "good for another {} days; the agent renews it by itself", left / 86_400_000)?;
    }
    writeln!(out, "its key is in {}", enrolled.key_place)?;
    writeln!(out, "start the agent with: edge-agent run --config {}", arguments.config.display())?;
    Ok(())
}

/// The token in a file, or on standard input.
fn token_of(file: &Path) -> anyhow::Result<Token> {
    /// Many times what a token has.
    const MOST_BYTES: u64 = 4096;
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(MOST_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read the token from {}", file.display()))?;
    Token::new(&text).with_context(|| format!("{} holds no token", file.display()))
}

/// Asks the agent that runs with a configuration for its status, and prints it.
///
/// # Errors
/// What is wrong with the configuration; no agent answers; a failed write.
pub fn status(question: &StatusQuestion, out: &mut dyn Write) -> anyhow::Result<()> {
    let file = &question.config;
    let socket = status::socket_path(&Config::load(file)?.state_dir);
    let status = status::ask(&socket).map_err(|error| match error {
        AskError::NotRunning(_) => {
            anyhow!("{error}; start one with: edge-agent run --config {}", file.display())
        }
        AskError::Forbidden(_) | AskError::NoAnswer { .. } | AskError::Unreadable { .. } => error.into(),
    })?;
    if question.json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        writeln!(out)?;
    } else {
        status::write_table(&status, out)?;
    }
    Ok(())
}

/// A level, or levels of parts of the agent; checked here, for a misspelt level alone would be taken as a part's name.
fn log_filter(text: &str) -> Result<String, String> {
    let level = |part: &str| part.rsplit_once('=').map_or(part, |(_, level)| level).parse::<LevelFilter>();
    match text.split(',').map(level).collect::<Result<Vec<_>, _>>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a level is off, error, warn, info, debug or trace".to_owned()),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use clap::CommandFactory as _;

    use super::*;
    use crate::status::Status;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/example.toml");

    fn cli(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("edge-agent").chain(arguments.iter().copied()))
    }

    fn printed(command: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> Result<String, String> {
        let mut out = Vec::new();
        command(&mut out).map(|()| String::from_utf8(out).unwrap()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_commands_are_consistent_and_every_one_needs_its_file() {
        Cli::command().debug_assert();
        assert!(
            matches!(cli(&["run", "--config", "a"]).unwrap().command, Command::Run(file) if file.config == Path::new("a"))
        );
        let quiet = cli(&["config", "check", "--config", "a", "--log", "error"]).unwrap();
        assert_eq!(quiet.log, "error");
        assert!(matches!(quiet.command, Command::Config(ConfigCommand::Check(_))));
        let asked = cli(&["status", "--config", "a", "--json"]).unwrap().command;
        assert!(matches!(asked, Command::Status(StatusQuestion { json: true, .. })));
        let enrol = cli(&["enrol", "--config", "a", "--token-file", "-"]).unwrap().command;
        assert!(matches!(enrol, Command::Enrol(Enrolment { token: None, again: false, .. })));
        for wrong in [
            &["enrol", "--config", "a"][..],
            &["enrol", "--config", "a", "--token", "a", "--token-file", "b"],
            &["enrol", "--config", "a", "--token", "a", "--ca", "b", "--ca-sha256", &"00".repeat(32)],
            &["enrol", "--config", "a", "--token", "a", "--ca-sha256", "00"],
            &["run"],
            &["config"],
            &["status"],
            &["run", "--config"],
            &["--log", "loud", "run", "--config", "a"],
            &["--log", "info,edge_agent=loud", "run", "--config", "a"],
            &[],
        ] {
            assert!(cli(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_good_file_is_called_good_and_a_bad_one_is_told_line_by_line() {
        let said = printed(|out| check(Path::new(EXAMPLE), out)).unwrap();
        assert_eq!(
            said,
            format!(
                "{EXAMPLE}: good: lamppost DF3637, configuration 1, 2 buses, 3 devices, 13 series with the agent's own\n"
            )
        );
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("bad.toml");
        write(&bad, "lamppost = 1\nport = 2\n[server]\nhost = \"a\"\n");
        let said = printed(|out| check(&bad, out)).unwrap_err();
        let lines: Vec<&str> =
            said.lines().filter_map(|line| line.strip_prefix(&format!("{}:", bad.display()))).collect();
        assert_eq!(lines.len(), 5, "{said}");
        assert!(
            lines.get(1).is_some_and(|line| line.starts_with("2:1: port: there is no such key")),
            "{said}"
        );
        let missing = folder.path().join("none.toml");
        let said = printed(|out| check(&missing, out)).unwrap_err();
        assert!(said.contains("none.toml cannot be read") && said.contains("No such file"), "{said}");
    }

    #[test]
    fn whoever_enrols_is_told_what_is_missing_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (config, token_file) = (folder.path().join("agent.toml"), folder.path().join("token"));
        write(&config, &include_str!("../example.toml").replace("/etc/lamplighter/", ""));
        let arguments = |token: Option<&str>| Enrolment {
            config: config.clone(),
            token: token.map(|token| token.parse().unwrap()),
            token_file: Some(token_file.clone()),
            ca: None,
            ca_sha256: None,
            again: false,
        };
        let said = printed(|out| enrol(&arguments(None), out)).unwrap_err();
        assert!(said.starts_with("cannot read the token from "), "{said}");
        write(&token_file, "two words");
        let said = printed(|out| enrol(&arguments(None), out)).unwrap_err();
        assert!(said.contains("token holds no token: a token has 1 to 256 visible characters"), "{said}");
        assert!(!said.contains("two words"), "{said}");
        let said = printed(|out| enrol(&arguments(Some("token")), out)).unwrap_err();
        assert!(said.contains("copy the fleet's ca.pem there, or name it with --ca"), "{said}");
    }

    #[test]
    fn what_print_shows_of_the_example_is_the_example() {
        let said = printed(|out| print(Path::new(EXAMPLE), out)).unwrap();
        assert_eq!(said, include_str!("../example.toml"));
    }

    #[test]
    fn status_says_how_to_start_an_agent_and_prints_what_one_answers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        write(&file, &include_str!("../example.toml").replace("/var/lib/lamplighter", "state"));
        let ask = |json| {
            let question = StatusQuestion { config: file.clone(), json };
            printed(|out| status(&question, out))
        };
        let socket = folder.path().join("state/status.sock");
        let said = ask(false).unwrap_err();
        assert_eq!(
            said,
            format!(
                "no agent is running: nothing answers at {}; start one with: edge-agent run --config {}",
                socket.display(),
                file.display()
            )
        );

        std::fs::create_dir(folder.path().join("state")).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = Status { lamppost: "DF3637".into(), ..Status::default() };
        let agent = std::thread::spawn({
            let answer = answer.clone();
            move || (0..2).for_each(|_| serde_json::to_writer(listener.accept().unwrap().0, &answer).unwrap())
        });
        assert!(ask(false).unwrap().starts_with("lamppost  DF3637\n"));
        assert_eq!(serde_json::from_str::<Status>(&ask(true).unwrap()).unwrap(), answer);
        agent.join().unwrap();
    }

    fn write(path: &Path, text: &str) {
        std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }
}
