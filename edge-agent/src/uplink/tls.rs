//! The TLS side of a connection: our certificate, our key, and the one authority that we trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::ServerConfig;

/// Why no connection can be made with the configured files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read, or holds nothing of the kind.
    #[error("cannot read a {what} from {}", path.display())]
    File {
        /// What was expected in it.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate or key is not usable.
    #[error("certificate and key of {} cannot be used", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// How to connect: with this certificate, and to nobody whom the authority did not certify. Reads the files anew, so that a
/// renewed certificate serves from the next connection on.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(server: &ServerConfig) -> Result<Arc<ClientConfig>, TlsError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        |source| TlsError::Unusable { path, source }
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(&server.ca_file)? {
        roots.add(authority).map_err(unusable(&server.ca_file))?;
    }
    let chain = certificates(&server.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&server.key_file).map_err(|source| TlsError::File {
        what: "private key",
        path: server.key_file.clone(),
        source,
    })?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable(&server.certificate_file))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(unusable(&server.certificate_file))?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::File { what: "certificate", path: path.to_owned(), source };
    let all =
        CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<Vec<_>, _>>().map_err(error)?;
    if all.is_empty() {
        return Err(error(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(all)
}
