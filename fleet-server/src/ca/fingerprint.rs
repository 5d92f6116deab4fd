//! By what a lamppost that has nothing of the fleet yet knows its CA.

use std::path::Path;

use lamplighter_protocol::Digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::AuthorityError;
use super::files;

/// The SHA-256 of the CA's certificate, as `openssl x509 -fingerprint -sha256` has it (but for its colons); none where no
/// CA was made yet. The CA's key is not touched.
///
/// # Errors
/// [`AuthorityError`]: the certificate cannot be read, or is none.
pub fn authority_fingerprint(directory: &Path) -> Result<Option<Digest>, AuthorityError> {
    let path = directory.join("ca.pem");
    let Some(pem) = files::read(&path)? else { return Ok(None) };
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
    let certificate = certificate.map_err(|_| AuthorityError::Certificate { path })?;
    Ok(Some(Digest::of(&certificate)))
}
