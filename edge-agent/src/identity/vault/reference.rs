//! What stands in a file in the place of a key that is in a token: its name there, as a PKCS#11 URI (RFC 7512), and its
//! public half, so that key and certificate are known to belong together without asking the token.
//!
//! ```text
//! pkcs11:id=%3F%A2…;type=private
//! -----BEGIN PUBLIC KEY-----
//! …
//! ```

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

const BEFORE: &str = "pkcs11:id=";
const AFTER: &str = ";type=private";

/// `SubjectPublicKeyInfo` of P-256 up to the point (RFC 5480, 2).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The name of a key in a token (`CKA_ID`): random, so that no two are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId(pub(super) [u8; 16]);

/// A public key of P-256: an uncompressed point (SEC 1, 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point(pub(super) [u8; 65]);

/// A key that is in a token, or will be: its name is written before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: KeyId,
    /// None: it may not have been made yet.
    pub(crate) point: Option<Point>,
}

/// A file names a key in a token, and the rest of it is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what names a key in a token is damaged")]
pub(crate) struct Damaged;

impl KeyId {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        Ok(Self(id))
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Point {
    /// Of what a token says: in an octet string, as it should be (PKCS #11, `CKA_EC_POINT`), or without, as some say it.
    pub(super) fn told(bytes: &[u8]) -> Option<Self> {
        let point = bytes.strip_prefix(&[0x04, 0x41]).filter(|point| point.len() == 65).unwrap_or(bytes);
        Self::of(point)
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().filter(|point: &[u8; 65]| point[0] == 0x04).map(Self)
    }

    /// As certificates have it, in DER.
    pub(super) fn public_key(&self) -> Vec<u8> {
        [P256_PREFIX.as_slice(), &self.0].concat()
    }
}

impl Reference {
    /// As it stands in a file.
    pub(crate) fn text(&self) -> String {
        let mut text = BEFORE.to_owned();
        for byte in self.id.0 {
            write!(text, "%{byte:02X}").expect("a String takes everything");
        }
        text.push_str(AFTER);
        text.push('\n');
        if let Some(point) = self.point {
            let key = STANDARD.encode(point.public_key());
            let lines = key.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
            text.push_str("-----BEGIN PUBLIC KEY-----\n");
            text.extend(lines);
            text.push_str("-----END PUBLIC KEY-----\n");
        }
        text
    }

    /// The one that stands among the lines of a file; none: the file names no key in a token.
    pub(crate) fn find(bytes: &[u8]) -> Result<Option<Self>, Damaged> {
        let text = String::from_utf8_lossy(bytes);
        let Some(line) = text.lines().find(|line| line.starts_with(BEFORE)) else { return Ok(None) };
        let digits = line.strip_prefix(BEFORE).and_then(|line| line.strip_suffix(AFTER)).ok_or(Damaged)?;
        let digits = digits.strip_prefix('%').ok_or(Damaged)?;
        let id =
            digits.split('%').map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok())?);
        let id = id.collect::<Option<Vec<u8>>>().ok_or(Damaged)?;
        let id = KeyId::from_slice(&id).ok_or(Damaged)?;
        let point = match SubjectPublicKeyInfoDer::from_pem_slice(bytes) {
            Ok(key) => Some(key.strip_prefix(&P256_PREFIX).and_then(Point::of).ok_or(Damaged)?),
            Err(_) if text.contains("PUBLIC KEY") => return Err(Damaged),
            Err(_) => None,
        };
        Ok(Some(Self { id, point }))
    }
}
