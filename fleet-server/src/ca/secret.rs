//! The CA's key, encrypted: PKCS #8 `EncryptedPrivateKeyInfo` by PBES2 (RFC 8018, 6.2), which `openssl pkcs8` reads and
//! writes too. Whoever copies the directory or a backup of the keys has nothing then without the passphrase.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pkcs8::der::Document;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use super::lamppost_key::KeyDigest;

const LABEL: &str = "ENCRYPTED PRIVATE KEY";
const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Before the digest of the public key, in the line above the encrypted key: so it is known whose it is without the
/// passphrase.
const PUBLIC_KEY: &str = "Public key: ";

/// scrypt with 16 MiB, five times over: as hard as OWASP asks for, and within the 32 MiB that openssl grants.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);

/// Longest line of a passphrase's file.
const LONGEST: usize = 1024;

/// Shortest passphrase that a key is encrypted by. One that is shorter can be guessed; keys that others have encrypted are
/// read by whatever they were encrypted with.
const SHORTEST: usize = 16;

/// What the CA's key is encrypted by. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Its file cannot be read.
    #[error("cannot read the passphrase of the CA's key from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anybody on this machine can read its file.
    #[error("everybody may read {path}, which holds the passphrase of the CA's key: chmod 600 it")]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// Its file has no passphrase.
    #[error("the first line of {path} is no passphrase: it has to have 1 to {LONGEST} bytes of UTF-8")]
    None {
        /// The file.
        path: PathBuf,
    },
    /// It can be guessed.
    #[error(
        "the passphrase in {path} has fewer than {SHORTEST} characters: make one with `openssl rand -base64 32`"
    )]
    Short {
        /// The file.
        path: PathBuf,
    },
}

/// Why a key cannot be used.
#[derive(Debug, PartialEq)]
pub(super) enum NoKey {
    /// It is encrypted, and there is no passphrase.
    Locked,
    /// It is encrypted by another one, or damaged.
    WrongPassphrase,
    /// It is none.
    Unreadable(rcgen::Error),
}

impl Passphrase {
    /// Reads the first line of a file, as `openssl -passin file:` does.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn read(path: &Path) -> Result<Self, PassphraseError> {
        let reading = |source| PassphraseError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(reading)?;
        // Not the group's: systemd gives a unit its credentials so.
        if file.metadata().map_err(reading)?.permissions().mode() & 0o007 != 0 {
            return Err(PassphraseError::Open { path: path.to_owned() });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
        file.take(LONGEST as u64 + 2).read_to_end(&mut bytes).map_err(reading)?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Ok(text) if (1..=LONGEST).contains(&text.len()) => Ok(Self(Zeroizing::new(text.to_owned()))),
            Ok(_) | Err(_) => Err(PassphraseError::None { path: path.to_owned() }),
        }
    }

    /// Reads one that a key is to be encrypted by.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn read_for_encryption(path: &Path) -> Result<Self, PassphraseError> {
        let passphrase = Self::read(path)?;
        if passphrase.0.chars().count() < SHORTEST {
            return Err(PassphraseError::Short { path: path.to_owned() });
        }
        Ok(passphrase)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Whether a key's file is encrypted.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.contains(BEGIN)
}

/// The public key that an encrypted key says it belongs to, if it was encrypted here.
pub(super) fn public_key_of(text: &str) -> Option<KeyDigest> {
    text.lines().find_map(|line| line.strip_prefix(PUBLIC_KEY))?.parse().ok()
}

/// A key's file: as it is, or encrypted.
pub(super) fn write(
    key: &KeyPair,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<String>, pkcs8::Error> {
    let Some(passphrase) = passphrase else { return Ok(Zeroizing::new(key.serialize_pem())) };
    let der = Zeroizing::new(key.serialize_der());
    let encrypted =
        PrivateKeyInfoRef::try_from(&**der)?.encrypt_with_params(parameters()?, passphrase.0.as_bytes())?;
    let pem = encrypted.to_pem(LABEL, LineEnding::LF).map_err(pkcs8::Error::Asn1)?;
    let digest = KeyDigest::of_public_key(key.der_bytes());
    Ok(Zeroizing::new(format!("{PUBLIC_KEY}{}\n{}", digest.as_str(), *pem)))
}

/// The key of a file.
pub(super) fn read(text: &str, passphrase: Option<&Passphrase>) -> Result<KeyPair, NoKey> {
    let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
    let Some(begin) = text.find(BEGIN) else {
        return KeyPair::from_pem_and_sign_algo(text, algorithm).map_err(NoKey::Unreadable);
    };
    let passphrase = passphrase.ok_or(NoKey::Locked)?;
    let (_, document) = Document::from_pem(text[begin..].trim_end()).map_err(|_| NoKey::WrongPassphrase)?;
    let decrypted: Option<SecretDocument> = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .ok()
        .and_then(|encrypted| encrypted.decrypt(passphrase.0.as_bytes()).ok());
    let decrypted = decrypted.ok_or(NoKey::WrongPassphrase)?;
    let der = PrivatePkcs8KeyDer::from(decrypted.as_bytes());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm).map_err(NoKey::Unreadable)
}

fn parameters() -> Result<pbes2::Parameters, pkcs8::Error> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| pkcs8::pkcs5::Error::Rng);
    random(&mut salt)?;
    random(&mut iv)?;
    let (log_n, r, p) = SCRYPT;
    let cost = scrypt::Params::new(log_n, r, p).expect("these are parameters of scrypt");
    Ok(pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv)?)
}
