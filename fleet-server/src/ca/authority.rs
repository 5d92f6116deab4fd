//! The CA itself: kept, and what it signs.

use std::path::Path;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rcgen::{ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType};
use rustls::pki_types::{CertificateDer, ServerName};

use super::certificate::{IssuedCertificate, PrivateKeyPem, Validity, parameters};
use super::directory::Directory;
use super::error::AuthorityError;
use super::files::CaFileError;
use super::lamppost_key::{KeyDigest, LamppostKey};
use super::secret::Passphrase;
use crate::registry::CertificateRecord;

/// One year, in days. It is made anew at a start, so a longer one would only prolong the use of a stolen key.
const SERVER_DAYS: i64 = 365;

/// The fleet's certificate authority.
#[derive(Debug)]
pub struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) certificate_pem: String,
    pub(super) not_after: UtcMillis,
    pub(super) key: KeyDigest,
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) predecessor: Option<Predecessor>,
}

/// A CA that signs nothing any more and is still trusted, so that whoever has not heard of its successor is not cut off.
#[derive(Debug)]
pub struct Predecessor {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) certificate_pem: String,
    /// The certificate that it made for its successor: who trusts it alone believes the gateway by this.
    pub(super) cross: CertificateDer<'static>,
}

impl Predecessor {
    /// Its certificate, DER.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}

/// Where a CA comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Found,
    /// It was made now.
    Created,
    /// Its key was there and its certificate was not (a creation that was cut short, or a lost file): the certificate
    /// was made anew. What the key signed before stays good.
    Completed,
}

impl Authority {
    /// The CA's directory in the data directory.
    pub const DIRECTORY_NAME: &'static str = "ca";

    /// Takes the CA from its directory, or makes one there. Two processes that do so at once get the same one.
    ///
    /// # Errors
    /// [`AuthorityError`]: a CA that is there and cannot be used is never replaced.
    pub fn open_or_create(directory: &Path, now: UtcMillis) -> Result<(Self, Origin), AuthorityError> {
        Self::open_or_create_by(directory, None, now)
    }

    /// The same where its key is encrypted, or is to be if it is made.
    ///
    /// # Errors
    /// As [`Self::open_or_create`].
    pub fn open_or_create_by(
        directory: &Path,
        passphrase: Option<&Passphrase>,
        now: UtcMillis,
    ) -> Result<(Self, Origin), AuthorityError> {
        Directory::at(directory).open_or_create(passphrase, now)
    }

    /// Takes the CA that is there; makes none.
    ///
    /// # Errors
    /// As [`Self::open_or_create`], and [`AuthorityError::Missing`].
    pub fn open(
        directory: &Path,
        passphrase: Option<&Passphrase>,
        now: UtcMillis,
    ) -> Result<Self, AuthorityError> {
        Directory::at(directory).open(passphrase, now)
    }

    /// Whether this is what is in the directory now: no other process has rotated or retired a CA since.
    ///
    /// # Errors
    /// [`CaFileError::Read`].
    pub fn is_as_in(&self, directory: &Path) -> Result<bool, CaFileError> {
        let (present, old) = Directory::at(directory).certificates()?;
        let known = self.predecessor.as_ref().map(|old| &old.certificate_pem);
        Ok(present.as_ref() == Some(&self.certificate_pem) && old.as_ref() == known)
    }

    /// The CA's certificate, PEM: what lampposts know the gateway by.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's certificate, DER.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The digest of its public key, by which certificates are known as signed by it.
    pub fn key(&self) -> &KeyDigest {
        &self.key
    }

    /// The last moment at which the CA, and so anything that it signs, is good.
    pub fn not_after(&self) -> UtcMillis {
        self.not_after
    }

    /// The CA before, while it is still trusted.
    pub fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// The CAs whose certificates are believed.
    pub fn trusted(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        [&self.certificate].into_iter().chain(self.predecessor.as_ref().map(|old| &old.certificate))
    }

