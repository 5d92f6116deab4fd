//! `cert list` and `cert revoke`.

use std::io::Write;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use lamplighter_protocol::{LamppostNumber, UtcMillis};

use super::operator::{operator, registry_in};
use crate::ca::Date;
use crate::registry::{CertificateRecord, CertificateSerial, Registry, RegistryError, Revoke, reason};

/// Which certificates to list.
#[derive(Debug, Clone, Args)]
pub struct CertListArgs {
    /// Official number of a lamppost [default: all]
    pub number: Option<LamppostNumber>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Which certificates to revoke.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["serial", "lamppost"])))]
pub struct CertRevokeArgs {
    /// Serial number of the certificate, as `cert list` prints it
    pub serial: Option<CertificateSerial>,
    /// Revoke all certificates of this lamppost instead
    #[arg(long, value_name = "NUMBER")]
    pub lamppost: Option<LamppostNumber>,
    /// Directory of everything that the server keeps
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

/// `cert list`: prints certificates, by lamppost, the oldest first.
///
/// # Errors
/// When the lamppost is not registered, or the registry fails.
pub async fn list_certificates(
    args: &CertListArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let registry = Registry::open(&registry_in(&args.data)?).await?;
    let mut last: Option<CertificateRecord> = None;
    loop {
        let page = registry.certificates(args.number.as_ref(), last.as_ref()).await?;
        if last.is_none() && !page.is_empty() {
            writeln!(
                out,
                "{:<32}  {:<12}  {:<20}  {:<20}  state",
                "serial", "lamppost", "issued", "good until"
            )?;
        }
        for record in &page {
            let (issued, until) = (Date(record.issued).to_string(), Date(record.not_after).to_string());
            let (serial, number) = (record.serial.as_str(), record.lamppost.as_str());
            writeln!(
                out,
                "{serial:<32}  {number:<12}  {issued:<20}  {until:<20}  {}",
                record.state(now).as_str()
            )?;
        }
        match page.into_iter().next_back() {
            Some(record) => last = Some(record),
            None => break,
        }
    }
    if last.is_none() {
        if let Some(number) = &args.number
            && registry.lamppost(number).await?.is_none()
        {
            return Err(RegistryError::NotRegistered { number: number.clone() }.into());
        }
        writeln!(out, "no certificate was issued yet")?;
    }
    registry.close().await;
    Ok(())
}

/// `cert revoke`: revokes certificates. What was revoked before stays as it is.
///
/// # Errors
/// When there is no such certificate or lamppost, or the registry fails; nothing is revoked then.
pub async fn revoke_certificates(
    args: &CertRevokeArgs,
    now: UtcMillis,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let what = match (&args.serial, &args.lamppost) {
        (Some(serial), _) => Revoke::Certificate(serial.clone()),
        (None, Some(number)) => Revoke::AllOf(number.clone()),
        (None, None) => anyhow::bail!("give a serial number, or a lamppost with --lamppost"),
    };
    let registry = Registry::open(&registry_in(&args.data)?).await?;
    let revoked = registry.revoke(&what, args.reason.as_deref(), now, &operator()).await?;
    registry.close().await;
    for CertificateRecord { serial, lamppost, not_after, .. } in &revoked.now {
        let until = Date(*not_after);
        writeln!(out, "revoked: certificate {serial} of lamppost {lamppost}, which was good until {until}")?;
    }
    for CertificateRecord { serial, lamppost, revoked, .. } in &revoked.before {
        let since = Date(revoked.unwrap_or_default());
        writeln!(out, "certificate {serial} of lamppost {lamppost} was revoked already, on {since}")?;
    }
    if let (Revoke::AllOf(number), true) = (&what, revoked.now.is_empty() && revoked.before.is_empty()) {
        writeln!(out, "lamppost {number} has no certificate")?;
    }
    Ok(())
}
