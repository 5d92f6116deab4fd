//! The TLS side of every connection to the server, for MQTT and for EST: our certificate, our key, and the authorities
//! that we trust.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::clock::{Clock, ClockTrust};
use crate::config::ServerConfig;
use crate::identity::{Pair, PairError};

/// Certificates of a chain whose dates a clock that knows nothing may get wrong.
const MOST_DATES: usize = 4;

/// Why no connection can be made with the configured files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The authority's file cannot be read, or holds no certificate.
    #[error("cannot read a certificate from {}", path.display())]
    Authority {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// The authority's certificate is not usable.
    #[error("the authority's certificate in {} cannot be used", path.display())]
    Unusable {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// Our certificate or key.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// How to connect with the configured certificate, and to nobody whom the authority did not certify.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(server: &ServerConfig, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = authorities(&server.ca_file)?;
    let pair = Pair::configured(server)?;
    Ok(Arc::new(trusting(roots, Some(&pair), clock)?))
}

/// The authorities that a PEM file names.
pub(crate) fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    store_of(path, all)
}

/// The authorities that were read from this PEM file.
pub(crate) fn authorities_of(path: &Path, text: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    store_of(path, CertificateDer::pem_slice_iter(text).collect())
}

fn store_of(
    path: &Path,
    all: Result<Vec<CertificateDer<'static>>, pem::Error>,
) -> Result<Arc<RootCertStore>, TlsError> {
    let unreadable = |source| TlsError::Authority { path: path.to_owned(), source };
    let all = all.map_err(unreadable)?;
    if all.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    let mut roots = RootCertStore::empty();
    for authority in all {
        roots.add(authority).map_err(|source| TlsError::Unusable { path: path.to_owned(), source })?;
    }
    Ok(Arc::new(roots))
}

/// How to connect to nobody whom these authorities did not certify; with this certificate, if there is one.
pub(crate) fn trusting(
    roots: Arc<RootCertStore>,
    pair: Option<&Pair>,
    clock: Arc<dyn Clock>,
) -> Result<ClientConfig, TlsError> {
    let authority = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| TlsError::Tls(rustls::Error::General(error.to_string())))?;
    with(Certified { authority, clock }, pair)
}

/// Who is let pass, by the certificate that he shows; that he has its key is checked besides.
pub(crate) trait Whom: Debug + Send + Sync + 'static {
    /// Whether he is let pass, at this time of the machine's clock.
    fn verify(&self, shown: Shown<'_>, machine: UnixTime) -> Result<ServerCertVerified, rustls::Error>;
}

/// What a server shows, and by which name it was called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    end_entity: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    server_name: &'a ServerName<'a>,
    ocsp_response: &'a [u8],
}

/// How to connect to whomever `whom` lets pass.
pub(crate) fn with(whom: impl Whom, pair: Option<&Pair>) -> Result<ClientConfig, TlsError> {
    let verifier = Arc::new(Verifier { whom, provider: provider() });
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match pair {
        Some(pair) => {
            let certified = SingleCertAndKey::from(Arc::clone(&pair.certified));
            config.with_client_cert_resolver(Arc::new(certified))
        }
        None => config.with_no_client_auth(),
    })
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
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

impl Whom for Certified {
    fn verify(&self, shown: Shown<'_>, machine: UnixTime) -> Result<ServerCertVerified, rustls::Error> {
        let Shown { end_entity, intermediates, server_name, ocsp_response } = shown;
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
}

/// Asks `whom` about the certificate, and checks the signatures of the handshake itself.
#[derive(Debug)]
struct Verifier<W> {
    whom: W,
    provider: Arc<CryptoProvider>,
}

impl<W: Whom> ServerCertVerifier for Verifier<W> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        machine: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.whom.verify(Shown { end_entity, intermediates, server_name, ocsp_response }, machine)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
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
