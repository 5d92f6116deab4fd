//! Developer commands. CI runs only what a developer can run: `cargo xtask test`.

mod checks;
mod console;
mod security;
mod shell;
mod tools;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::shell::cargo;

/// Developer commands of Lamplighter.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a street: a server and lampposts that replay recorded measurements; --help for its options
    #[command(disable_help_flag = true)]
    Demo(Rest),
    /// Install what the tests need, then run all of them
    ///
    /// Formatting, lints, licences and bans, documentation, unit, property and end-to-end tests, and the console in a
    /// browser. On Debian as root, missing packages are installed; otherwise the one line that installs them is printed.
    Test,
    /// Build the console, which the next build of the server carries
    Console,
    /// Run the whole path in one process under simulated faults, seed by seed; --help for its options
    #[command(disable_help_flag = true)]
    Simulate(Rest),
    /// Throw hostile bytes at every parser that faces a network, from a seed; --help for its options
    #[command(disable_help_flag = true)]
    Fuzz(Rest),
    /// Run a street on which everything fails at random moments, then prove that nothing was lost; --help for its options
    #[command(disable_help_flag = true)]
    Chaos(Rest),
    /// Measure, print a table, and write target/bench/NAME.json: path, replay, outbox, backlog, import, gateway, console,
    /// soak
    #[command(disable_help_flag = true)]
    Bench(Rest),
}

/// The benchmarks that need what the tests in a browser need.
const IN_A_BROWSER: [&str; 2] = ["console", "soak"];

/// Words that are handed on.
#[derive(Debug, clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Test => checks::all(),
        Command::Console => {
            console::build()?;
            console::say_how_to_develop();
            Ok(())
        }
        Command::Demo(rest) => run("demo", rest),
        Command::Chaos(rest) => run("chaos", rest),
        Command::Simulate(rest) => {
            let simulate = ["run", "--quiet", "-p", "hil-tests", "--bin", "simulate", "--"];
            shell::hand_over(cargo().args(simulate).args(rest.words))
        }
        Command::Fuzz(rest) => {
            let fuzz = ["run", "--release", "--quiet", "-p", "hil-tests", "--bin", "fuzz", "--"];
            shell::hand_over(cargo().args(fuzz).args(rest.words))
        }
        Command::Bench(rest) => {
            if rest.words.first().is_some_and(|name| IN_A_BROWSER.iter().any(|of| name == of)) {
                console::install()?;
            }
            if rest.words.iter().any(|name| name == "gateway") {
                tools::install_broker();
            }
            console::build_if_possible()?;
            shell::run(cargo().args(["build", "--release", "--workspace", "--bins"]))?;
            let bench = ["run", "--release", "--quiet", "-p", "hil-tests", "--bin", "bench", "--"];
            shell::hand_over(cargo().args(bench).args(rest.words))
        }
    }
}

/// Runs a program of `hil-tests`, and with it the programs that it starts.
fn run(program: &str, rest: Rest) -> anyhow::Result<()> {
    console::build_if_possible()?;
    shell::run(cargo().args(["build", "--workspace", "--bins"]))?;
    let run = ["run", "--quiet", "-p", "hil-tests", "--bin", program, "--"];
    shell::hand_over(cargo().args(run).args(rest.words))
}
