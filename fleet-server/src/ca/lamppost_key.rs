//! Keys that lampposts make themselves: the public half.

use std::str::FromStr;

use rcgen::{PublicKeyData as _, SubjectPublicKeyInfo};
use sha2::{Digest as _, Sha256};

use crate::registry::hex;

/// Bytes of a point of P-256 that is not compressed: a 4, and two coordinates.
const POINT_BYTES: usize = 65;

/// The public key of a lamppost: ECDSA on P-256, as all keys of the fleet are.
#[derive(Clone, Debug)]
pub struct LamppostKey {
    public: SubjectPublicKeyInfo,
}

/// A public key is none that a lamppost may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has to be one for ECDSA on the curve P-256 (prime256v1), its point not compressed")]
pub struct NotALamppostKey;

/// SHA-256 of a public key, which tells keys apart. Printed and stored as 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDigest(Box<str>);

/// A text is no digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the digest of a key is 64 lowercase hexadecimal digits")]
pub struct NotADigest;

impl LamppostKey {
    /// A key as it stands in a certificate or a request: `SubjectPublicKeyInfo`, in DER.
    ///
    /// # Errors
    /// [`NotALamppostKey`]. Whether the point is on the curve shows when a signature is verified.
    pub fn from_der(der: &[u8]) -> Result<Self, NotALamppostKey> {
        let public = SubjectPublicKeyInfo::from_der(der).map_err(|_| NotALamppostKey)?;
        let is_p256 = *public.algorithm() == rcgen::PKCS_ECDSA_P256_SHA256;
        let point = public.der_bytes();
        if is_p256 && point.len() == POINT_BYTES && point.first() == Some(&4) {
            return Ok(Self { public });
        }
        Err(NotALamppostKey)
    }

    /// Tells it from every other key.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of_public_key(self.public.der_bytes())
    }

    pub(super) fn public(&self) -> &SubjectPublicKeyInfo {
        &self.public
    }
}

impl KeyDigest {
    /// Of the point that a public key is.
    pub(super) fn of_public_key(point: &[u8]) -> Self {
        Self(hex(&Sha256::digest(point)).into())
    }

    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyDigest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(is_digit) { Ok(Self(text.into())) } else { Err(NotADigest) }
    }
}
