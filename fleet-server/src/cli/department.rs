//! `department`: who may listen to the lampposts is added, listed and ended, beside a running server or without one.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use lamplighter_protocol::UtcMillis;

use super::department_certificate::{
    self, CERTIFY_HELP, CertifyDepartmentArgs, END_CERTIFICATE_HELP, EndCertificateArgs,
};
use super::operator::{operator, registry_in};
use crate::ca::Date;
use crate::feeds::{AccessKeyId, DepartmentName};
use crate::registry::{ApiKey, DepartmentCertificate, DepartmentRecord, KeyDays, KeyRecord, Label, Registry};

const ADD_HELP: &str = "\
The name is what the department logs in with: 1 to 32 of a-z 0-9 -, and a letter first. It is not given twice. A department hears nothing before it has a key or a certificate, and a grant.

Example:
  fleet-server department add traffic --title 'Transport Department' --data /var/lib/lamplighter
  fleet-server department add-key traffic --note 'signal control' --data /var/lib/lamplighter
  fleet-server grant add traffic 'highway/traffic/#' --data /var/lib/lamplighter";

const ADD_KEY_HELP: &str = "\
The key is printed once and kept nowhere: what is stored does not tell it. To change a key, add another one, let the department's systems take it, and end the old one.

Example:
  fleet-server department add-key traffic --days 365 --note 'signal control' --data /var/lib/lamplighter";

const END_KEY_HELP: &str = "\
Who is connected with it is thrown out within seconds.

Example:
  fleet-server department end-key 3 --data /var/lib/lamplighter";

/// What can be done about departments.
#[derive(Debug, Subcommand)]
pub enum DepartmentCommand {
    /// Add a department
    #[command(after_help = ADD_HELP)]
    Add(AddDepartmentArgs),
    /// Show the departments, their keys and their certificates
    List(DepartmentListArgs),
    /// End a department: none of its keys, certificates and grants is good for anything any more
    End(EndDepartmentArgs),
    /// Make an API key for a department, and print it
    #[command(after_help = ADD_KEY_HELP)]
    AddKey(AddKeyArgs),
    /// End an API key
    #[command(after_help = END_KEY_HELP)]
    EndKey(EndKeyArgs),
    /// Issue a certificate for a key of a department's own, which logs in by it without name and key
    #[command(after_help = CERTIFY_HELP)]
    Certify(CertifyDepartmentArgs),
    /// End a certificate of a department
    #[command(after_help = END_CERTIFICATE_HELP)]
    EndCertificate(EndCertificateArgs),
}

