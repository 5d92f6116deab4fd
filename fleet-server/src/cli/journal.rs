//! `journal verify`: what is wrong with the journal, for people or for programs.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::journal::{self, Damage, Entry, Journal, JournalError, Verified};

const VERIFY_HELP: &str = "\
Reads everything and changes nothing. It ends with an error if entries that had been committed cannot be read. While a server runs, what it may still be writing is left out.

Example:
  fleet-server journal verify --data /var/lib/lamplighter --by-leaf";

/// What can be done about the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Read all of the journal and say what is wrong with it
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
}

/// Which journal to verify, and what to tell of it.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Count entries by kind of message
    #[arg(long)]
    pub by_leaf: bool,
    /// Count entries by lamppost
    #[arg(long)]
    pub by_lamppost: bool,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct VerifyDocument<'a> {
    journal: &'a Path,
    /// Whether all that was ever committed and not trimmed is there.
    sound: bool,
    /// Whether a server had the journal meanwhile.
    server_runs: bool,
    segments: u64,
    bytes: u64,
    entries: u64,
    first_sequence: u64,
    next_sequence: u64,
    missing_entries: u64,
    /// Of a write that never finished; no damage.
    torn_bytes: u64,
    damaged: Vec<DamageDocument<'a>>,
    /// Segments that could not be read to their end, and why.
    unreadable: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_leaf: Option<&'a BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_lamppost: Option<&'a BTreeMap<String, u64>>,
}

#[derive(Serialize)]
struct DamageDocument<'a> {
    file: &'a Path,
    offset: u64,
    bytes: u64,
    kind: &'static str,
    /// With `gap` and `repeated`: the sequence that should have come, and the one that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
}

/// Counts of entries, as far as they were asked for.
#[derive(Debug, Default)]
struct Counts {
    leaf: Option<BTreeMap<String, u64>>,
    lamppost: Option<BTreeMap<String, u64>>,
}

/// `journal verify`: reads all of the journal and says what is wrong with it.
///
/// # Errors
/// When there is no journal, when it is damaged, or when nothing can be written to `out`.
pub fn verify_journal(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = args.data.join(Journal::DIRECTORY_NAME);
    let mut counts =
        Counts { leaf: args.by_leaf.then(BTreeMap::new), lamppost: args.by_lamppost.then(BTreeMap::new) };
    if !directory.is_dir() {
        bail!("there is no journal in {}: give the data directory of a server", args.data.display());
    }
    let verified = journal::verify(&directory, |entry| counts.count(&entry))?;
    if args.json {
        let document = VerifyDocument::new(&directory, &verified, &counts);
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        tell(&directory, &verified, &counts, out)?;
    }
    if verified.is_sound() {
        return Ok(());
    }
    bail!(
        "the journal is damaged: {} places, {} entries missing, {} segments that cannot be read to their end",
        verified.report.damaged.len(),
        verified.report.missing,
        verified.refused.len()
    )
}

impl Counts {
    fn count(&mut self, entry: &Entry) {
        let add = |counts: &mut Option<BTreeMap<String, u64>>, key: &str| match counts {
            None => {}
            Some(counts) => match counts.get_mut(key) {
                Some(count) => *count += 1,
                None => drop(counts.insert(key.to_owned(), 1)),
            },
        };
        add(&mut self.leaf, entry.leaf.as_str());
        add(&mut self.lamppost, entry.lamppost.as_str());
    }
}

fn tell(directory: &Path, verified: &Verified, counts: &Counts, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = &verified.report;
    writeln!(out, "{}: {} segments, {} bytes", directory.display(), report.segments, report.bytes)?;
    writeln!(out, "{} entries, from {} to before {}", report.entries, report.first, verified.next)?;
    if verified.server_runs {
        writeln!(out, "a server is running: what it may still be writing was left out")?;
    }
    if report.torn_bytes > 0 {
        let bytes = report.torn_bytes;
        writeln!(
            out,
            "{bytes} bytes at the end are of a write that never finished: the next start cuts them off"
        )?;
    }
    for damage in &report.damaged {
        writeln!(out, "{damage}")?;
    }
    for error in &verified.refused {
        writeln!(out, "{}", with_cause(error))?;
    }
    for (title, counts) in [("by kind of message", &counts.leaf), ("by lamppost", &counts.lamppost)] {
        let Some(counts) = counts else { continue };
        writeln!(out, "entries {title}:")?;
        for (key, count) in counts {
            writeln!(out, "  {key}  {count}")?;
        }
    }
    if verified.is_sound() {
        writeln!(out, "the journal is sound")?;
    }
    Ok(())
}

fn with_cause(error: &JournalError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

impl<'a> VerifyDocument<'a> {
    fn new(journal: &'a Path, verified: &'a Verified, counts: &'a Counts) -> Self {
        let report = &verified.report;
        Self {
            journal,
            sound: verified.is_sound(),
            server_runs: verified.server_runs,
            segments: report.segments,
            bytes: report.bytes,
            entries: report.entries,
            first_sequence: report.first,
            next_sequence: verified.next,
            missing_entries: report.missing,
            torn_bytes: report.torn_bytes,
            damaged: report.damaged.iter().map(DamageDocument::new).collect(),
            unreadable: verified.refused.iter().map(with_cause).collect(),
            by_leaf: counts.leaf.as_ref(),
            by_lamppost: counts.lamppost.as_ref(),
        }
    }
}

impl<'a> DamageDocument<'a> {
    fn new(damage: &'a Damage) -> Self {
        let (expected, found) = damage.kind.sequences().unzip();
        let Damage { path: file, offset, bytes, kind } = damage;
        Self { file, offset: *offset, bytes: *bytes, kind: kind.as_str(), expected, found }
    }
}
