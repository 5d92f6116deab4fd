//! The simulation of the whole path: `cargo xtask simulate`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hil_tests::simulation::{SimulateArgs, simulate};

/// Run the whole path in one process, under every fault that the delivery contract speaks of.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate", version)]
struct Cli {
    #[command(flatten)]
    args: SimulateArgs,
}

fn main() -> ExitCode {
    match simulate(&Cli::parse().args, &mut std::io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "simulate: {error}").ok();
            ExitCode::FAILURE
        }
    }
}
