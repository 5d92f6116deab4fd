//! A certificate with its key: all that it takes to be this lamppost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// A certificate with its key, which belong together. What it prints holds no secret.
#[derive(Clone, Debug)]
pub struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) certified: Arc<CertifiedKey>,
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
    /// Puts together what was read from two files, or twice from one.
    pub(super) fn read(
        (certificate_path, certificate): (&Path, &[u8]),
        (key_path, key): (&Path, &[u8]),
    ) -> Result<Self, PairError> {
        let no = |what, path: &Path, source| PairError::File { what, path: path.to_owned(), source };
        let chain = chain(certificate).map_err(|source| no("certificate", certificate_path, source))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| no("private key", key_path, source))?;
        Self::of(chain, key)
            .map_err(|source| PairError::Unusable { path: certificate_path.to_owned(), source })
    }

    /// The key must be that of the first certificate.
    pub(super) fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let unreadable = || rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        let first = chain.first().ok_or_else(unreadable)?;
        let certificate = Certificate::read(first).map_err(|_| unreadable())?;
        let provider = rustls::crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider)?;
        Ok(Self { certificate, certified: Arc::new(certified) })
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
