//! `grant`: what departments may hear.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use lamplighter_protocol::UtcMillis;

use super::operator::{operator, registry_in};
use crate::ca::Date;
use crate::feeds::{DepartmentName, Filter};
use crate::registry::{DepartmentRecord, GrantId, Registry};

const ADD_HELP: &str = "\
A department may subscribe within its grants, and to nothing else. A filter is one of MQTT: + stands for any word, # at the end for all that follows, in

  highway/THEME/DISTRICT/LAMPPOST/PROPERTY[/CHANNEL]

What the catalogue calls restricted is granted only by its name: no + and no # in its place.

Examples:
  fleet-server grant add traffic 'highway/traffic/#' --data /var/lib/lamplighter
  fleet-server grant add observatory 'highway/+/+/+/air_temperature' --data /var/lib/lamplighter";

/// What can be done about grants.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Grant a department what a filter names
    #[command(after_help = ADD_HELP)]
    Add(AddGrantArgs),
    /// Show what is granted, to one department or to all
    List(GrantListArgs),
    /// Withdraw a grant: who listens to it hears no more of it within seconds
    Withdraw(WithdrawArgs),
}

/// What to grant.
#[derive(Debug, Clone, Args)]
pub struct AddGrantArgs {
    /// The department's name
    #[arg(value_name = "NAME")]
    pub name: DepartmentName,
    /// What it may hear
    #[arg(value_name = "FILTER")]
    pub filter: Filter,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Whose grants to show.
#[derive(Debug, Clone, Args)]
pub struct GrantListArgs {
    /// The department's name
    #[arg(value_name = "NAME")]
    pub name: Option<DepartmentName>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which grant to withdraw.
#[derive(Debug, Clone, Args)]
pub struct WithdrawArgs {
    /// Its number, as `grant list` shows it
    #[arg(value_name = "ID")]
    pub id: GrantId,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// `grant`: makes, lists and withdraws grants.
///
/// # Errors
/// When there is no registry, no such department or grant, or no room for more, or the registry fails.
pub async fn grants(command: &GrantCommand, now: UtcMillis, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = match command {
        GrantCommand::Add(AddGrantArgs { data, .. })
        | GrantCommand::List(GrantListArgs { data, .. })
        | GrantCommand::Withdraw(WithdrawArgs { data, .. }) => data,
    };
    let registry = Registry::open(&registry_in(data)?).await?;
    let done = match command {
        GrantCommand::Add(args) => add(&registry, args, now, out).await,
        GrantCommand::List(args) => list(&registry, args.name.as_ref(), out).await,
        GrantCommand::Withdraw(args) => withdraw(&registry, args.id, now, out).await,
    };
    registry.close().await;
    done
}

async fn add(
    registry: &Registry,
    args: &AddGrantArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let grant = registry.add_grant(&args.name, &args.filter, now, &operator()).await?;
    writeln!(out, "grant {}: department {} may hear {}", grant.id, grant.department, grant.filter)?;
    Ok(())
}

async fn list(registry: &Registry, name: Option<&DepartmentName>, out: &mut dyn Write) -> anyhow::Result<()> {
    let departments = match name {
        Some(name) => vec![registry.department(name).await?],
        None => registry.departments().await?,
    };
    let grants: Vec<_> = departments.iter().flat_map(|DepartmentRecord { grants, .. }| grants).collect();
    if grants.is_empty() {
        writeln!(out, "nothing is granted")?;
        return Ok(());
    }
    writeln!(out, "{:<6} {:<32} {:<20} filter", "grant", "department", "since")?;
    for grant in grants {
        let (id, since) = (grant.id.to_string(), Date(grant.created));
        writeln!(out, "{id:<6} {:<32} {since:<20} {}", grant.department.as_str(), grant.filter)?;
    }
    Ok(())
}

async fn withdraw(
    registry: &Registry,
    id: GrantId,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let grant = registry.withdraw_grant(id, None, now, &operator()).await?;
    writeln!(out, "grant {id} is withdrawn: department {} may not hear {}", grant.department, grant.filter)?;
    writeln!(out, "by this grant, that is: `fleet-server grant list {}` shows the others", grant.department)?;
    Ok(())
}
