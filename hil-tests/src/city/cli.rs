//! The commands of `virtual-city`.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use edge_agent::config::OutboxConfig;
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::compare::{self, Range};
use super::positions::{MOST_LAMPPOSTS, sample_lampposts, write_csv};
use super::{City, CityPlan, Fidelity, Figures, Who, told};
use crate::fleet::Api;
use crate::rig::lamppost::ServerAddress;

/// Lampposts along sample positions in Kowloon Bay, each the real agent over simulated instruments that replay
/// measurements recorded elsewhere.
#[derive(Debug, Parser)]
#[command(name = "virtual-city", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the lampposts until SIGINT or SIGTERM; print a line of figures each second, as JSON
    Run(Run),
    /// Print the lampposts as CSV for `fleet-server lamppost import`
    List(List),
    /// Compare what a server stored of an exact replay with what was true; fails if anything differs
    Compare(Compare),
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Folder in which each agent keeps its state, in a folder named by its number. Used again at the next start
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Where the gateway is
    #[arg(long, value_name = "HOST:PORT")]
    pub server: ServerAddress,
    /// Folder with the certificates: NUMBER/NUMBER.pem, NUMBER/NUMBER.key, NUMBER/ca.pem
    #[arg(long, value_name = "DIR")]
    pub certificates: PathBuf,
    /// How many lampposts
    #[command(flatten)]
    pub lampposts: Lampposts,
    /// Run this one of them alone; repeated: these alone
    #[arg(long, value_name = "NUMBER", conflicts_with = "except")]
    pub only: Vec<LamppostNumber>,
    /// Run all but this one, which another process may run; repeated: all but these
    #[arg(long, value_name = "NUMBER")]
    pub except: Vec<LamppostNumber>,
    /// How many times faster than real time, at most. Above 1 time stands still while a sensor is read, so that no tick
    /// is missed, and never overtakes the present
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// When virtual time begins, milliseconds since 1970-01-01T00:00:00Z [default: a day ago]. At speed 1 time is the
    /// machine's, whatever this says
    #[arg(long, value_name = "MS")]
    pub start_ms: Option<i64>,
    /// Replay the recordings as they are: all lampposts the same, at one height, nothing broken
    #[arg(long)]
    pub exact: bool,
    /// Break no instrument by chance: what differs between lampposts stays
    #[arg(long)]
    pub no_faults: bool,
    /// Take orders from standard input, a line each; each is answered by a line of JSON
    /// between those of the figures: {"told":ORDER}, or {"refused":ORDER,"because":WHY}.
    /// What was told holds until the lamppost is mended or the process ends:
    ///
    ///   break NUMBER chip absent|wrong-id|all-zero|all-ones|stuck|frozen
    ///   break NUMBER particles silent|bad-sum|cut|noise|all-zero|error-code
    ///   set NUMBER PROPERTY VALUE      such as `set KB0008 air_temperature 75`
    ///   mend NUMBER                    all that was told to it is over
    ///
    /// The end of the input ends nothing.
    #[arg(long, verbatim_doc_comment, conflicts_with = "exact")]
    pub told: bool,
    /// Milliseconds from reading to reading of each sensor, in phase with the minute. A PMS5003 is read once a second
    /// at most
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=3_600_000))]
    pub every_ms: u32,
    /// How many KiB of records each lamppost keeps; what the server holds goes first [default: what an agent keeps]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(24..))]
    pub outbox_kib: Option<u32>,
    /// Draws the differences between lampposts, and what breaks when
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with = "exact")]
    pub seed: u64,
    /// What is logged, to standard error: LEVEL or TARGET=LEVEL, separated by commas
    #[arg(long, value_name = "FILTER", default_value = "warn,hil_tests=info")]
    pub log: String,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// How many lampposts
    #[command(flatten)]
    pub lampposts: Lampposts,
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// Where people connect: http://ADDRESS:PORT
    #[arg(long, value_parser = address)]
    pub url: SocketAddr,
    /// The token that the server prints at its start
    #[arg(long)]
    pub token: String,
    /// How many lampposts
    #[command(flatten)]
    pub lampposts: Lampposts,
    /// Compare from this time on, milliseconds since 1970-01-01T00:00:00Z [default: all that the server has in memory]
    #[arg(long, value_name = "MS")]
    pub from_ms: Option<i64>,
    /// Compare up to before this time [default: all that is there]
    #[arg(long, value_name = "MS")]
    pub to_ms: Option<i64>,
}

