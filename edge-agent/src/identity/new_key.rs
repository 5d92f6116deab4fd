//! A key that a certificate is asked for: made here, in memory or in a token.

use std::cell::RefCell;
use std::sync::Arc;

use lamplighter_protocol::LamppostNumber;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};

use super::request;
use super::vault::{Reference, Vault, VaultError, VaultKey};

/// A key of this lamppost that has no certificate yet.
#[derive(Debug)]
pub(crate) enum NewKey {
    /// It goes into a file.
    File(KeyPair),
    /// It is in a token; a file says where.
    Vault(VaultKey),
}

/// Why there is no key, or no request with it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be made, or cannot sign.
    #[error(transparent)]
    Made(#[from] rcgen::Error),
    /// The operating system has no random name for it.
    #[error("no randomness from the operating system")]
    Random(#[from] getrandom::Error),
    /// The token does not do it.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl NewKey {
    pub(super) fn in_memory() -> Result<Self, KeyError> {
        Ok(Self::File(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    pub(super) fn in_vault(vault: &Arc<Vault>, named: Reference) -> Result<Self, KeyError> {
        Ok(Self::Vault(vault.key(named.id)?))
    }

    /// What stands for it in a file: all of it, or where it is.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::File(key) => key.serialize_pem(),
            Self::Vault(key) => key.reference().text(),
        }
    }

    /// A request for a certificate of this key, DER (PKCS #10).
    pub(super) fn request(&self, lamppost: &LamppostNumber) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::File(key) => Ok(request::request(key, lamppost)?),
            Self::Vault(key) => {
                let signing = Signing { key, failed: RefCell::default() };
                request::request(&signing, lamppost)
                    .map_err(|error| signing.failed.take().map_or(KeyError::Made(error), KeyError::Vault))
            }
        }
    }
}

impl PublicKeyData for NewKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::File(key) => key.der_bytes(),
            Self::Vault(key) => key.point(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A key in a token while it signs a request. rcgen has no room for the reason why one does not: it is kept here.
struct Signing<'a> {
    key: &'a VaultKey,
    failed: RefCell<Option<VaultError>>,
}

impl PublicKeyData for Signing<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signing<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(message).map_err(|error| {
            self.failed.replace(Some(error));
            rcgen::Error::RemoteKeyError
        })
    }
}
