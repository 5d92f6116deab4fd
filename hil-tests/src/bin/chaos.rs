//! Everything fails at random moments: what `cargo xtask chaos` runs.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use edge_agent::clock::{Clock as _, SystemClock};
use hil_tests::chaos::{ChaosOptions, chaos};
use hil_tests::fleet::Binaries;

/// Runs a server and agents, has everything fail at random moments, and compares what was read with what is stored.
///
/// Processes are killed and frozen, the network between them delays, loses and cuts, their disks fail. At the end all
/// that was read has to be stored or reported, exactly; the exit code says whether. Writes target/bench/chaos.json.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos")]
struct Options {
    /// How long everything fails
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Draws the faults [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Processes of agents
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=20))]
    streets: u32,
    /// Lampposts of each process
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    lampposts: u32,
    /// How many times faster than real time the agents' clocks run
    #[arg(long, default_value_t = 8.0, value_parser = speed)]
    speed: f64,
    /// KiB that each outbox may hold: less than is read, so that it has to free what the server holds; outages are so long
    /// that it has to drop some of the rest [default: what is read in some seventy seconds]
    #[arg(long, value_parser = clap::value_parser!(u32).range(24..=1_048_576))]
    outbox_kib: Option<u32>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "chaos: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing is missing and nothing wrong.
fn run(options: &Options) -> anyhow::Result<bool> {
    let binaries = Binaries::beside_this_program()?;
    let mut out = std::io::stdout();
    let seed = options.seed.unwrap_or_else(|| SystemClock::new().now().wall.0.unsigned_abs());
    let Options { seconds, streets, lampposts, speed, .. } = *options;
    writeln!(
        out,
        "chaos: {seconds} s, --seed {seed}, {streets} processes of {lampposts} lampposts at 1 s, {speed} times real time"
    )?;
    let directory = tempfile::Builder::new().prefix("lamplighter-chaos-").tempdir()?;
    let outbox_kib = options.outbox_kib.unwrap_or_else(|| ChaosOptions::outbox_kib_at(speed, seconds));
    let options = ChaosOptions { seconds, seed, streets, lampposts, speed, outbox_kib };
    let report = match chaos(&binaries, directory.path(), options, &mut out) {
        Ok(report) => report,
        Err(error) => {
            let kept = directory.keep();
            return Err(error).with_context(|| format!("data and logs are in {}", kept.display()));
        }
    };
    report.print(&mut out)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    let file = report.figures().write(&folder, "chaos")?;
    writeln!(out, "written to {}", file.canonicalize()?.display())?;
    let lossless = report.account.is_lossless();
    if !lossless {
        writeln!(out, "data and logs are in {}", directory.keep().display())?;
    }
    Ok(lossless)
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (2.0..=60.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("it is a number from 2 to 60".to_owned()),
    }
}
