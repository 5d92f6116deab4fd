//! A street that reports recorded measurements: what `cargo xtask demo` runs.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::Parser;
use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::city::{Fidelity, Who};
use hil_tests::fleet::{Api, Binaries, Ending, ServerProcess, Street, StreetProcess, monotonic};
use lamplighter_protocol::LamppostNumber;

/// Runs a street: a server, and lampposts that replay recorded measurements through simulated chips.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Options {
    /// How many lampposts
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=400))]
    lampposts: u16,
    /// How many times faster than real time; then it begins a whole day in the past, and never overtakes the present
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Stop by itself after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Replay the recordings as they are: no variation between lampposts, no fault. At the end every value that the
    /// API serves is compared with what the simulated world fed in
    #[arg(long)]
    exact: bool,
    /// One process for each lamppost, instead of one for all
    #[arg(long)]
    processes: bool,
    /// Time from reading to reading of each sensor, in milliseconds [default: 2000, or 60000 with --speed above 60]
    #[arg(long, value_parser = clap::value_parser!(u32).range(100..=3_600_000))]
    every_ms: Option<u32>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "demo: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    ensure!((1.0..=10_000.0).contains(&options.speed), "--speed is from 1 to 10000");
    let now = SystemClock::new().now().wall;
    let day_ms = 24 * 3600 * 1000;
    let street = Street {
        lampposts: usize::from(options.lampposts),
        speed: options.speed,
        start: if options.speed > 1.0 { now.plus_ms(-day_ms) } else { now },
        fidelity: if options.exact { Fidelity::Exact } else { Fidelity::Natural { seed: 1 } },
        every_ms: options.every_ms.unwrap_or(if options.speed > 60.0 { 60_000 } else { 2_000 }),
        who: Who::All,
        told: false,
    };
    let interrupted = watch_for_interrupt()?;
    let binaries = Binaries::beside_this_program()?;
    let directory = tempfile::Builder::new().prefix("lamplighter-demo-").tempdir()?;
    say(&format!("starting a server and {} lampposts", street.lampposts));
    let mut server = ServerProcess::start(&binaries, directory.path())?;
    let certificates = server.register(street.lampposts)?;
    let mut lampposts = Vec::new();
    for who in who(options, &certificates.0)? {
        let street = Street { who, ..street.clone() };
        lampposts.push(StreetProcess::start(&binaries, &server, &certificates, directory.path(), &street)?);
    }
    greet(server.api(), directory.path());

    let started = monotonic();
    let done = || options.seconds.is_some_and(|seconds| started.elapsed() >= Duration::from_secs(seconds));
    while !interrupted.load(Ordering::Relaxed) && !done() {
        std::thread::sleep(Duration::from_millis(500));
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        if server.has_ended() || lampposts.iter_mut().any(StreetProcess::has_ended) {
            let directory = directory.keep();
            bail!("a process ended by itself: the logs are in {}", directory.display());
        }
        live_line(&lampposts, server.api(), started.elapsed());
    }
    say("\nstopping");
    lampposts.iter().for_each(StreetProcess::tell_to_stop);
    lampposts.into_iter().try_for_each(|process| process.end(Ending::Stop))?;
    if options.exact && !interrupted.load(Ordering::Relaxed) {
        compare(&binaries, &street, server.api())?;
    }
    server.end(Ending::Stop)
}

/// Which lampposts each process runs: all of them, or one each.
fn who(options: &Options, certificates: &Path) -> anyhow::Result<Vec<Who>> {
    if !options.processes {
        return Ok(vec![Who::All]);
    }
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(certificates)? {
        numbers.push(LamppostNumber::new(&entry?.file_name().to_string_lossy())?);
    }
    numbers.sort();
    Ok(numbers.into_iter().map(|number| Who::Only(vec![number])).collect())
}

fn greet(api: &Api, directory: &Path) {
    say("");
    say("  The positions are samples along Kowloon Bay's roads; the measurements are real recordings,");
    say("  made elsewhere (hil-tests/data/README.md).");
    say("");
    say(&format!("  open    {}", api.link()));
    let port = api.address().port();
    say(&format!(
        "  from another machine: ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE, then the same link there"
    ));
    say(&format!("  data    {} (removed at the end)", directory.display()));
    say("  stop    Ctrl-C");
    say("");
}

fn live_line(lampposts: &[StreetProcess], api: &Api, elapsed: Duration) {
    let figures: Vec<_> = lampposts.iter().map(StreetProcess::figures).collect();
    let sum = |name: &str| figures.iter().filter_map(|one| one.get(name)?.as_u64()).sum::<u64>();
    let time = figures.iter().filter_map(|one| one.get("virtual_time")?.as_str()).max().unwrap_or("");
    let stored = api.metric("lamplighter_ingest_observations_total", "Stored").unwrap_or(0.0);
    let line = format!(
        "\r{:>5} s  {time}  connected {:>3}  ticks read {:>7}  waiting {:>5}  faults {:>2}  stored {stored:>8} observations ",
        elapsed.as_secs(),
        sum("connected"),
        sum("ticks"),
        sum("backlog"),
        sum("faults"),
    );
    let mut out = std::io::stdout();
    // A closed terminal is no reason to stop.
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).ok();
}

/// Compares what the API serves with what the world fed in; prints the outcome.
fn compare(binaries: &Binaries, street: &Street, api: &Api) -> anyhow::Result<()> {
    let mut compare = binaries.city();
    compare.args(["compare", "--url", &api.url(), "--token", api.token()]);
    let status = compare.args(["--lampposts", &street.lampposts.to_string()]).status()?;
    ensure!(status.success(), "the API does not serve what the world fed in");
    Ok(())
}

/// A flag that Ctrl-C raises.
fn watch_for_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            raised.store(true, Ordering::Relaxed);
        }
    });
    Ok(flag)
}

fn say(line: &str) {
    // A closed terminal is no reason to stop.
    writeln!(std::io::stdout(), "{line}").ok();
}
