//! The command line: what it understands, and the subcommands that are not the server itself. They work beside a
//! running server, on the same registry and the same CA, and on a data directory that no server has seen yet.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rustls::pki_types::ServerName;
use tracing_subscriber::filter::Targets;

use crate::ca::{Authority, Date, IssuedFiles, Origin, Validity, enrol, record_authority};
use crate::checkpoint::JournalKeep;
use crate::est::ReturnWithin;
use crate::journal::LowWater;
use crate::registry::Registry;
use crate::store::TailOptions;
use crate::web;

use operator::operator;

mod audit;
mod backup;
mod ca;
mod cert;
mod department;
mod department_certificate;
mod grant;
mod journal;
mod lamppost;
mod limits;
mod operator;
#[cfg(test)]
mod tests;
mod token;

pub use audit::{AuditCommand, AuditExportArgs, AuditVerifyArgs, export_audit, verify_audit};
pub use backup::{BackupArgs, ProgressLine, RestoreArgs, back_up, restore};
pub use ca::{
    CaCommand, CaEncryptArgs, CaKeyArgs, CaRetireArgs, CaRotateArgs, CaShowArgs, authority_command,
};
pub use cert::{CertListArgs, CertRevokeArgs, list_certificates, revoke_certificates};
pub use department::{
    AddDepartmentArgs, AddKeyArgs, DepartmentCommand, DepartmentListArgs, EndDepartmentArgs, EndKeyArgs,
    departments,
};
pub use department_certificate::{CertifyDepartmentArgs, EndCertificateArgs};
pub use grant::{AddGrantArgs, GrantCommand, GrantListArgs, WithdrawArgs, grants};
pub use journal::{JournalCommand, VerifyArgs, verify_journal};
pub use lamppost::{
    ExportArgs, ImportArgs, LamppostCommand, ListFormat, RelocateArgs, ReplaceArgs, RetireArgs, ReviveArgs,
    lampposts,
};
pub use limits::LimitArgs;
pub use token::{CreateArgs, EndArgs, ListArgs, TokenCommand, tokens};

/// Characters of a map's attribution: it has to fit into a corner of the map.
const LONGEST_ATTRIBUTION: usize = 200;

const EXAMPLES: &str = "\
Examples:
  fleet-server lamppost import lampposts.csv --data /var/lib/lamplighter
  fleet-server token create DF3637 --data /var/lib/lamplighter
  fleet-server run --data /var/lib/lamplighter --name fleet.example.org
  fleet-server lamppost replace DF3637 --data /var/lib/lamplighter
  fleet-server cert revoke --lamppost DF3637 --data /var/lib/lamplighter --reason stolen
  fleet-server department add traffic --title 'Transport Department' --data /var/lib/lamplighter
  fleet-server grant add traffic 'highway/traffic/#' --data /var/lib/lamplighter
  fleet-server ca show --data /var/lib/lamplighter
  fleet-server journal verify --data /var/lib/lamplighter
  fleet-server audit verify --data /var/lib/lamplighter
  fleet-server backup --data /var/lib/lamplighter --out /backups/2026-11-22
  fleet-server restore --from /backups/2026-11-22 --keys /safe/keys --data /var/lib/lamplighter

All but `run` and `restore` also work while the server runs.";

const ISSUE_HELP: &str = "\
Writes NUMBER.pem, NUMBER.key and ca.pem, which the lamppost's agent needs (certificate_file, key_file and ca_file of its configuration). The key is made here and kept nowhere else. Certificates that the lamppost was given before stay good.

Example:
  fleet-server cert issue DF3637 --data /var/lib/lamplighter --out /media/card/lamplighter";

