//! The first contact with a server of which nothing is known but the fingerprint of its authority (RFC 7030, 4.1.1): it
//! may be anybody, so nothing but the authority's certificate is asked of it, and that is believed by its fingerprint
//! alone.

use rustls::client::danger::ServerCertVerified;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::Fingerprint;
use super::est::{Est, EstError};
use crate::config::ServerConfig;
use crate::tls::{self, Shown, TlsError, Whom};

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
    let anybody = tls::with(Anybody, None)?;
    let sent = Est::new(server, anybody).authorities().await?;
    let named = sent.into_iter().find(|certificate| Fingerprint::of(certificate) == expected);
    named.ok_or(FirstContactError::Other { expected })
}

/// Lets everybody pass who has the key of the certificate that he shows, whosever that is.
#[derive(Debug)]
struct Anybody;

impl Whom for Anybody {
    fn verify(&self, _: Shown<'_>, _: UnixTime) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
}
