//! The fleet server.

use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use fleet_server::cli::{self, AuditCommand, CertCommand, Cli, Command, JournalCommand, ProgressLine};
use fleet_server::{clock, server::Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(run(cli.command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be gone; the exit code tells all the same.
            writeln!(std::io::stderr(), "fleet-server: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match command {
        Command::Lamppost(command) => cli::lampposts(&command, clock::wall(), &mut out).await,
        Command::Cert(CertCommand::Issue(args)) => {
            cli::issue_certificate(&args, clock::wall(), &mut out).await
        }
        Command::Cert(CertCommand::List(args)) => {
            cli::list_certificates(&args, clock::wall(), &mut out).await
        }
        Command::Cert(CertCommand::Revoke(args)) => {
            cli::revoke_certificates(&args, clock::wall(), &mut out).await
        }
        Command::Ca(command) => cli::authority_command(&command, clock::wall(), &mut out).await,
        Command::Audit(AuditCommand::Verify(args)) => cli::verify_audit(&args, &mut out).await,
        Command::Audit(AuditCommand::Export(args)) => cli::export_audit(&args, &mut out).await,
        Command::Token(command) => cli::tokens(&command, clock::wall(), &mut out).await,
        Command::Department(command) => cli::departments(&command, clock::wall(), &mut out).await,
        Command::Grant(command) => cli::grants(&command, clock::wall(), &mut out).await,
        Command::Journal(JournalCommand::Verify(args)) => cli::verify_journal(&args, &mut out),
        Command::Backup(args) => cli::back_up(&args, clock::wall(), &mut progress_line(), &mut out).await,
        Command::Restore(args) => cli::restore(&args, clock::wall(), &mut progress_line(), &mut out).await,
        Command::Openapi => cli::print_openapi(&mut out),
        Command::Run(args) => {
            let colours = std::io::stderr().is_terminal();
            let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
            tracing_subscriber::registry().with(lines.with_filter(args.log.clone())).init();
            let stop = CancellationToken::new();
            let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
            let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
            let mut running = std::pin::pin!(async {
                let server = Server::build(&args, &mut out).await?;
                server.run(stop.clone()).await
            });
            tokio::select! {
                ended = &mut running => return ended,
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            }
            stop.cancel();
            running.await
        }
    }
}

/// Standard error, where progress does not mix with what a command prints.
fn progress_line() -> ProgressLine {
    ProgressLine::new(Box::new(std::io::stderr()), std::io::stderr().is_terminal())
}
