//! The CA itself: kept, and what it signs.

use std::path::{Path, PathBuf};

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

use super::certificate::{self, Date, IssuedCertificate, PrivateKeyPem, Validity, parameters};
use super::files::{self, CaFileError, Readable};
use super::lamppost_key::LamppostKey;
use crate::registry::CertificateRecord;

/// Ten years, in days: as long as the hardware stands, for the CA's end would end every lamppost.
const CA_DAYS: i64 = 3652;

/// One year, in days. It is made anew at a start, so a longer one would only prolong the use of a stolen key.
const SERVER_DAYS: i64 = 365;

/// The fleet's certificate authority.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    not_after: UtcMillis,
    issuer: Issuer<'static, KeyPair>,
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

/// What failed at the CA.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// One of its files.
    #[error(transparent)]
    File(#[from] CaFileError),
    /// The certificate is there, and its key is not.
    #[error(
        "the fleet CA's key {key} is missing beside its certificate: restore it from a backup (a new CA would lock \
         out every lamppost)"
    )]
    KeyMissing {
        /// Where the key should be.
        key: PathBuf,
    },
    /// The key's file holds no key that we can use.
    #[error("{path} holds no ECDSA P-256 key in PEM: restore it from a backup")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// The certificate's file holds no certificate of a CA.
    #[error(
        "{path} holds no certificate of a CA in PEM: restore it from a backup, or remove it to have it made anew"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate belong to two CAs.
    #[error("{certificate} is not the certificate of the key {key}: restore both from one backup")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The CA is not good yet, or no more.
    #[error("the fleet CA {path} is good from {from} until {until}, and not now: is the clock right?")]
    OutOfTime {
        /// The certificate's file.
        path: PathBuf,
        /// Its first moment.
        from: Date,
        /// Its last moment.
        until: Date,
    },
    /// The machine's clock shows a time that no certificate can name.
    #[error("{} ms after 1970 cannot be written into a certificate: is the clock right?", at.0)]
    Clock {
        /// The time.
        at: UtcMillis,
    },
    /// The operating system gave no random bytes.
    #[error("cannot draw a random serial number")]
    Random {
        /// Why.
        source: getrandom::Error,
    },
    /// Signing, or the making of a key.
    #[error("cannot make the certificate of {subject}")]
    Sign {
        /// Whom it is for.
        subject: String,
        /// Why.
        source: rcgen::Error,
    },
    /// TLS does not accept what was made.
    #[error("cannot set up TLS with the certificates of the fleet CA")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// TLS does not accept the CA as what clients are verified by.
    #[error("cannot verify clients by the fleet CA")]
    Verifier {
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
}

impl Authority {
    /// The CA's directory in the data directory.
    pub const DIRECTORY_NAME: &'static str = "ca";

    /// Takes the CA from its directory, or makes one there. Two processes that do so at once get the same one.
    ///
    /// # Errors
    /// [`AuthorityError`]: a CA that is there and cannot be used is never replaced.
    pub fn open_or_create(directory: &Path, now: UtcMillis) -> Result<(Self, Origin), AuthorityError> {
        files::make_directory(directory)?;
        let _one_at_a_time = files::lock(directory)?;
        let paths = Paths { key: directory.join("ca.key"), certificate: directory.join("ca.pem") };
        let (key, certificate) = (files::read(&paths.key)?, files::read(&paths.certificate)?);
        match (key, certificate) {
            (Some(key), Some(certificate)) => {
                Ok((paths.load(paths.key_of(&key)?, certificate, now)?, Origin::Found))
            }
            (None, Some(_)) => Err(AuthorityError::KeyMissing { key: paths.key }),
            (Some(key), None) => Ok((paths.certify(paths.key_of(&key)?, now)?, Origin::Completed)),
            (None, None) => {
                let key = new_key("the fleet CA")?;
                files::replace(&paths.key, &key.serialize_pem(), Readable::ByOwner)?;
                Ok((paths.certify(key, now)?, Origin::Created))
            }
        }
    }

    /// The CA's certificate, PEM: what lampposts know the gateway by.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's certificate, DER.
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The last moment at which the CA, and so anything that it signs, is good.
    pub fn not_after(&self) -> UtcMillis {
        self.not_after
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
        Ok((certificate, CertificateRecord { serial, lamppost, issued: now, not_after, revoked: None }))
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

/// Whether these are the certificate of a CA and its key, both in PEM. Says nothing of the time.
pub fn is_key_of_authority(certificate_pem: &str, key_pem: &str) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(certificate_pem.as_bytes()) else { return false };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(&der) else { return false };
    let key = KeyPair::from_pem_and_sign_algo(key_pem, &rcgen::PKCS_ECDSA_P256_SHA256);
    key.is_ok_and(|key| certificate.is_ca() && certificate.public_key().raw == key.subject_public_key_info())
}

/// The moment so many days later.
fn days_from(now: UtcMillis, days: i64) -> UtcMillis {
    now.plus_ms(days * 86_400_000)
}

struct Paths {
    key: PathBuf,
    certificate: PathBuf,
}

impl Paths {
    fn key_of(&self, text: &str) -> Result<KeyPair, AuthorityError> {
        KeyPair::from_pem_and_sign_algo(text, &rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|source| AuthorityError::Key { path: self.key.clone(), source })
    }

    /// Makes the CA's certificate for its key. The name holds the beginning of the key's digest: two CAs have two
    /// names, and a certificate that is made anew has the old one.
    fn certify(&self, key: KeyPair, now: UtcMillis) -> Result<Authority, AuthorityError> {
        let (mut parameters, _) = parameters("", now, days_from(now, CA_DAYS))?;
        let digest = parameters.key_identifier(&key);
        let digest = digest.first_chunk().copied().map_or(0, u32::from_be_bytes);
        let name = format!("Lamplighter fleet CA {digest:08x}");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters
            .self_signed(&key)
            .map_err(|source| AuthorityError::Sign { subject: "the fleet CA".to_owned(), source })?;
        files::replace(&self.certificate, &certificate.pem(), Readable::ByAll)?;
        self.load(key, certificate.pem(), now)
    }

    fn load(&self, key: KeyPair, pem: String, now: UtcMillis) -> Result<Authority, AuthorityError> {
        let unreadable = || AuthorityError::Certificate { path: self.certificate.clone() };
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
        if !parsed.is_ca() {
            return Err(unreadable());
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            });
        }
        let (from, until) = certificate::validity(&parsed);
        if now < from || until < now {
            return Err(AuthorityError::OutOfTime {
                path: self.certificate.clone(),
                from: Date(from),
                until: Date(until),
            });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|_| unreadable())?;
        Ok(Authority { certificate: der.into_owned(), certificate_pem: pem, not_after: until, issuer })
    }
}

fn new_key(of: &str) -> Result<KeyPair, AuthorityError> {
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
