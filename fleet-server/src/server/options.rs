//! What a server is started with: what its command line says, and what it finds or makes in its directory.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use lamplighter_protocol::UtcMillis;

use super::Metrics;
use crate::ca::{Authority, Origin, Present, ServerCertificate};
use crate::cli::RunArgs;
use crate::est::{Est, EstOptions};
use crate::gateway::{GatewayOptions, Limits, Rate, Refusals};
use crate::registry::Registry;
use crate::store::TailOptions;
use crate::web::Entrance;

/// 256 connections of people, 16 of SQLite, the journal's files, the runtime's own, and as many again.
const DESCRIPTORS_KEPT_BACK: usize = 640;

/// Takes the CA and the server's certificate, and says which of them it had to make.
pub(super) fn open_ca(
    args: &RunArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<(Authority, ServerCertificate)> {
    let directory = args.data.join(Authority::DIRECTORY_NAME);
    let (authority, origin) =
        Authority::open_or_create_by(&directory, args.ca_key.passphrase()?.as_ref(), now)?;
    match origin {
        Origin::Found => {}
        Origin::Created => writeln!(out, "made the fleet CA in {}", directory.display())?,
        Origin::Completed => {
            writeln!(out, "made the certificate of the fleet CA anew in {}", directory.display())?;
        }
    }
    let directory = args.data.join(ServerCertificate::DIRECTORY_NAME);
    let (certificate, made) = ServerCertificate::open_or_make(&directory, &authority, &args.names, now)?;
    if let Some(why) = made {
        writeln!(out, "made the server's certificate in {} ({why})", directory.display())?;
    }
    Ok((authority, certificate))
}

/// How much the store may hold.
pub(super) fn tail_options(args: &RunArgs) -> TailOptions {
    let default = TailOptions::default();
    TailOptions { max_observations: args.tail_observations.unwrap_or(default.max_observations), ..default }
}

/// What is told to whoever enrols a lamppost.
pub(super) fn entrance(args: &RunArgs, lampposts: SocketAddr, authority: Present<Authority>) -> Entrance {
    let host = args.names.first().map(|name| name.to_str().into_owned());
    Entrance { host, port: lampposts.port(), authority }
}

/// What the gateway grants, and what it serves by HTTP: enrolment. Both count what they refuse in one place.
pub(super) fn gateway_options(
    args: &RunArgs,
    limits: Limits,
    registry: &Registry,
    authority: Present<Authority>,
    metrics: &Metrics,
) -> GatewayOptions {
    let refusals = Refusals::default();
    let options = EstOptions { validity: args.certificate_life, return_within: args.return_within };
    let est = Est::new(registry.clone(), authority, options, metrics.est.clone(), refusals.clone());
    GatewayOptions { limits, refusals, http: est.router(), feeds: None }
}

/// The gateway's limits, within the file descriptors that the system grants: enough are kept back for the journal, the
/// registry and people, however many strangers connect.
pub(super) fn limits(args: &RunArgs) -> anyhow::Result<Limits> {
    let granted = rlimit::increase_nofile_limit(u64::MAX).context("cannot ask for more file descriptors")?;
    let most = usize::try_from(granted).unwrap_or(usize::MAX).saturating_sub(DESCRIPTORS_KEPT_BACK).max(1);
    let limits = args.limits.apply(&Limits::default());
    if most < limits.connections {
        tracing::warn!(
            granted,
            connections = most,
            "fewer lampposts can connect than the gateway would serve"
        );
    }
    let connections = limits.connections.min(most);
    let opening = limits.opening.min(connections / 4).max(1);
    // However few there are, one address takes three quarters of them at most.
    let burst = u32::try_from(opening * 3 / 4).unwrap_or(u32::MAX).clamp(1, limits.attempts.burst);
    let attempts = Rate { burst, ..limits.attempts };
    Ok(Limits { connections, opening, attempts, ..limits })
}

/// Makes a directory that only its owner enters, and its parents, so that a power cut does not undo it.
pub(super) fn make_private(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private(parent)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    File::open(parent)?.sync_all()
}