/// Which department to add.
#[derive(Debug, Clone, Args)]
pub struct AddDepartmentArgs {
    /// What it logs in with
    #[arg(value_name = "NAME")]
    pub name: DepartmentName,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    pub title: Label,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Whose departments to show.
#[derive(Debug, Clone, Args)]
pub struct DepartmentListArgs {
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which department to end.
#[derive(Debug, Clone, Args)]
pub struct EndDepartmentArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: DepartmentName,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which key to make.
#[derive(Debug, Clone, Args)]
pub struct AddKeyArgs {
    /// The department's name
    #[arg(value_name = "NAME")]
    pub name: DepartmentName,
    /// For how many days the key is good, up to 3650 [default: until it is ended]
    #[arg(long, value_name = "N")]
    pub days: Option<KeyDays>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub note: Option<Label>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which key to end.
#[derive(Debug, Clone, Args)]
pub struct EndKeyArgs {
    /// Its number, as `department list` shows it
    #[arg(value_name = "ID")]
    pub id: AccessKeyId,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// `department`: adds, lists and ends departments and their keys.
///
/// # Errors
/// When there is no registry, no such department or key, or no room for more, or the registry fails.
pub async fn departments(
    command: &DepartmentCommand,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let data = match command {
        DepartmentCommand::Add(AddDepartmentArgs { data, .. })
        | DepartmentCommand::List(DepartmentListArgs { data })
        | DepartmentCommand::End(EndDepartmentArgs { data, .. })
        | DepartmentCommand::AddKey(AddKeyArgs { data, .. })
        | DepartmentCommand::EndKey(EndKeyArgs { data, .. })
        | DepartmentCommand::Certify(CertifyDepartmentArgs { data, .. })
        | DepartmentCommand::EndCertificate(EndCertificateArgs { data, .. }) => data,
    };
    let registry = Registry::open(&registry_in(data)?).await?;
    let done = match command {
        DepartmentCommand::Add(args) => add(&registry, args, now, out).await,
        DepartmentCommand::List(_) => list(&registry, now, out).await,
        DepartmentCommand::End(args) => end(&registry, &args.name, now, out).await,
        DepartmentCommand::AddKey(args) => add_key(&registry, args, now, out).await,
        DepartmentCommand::EndKey(args) => end_key(&registry, args.id, now, out).await,
        DepartmentCommand::Certify(args) => department_certificate::certify(&registry, args, now, out).await,
        DepartmentCommand::EndCertificate(args) => {
            department_certificate::end(&registry, args, now, out).await
        }
    };
    registry.close().await;
    done
}

async fn add(
    registry: &Registry,
    args: &AddDepartmentArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let DepartmentRecord { name, title, .. } =
        registry.add_department(&args.name, &args.title, now, &operator()).await?;
    writeln!(out, "department {name} ({title}) is added: it hears nothing yet")?;
    writeln!(out, "give it a key with `fleet-server department add-key {name}`, or a certificate with")?;
    writeln!(out, "`fleet-server department certify {name} --request FILE`")?;
    writeln!(out, "and something to hear with `fleet-server grant add {name} FILTER`")?;
    Ok(())
}

async fn list(registry: &Registry, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let departments = registry.departments().await?;
    if departments.is_empty() {
        writeln!(out, "there are no departments")?;
    }
    for DepartmentRecord { name, title, created, keys, certificates, grants } in departments {
        let grants = match grants.len() {
            1 => "1 grant".to_owned(),
            count => format!("{count} grants"),
        };
        writeln!(out, "{name}: {title}, since {}, {grants}", Date(created))?;
        if keys.is_empty() && certificates.is_empty() {
            writeln!(out, "  no key and no certificate")?;
        }
        for key in keys {
            let note = key.note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
            writeln!(out, "  key {}, made {}, {}{note}", key.id, Date(key.created), good_until(&key, now))?;
        }
        for certificate in certificates {
            let DepartmentCertificate { serial, issued, not_after, .. } = &certificate;
            let until = if certificate.is_expired(now) { "expired" } else { "good until" };
            writeln!(out, "  certificate {serial}, issued {}, {until} {}", Date(*issued), Date(*not_after))?;
        }
    }
    Ok(())
}

async fn end(
    registry: &Registry,
    name: &DepartmentName,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let ended = registry.end_department(name, now, &operator()).await?;
    let (keys, certificates, grants) = (ended.keys, ended.certificates, ended.grants);
    writeln!(
        out,
        "department {name} is ended, with {keys} keys, {certificates} certificates and {grants} grants"
    )?;
    Ok(())
}

async fn add_key(
    registry: &Registry,
    args: &AddKeyArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (name, secret) = (&args.name, ApiKey::generate()?);
    let expires = args.days.map(|days| days.after(now));
    let times = (now, expires);
    let key = registry.add_department_key(name, &secret, args.note.as_ref(), times, &operator()).await?;
    let department = registry.department(name).await?;
    writeln!(out, "key {} of department {name}, {}", key.id, good_until(&key, now))?;
    writeln!(out, "  {}", secret.expose())?;
    writeln!(out, "it is shown this once; with it the department listens, for example:")?;
    let granted = department.grants.first().map(|grant| grant.filter.to_string());
    writeln!(out, "  {}", listen_with(name, &secret, granted.as_deref().unwrap_or("highway/#")))?;
    if granted.is_none() {
        writeln!(out, "nothing is granted to it yet: `fleet-server grant add {name} FILTER`")?;
    }
    Ok(())
}

async fn end_key(
    registry: &Registry,
    id: AccessKeyId,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let key = registry.end_department_key(id, None, now, &operator()).await?;
    writeln!(out, "key {id} of department {} is ended", key.department)?;
    Ok(())
}

fn good_until(key: &KeyRecord, now: UtcMillis) -> String {
    match key.expires {
        Some(expires) if key.is_expired(now) => format!("expired {}", Date(expires)),
        Some(expires) => format!("good until {}", Date(expires)),
        None => "good until it is ended".to_owned(),
    }
}

/// A command that works once the place of the server and its CA's certificate are put in.
fn listen_with(name: &DepartmentName, key: &ApiKey, filter: &str) -> String {
    let (key, filter) = (key.expose(), filter.replace('\'', r"'\''"));
    format!("mosquitto_sub -h SERVER -p 8883 --cafile ca.pem -u {name} -P {key} -t '{filter}' -v")
}
