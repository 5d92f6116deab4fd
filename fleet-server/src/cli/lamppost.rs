//! `lamppost`: the register of lampposts, and what happens to one in its life.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::operator::{operator, registry_in};
use super::token::tell_installer;
use crate::ca::Date;
use crate::est::{Hours, Token};
use crate::registry::{
    Coordinates, Registry, Relocation, Site, read_list, reason, register_text, write_csv, write_geojson,
};
use crate::web::Timestamp;

const IMPORT_HELP: &str = "\
The file is CSV or GeoJSON, in UTF-8.

CSV has commas and a header that names the columns, in any order:
  number     official number, 1 to 32 of A-Z a-z 0-9 _ -
  latitude   degrees, WGS 84
  longitude  degrees, WGS 84
  road       text
  district   text
and, where they are known:
  feeder, pillar, height_m (metres), remarks

GeoJSON (RFC 7946) is a FeatureCollection of Points [longitude, latitude] with the other columns as properties.

Lampposts that are new are added, those that differ are changed, those that the file does not name stay. If anything in the file is wrong, or a lamppost in it is retired, all of it is told and nothing is stored. A change corrects the register: a lamppost that was moved is told of with `lamppost relocate`.

Example:
  fleet-server lamppost import lampposts.csv --data /var/lib/lamplighter";

const EXPORT_HELP: &str = "\
What is printed can be edited and imported again. Retired lampposts are not in it.

Example:
  fleet-server lamppost export --format geojson --data /var/lib/lamplighter > lampposts.geojson";

const REPLACE_HELP: &str = "\
For a controller that was changed: broken, stolen, or with a new card. All certificates of the old one are revoked (it is thrown out within seconds), its tokens are ended, and a token for the new one is printed, in one step. The lamppost's history stays, for it belongs to the number.

What the old controller had read and not sent yet is on its card. If that card is put into the new controller, the agent sets the old outbox aside and reports it; release it in the console, or with POST /api/v1/lampposts/NUMBER/outboxes/ID/release, and it is sent. Close it, and what only it has counts as lost. Without that card there is nothing to decide: an outbox that is silent for 30 days beside the new one closes itself.

Example:
  fleet-server lamppost replace DF3637 --reason \"struck by lightning\" --data /var/lib/lamplighter";

const RELOCATE_HELP: &str = "\
For a lamppost that was moved, and kept its number. The register keeps where it stood before, and until when; what was observed stays with the number. What is not named stays as it was, also feeder and pillar. A mistake in the register is corrected with `lamppost import` instead.

Example:
  fleet-server lamppost relocate DF3637 --road \"Hoi Bun Road\" --lat 22.3101 --lon 114.2218 --since 2026-11-20T09:30:00+08:00 --data /var/lib/lamplighter";

const RETIRE_HELP: &str = "\
For a lamppost that was taken down. Its certificates are revoked, its tokens ended, and it counts no more among the lampposts of the city; what was observed on it stays readable under its number. It is never deleted: a new lamppost of that number begins with `lamppost revive`.

Example:
  fleet-server lamppost retire DF3637 --reason \"the road is gone\" --data /var/lib/lamplighter";

const REVIVE_HELP: &str = "\
What was revoked stays revoked: enrol the lamppost anew with `fleet-server token create`.

Example:
  fleet-server lamppost revive DF3637 --data /var/lib/lamplighter";

/// What can be done about lampposts.
#[derive(Debug, Subcommand)]
pub enum LamppostCommand {
    /// Add and change lampposts from a file (CSV or GeoJSON), all or none
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Print all lampposts as a file that can be imported
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArgs),
    /// A lamppost has another controller: shut out the old one, and print a token for the new one
    #[command(after_help = REPLACE_HELP)]
    Replace(ReplaceArgs),
    /// A lamppost was moved: say where it stands, and since when
    #[command(after_help = RELOCATE_HELP)]
    Relocate(RelocateArgs),
    /// A lamppost was taken down: shut it out, and count it no more
    #[command(after_help = RETIRE_HELP)]
    Retire(RetireArgs),
    /// A retired lamppost is one of the city again
    #[command(after_help = REVIVE_HELP)]
    Revive(ReviveArgs),
}

/// What to import.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The file
    pub file: PathBuf,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// What to export.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// As what
    #[arg(long, value_enum, default_value_t = ListFormat::Csv)]
    pub format: ListFormat,
}

/// How lampposts are written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// CSV with a header
    Csv,
    /// A `FeatureCollection`, a feature in each line
    #[value(name = "geojson")]
    GeoJson,
}

