//! The first contact with a server of which nothing is known but the fingerprint of its authority (RFC 7030, 4.1.1): it
//! may be anybody, so nothing but the authority's certificate is asked of it, and that is believed by its fingerprint
//! alone.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::certificate::Fingerprint;
use super::est::{Est, EstError};
use crate::config::ServerConfig;
use crate::tls::{TlsError, provider, verified_by};

/// Why the authority is not known.
#[derive(Debug, thiserror::Error)]
pub enum FirstContactError {
    /// What the server did.
    #[error("cannot fetch the authority's certificate")]
    Est(#[from] EstError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It is not the authority that was named: another server, or somebody between.
    #[error(
        "the server's authority has not the fingerprint {expected}; compare it with the fleet's (openssl x509 -in ca.pem \
         -noout -fingerprint -sha256), and host and port in the configuration: this may be another server"
    )]
    Other {
        /// What was named.
        expected: Fingerprint,
    },
}

/// Fetches the authority's certificate that has this fingerprint.
pub(super) async fn authority(
    server: &ServerConfig,
    expected: Fingerprint,
) -> Result<CertificateDer<'static>, FirstContactError> {
    let anybody = verified_by(Arc::new(Anybody(provider())), None)?;
    let sent = Est::new(server, anybody).authorities().await?;
    let named = sent.into_iter().find(|certificate| Fingerprint::of(certificate) == expected);
    named.ok_or(FirstContactError::Other { expected })
}

/// Lets everybody pass who has the key of the certificate that he shows, whosever that is.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
