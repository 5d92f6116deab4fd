//! Hostile bytes for every parser that faces a network: `cargo xtask fuzz`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hil_tests::fuzz::{FuzzArgs, fuzz};

/// Throw hostile bytes at every parser that faces a network.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask fuzz", bin_name = "cargo xtask fuzz", version)]
struct Cli {
    #[command(flatten)]
    args: FuzzArgs,
}

fn main() -> ExitCode {
    match fuzz(&Cli::parse().args, &mut std::io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "fuzz: {error}").ok();
            ExitCode::FAILURE
        }
    }
}
