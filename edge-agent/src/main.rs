//! The agent on one lamppost.

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use edge_agent::agent::Agent;
use edge_agent::bus::LinuxI2cOpener;
use edge_agent::cli::{self, Cli, Command, ConfigCommand};
use edge_agent::clock::SystemClock;
use edge_agent::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    let outcome = match &cli.command {
        Command::Run(args) => {
            drop(out);
            log(&cli).and_then(|()| run(&args.config))
        }
        Command::Enrol(args) => cli::enrol(args, &mut out),
        Command::Config(ConfigCommand::Check(args)) => cli::check(&args.config, &mut out),
        Command::Config(ConfigCommand::Print(args)) => cli::print(&args.config, &mut out),
        Command::Status(args) => cli::status(args, &mut out),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "edge-agent: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let agent = Agent::build(config, Arc::new(LinuxI2cOpener), Arc::new(SystemClock::new()))?;
        let mut running = std::pin::pin!(agent.run(stop.clone()));
        tokio::select! {
            ended = &mut running => return Ok(ended?),
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        }
        stop.cancel();
        Ok(running.await?)
    });
    // A thread that a bus does not let go is left behind.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

fn log(cli: &Cli) -> anyhow::Result<()> {
    let filter: Targets = cli.log.parse().context("--log is not understood")?;
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    Ok(())
}
