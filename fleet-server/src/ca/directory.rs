//! The CA's directory: what is in it, and how it is made.

use std::path::{Path, PathBuf};

use lamplighter_protocol::UtcMillis;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::authority::{Authority, Origin, Predecessor, days_from, new_key};
use super::certificate::{self, Date, parameters};
use super::error::AuthorityError;
use super::files::{self, CaFileError, Readable};
use super::lamppost_key::KeyDigest;
use super::rotation;
use super::secret::{self, NoKey, Passphrase};

/// Ten years, in days: as long as the hardware stands, for the CA's end would end every lamppost.
const CA_DAYS: i64 = 3652;

/// Where the CA's files are.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) key: PathBuf,
    pub(super) certificate: PathBuf,
    /// The certificate of the CA before, as long as that is trusted.
    pub(super) old: PathBuf,
    /// What the CA before has said of this one.
    pub(super) cross: PathBuf,
    /// The key and the certificate of the next one, until they are put in place.
    pub(super) next_key: PathBuf,
    pub(super) next_certificate: PathBuf,
}

impl Directory {
    pub(super) fn at(path: &Path) -> Self {
        Self {
            key: path.join("ca.key"),
            certificate: path.join("ca.pem"),
            old: path.join("old.pem"),
            cross: path.join("cross.pem"),
            next_key: path.join("next.key"),
            next_certificate: path.join("next.pem"),
            path: path.to_owned(),
        }
    }

    /// The certificates of the present CA and of the one before, PEM.
    pub(super) fn certificates(&self) -> Result<(Option<String>, Option<String>), CaFileError> {
        Ok((files::read(&self.certificate)?, files::read(&self.old)?))
    }

    pub(super) fn open_or_create(
        &self,
        passphrase: Option<&Passphrase>,
        now: UtcMillis,
    ) -> Result<(Authority, Origin), AuthorityError> {
        files::make_directory(&self.path)?;
        let _one_at_a_time = files::lock(&self.path)?;
        rotation::complete(self)?;
        match (files::read(&self.key)?, files::read(&self.certificate)?) {
            (Some(key), Some(certificate)) => {
                Ok((self.load(self.key_of(&key, passphrase)?, certificate, now)?, Origin::Found))
            }
            (None, Some(_)) => Err(AuthorityError::KeyMissing { key: self.key.clone() }),
            (Some(key), None) => Ok((self.certify(self.key_of(&key, passphrase)?, now)?, Origin::Completed)),
            (None, None) => {
                let key = new_key("the fleet CA")?;
                write_key(&self.key, &key, passphrase)?;
                Ok((self.certify(key, now)?, Origin::Created))
            }
        }
    }

    pub(super) fn open(
        &self,
        passphrase: Option<&Passphrase>,
        now: UtcMillis,
    ) -> Result<Authority, AuthorityError> {
        let missing = || AuthorityError::Missing { directory: self.path.clone() };
        if !self.path.is_dir() {
            return Err(missing());
        }
        let _one_at_a_time = files::lock(&self.path)?;
        rotation::complete(self)?;
        self.open_locked(passphrase, now)
    }

    /// As [`Self::open`], for whoever has the lock.
    pub(super) fn open_locked(
        &self,
        passphrase: Option<&Passphrase>,
        now: UtcMillis,
    ) -> Result<Authority, AuthorityError> {
        let certificate = files::read(&self.certificate)?;
        let certificate =
            certificate.ok_or_else(|| AuthorityError::Missing { directory: self.path.clone() })?;
        let key =
            files::read(&self.key)?.ok_or_else(|| AuthorityError::KeyMissing { key: self.key.clone() })?;
        self.load(self.key_of(&key, passphrase)?, certificate, now)
    }

    pub(super) fn key_of(
        &self,
        text: &str,
        passphrase: Option<&Passphrase>,
    ) -> Result<KeyPair, AuthorityError> {
        let path = self.key.clone();
        secret::read(text, passphrase).map_err(|error| match error {
            NoKey::Locked => AuthorityError::Locked { path },
            NoKey::WrongPassphrase => AuthorityError::WrongPassphrase { path },
            NoKey::Unreadable(source) => AuthorityError::Key { path, source },
        })
    }

