//! What is asked for, and whether it is what came: a certificate of our key, for our number, by our authority.

use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SigningKey};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;

use super::certificate::Certificate;
use crate::clock::{ClockTrust, Now};
use crate::tls::provider;

/// So far may this machine's clock be behind the server's.
const BEHIND_MS: i64 = 5 * 60_000;

/// Why a certificate that the server sent is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unacceptable {
    /// It is none of ours.
    #[error("the server sent no certificate for the key that was made here")]
    OtherKey,
    /// It is another lamppost's.
    #[error("the server sent a certificate for \"{found}\", not for {asked}")]
    OtherName {
        /// The number that was asked for.
        asked: LamppostNumber,
        /// What it carries.
        found: String,
    },
    /// Somebody else signed it.
    #[error("the certificate that the server sent is not signed by the fleet's authority")]
    OtherAuthority(#[source] rustls::Error),
    /// It has told of no authority that could certify it.
    #[error("the server tells of no authority")]
    NoAuthority,
    /// It is not good now, by a clock that is known to be right.
    #[error(
        "the certificate that the server sent is not good at the time that this machine shows; check the clocks"
    )]
    OtherTime,
}

/// A request for a certificate of this key, DER (PKCS #10).
pub(super) fn request(key: &impl SigningKey, lamppost: &LamppostNumber) -> Result<Vec<u8>, rcgen::Error> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, lamppost.as_str());
    Ok(parameters.serialize_request(key)?.der().to_vec())
}

/// Takes the certificate of this key from what the server sent.
pub(super) fn accept(
    sent: Vec<CertificateDer<'static>>,
    key: &impl PublicKeyData,
    lamppost: &LamppostNumber,
    roots: &Arc<RootCertStore>,
    now: Now,
) -> Result<(Certificate, CertificateDer<'static>), Unacceptable> {
    let ours = key.subject_public_key_info();
    let mut read = sent.into_iter().filter_map(|der| Some((Certificate::read(&der).ok()?, der)));
    let (certificate, der) =
        read.find(|(certificate, _)| certificate.public_key == ours).ok_or(Unacceptable::OtherKey)?;
    if certificate.common_name != lamppost.as_str() {
        return Err(Unacceptable::OtherName {
            asked: lamppost.clone(),
            found: shown(&certificate.common_name),
        });
    }
    if now.trust != ClockTrust::Unknown && !is_good(&certificate, now.wall) {
        return Err(Unacceptable::OtherTime);
    }
    // Where nobody has said what time it is, dates decide nothing, as at a connection.
    let at = now.wall.max(certificate.from).min(certificate.until);
    let at = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.0).unwrap_or(0)));
    let verified = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
        .and_then(|verifier| verifier.verify_client_cert(&der, &[], at));
    verified.map_err(Unacceptable::OtherAuthority)?;
    Ok((certificate, der))
}

/// Whether a certificate is good at this time, by clocks that nearly agree.
pub(super) fn is_good(certificate: &Certificate, at: UtcMillis) -> bool {
    at >= certificate.from.plus_ms(-BEHIND_MS) && at <= certificate.until
}

fn shown(name: &str) -> String {
    name.chars().take(48).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
