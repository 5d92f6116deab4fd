//! What a certificate says, as far as it concerns the lamppost that it names.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::UtcMillis;
use sha2::{Digest as _, Sha256};

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons")]
pub struct NoFingerprint;

/// What one certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Whose it is.
    pub(crate) common_name: String,
    /// Its number among those of its authority, hexadecimal.
    pub(crate) serial: String,
    pub(crate) from: UtcMillis,
    pub(crate) until: UtcMillis,
    /// The public key, as `SubjectPublicKeyInfo` in DER.
    pub(crate) public_key: Vec<u8>,
    pub(crate) fingerprint: Fingerprint,
}

/// Bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no X.509 certificate")]
pub(crate) struct NoCertificate;

impl Certificate {
    pub(crate) fn read(der: &[u8]) -> Result<Self, NoCertificate> {
        let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|_| NoCertificate)?;
        let common_name = parsed.subject().iter_common_name().next();
        let common_name = common_name.and_then(|name| name.as_str().ok()).unwrap_or_default();
        let millis = |seconds: i64| UtcMillis(seconds.saturating_mul(1000));
        Ok(Self {
            common_name: common_name.to_owned(),
            serial: parsed.raw_serial_as_string().replace(':', ""),
            from: millis(parsed.validity().not_before.timestamp()),
            until: millis(parsed.validity().not_after.timestamp()),
            public_key: parsed.public_key().raw.to_vec(),
            fingerprint: Fingerprint::of(der),
        })
    }
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// A number that is as good as random, and the same for the same certificate.
    pub(crate) fn mark(self) -> u64 {
        self.0.first_chunk().copied().map_or(0, u64::from_be_bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let (pairs, []) = digits.as_chunks::<2>() else { return Err(NoFingerprint) };
        let byte = |pair: &[u8; 2]| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
        };
        let bytes = pairs.iter().map(byte).collect::<Option<Vec<u8>>>().ok_or(NoFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NoFingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_and_as_sha256sum_write_it() {
        let of_nothing = Fingerprint::of(b"");
        let text = of_nothing.to_string();
        assert_eq!(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let pairs = text
            .to_uppercase()
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).into_owned())
            .collect::<Vec<_>>();
        assert_eq!(pairs.join(":").parse(), Ok(of_nothing));
        assert_eq!(text.parse(), Ok(of_nothing));
        for wrong in ["", "e3", &text[1..], &text.replace('e', "g"), &format!("{text}00"), "é"] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint), "{wrong}");
        }
    }
}
