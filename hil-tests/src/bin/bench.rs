//! Measurements: what `cargo xtask bench` runs.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use hil_tests::bench::{
    BacklogOptions, GatewayOptions, GatewayPart, PathOptions, backlog, console, gateway, import, outbox,
    path, replay, soak,
};
use hil_tests::fleet::Binaries;

/// Measures, prints a table, and writes target/bench/NAME.json.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Options {
    /// What to measure
    #[arg(required = true)]
    names: Vec<Name>,
    /// How many seconds a measurement of running processes takes, after its start
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Of `backlog`: how many lampposts
    #[arg(long, default_value_t = 300)]
    lampposts: usize,
    /// Of `backlog`: how many hours each of them was cut off
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Of `backlog`: the server's flag of this name; its own bound if none is given
    #[arg(long, value_name = "N")]
    tail_observations: Option<usize>,
    /// Of `gateway`: how many lampposts are connected
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// Of `gateway`: how many are connected and idle, to see what a connection costs in memory
    #[arg(long, default_value_t = 15_000)]
    idle_connections: usize,
    /// Of `gateway`: how many clients of departments hear everything
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Of `gateway`: measure this part alone; may be repeated
    #[arg(long, value_name = "PART")]
    only: Vec<GatewayPart>,
}

/// The benchmarks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// The whole path with 50 lampposts in processes of their own: memory, processor time, latency
    Path,
    /// A start: seconds for each gigabyte of journal
    Replay,
    /// An outage: the agent with a backlog of 1 GB and 22 series each second: memory, processor time, opening, and bytes
    /// written for each byte of records: as pages given to the system, with 20 records of 220 bytes per sync and by the agent;
    /// and as given to the disk, if TMPDIR is on a disk of its own
    Outbox,
    /// A day's backlog of 300 lampposts, 20 series at 10 s each: how long it drains, and how old live data becomes meanwhile
    Backlog,
    /// The lampposts of Hong Kong's register, 143,000, imported from CSV and from GeoJSON
    Import,
    /// The console in a browser: bytes of its pages; with 100,000 lampposts positions, live changes, search
    Console,
    /// The gateway with 5,000 TLS connections: observations durable per second, latency to PUBACK and live feed, login storm,
    /// memory of 15,000 idle connections, a flood, deliveries to 1,000 subscribers of departments; and mosquitto beside it
    Gateway,
    /// The console left open (--seconds, say 3600) on more than 1,000 changes a second: memory, and what it missed
    Soak,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "bench: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let binaries = Binaries::beside_this_program()?;
    let mut out = std::io::stdout();
    for name in &options.names {
        let directory = tempfile::Builder::new().prefix("lamplighter-bench-").tempdir()?;
        let (figures, name) = match name {
            Name::Path => {
                writeln!(out, "path: 50 lampposts, {} s; latency from tick to live event", options.seconds)?;
                let options = PathOptions { lampposts: 50, seconds: options.seconds };
                (path(&binaries, directory.path(), options)?, "path")
            }
            Name::Replay => {
                writeln!(out, "replay: a journal of 256 MB is written, then replayed as a start does")?;
                (replay(directory.path(), 256_000_000)?, "replay")
            }
            Name::Outbox => {
                writeln!(out, "outbox: a backlog of 1 GB is written and opened; then {} s", options.seconds)?;
                (outbox(&binaries, directory.path(), 1_000_000_000, options.seconds)?, "outbox")
            }
            Name::Backlog => {
                let Options { lampposts, hours, tail_observations, .. } = *options;
                writeln!(
                    out,
                    "backlog: {lampposts} lampposts of 20 series at 10 s were cut off for {hours} h"
                )?;
                let options = BacklogOptions { lampposts, hours, tail_observations };
                (backlog(&binaries, directory.path(), &options)?, "backlog")
            }
            Name::Import => {
                writeln!(out, "import: 143,000 lampposts into a registry that is empty")?;
                (import(&binaries, directory.path(), 143_000)?, "import")
            }
            Name::Gateway => {
                let Options { connections, idle_connections, subscribers, seconds, .. } = *options;
                writeln!(
                    out,
                    "gateway: {connections} connections, {idle_connections} idle ones, {subscribers} subscribers; {seconds} s \
                     for each part"
                )?;
                let only = options.only.clone();
                let options = GatewayOptions { connections, idle_connections, subscribers, seconds, only };
                (gateway(&binaries, directory.path(), &options)?, "gateway")
            }
            Name::Console => (console(&binaries, directory.path())?, "console"),
            Name::Soak => {
                writeln!(out, "soak: the console is left open for {} s", options.seconds)?;
                (soak(&binaries, directory.path(), options.seconds)?, "soak")
            }
        };
        figures.print(&mut out)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        let file = figures.write(&folder, name)?;
        writeln!(out, "written to {}", file.canonicalize()?.display())?;
    }
    Ok(())
}
