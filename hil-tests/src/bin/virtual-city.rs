//! The virtual city: many agents in one process, over simulated rigs.

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use hil_tests::city::cli::{self, Cli, Command};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let outcome = match Cli::parse().command {
        Command::Run(options) => log(&options.log).and_then(|()| cli::run(&options, &mut out)),
        Command::List(options) => cli::list(&options, &mut out),
        Command::Compare(options) => cli::compare_with_truth(&options, &mut out),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "virtual-city: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn log(filter: &str) -> anyhow::Result<()> {
    let filter: Targets = filter.parse().context("--log is not understood")?;
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    Ok(())
}
