//! TLS of the gateway: mutual, by the fleet's CA alone.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

use super::authority::{Authority, AuthorityError};
use super::server_certificate::ServerCertificate;

/// TLS 1.3 and 1.2 (a third-party client may have no more) with ring. A client shows a certificate of the fleet's CA
/// that is good for clients at this time, or the handshake fails. There is no early data, for it can be replayed; a
/// resumed session keeps the client's certificate, and whoever accepts it asks the registry again.
///
/// # Errors
/// [`AuthorityError::Tls`] or [`AuthorityError::Verifier`].
pub fn server_tls(
    authority: &Authority,
    server: &ServerCertificate,
) -> Result<Arc<rustls::ServerConfig>, AuthorityError> {
    let tls = |source| AuthorityError::Tls { source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der().clone()).map_err(tls)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|source| AuthorityError::Verifier { source })?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(tls)?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![server.certificate.clone()], server.key.clone_key())
        .map_err(tls)?;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
