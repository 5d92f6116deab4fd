//! The CA's rotation: a new CA takes the place of the present one, and no lamppost is cut off.
//!
//! | phase | lampposts' and the gateway's certificates are signed by | trusted by the gateway | what ends it |
//! | --- | --- | --- | --- |
//! | [`Settled`](Phase::Settled) | the present CA | the present CA | [`rotate`] |
//! | [`Rotated`](Phase::Rotated) | the present CA, which is the new one | both | [`retire`] |
//!
//! There is no phase in between, for the old CA certifies the new one before its key is destroyed (`NewWithOld`: RFC 4210, 4.4;
//! RFC 7030, 4.1.3). The gateway shows that beside its own certificate: whoever trusts the old CA alone believes it by that, and
//! whoever trusts the new one does not need it. A lamppost is told of the new CA when it renews its certificate, which is
//! signed by the new one then. So one that was dark during all of it comes back as any other, and what is not over
//! before the old CA is retired is only how many have been heard of.
//!
//! What is written, in this order, each of it durable before the next ([`WRITES`]):
//!
//! | written | if the power goes after it, whoever opens the CA next |
//! | --- | --- |
//! | `next.key`, `next.pem`, `cross.pem` | has the old CA: what lies there is nobody's, and made anew by the next rotation |
//! | `old.pem`, a copy of `ca.pem` | completes it: the next CA is put in place |
//! | `next.key` in place of `ca.key`: the old key is gone | completes it |
//! | `next.pem` in place of `ca.pem` | has the new CA |
//!
//! Retiring removes `old.pem`, and then `cross.pem`, which is nobody's without it.

use std::path::Path;

use lamplighter_protocol::UtcMillis;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;

use super::authority::{Authority, new_key};
use super::certificate;
use super::directory::{Directory, certify, parameters_of, read_ca, write_key};
use super::error::AuthorityError;
use super::files::{self, CaFileError, Readable};
use super::lamppost_key::KeyDigest;
use super::secret::{self, Passphrase};

/// Where a CA stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It alone is trusted.
    Settled,
    /// It signs, and the one before is still trusted.
    Rotated {
        /// The one before.
        old: AuthorityCertificate,
    },
}

/// What is known of the CA without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// The present CA.
    pub present: AuthorityCertificate,
    /// Where it stands.
    pub phase: Phase,
    /// Whether its key is encrypted; none if its file is not there.
    pub is_key_encrypted: Option<bool>,
}

/// What the certificate of a CA says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityCertificate {
    /// The certificate, DER.
    pub der: CertificateDer<'static>,
    /// Its name.
    pub name: String,
    /// The digest of its public key.
    pub key: KeyDigest,
    /// Its last moment.
    pub not_after: UtcMillis,
}

/// One write of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    NextKey,
    NextCertificate,
    Cross,
    /// From here on there is no way back.
    Old,
    KeyInPlace,
    CertificateInPlace,
}

pub(super) const WRITES: [Write; 6] = [
    Write::NextKey,
    Write::NextCertificate,
    Write::Cross,
    Write::Old,
    Write::KeyInPlace,
    Write::CertificateInPlace,
];

/// Makes a new CA that signs from now on; the present one signs nothing any more, and stays trusted until [`retire`]. The
/// new key is encrypted if there is a passphrase, which the present one may need.
///
/// # Errors
/// [`AuthorityError`]; there is no new CA then, or it is put in place when the CA is opened next.
pub fn rotate(
    directory: &Path,
    passphrase: Option<&Passphrase>,
    now: UtcMillis,
) -> Result<Authority, AuthorityError> {
    let directory = Directory::at(directory);
    if !directory.path.is_dir() {
        return Err(AuthorityError::Missing { directory: directory.path });
    }
    let _one_at_a_time = files::lock(&directory.path)?;
    complete(&directory)?;
    let present = directory.open_locked(passphrase, now)?;
    if present.predecessor.is_some() {
        return Err(AuthorityError::Rotated { old: directory.old });
    }
    let next = Next::of(&present, now)?;
    for write in WRITES {
        next.perform(write, &directory, passphrase)?;
    }
    directory.open_locked(passphrase, now)
}

/// Ends the trust in the CA before.
///
/// # Errors
/// [`AuthorityError::NotRotated`], or what failed at the files.
pub fn retire(directory: &Path) -> Result<(), AuthorityError> {
    let directory = Directory::at(directory);
    let _one_at_a_time = files::lock(&directory.path)?;
    complete(&directory)?;
    if files::read(&directory.old)?.is_none() {
        return Err(AuthorityError::NotRotated);
    }
    files::remove(&directory.old)?;
    Ok(files::remove(&directory.cross)?)
}