/// The fleet server of Lamplighter: takes in what the city's lampposts observe, and serves it.
#[derive(Debug, Parser)]
#[command(name = "fleet-server", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the fleet server can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until it is told to stop (SIGTERM or Ctrl-C)
    ///
    /// At the first start it makes its data directory, the fleet's own CA, and its certificate.
    Run(RunArgs),
    /// Lampposts: the register, and what happens to one in its life
    #[command(subcommand)]
    Lamppost(LamppostCommand),
    /// Certificates of lampposts
    #[command(subcommand)]
    Cert(CertCommand),
    /// The fleet's certificate authority: roll it over, encrypt its key
    #[command(subcommand)]
    Ca(CaCommand),
    /// One-time tokens, by which lampposts are enrolled
    #[command(subcommand)]
    Token(TokenCommand),
    /// Departments, which may listen to what lampposts observe, their API keys and certificates
    #[command(subcommand)]
    Department(DepartmentCommand),
    /// What departments may hear
    #[command(subcommand)]
    Grant(GrantCommand),
    /// What is received is here first, on disk
    #[command(subcommand)]
    Journal(JournalCommand),
    /// What was done, by whom and when
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Back up all that the server is, while it runs
    #[command(after_help = backup::BACKUP_HELP)]
    Backup(BackupArgs),
    /// Make a data directory of a backup, or check one
    #[command(after_help = backup::RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Print the description of the server's HTTP API: OpenAPI 3.1, as JSON
    Openapi,
}

/// How the server is to run.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where lampposts connect (MQTT over mutual TLS, and enrolment by EST); port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8883")]
    pub mqtt: SocketAddr,
    /// Where people and tools connect; loopback only, for it has no TLS
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = loopback)]
    pub http: SocketAddr,
    /// A name or address by which lampposts reach this server; may be repeated
    ///
    /// The server's certificate is made for these names, and for `localhost`, `127.0.0.1` and `::1`. It is made anew when
    /// they change.
    #[arg(long = "name", value_name = "HOSTNAME", value_parser = server_name)]
    pub names: Vec<ServerName<'static>>,
    /// How the CA's key is decrypted
    #[command(flatten)]
    pub ca_key: CaKeyArgs,
    /// How long a certificate is good that a lamppost asks for, such as 30d or 12h; it renews it by itself, well before
    #[arg(long, value_name = "TIME", default_value_t = Validity::RENEWED)]
    pub certificate_life: Validity,
    /// For how many days after the end of its certificate a lamppost may still renew it, up to 3650; with 0 never
    ///
    /// For lampposts that were dark for long. Only the newest certificate of a lamppost is good for that, and only if it
    /// is not revoked.
    #[arg(long, value_name = "DAYS", default_value_t = ReturnWithin::default())]
    pub return_within: ReturnWithin,
    /// How many observations are kept in memory, for all series together; the store's own bound if none is given.
    #[arg(long, value_name = "N", help = tail_help())]
    pub tail_observations: Option<usize>,
    /// How much of the disk new data leave free, such as 500MiB or 2GiB [default: 1GiB, or 5 % of the disk if that is
    /// less]
    ///
    /// Below it nothing new is acknowledged, and lampposts keep their data until there is room again. With 0 the disk
    /// is filled.
    #[arg(long, value_name = "BYTES")]
    pub low_water: Option<LowWater>,
    /// For how many days the journal is kept at least, up to 3650; with 0 until two checkpoints hold it [default: 400]
    ///
    /// What is older goes, once two checkpoints hold what it told. Observations that do not fit into memory are then
    /// gone with it. Days on which nothing was received do not count, so that a clock that is wrong deletes nothing.
    #[arg(long, value_name = "DAYS")]
    pub journal_keep: Option<JournalKeep>,
    /// After how many seconds at most a checkpoint is written, if there is something new [default: 600]
    ///
    /// A start reads the newest one, and only what the journal has behind it.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub checkpoint_every: Option<u64>,
    /// What the gateway grants
    #[command(flatten)]
    pub limits: LimitArgs,
    /// The city's map, which the console shows under the lampposts: a `PMTiles` archive (version 3)
    ///
    /// Without it the console shows a coastline. Another file that is moved to its place is served at once.
    #[arg(long, value_name = "FILE.pmtiles")]
    pub basemap: Option<PathBuf>,
    /// Whom the console names as the makers of that map, such as "© OpenStreetMap contributors"
    #[arg(long, value_name = "TEXT", requires = "basemap", value_parser = attribution)]
    pub basemap_attribution: Option<String>,
    /// What is logged (to standard error): error, warn, info, debug or trace, or a filter such as
    /// `info,fleet_server::gateway=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: Targets,
}

