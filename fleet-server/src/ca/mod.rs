//! The fleet's certificate authority, and the TLS that rests on it.
//!
//! A lamppost is who its certificate says it is, and only this CA says so: it signs the gateway's certificate, one
//! for each lamppost, and those of departments that log in by one. Everything lives in two directories of the data directory, keys readable by their owner alone:
//!
//! | file | is |
//! | --- | --- |
//! | `ca/ca.pem`, `ca/ca.key` | the CA: made on first use, good for ten years; lampposts are given `ca.pem`. The key may be [encrypted](Passphrase) |
//! | `ca/old.pem`, `ca/cross.pem` | the CA before, while it is still trusted, and what it has said of the present one: see [`rotate`] |
//! | `tls/server.pem`, `tls/server.key` | the gateway's own certificate: derived, made anew when need be |
//!
//! Keys are ECDSA P-256. Every certificate is back-dated by [`BACKDATED`]: a lamppost's clock may be behind.
//! Whether a certificate is revoked is the registry's to say; TLS checks the chain, the dates and the purpose, if a
//! client shows a certificate at all. One that has ended gets through ([`server_tls`] says why): whoever lets somebody
//! do something looks at the end of the certificate.

mod audited;
mod authority;
mod certificate;
mod department;
mod directory;
mod enrolment;
mod error;
mod files;
mod fingerprint;
mod lamppost_key;
mod present;
mod returning;
mod rotation;
mod secret;
mod server_certificate;
mod tls;

#[cfg(test)]
mod tests;

pub use audited::{record_authority, record_certificates};
pub use authority::{Authority, Origin, Predecessor};
pub use certificate::{
    BACKDATED, Date, IssuedCertificate, IssuedFiles, NotAValidity, PrivateKeyPem, Validity,
};
pub use directory::is_key_of_authority;
pub use enrolment::{EnrolmentError, enrol};
pub use error::AuthorityError;
pub(crate) use files::lock as lock_directory;
pub use files::{CaFileError, write_certificate};
pub use fingerprint::authority_fingerprint;
pub use lamppost_key::{KeyDigest, LamppostKey, NotADigest, NotALamppostKey};
pub use present::Present;
#[cfg(test)]
pub(crate) use returning::ReturningClients;
pub use rotation::{AuthorityCertificate, Overview, Phase, encrypt, look, retire, rotate};
pub use secret::{Passphrase, PassphraseError};
pub use server_certificate::{ServerCertificate, WhyMade};
pub use tls::{ALPN_HTTP, ALPN_MQTT, server_tls};
