//! What can fail at the CA.

use std::path::PathBuf;

use lamplighter_protocol::UtcMillis;

use super::certificate::Date;
use super::files::CaFileError;
use super::secret::PassphraseError;

/// What failed at the CA.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// One of its files.
    #[error(transparent)]
    File(#[from] CaFileError),
    /// The certificate is there, and its key is not.
    #[error(
        "the fleet CA's key {key} is missing beside its certificate: restore it from a backup (a new CA would lock \
         out every lamppost)"
    )]
    KeyMissing {
        /// Where the key should be.
        key: PathBuf,
    },
    /// The key's file holds no key that we can use.
    #[error("{path} holds no ECDSA P-256 key in PEM: restore it from a backup")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// The certificate's file holds no certificate of a CA.
    #[error(
        "{path} holds no certificate of a CA in PEM: restore it from a backup, or remove it to have it made anew"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted, and nothing was given to decrypt it with.
    #[error("{path} is encrypted: name the file of its passphrase with --ca-passphrase-file")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted by another passphrase.
    #[error("{path} cannot be decrypted: the passphrase is another one, or the file is damaged")]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The key cannot be encrypted.
    #[error("cannot encrypt the key for {path}")]
    Encrypt {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pkcs8::Error,
    },
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// There is no CA.
    #[error("there is no fleet CA in {directory}: give the data directory of a server")]
    Missing {
        /// Where it should be.
        directory: PathBuf,
    },
    /// The CA cannot be rotated once more.
    #[error(
        "the CA before is still trusted ({old}): end that with `fleet-server ca retire` before the CA is rotated again"
    )]
    Rotated {
        /// The certificate of the one before.
        old: PathBuf,
    },
    /// There is nothing to retire.
    #[error("no CA but the present one is trusted: there is nothing to retire")]
    NotRotated,
    /// Key and certificate belong to two CAs.
    #[error("{certificate} is not the certificate of the key {key}: restore both from one backup")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The CA is not good yet, or no more.
    #[error("the fleet CA {path} is good from {from} until {until}, and not now: is the clock right?")]
    OutOfTime {
        /// The certificate's file.
        path: PathBuf,
        /// Its first moment.
        from: Date,
        /// Its last moment.
        until: Date,
    },
    /// The machine's clock shows a time that no certificate can name.
    #[error("{} ms after 1970 cannot be written into a certificate: is the clock right?", at.0)]
    Clock {
        /// The time.
        at: UtcMillis,
    },
    /// The operating system gave no random bytes.
    #[error("cannot draw a random serial number")]
    Random {
        /// Why.
        source: getrandom::Error,
    },
    /// Signing, or the making of a key.
    #[error("cannot make the certificate of {subject}")]
    Sign {
        /// Whom it is for.
        subject: String,
        /// Why.
        source: rcgen::Error,
    },
    /// TLS does not accept what was made.
    #[error("cannot set up TLS with the certificates of the fleet CA")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// TLS does not accept the CA as what clients are verified by.
    #[error("cannot verify clients by the fleet CA")]
    Verifier {
        /// Why.
        source: rustls::server::VerifierBuilderError,
    },
}
