//! A key that is in a token: it signs there, for requests and for TLS.
//!
//! rustls asks for a signature and waits: a token that takes long keeps the agent's one thread for the network waiting for
//! it, once for each connection. Sampling and the disk have threads of their own.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::reference::{KeyId, Point, Reference};
use super::{Vault, VaultError};
use crate::outbox::chain;

/// A key in a token.
#[derive(Clone, Debug)]
pub(crate) struct VaultKey {
    pub(super) vault: Arc<Vault>,
    pub(super) id: KeyId,
    pub(super) point: Point,
}

impl VaultKey {
    /// The key that a file names, if it says all of it. The token is not asked.
    pub(crate) fn named(vault: &Arc<Vault>, reference: Reference) -> Option<Self> {
        Some(Self { vault: Arc::clone(vault), id: reference.id, point: reference.point? })
    }

    /// What stands for it in a file.
    pub(crate) fn reference(&self) -> Reference {
        Reference { id: self.id, point: Some(self.point) }
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        format!("the PKCS#11 token {}, as {}", self.vault.uri.name(), self.id)
    }

    /// Its public half: the bytes of the point.
    pub(crate) fn point(&self) -> &[u8] {
        &self.point.0
    }

    /// ECDSA with SHA-256, in DER (RFC 3279, 2.2.3).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.vault.sign(self.id, message).map(|[r, s]| signature(&r, &s))
    }
}

impl SigningKey for VaultKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.point.public_key().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for VaultKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Self::sign(self, message).map_err(|error| rustls::Error::General(chain(&error)))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// `SEQUENCE { r INTEGER, s INTEGER }`, each as short as it can be and not negative.
pub(super) fn signature(r: &[u8; 32], s: &[u8; 32]) -> Vec<u8> {
    let integer = |number: &[u8; 32]| {
        let zeros = number.iter().take(31).take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..).unwrap_or_default();
        let sign = digits.first().is_some_and(|first| *first >= 0x80).then_some(0);
        let value: Vec<u8> = sign.into_iter().chain(digits.iter().copied()).collect();
        tagged(0x02, &value)
    };
    tagged(0x30, &[integer(r), integer(s)].concat())
}

/// Two integers of at most 33 bytes and their heads have less than 128.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("it has less than 128 bytes");
    [&[tag, length], value].concat()
}
