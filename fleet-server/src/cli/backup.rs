//! `backup` and `restore`: what they are told and what they tell.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use lamplighter_protocol::UtcMillis;

use super::operator::operator;
use crate::audit::{Action, Entry, Subject};
use crate::backup::{self, BackupRequest, Checked, Manifest, Step};
use crate::clock;
use crate::registry::Registry;

pub(super) const BACKUP_HELP: &str = "\
It works while the server runs, as the user that the server runs as. Meanwhile the server writes no checkpoint and trims nothing. The backup has everything but keys: journal, checkpoints, registry, certificates. Keys change only with the CA: one copy of them, somewhere else, does for many backups.

Example:
  fleet-server backup --data /var/lib/lamplighter --out /backups/2026-11-22 --keys /safe/keys";

pub(super) const RESTORE_HELP: &str = "\
Everything is checked before anything is written. No lamppost has to be enrolled again: each logs in with the certificate that it has, and sends again what came after the backup, as far as it still has it. The server that was backed up must not run any more.

Examples:
  fleet-server restore --from /backups/2026-11-22 --keys /safe/keys --data /var/lib/lamplighter
  fleet-server restore --from /backups/2026-11-22 --check";

/// How often progress is told on a terminal, and elsewhere.
const TELL_EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What to back up, and where to.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The backup: a directory that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Back up the keys too, into this directory; never the same as the backup's
    ///
    /// Whoever has them can pass for the server and for any lamppost: keep them apart from backups, and locked.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
}

/// What to restore, and where to.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The directory of its keys
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// The data directory: it is made, and must be empty or not there yet
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    pub data: Option<PathBuf>,
    /// Only check the backup, and with --keys whether they belong to it
    #[arg(long, conflicts_with = "data")]
    pub check: bool,
}

/// Tells how far something has come: on a terminal in one line, elsewhere in a line every few seconds.
pub struct ProgressLine {
    to: Box<dyn Write + Send>,
    is_terminal: bool,
    told: Instant,
    /// A line is on the terminal.
    is_open: bool,
}

/// `backup`: makes a backup.
///
/// # Errors
/// [`backup::BackupError`]; there is no backup then.
pub async fn back_up(
    args: &BackupArgs,
    now: UtcMillis,
    progress: &mut ProgressLine,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let BackupArgs { data, out: directory, keys } = args.clone();
    let request = BackupRequest { data, out: directory, keys };
    let taken = backup::take(&request, now, &mut |step| progress.tell(step)).await;
    progress.end();
    let manifest = taken.with_context(|| format!("there is no backup {}", args.out.display()))?;
    let entry =
        Entry::new(now, operator(), Action::BackupTaken, Subject::Server).text("to", args.out.display());
    let entry = match &args.keys {
        Some(keys) => entry.text("keys", keys.display()),
        None => entry,
    };
    Registry::audit_as_it_is(&args.data.join(Registry::FILE_NAME), &entry)
        .await
        .context("the backup is made, but the audit does not know of it")?;
    writeln!(out, "backup {} of {}", args.out.display(), args.data.display())?;
    describe(&manifest, out)?;
    match &args.keys {
        Some(keys) => writeln!(
            out,
            "  keys       in {}: keep them apart from the backup, and locked; both are needed to restore it",
            keys.display()
        )?,
        None => writeln!(
            out,
            "  keys       are not in it, and it cannot be restored without them: unless they are kept already, make \
             another backup with --keys DIR"
        )?,
    }
    Ok(())
}

/// `restore`: makes a data directory of a backup, or checks it.
///
/// # Errors
/// [`backup::BackupError`]; nothing is restored then.
pub async fn restore(
    args: &RestoreArgs,
    now: UtcMillis,
    progress: &mut ProgressLine,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let tell = &mut |step| progress.tell(step);
    let (from, keys) = (&args.from, args.keys.as_deref());
    let done = match &args.data {
        Some(data) => {
            let restored = backup::restore(from, keys, data, (&operator(), now), tell).await;
            restored.context("nothing is restored")
        }
        None => backup::check(from, keys, tell).map_err(Into::into),
    };
    progress.end();
    let Checked { manifest, strangers } = done?;
    match &args.data {
        Some(data) => writeln!(out, "restored {} into {}", from.display(), data.display())?,
        None => writeln!(out, "the backup {} is sound", from.display())?,
    }
    describe(&manifest, out)?;
    for path in strangers {
        writeln!(out, "  left out   {}: it is not of the backup", path.display())?;
    }
    match (&args.data, keys) {
        (Some(data), _) => writeln!(
            out,
            "Start it with `fleet-server run --data {}` and the options that it had. The server that was backed up \
             must not run any more.",
            data.display()
        )?,
        (None, Some(keys)) => writeln!(out, "  keys       in {} belong to it", keys.display())?,
        (None, None) => writeln!(out, "  keys       were not checked: name them with --keys DIR")?,
    }
    Ok(())
}

fn describe(manifest: &Manifest, out: &mut dyn Write) -> std::io::Result<()> {
    let contents = manifest.contents;
    writeln!(out, "  taken      {}", manifest.taken)?;
    writeln!(out, "  files      {}, {} bytes", manifest.files.len(), manifest.bytes())?;
    writeln!(
        out,
        "  journal    entries from {} to before {}",
        contents.first_sequence, contents.next_sequence
    )?;
    writeln!(out, "  registry   {} lampposts, {} certificates", contents.lampposts, contents.certificates)
}

impl ProgressLine {
    /// Writes to this.
    pub fn new(to: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        Self { to, is_terminal, told: clock::monotonic(), is_open: false }
    }

    /// Tells it, unless something was told a moment ago. Nobody may be listening: that is no reason to stop.
    fn tell(&mut self, step: Step) {
        let now = clock::monotonic();
        let (often, seldom) = TELL_EVERY;
        match step {
            Step::Waiting => {
                writeln!(self.to, "waiting: a checkpoint is being written, or another backup runs").ok();
            }
            Step::Done { bytes, of } => {
                let every = if self.is_terminal { often } else { seldom };
                if now.duration_since(self.told) < every {
                    return;
                }
                self.told = now;
                let text = format!("{} of {} MiB", bytes >> 20, of >> 20);
                if self.is_terminal {
                    self.is_open = true;
                    write!(self.to, "\r{text:<40}").and_then(|()| self.to.flush()).ok();
                } else {
                    writeln!(self.to, "{text}").ok();
                }
            }
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            write!(self.to, "\r{:<40}\r", "").and_then(|()| self.to.flush()).ok();
        }
    }
}

impl fmt::Debug for ProgressLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressLine").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}
