//! The TLS side of a connection: our certificate, our key, and the one authority that we trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::clock::{Clock, ClockTrust};
use crate::config::ServerConfig;

/// Certificates of a chain whose dates a clock that knows nothing may get wrong.
const MOST_DATES: usize = 4;

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
pub fn client_config(server: &ServerConfig, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TlsError> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| unusable(&server.ca_file)(rustls::Error::General(error.to_string())))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable(&server.certificate_file))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Certified { authority, clock }))
        .with_client_auth_cert(chain, key)
        .map_err(unusable(&server.certificate_file))?;
    Ok(Arc::new(config))
}

/// Whoever has our authority's certificate for the name that we call, as rustls itself verifies it, by the machine's clock
/// or by ours: where the machine's is wrong, ours is the server's. While nobody has told us what time it is, the dates of a
/// certificate decide nothing: a lamppost without a clock of its own learns the time from the server (D3), and could never
/// ask it.
#[derive(Debug)]
struct Certified {
    authority: Arc<WebPkiServerVerifier>,
    clock: Arc<dyn Clock>,
}

impl ServerCertVerifier for Certified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        machine: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verify = |time| {
            self.authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time)
        };
        let now = self.clock.now();
        let ours = Duration::from_millis(u64::try_from(now.wall.0).unwrap_or(0));
        let mut verified = verify(machine);
        if valid_at(&verified).is_some() {
            verified = verify(UnixTime::since_unix_epoch(ours));
        }
        for _ in 0..MOST_DATES {
            match valid_at(&verified).filter(|_| now.trust == ClockTrust::Unknown) {
                Some(time) => verified = verify(time),
                None => break,
            }
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authority.supported_verify_schemes()
    }
}

/// If a certificate is refused for its dates alone: a time at which it is valid.
fn valid_at(verified: &Result<ServerCertVerified, rustls::Error>) -> Option<UnixTime> {
    match verified {
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before, ..
        })) => Some(*not_before),
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(*not_after)
        }
        Ok(_) | Err(_) => None,
    }
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