/// What can be done about certificates.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Issue a certificate, with its key, to a registered lamppost
    #[command(after_help = ISSUE_HELP)]
    Issue(IssueArgs),
    /// List certificates: serial number, lamppost, dates, and whether they are good, end soon (less than a quarter
    /// of their life is left, and less than 30 days), are expired or revoked
    List(CertListArgs),
    /// Revoke certificates: who is connected with one is thrown out within seconds
    Revoke(CertRevokeArgs),
}

/// Which certificate to issue.
#[derive(Debug, Clone, Args)]
pub struct IssueArgs {
    /// Official number of the lamppost
    pub number: LamppostNumber,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where the files are written; nothing is overwritten [default: ./NUMBER]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How long the certificate is good, in days, or as 30d, 12h, 90m
    ///
    /// A lamppost that does not renew it by itself needs one that lasts until somebody comes by.
    #[arg(long, value_name = "TIME", default_value_t = Validity::LAMPPOST)]
    pub days: Validity,
    /// How the CA's key is decrypted
    #[command(flatten)]
    pub ca_key: CaKeyArgs,
}

/// `cert issue`: issues a certificate to a lamppost and writes it to files.
///
/// # Errors
/// When the lamppost is not registered, a file is there already, or registry, CA or disk fail.
pub async fn issue_certificate(args: &IssueArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = args.out.clone().unwrap_or_else(|| PathBuf::from(args.number.as_str()));
    if let Some(present) = IssuedFiles::of(&args.number, &directory).present() {
        bail!("{} is there already: remove it, or name another directory with --out", present.display());
    }
    let registry = Registry::open(&args.data.join(Registry::FILE_NAME)).await?;
    let authority_directory = args.data.join(Authority::DIRECTORY_NAME);
    let (authority, origin) =
        Authority::open_or_create_by(&authority_directory, args.ca_key.passphrase()?.as_ref(), now)?;
    match origin {
        Origin::Found => {}
        Origin::Created => writeln!(out, "made the fleet CA in {}", authority_directory.display())?,
        Origin::Completed => {
            writeln!(out, "made the certificate of the fleet CA anew in {}", authority_directory.display())?;
        }
    }
    let by = operator();
    record_authority(&registry, &authority, now, &by).await?;
    let issued = enrol(&registry, &authority, &args.number, args.days, now, &by).await?;
    registry.close().await;
    let files = issued.write_to(&directory).with_context(|| {
        format!("the certificate {} is issued, but its files could not be written", issued.serial)
    })?;
    writeln!(out, "lamppost {}: certificate {}", issued.lamppost, issued.serial)?;
    writeln!(out, "  good until  {}", Date(issued.not_after))?;
    writeln!(out, "  certificate {}", files.certificate.display())?;
    writeln!(out, "  key         {}", files.key.display())?;
    writeln!(out, "  CA          {}", files.ca.display())?;
    Ok(())
}

/// `openapi`: prints the OpenAPI document.
///
/// # Errors
/// If it cannot be written.
pub fn print_openapi(out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}", web::openapi().to_pretty_json()?)?;
    Ok(())
}

fn tail_help() -> String {
    let bound = TailOptions::default().max_observations;
    format!("How many observations are kept in memory, for all series together [default: {bound}]")
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "give ADDRESS:PORT, such as 127.0.0.1:8080".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("this listener has no TLS, so it is for loopback (127.0.0.1 or [::1]) only; reach it through a tunnel".into())
}

fn attribution(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().count() > LONGEST_ATTRIBUTION || text.contains(char::is_control)
    {
        return Err(format!("give a line of 1 to {LONGEST_ATTRIBUTION} characters"));
    }
    Ok(text.trim().to_owned())
}

fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| "give a DNS name or an IP address, without a port".to_owned())
}