/// How many lampposts.
#[derive(Clone, Copy, Debug, Args)]
pub struct Lampposts {
    /// How many lampposts the city has
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_LAMPPOSTS)))]
    pub lampposts: u32,
}

/// Runs lampposts until the process is told to stop.
///
/// # Errors
/// A city that cannot be built, or an agent that ended by itself.
pub fn run(options: &Run, out: &mut dyn Write) -> anyhow::Result<()> {
    let plan = CityPlan {
        state: std::path::absolute(&options.state).context("the folder of --state has no path")?,
        server: options.server.clone(),
        certificates: options.certificates.clone(),
        lampposts: options.lampposts.lampposts,
        who: options.who(),
        speed: options.speed,
        begin: options.start_ms.map(UtcMillis),
        fidelity: options.fidelity(),
        every_ms: options.every_ms,
        outbox: options.outbox(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let city = City::build(&plan)?;
        let stop = CancellationToken::new();
        let ear = city.ear();
        let mut orders = if options.told { told::lines_of(io::stdin())? } else { told::no_lines() };
        // Figures and answers share it; neither is held across a wait.
        let out = RefCell::new(out);
        let print = |figures: &Figures| write_line(&mut **out.borrow_mut(), figures);
        let mut running = Box::pin(city.run(stop.clone(), print));
        let ended = loop {
            tokio::select! {
                ended = &mut running => return Ok(ended?),
                _ = terminate.recv() => break Ok("SIGTERM"),
                _ = interrupt.recv() => break Ok("SIGINT"),
                Some(line) = orders.recv() => {
                    let heard = ear.hear(&line);
                    if let Err(error) = write_line(&mut **out.borrow_mut(), &heard) {
                        break Err(error);
                    }
                }
            }
        };
        if let Ok(signal) = ended {
            tracing::info!("{signal}: stopping");
        }
        stop.cancel();
        running.await?;
        ended.map(drop).context("an order cannot be answered")
    })
}

impl Run {
    fn who(&self) -> Who {
        match (self.only.as_slice(), self.except.as_slice()) {
            ([], []) => Who::All,
            ([], except) => Who::Except(except.to_vec()),
            (only, _) => Who::Only(only.to_vec()),
        }
    }

    fn outbox(&self) -> OutboxConfig {
        let default = OutboxConfig::default();
        let max_bytes = self.outbox_kib.map_or(default.max_bytes, |kib| u64::from(kib) << 10);
        OutboxConfig { max_bytes, ..default }
    }

    fn fidelity(&self) -> Fidelity {
        let seed = self.seed;
        match (self.exact, self.no_faults) {
            (true, _) => Fidelity::Exact,
            (false, true) => Fidelity::Unbroken { seed },
            (false, false) => Fidelity::Natural { seed },
        }
    }
}

fn write_line(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, document)?;
    writeln!(out).and_then(|()| out.flush())
}

/// Prints the lampposts.
///
/// # Errors
/// What writing gives.
pub fn list(options: &List, out: &mut dyn Write) -> anyhow::Result<()> {
    Ok(write_csv(&sample_lampposts(options.lampposts.lampposts), out)?)
}

/// Compares, and prints what was compared and what differs.
///
/// # Errors
/// The server gives no answer, or something differs.
pub fn compare_with_truth(options: &Compare, out: &mut dyn Write) -> anyhow::Result<()> {
    let api = Api::new(options.url, options.token.clone());
    let range = Range {
        from: options.from_ms.map_or(Range::ALL.from, UtcMillis),
        to: options.to_ms.map_or(Range::ALL.to, UtcMillis),
    };
    let report = compare::fleet(&api, options.lampposts.lampposts, range)?;
    write!(out, "{report}").and_then(|()| out.flush())?;
    ensure!(report.is_equal(), "what is stored differs from what was true");
    Ok(())
}

fn address(url: &str) -> Result<SocketAddr, String> {
    let refused = || format!("{url:?} is not http://ADDRESS:PORT, as the server prints it");
    let authority = url.strip_prefix("http://").ok_or_else(refused)?;
    authority.trim_end_matches('/').parse().map_err(|_| refused())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=1e6).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("it is a number from 1 to 1000000".to_owned()),
    }
}