    fn certify(&self, key: KeyPair, now: UtcMillis) -> Result<Authority, AuthorityError> {
        let pem = certify(&key, now)?;
        files::replace(&self.certificate, &pem, Readable::ByAll)?;
        self.load(key, pem, now)
    }

    fn load(&self, key: KeyPair, pem: String, now: UtcMillis) -> Result<Authority, AuthorityError> {
        let path = &self.certificate;
        let unreadable = || AuthorityError::Certificate { path: path.clone() };
        let der = read_ca(path, &pem)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Mismatch { certificate: path.clone(), key: self.key.clone() });
        }
        let (from, until) = certificate::validity(&parsed);
        if now < from || until < now {
            let (path, from, until) = (path.clone(), Date(from), Date(until));
            return Err(AuthorityError::OutOfTime { path, from, until });
        }
        let digest = KeyDigest::of_public_key(key.der_bytes());
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|_| unreadable())?;
        Ok(Authority {
            certificate: der.clone(),
            certificate_pem: pem,
            not_after: until,
            key: digest,
            issuer,
            predecessor: self.predecessor()?,
        })
    }

    fn predecessor(&self) -> Result<Option<Predecessor>, AuthorityError> {
        let Some(certificate_pem) = files::read(&self.old)? else { return Ok(None) };
        let certificate = read_ca(&self.old, &certificate_pem)?;
        let cross = files::read(&self.cross)?.unwrap_or_default();
        let cross = read_ca(&self.cross, &cross)?;
        Ok(Some(Predecessor { certificate, certificate_pem, cross }))
    }
}

/// Whether these are the certificate of a CA and its key, both in PEM. Says nothing of the time. A key that somebody else
/// has encrypted is taken for it: only its passphrase would tell.
pub fn is_key_of_authority(certificate_pem: &str, key_pem: &str) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(certificate_pem.as_bytes()) else { return false };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(&der) else { return false };
    let public = &certificate.public_key().subject_public_key.data;
    if secret::is_encrypted(key_pem) {
        let said = secret::public_key_of(key_pem);
        return certificate.is_ca() && said.is_none_or(|said| said == KeyDigest::of_public_key(public));
    }
    secret::read(key_pem, None).is_ok_and(|key| certificate.is_ca() && key.der_bytes() == &**public)
}

/// Writes a key, encrypted if there is a passphrase: never as it is first, and encrypted then.
pub(super) fn write_key(
    path: &Path,
    key: &KeyPair,
    passphrase: Option<&Passphrase>,
) -> Result<(), AuthorityError> {
    let text = secret::write(key, passphrase);
    let text = text.map_err(|source| AuthorityError::Encrypt { path: path.to_owned(), source })?;
    Ok(files::replace(path, &text, Readable::ByOwner)?)
}

/// Makes a CA's certificate for its key, PEM.
pub(super) fn certify(key: &KeyPair, now: UtcMillis) -> Result<String, AuthorityError> {
    // Two: the next CA stands between this one and what it signs, for those who do not know it yet.
    let parameters = parameters_of(key, days_from(now, CA_DAYS), 1, now)?;
    let certificate = parameters.self_signed(key);
    let sign = |source| AuthorityError::Sign { subject: "the fleet CA".to_owned(), source };
    Ok(certificate.map_err(sign)?.pem())
}

/// What a certificate says of the CA that has this key. The name holds the beginning of the key's digest: two CAs have two
/// names, and a certificate that is made anew has the old one.
pub(super) fn parameters_of(
    key: &KeyPair,
    not_after: UtcMillis,
    path_length: u8,
    now: UtcMillis,
) -> Result<CertificateParams, AuthorityError> {
    let (mut parameters, _) = parameters("", now, not_after)?;
    let digest = parameters.key_identifier(key);
    let digest = digest.first_chunk().copied().map_or(0, u32::from_be_bytes);
    let name = format!("Lamplighter fleet CA {digest:08x}");
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(parameters)
}

/// The certificate of a CA in this file's text.
pub(super) fn read_ca(path: &Path, pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
    let unreadable = || AuthorityError::Certificate { path: path.to_owned() };
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
    if !parsed.is_ca() {
        return Err(unreadable());
    }
    Ok(der.into_owned())
}
