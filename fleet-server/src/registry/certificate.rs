//! What the registry knows of a certificate that the fleet's CA issued.

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sqlx::SqliteConnection;

use super::RegistryError;
use super::life::in_service;
use crate::audit::{self, Action, Actor, Entry, Subject};
use crate::ca::KeyDigest;

/// Serial number of a certificate: up to 20 bytes (RFC 5280, 4.1.2.2), without leading zeros.
/// Printed, stored and compared as lowercase hexadecimal digits without separators.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateSerial(Box<str>);

/// A text or a run of bytes is no serial number of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate's serial number is 1 to 20 bytes, not all of them zero, written as hexadecimal digits"
)]
pub struct NotASerial;

impl CertificateSerial {
    /// The serial as its bytes stand in the certificate, most significant first; the zero byte that DER puts before
    /// a high bit is left out.
    ///
    /// # Errors
    /// [`NotASerial`] when nothing but zeros is there, or more than 20 bytes follow them.
    pub fn from_der_integer(bytes: &[u8]) -> Result<Self, NotASerial> {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let significant = &bytes[zeros..];
        if significant.is_empty() || significant.len() > 20 {
            return Err(NotASerial);
        }
        Ok(Self(hex(significant).into()))
    }

    /// The serial of a certificate in DER.
    ///
    /// # Errors
    /// [`NotASerial`] when the bytes are no certificate, or its serial breaks the rule.
    pub fn of_certificate(der: &[u8]) -> Result<Self, NotASerial> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| NotASerial)?;
        Self::from_der_integer(certificate.raw_serial())
    }

    /// Lowercase hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CertificateSerial {
    type Err = NotASerial;

    /// Takes digits of either case, with or without the colons that tools such as `openssl` print.
    fn from_str(text: &str) -> Result<Self, NotASerial> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> = digits
            .rchunks(2)
            .rev()
            .map(|pair| pair.iter().try_fold(0_u8, |byte, digit| Some(byte << 4 | value(*digit)?)))
            .collect();
        Self::from_der_integer(&bytes.ok_or(NotASerial)?)
    }
}

impl fmt::Display for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A certificate that was issued to a lamppost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Its serial number, unique under the fleet's CA.
    pub serial: CertificateSerial,
    /// The lamppost that it was issued to.
    pub lamppost: LamppostNumber,
    /// When it was issued.
    pub issued: UtcMillis,
    /// The last moment at which it is good.
    pub not_after: UtcMillis,
    /// Since when it is not to be trusted any more, if so.
    pub revoked: Option<UtcMillis>,
    /// The key of the CA that signed it; none if it was issued before there could be several.
    pub authority: Option<KeyDigest>,
}

/// How things stand with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateState {
    /// It is good.
    Good,
    /// Less than a quarter of its life is left, and less than 30 days.
    Soon,
    /// Its time is over.
    Expired,
    /// It is revoked.
    Revoked,
}

/// A certificate that is good for longer than this does not end soon, however long its life: time enough to drive there.
pub(super) const SOON_MS: i64 = 30 * 86_400_000;

impl CertificateRecord {
    /// What the audit says of its issue.
    pub(crate) fn issued_by(&self, by: Actor) -> Entry {
        Entry::new(self.issued, by, Action::CertificateIssued, Subject::Certificate(self.serial.clone()))
            .text("lamppost", &self.lamppost)
            .number("not_after_ms", self.not_after.0)
    }

    /// How things stand with it.
    pub fn state(&self, now: UtcMillis) -> CertificateState {
        // A lamppost renews its own when a third of its life is left: with less than a quarter it has failed to.
        let soon_ms = (self.not_after.since_ms(self.issued) / 4).min(SOON_MS);
        match self.revoked {
            Some(_) => CertificateState::Revoked,
            None if self.not_after < now => CertificateState::Expired,
            None if self.not_after < now.plus_ms(soon_ms) => CertificateState::Soon,
            None => CertificateState::Good,
        }
    }
}

impl CertificateState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Soon => "soon",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// Lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits =
        |byte: &u8| [byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

/// Records a certificate of a lamppost in service as part of a transaction, and in the audit what is said of it.
pub(super) async fn insert_certificate(
    transaction: &mut SqliteConnection,
    record: &CertificateRecord,
    entry: &Entry,
) -> Result<(), RegistryError> {
    let writing = |source| RegistryError::Write { what: "a certificate", source };
    in_service(transaction, &record.lamppost).await?;
    let inserted = sqlx::query(
        "INSERT INTO certificates (serial, lamppost, issued, not_after, revoked, authority)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(record.serial.as_str())
    .bind(record.lamppost.as_str())
    .bind(record.issued.0)
    .bind(record.not_after.0)
    .bind(record.revoked.map(|revoked| revoked.0))
    .bind(record.authority.as_ref().map(KeyDigest::as_str))
    .execute(&mut *transaction)
    .await;
    if let Err(source) = inserted {
        let refused = source.as_database_error();
        if refused.is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
            return Err(RegistryError::SerialTaken { serial: record.serial.clone() });
        }
        return Err(writing(source));
    }
    audit::append(transaction, entry).await.map(drop).map_err(writing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_soon_when_a_renewal_is_overdue_and_when_somebody_has_to_drive_there() {
        const DAY_MS: i64 = 86_400_000;
        let state = |life: i64, day: i64| {
            let record = CertificateRecord {
                serial: "4a".parse().unwrap(),
                lamppost: "DF3637".parse().unwrap(),
                issued: UtcMillis(0),
                not_after: UtcMillis(life * DAY_MS),
                revoked: None,
                authority: None,
            };
            record.state(UtcMillis(day * DAY_MS))
        };
        assert_eq!(state(30, 22), CertificateState::Good, "renewed at 20 days, give or take");
        assert_eq!(state(30, 23), CertificateState::Soon);
        assert_eq!(state(30, 31), CertificateState::Expired);
        assert_eq!(state(825, 795), CertificateState::Good);
        assert_eq!(state(825, 796), CertificateState::Soon);
    }
}