/// What is known of the CA without its key.
///
/// # Errors
/// [`AuthorityError::Missing`], or what failed at the files.
pub fn look(directory: &Path) -> Result<Overview, AuthorityError> {
    let directory = Directory::at(directory);
    let missing = || AuthorityError::Missing { directory: directory.path.clone() };
    if !directory.path.is_dir() {
        return Err(missing());
    }
    let _one_at_a_time = files::lock(&directory.path)?;
    complete(&directory)?;
    let (present, old) = directory.certificates()?;
    let present = AuthorityCertificate::read(&directory.certificate, &present.ok_or_else(missing)?)?;
    let old = old.map(|old| AuthorityCertificate::read(&directory.old, &old)).transpose()?;
    let phase = old.map_or(Phase::Settled, |old| Phase::Rotated { old });
    let is_key_encrypted = files::read(&directory.key)?.map(|key| secret::is_encrypted(&key));
    Ok(Overview { present, phase, is_key_encrypted })
}

/// Encrypts the CA's key by another passphrase, or by none. The file of before is overwritten by no byte of it: it is
/// removed, and whoever can read the disk itself may find it there.
///
/// # Errors
/// [`AuthorityError`]; the key is as it was then.
pub fn encrypt(
    directory: &Path,
    present: Option<&Passphrase>,
    by: Option<&Passphrase>,
) -> Result<(), AuthorityError> {
    let directory = Directory::at(directory);
    if !directory.path.is_dir() {
        return Err(AuthorityError::Missing { directory: directory.path });
    }
    let _one_at_a_time = files::lock(&directory.path)?;
    complete(&directory)?;
    let text = files::read(&directory.key)?;
    let text = text.ok_or_else(|| AuthorityError::KeyMissing { key: directory.key.clone() })?;
    let key = directory.key_of(&text, present)?;
    // What an interrupted rotation has left is a key, too.
    files::remove(&directory.next_key)?;
    write_key(&directory.key, &key, by)
}

/// Completes a rotation that was cut short after its decision. To be called with the lock.
pub(super) fn complete(directory: &Directory) -> Result<(), CaFileError> {
    if !directory.old.exists() || !directory.next_certificate.exists() {
        return Ok(());
    }
    if directory.next_key.exists() {
        files::rename(&directory.next_key, &directory.key)?;
    }
    files::rename(&directory.next_certificate, &directory.certificate)
}

/// A CA that is about to take the place of another.
pub(super) struct Next {
    key: KeyPair,
    certificate_pem: String,
    cross_pem: String,
    old_pem: String,
}

impl Next {
    pub(super) fn of(present: &Authority, now: UtcMillis) -> Result<Self, AuthorityError> {
        let key = new_key("the next fleet CA")?;
        let certificate_pem = certify(&key, now)?;
        let cross = parameters_of(&key, present.not_after, 0, now)?.signed_by(&key, &present.issuer);
        let sign = |source| AuthorityError::Sign { subject: "the next fleet CA".to_owned(), source };
        let cross_pem = cross.map_err(sign)?.pem();
        Ok(Self { key, certificate_pem, cross_pem, old_pem: present.certificate_pem.clone() })
    }

    pub(super) fn perform(
        &self,
        write: Write,
        to: &Directory,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), AuthorityError> {
        match write {
            Write::NextKey => write_key(&to.next_key, &self.key, passphrase)?,
            Write::NextCertificate => {
                files::replace(&to.next_certificate, &self.certificate_pem, Readable::ByAll)?;
            }
            Write::Cross => files::replace(&to.cross, &self.cross_pem, Readable::ByAll)?,
            Write::Old => files::replace(&to.old, &self.old_pem, Readable::ByAll)?,
            Write::KeyInPlace => files::rename(&to.next_key, &to.key)?,
            Write::CertificateInPlace => files::rename(&to.next_certificate, &to.certificate)?,
        }
        Ok(())
    }
}

impl AuthorityCertificate {
    fn read(path: &Path, pem: &str) -> Result<Self, AuthorityError> {
        let der = read_ca(path, pem)?;
        let unreadable = |_| AuthorityError::Certificate { path: path.to_owned() };
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(unreadable)?;
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let (_, not_after) = certificate::validity(&parsed);
        let key = KeyDigest::of_public_key(&parsed.public_key().subject_public_key.data);
        Ok(Self { name: name.unwrap_or("(no name)").to_owned(), key, not_after, der: der.clone() })
    }
}
