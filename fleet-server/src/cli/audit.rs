//! `audit verify` and `audit export`: whether the audit is as it was written, and all of it for others to check.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use lamplighter_protocol::{Digest, UtcMillis};
use serde::Serialize;

use super::operator::registry_in;
use crate::audit::{AuditReader, Finding, Head, Record, Verifier};
use crate::web::Timestamp;

const VERIFY_HELP: &str = "\
Every record holds the hash of the one before it. The first that is altered, missing or re-ordered is named, and the command fails. What has been cut off at the end shows only against a head that was noted earlier, elsewhere: the server logs it when it starts and stops. Nothing is changed.

Example:
  fleet-server audit verify --data /var/lib/lamplighter
  fleet-server audit verify --data /var/lib/lamplighter --head 4711:9f86d081...";

const EXPORT_HELP: &str = "\
Prints a JSON object a line, with all that is hashed; docs/audit.md says how to check it with a program of your own. Times are in UTC by RFC 3339.

Example:
  fleet-server audit export --data /var/lib/lamplighter --from 2026-07-01T00:00:00Z > audit.jsonl";

/// What can be done about the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no record of the audit is altered, missing or re-ordered
    #[command(after_help = VERIFY_HELP)]
    Verify(AuditVerifyArgs),
    /// Print the audit as JSON Lines
    #[command(after_help = EXPORT_HELP)]
    Export(AuditExportArgs),
}

/// Which audit to verify, and against what.
#[derive(Debug, Clone, Args)]
pub struct AuditVerifyArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// A head that was noted earlier: up to it everything has to be there, and as it was
    #[arg(long, value_name = "SEQUENCE:HASH")]
    pub head: Option<Head>,
}

/// Which part of the audit to print.
#[derive(Debug, Clone, Args)]
pub struct AuditExportArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// From this time on [default: the first record]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<UtcMillis>,
    /// Before this time [default: the last record]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<UtcMillis>,
}

/// A record as it is exported.
#[derive(Serialize)]
struct RecordDocument<'a> {
    sequence: i64,
    at: Timestamp,
    at_ms: i64,
    actor: &'a str,
    action: &'a str,
    subject: &'a str,
    /// The text that was hashed, which is JSON itself.
    detail: &'a str,
    previous: Digest,
    hash: Digest,
}

/// `audit verify`: says how far the audit goes, or what is wrong with it.
///
/// # Errors
/// When there is no audit, when it is not as it was written, or when nothing can be written to `out`.
pub async fn verify_audit(args: &AuditVerifyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut reader = AuditReader::open(&registry_in(&args.data)?).await?;
    let mut verifier = Verifier::new(args.head);
    loop {
        let page = reader.page().await?;
        if page.is_empty() {
            break;
        }
        page.iter().try_for_each(|stored| verifier.take(stored)).map_err(told)?;
    }
    reader.close().await;
    let sound = verifier.end().map_err(told)?;
    match (sound.first, sound.last) {
        (Some(first), Some(last)) => {
            let (first, last) = (Timestamp(first), Timestamp(last));
            writeln!(out, "{} records, from {first} until {last}", sound.records)?;
        }
        (None, _) | (_, None) => writeln!(out, "no records")?,
    }
    writeln!(out, "head {}", sound.head)?;
    writeln!(out, "the audit is sound")?;
    Ok(())
}

/// `audit export`: prints the records of a time.
///
/// # Errors
/// When there is no audit, when a row is not one that a server can have written, or when nothing can be written to `out`.
pub async fn export_audit(args: &AuditExportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut reader = AuditReader::open(&registry_in(&args.data)?).await?;
    let wanted = |at| args.from.is_none_or(|from| from <= at) && args.to.is_none_or(|to| at < to);
    loop {
        let page = reader.page().await?;
        if page.is_empty() {
            break;
        }
        for stored in page {
            let sequence = stored.sequence;
            let Some(record) = stored.record else {
                bail!("record {sequence} of the audit cannot be read: see `fleet-server audit verify`");
            };
            if wanted(record.at) {
                let line = serde_json::to_string(&RecordDocument::of(&record))?;
                writeln!(out, "{line}").context("cannot write the export")?;
            }
        }
    }
    reader.close().await;
    Ok(())
}

impl<'a> RecordDocument<'a> {
    fn of(record: &'a Record) -> Self {
        let Record { sequence, at, actor, action, subject, detail, previous, hash } = record;
        Self {
            sequence: *sequence,
            at: Timestamp(*at),
            at_ms: at.0,
            actor,
            action,
            subject,
            detail,
            previous: *previous,
            hash: *hash,
        }
    }
}

fn told(finding: Finding) -> anyhow::Error {
    anyhow::Error::from(finding).context("the audit is not as it was written")
}

fn time(text: &str) -> Result<UtcMillis, String> {
    Timestamp::parse(text).map_err(|_| "give a time by RFC 3339, such as 2026-07-01T08:00:00Z".to_owned())
}