/// Whose controller is another one.
#[derive(Debug, Clone, Args)]
pub struct ReplaceArgs {
    /// Official number of the lamppost
    pub number: LamppostNumber,
    /// For how many hours the new token is good, up to 720
    #[arg(long, value_name = "N", default_value_t = Hours::default())]
    pub hours: Hours,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// What is different where a lamppost stands now.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(
    ["latitude", "longitude", "road", "district", "feeder", "pillar"]
)))]
pub struct RelocateArgs {
    /// Official number of the lamppost
    pub number: LamppostNumber,
    /// Degrees north, WGS 84
    #[arg(long = "lat", value_name = "DEGREES", requires = "longitude", allow_negative_numbers = true)]
    pub latitude: Option<f64>,
    /// Degrees east, WGS 84
    #[arg(long = "lon", value_name = "DEGREES", requires = "latitude", allow_negative_numbers = true)]
    pub longitude: Option<f64>,
    /// The road that it lights
    #[arg(long, value_name = "TEXT", value_parser = register_text)]
    pub road: Option<String>,
    /// The district that the road is in
    #[arg(long, value_name = "TEXT", value_parser = register_text)]
    pub district: Option<String>,
    /// The electrical feeder that it hangs on
    #[arg(long, value_name = "TEXT", value_parser = register_text)]
    pub feeder: Option<String>,
    /// The switching pillar of that feeder
    #[arg(long, value_name = "TEXT", value_parser = register_text)]
    pub pillar: Option<String>,
    /// Since when it stands there (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    pub since: Option<UtcMillis>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which lamppost was taken down.
#[derive(Debug, Clone, Args)]
pub struct RetireArgs {
    /// Official number of the lamppost
    pub number: LamppostNumber,
    /// Why, for the audit and whoever asks for it later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which lamppost is one of the city again.
#[derive(Debug, Clone, Args)]
pub struct ReviveArgs {
    /// Official number of the lamppost
    pub number: LamppostNumber,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// `lamppost`: changes and prints the register.
///
/// # Errors
/// Every problem of what was given, or what failed at the registry; nothing is changed then.
pub async fn lampposts(command: &LamppostCommand, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        LamppostCommand::Import(args) => import(args, now, out).await,
        LamppostCommand::Export(args) => export(args, out).await,
        LamppostCommand::Replace(args) => replace(args, now, out).await,
        LamppostCommand::Relocate(args) => relocate(args, now, out).await,
        LamppostCommand::Retire(args) => retire(args, now, out).await,
        LamppostCommand::Revive(args) => revive(args, now, out).await,
    }
}

async fn import(args: &ImportArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let lampposts = read_list(&args.file)?;
    let registry = Registry::open(&args.data.join(Registry::FILE_NAME)).await?;
    let imported = registry.import(lampposts, now, &operator()).await?;
    let count = registry.count().await?;
    registry.close().await;
    writeln!(
        out,
        "{} added, {} changed, {} unchanged; {count} lampposts are registered",
        imported.added, imported.changed, imported.unchanged
    )?;
    Ok(())
}

async fn export(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = Registry::open(&registry_in(&args.data)?).await?;
    // One question, so that an import comes before it or after it.
    let lampposts = registry.lampposts(None, u32::MAX).await?;
    registry.close().await;
    let mut out = BufWriter::new(out);
    match args.format {
        ListFormat::Csv => write_csv(&lampposts, &mut out)?,
        ListFormat::GeoJson => write_geojson(&lampposts, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

async fn replace(args: &ReplaceArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let ReplaceArgs { number, hours, reason, data } = args;
    let registry = Registry::open(&registry_in(data)?).await?;
    let (token, expires) = (Token::generate()?, hours.after(now));
    let digest = token.digest();
    let new = (&digest, expires);
    let (id, had) = registry.replace_controller(number, new, reason.as_deref(), now, &operator()).await?;
    registry.close().await;
    writeln!(
        out,
        "lamppost {number} has another controller: {} revoked, {} ended",
        counted(had.certificates, "certificate"),
        counted(had.tokens, "token")
    )?;
    tell_installer((number, id), &token, expires, data, out)
}

async fn relocate(args: &RelocateArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let RelocateArgs { number, latitude, longitude, road, district, feeder, pillar, since, data } =
        args.clone();
    let coordinates =
        latitude.zip(longitude).map(|(latitude, longitude)| Coordinates::new(latitude, longitude));
    let relocation = Relocation { coordinates: coordinates.transpose()?, road, district, feeder, pillar };
    let registry = Registry::open(&registry_in(&data)?).await?;
    let since = since.unwrap_or(now);
    let (before, after) = registry.relocate(&number, &relocation, since, now, &operator()).await?;
    registry.close().await;
    writeln!(out, "lamppost {number} was moved, {}", Date(since))?;
    writeln!(out, "  from {}", Shown(&before))?;
    writeln!(out, "  to   {}", Shown(&after))?;
    Ok(())
}

async fn retire(args: &RetireArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let RetireArgs { number, reason, data } = args;
    let registry = Registry::open(&registry_in(data)?).await?;
    let taken = registry.retire(number, reason.as_deref(), now, &operator()).await?;
    registry.close().await;
    writeln!(
        out,
        "lamppost {number} is retired: {} revoked, {} ended; what was observed on it stays",
        counted(taken.certificates, "certificate"),
        counted(taken.tokens, "token")
    )?;
    Ok(())
}

async fn revive(args: &ReviveArgs, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let ReviveArgs { number, data } = args;
    let registry = Registry::open(&registry_in(data)?).await?;
    let retired = registry.revive(number, now, &operator()).await?;
    registry.close().await;
    let since = Date(retired.since);
    writeln!(out, "lamppost {number} is one of the city again; it was retired since {since}")?;
    writeln!(out, "enrol it anew: fleet-server token create {number} --data {}", data.display())?;
    Ok(())
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A site in a line.
struct Shown<'a>(&'a Site);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Site { coordinates, road, district, feeder, pillar } = self.0;
        write!(f, "{road}, {district}, {coordinates:?}")?;
        for (what, known) in [("feeder", feeder), ("pillar", pillar)] {
            if let Some(known) = known {
                write!(f, ", {what} {known}")?;
            }
        }
        Ok(())
    }
}
