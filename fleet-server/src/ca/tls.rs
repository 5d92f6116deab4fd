//! TLS of the lampposts' port: clients are known by the fleet's CA alone.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};

use super::authority::Authority;
use super::error::AuthorityError;
use super::returning::ReturningClients;
use super::server_certificate::ServerCertificate;

/// What a client names that will speak MQTT (ALPN, RFC 7301).
pub const ALPN_MQTT: &[u8] = b"mqtt";
/// What a client names that will speak HTTP, to enrol.
pub const ALPN_HTTP: &[u8] = b"http/1.1";

/// TLS 1.3 and 1.2 (a third-party client may have no more) with ring. A client shows a certificate of the fleet's CA
/// that is good for clients, or none: one that has none yet comes to enrol, and whoever lets it do anything else asks
/// for one. A certificate that has ended is let through as well, for its holder may come back; nothing else about it is
/// forgiven. There is no early data, for it can be replayed; a resumed session keeps the client's certificate
/// unverified, and whoever accepts it looks at its dates and asks the registry again. No session outlives this: one that was
/// begun while another CA was trusted cannot be resumed once it is not.
///
/// While the CA before is still trusted, its clients are, too, and the gateway shows what it has said of the present one.
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
    for trusted in authority.trusted() {
        roots.add(trusted.clone()).map_err(tls)?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|source| AuthorityError::Verifier { source })?;
    let cross = authority.predecessor().map(|old| old.cross.clone());
    let chain = [server.certificate.clone()].into_iter().chain(cross).collect();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(tls)?
        .with_client_cert_verifier(Arc::new(ReturningClients::new(clients)))
        .with_single_cert(chain, server.key.clone_key())
        .map_err(tls)?;
    config.alpn_protocols = vec![ALPN_MQTT.to_vec(), ALPN_HTTP.to_vec()];
    config.max_early_data_size = 0;
    // Tickets hold the session, and the server no more than their keys, new every six hours and for each configuration: in
    // a storm all resume, not the 256 that are remembered otherwise. What is in one is asked for again at each login.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(tls)?;
    Ok(Arc::new(config))
}
