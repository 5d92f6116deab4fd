//! A certificate with its key: all that it takes to be this lamppost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use super::certificate::Certificate;
use super::vault::{Reference, Vault, VaultError, VaultKey};

/// A certificate with its key, which belong together. What it prints holds no secret.
#[derive(Clone, Debug)]
pub struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) certified: Arc<CertifiedKey>,
    /// Where the key is, for people.
    pub(crate) key_place: String,
    /// Whether that is a token, which has to be there for a login.
    pub(crate) is_in_vault: bool,
}

/// Why there is no pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A PEM file cannot be read, or holds nothing of the kind.
    #[error("cannot read a {what} from {}", path.display())]
    File {
        /// What was expected in it.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// What names a key in a token is damaged.
    #[error("{} does not say which key of the PKCS#11 token it is: it is damaged", path.display())]
    Reference {
        /// The key's file.
        path: PathBuf,
    },
    /// The key is in a token, and no token is configured.
    #[error("the key of {} is in a PKCS#11 token: name the token by server.pkcs11_uri", path.display())]
    NoVault {
        /// The key's file.
        path: PathBuf,
    },
    /// The token does not let us use the key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// They are not what TLS can use, or do not belong together.
    #[error("certificate and key of {} cannot be used", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

impl Pair {
    /// Puts together what was read from two files, or twice from one. A token is not asked: what names a key in it says
    /// which public key that has.
    pub(super) fn read(
        (certificate_path, certificate): (&Path, &[u8]),
        (key_path, key): (&Path, &[u8]),
        vault: Option<&Arc<Vault>>,
    ) -> Result<Self, PairError> {
        let no = |what, path: &Path, source| PairError::File { what, path: path.to_owned(), source };
        let chain = chain(certificate).map_err(|source| no("certificate", certificate_path, source))?;
        let unusable = |source| PairError::Unusable { path: certificate_path.to_owned(), source };
        let damaged = || PairError::Reference { path: key_path.to_owned() };
        if let Some(reference) = Reference::find(key).map_err(|_| damaged())? {
            let vault = vault.ok_or_else(|| PairError::NoVault { path: key_path.to_owned() })?;
            let key = VaultKey::named(vault, reference).ok_or_else(damaged)?;
            let place = key.place();
            return Self::of(chain, Arc::new(key), (place, true)).map_err(unusable);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| no("private key", key_path, source))?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(unusable)?;
        Self::of(chain, key, (key_path.display().to_string(), false)).map_err(unusable)
    }

    /// The key must be that of the first certificate.
    fn of(
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
        (key_place, is_in_vault): (String, bool),
    ) -> Result<Self, rustls::Error> {
        let unreadable = || rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        let first = chain.first().ok_or_else(unreadable)?;
        let certificate = Certificate::read(first).map_err(|_| unreadable())?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match()?;
        Ok(Self { certificate, certified: Arc::new(certified), key_place, is_in_vault })
    }
}

fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let all = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) }
}

/// A certificate as a PEM file has it (RFC 7468, 5.1).
pub(super) fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
}