    /// What lampposts are told of the CA (RFC 7030, 4.1.3): its certificate and, while the one before is still trusted,
    /// that one's, and what that one has said of this one.
    pub fn published(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.trusted().chain(self.predecessor.as_ref().map(|old| &old.cross))
    }

    /// Issues a certificate for a lamppost, with a new key: its common name is the lamppost's number, and it is good
    /// for TLS clients alone. It ends with the CA if not before. No gateway admits it until the registry knows it:
    /// see [`enrol`](super::enrol).
    ///
    /// # Errors
    /// [`AuthorityError::Sign`], [`AuthorityError::Random`] or [`AuthorityError::Clock`].
    pub fn issue_lamppost(
        &self,
        number: &LamppostNumber,
        validity: Validity,
        now: UtcMillis,
    ) -> Result<IssuedCertificate, AuthorityError> {
        let key = new_key(number.as_str())?;
        let (certificate, record) = self.sign_lamppost(number, &key, validity, now)?;
        Ok(IssuedCertificate {
            lamppost: record.lamppost,
            certificate_pem: certificate.pem(),
            key_pem: PrivateKeyPem::of(&key),
            ca_pem: self.certificate_pem.clone(),
            serial: record.serial,
            issued: record.issued,
            not_after: record.not_after,
            authority: self.key.clone(),
        })
    }

    /// The same for a key that the lamppost has made and keeps to itself. In DER, and what the registry has to know of
    /// it before anybody is given it.
    ///
    /// # Errors
    /// As [`Self::issue_lamppost`].
    pub fn certify_lamppost(
        &self,
        number: &LamppostNumber,
        key: &LamppostKey,
        validity: Validity,
        now: UtcMillis,
    ) -> Result<(CertificateDer<'static>, CertificateRecord), AuthorityError> {
        let (certificate, record) = self.sign_lamppost(number, key.public(), validity, now)?;
        Ok((certificate.into(), record))
    }

    fn sign_lamppost(
        &self,
        number: &LamppostNumber,
        key: &impl PublicKeyData,
        validity: Validity,
        now: UtcMillis,
    ) -> Result<(rcgen::Certificate, CertificateRecord), AuthorityError> {
        let not_after = validity.end(now).min(self.not_after);
        let (mut parameters, serial) = parameters(number.as_str(), now, not_after)?;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters
            .signed_by(key, &self.issuer)
            .map_err(|source| AuthorityError::Sign { subject: format!("lamppost {number}"), source })?;
        let lamppost = number.clone();
        let authority = Some(self.key.clone());
        Ok((
            certificate,
            CertificateRecord { serial, lamppost, issued: now, not_after, revoked: None, authority },
        ))
    }

    /// Issues a certificate for the gateway under these names, good for TLS servers alone. With its key and its last
    /// moment.
    pub(super) fn issue_server(
        &self,
        names: &[ServerName<'static>],
        now: UtcMillis,
    ) -> Result<(rcgen::Certificate, KeyPair, UtcMillis), AuthorityError> {
        let sign = |source| AuthorityError::Sign { subject: "the gateway".to_owned(), source };
        let not_after = days_from(now, SERVER_DAYS).min(self.not_after);
        let (mut parameters, _) = parameters("Lamplighter gateway", now, not_after)?;
        parameters.subject_alt_names =
            names.iter().filter_map(alternative_name).collect::<Result<_, _>>().map_err(sign)?;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = new_key("the gateway")?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(sign)?;
        Ok((certificate, key, not_after))
    }
}

/// The moment so many days later.
pub(super) fn days_from(now: UtcMillis, days: i64) -> UtcMillis {
    now.plus_ms(days * 86_400_000)
}

pub(super) fn new_key(of: &str) -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| AuthorityError::Sign { subject: of.to_owned(), source })
}

fn alternative_name(name: &ServerName<'static>) -> Option<Result<SanType, rcgen::Error>> {
    match name {
        ServerName::DnsName(name) => Some(name.as_ref().try_into().map(SanType::DnsName)),
        ServerName::IpAddress(address) => Some(Ok(SanType::IpAddress((*address).into()))),
        _ => None,
    }
}
