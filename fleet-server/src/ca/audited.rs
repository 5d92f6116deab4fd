//! What is made in files, told in the audit.

use lamplighter_protocol::{Digest, UtcMillis};

use super::{Authority, ServerCertificate};
use crate::audit::{Action, Actor, Entry, Subject};
use crate::registry::{Registry, RegistryError};

/// Tells the audit of the CA's certificate, and whose place it has taken, unless it knows it. To be called whenever the CA was opened: so it is told of
/// also where a crash came between, and of one that somebody has put there.
///
/// # Errors
/// [`RegistryError::Write`].
pub async fn record_authority(
    registry: &Registry,
    authority: &Authority,
    now: UtcMillis,
    by: &Actor,
) -> Result<(), RegistryError> {
    let subject = Subject::Authority(Digest::of(authority.certificate_der()));
    let entry = Entry::new(now, by.clone(), Action::AuthorityMade, subject);
    registry.audit_once(&entry.number("not_after_ms", authority.not_after().0)).await?;
    let Some(old) = authority.predecessor() else { return Ok(()) };
    let subject = Subject::Authority(Digest::of(authority.certificate_der()));
    let entry = Entry::new(now, by.clone(), Action::AuthorityRotated, subject);
    registry.audit_once(&entry.text("old", Digest::of(old.certificate_der()))).await
}

/// Tells the audit in the same way what a server begins with: the CA's certificate, and the gateway's own.
///
/// # Errors
/// [`RegistryError::Write`].
pub async fn record_certificates(
    registry: &Registry,
    authority: &Authority,
    certificate: &ServerCertificate,
    now: UtcMillis,
) -> Result<(), RegistryError> {
    record_authority(registry, authority, now, &Actor::Server).await?;
    let subject = Subject::ServerCertificate(Digest::of(&certificate.certificate));
    let entry = Entry::new(now, Actor::Server, Action::ServerCertificateMade, subject);
    registry.audit_once(&entry.number("not_after_ms", certificate.not_after().0)).await
}
