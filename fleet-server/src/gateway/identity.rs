//! Who is calling: what the client's certificate says.

use std::fmt::Write as _;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A verified certificate, as far as the gateway needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The one common name of its subject.
    pub number: LamppostNumber,
    /// Lowercase hexadecimal, without leading zero bytes.
    pub certificate_serial: String,
    /// From when it is good.
    pub not_before: UtcMillis,
    /// The last instant at which it is good.
    pub not_after: UtcMillis,
}

/// A certificate that names no lamppost.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IdentityError {
    #[error("the client sent no certificate")]
    None,
    #[error("the client's certificate cannot be parsed")]
    Unreadable,
    #[error("the subject of the client's certificate has no common name, or several")]
    NotOneName,
    #[error("the common name of the client's certificate is not a lamppost number")]
    NotANumber,
}

impl Identity {
    /// Reads a leaf certificate in DER that TLS has verified.
    pub(super) fn of_certificate(der: Option<&[u8]>) -> Result<Self, IdentityError> {
        let der = der.ok_or(IdentityError::None)?;
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        let mut names = certificate.subject().iter_common_name();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(IdentityError::NotOneName);
        };
        let name = name.as_str().map_err(|_| IdentityError::NotANumber)?;
        let number = LamppostNumber::new(name).map_err(|_| IdentityError::NotANumber)?;
        let mut certificate_serial = String::new();
        for byte in certificate.raw_serial().iter().skip_while(|byte| **byte == 0) {
            write!(certificate_serial, "{byte:02x}").expect("a String takes what is written to it");
        }
        let validity = certificate.validity();
        // The second named by notAfter is still good as a whole (RFC 5280, 4.1.2.5).
        let not_after = millis(validity.not_after.timestamp()).plus_ms(999);
        let not_before = millis(validity.not_before.timestamp());
        Ok(Self { number, certificate_serial, not_before, not_after })
    }
}

fn millis(seconds: i64) -> UtcMillis {
    UtcMillis(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SerialNumber};

    fn certificate(shape: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        shape(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn named(name: &str) -> Vec<u8> {
        certificate(|params| params.distinguished_name.push(DnType::CommonName, name))
    }

    #[test]
    fn the_common_name_is_the_lamppost() {
        let der = certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "DF3637");
            params.distinguished_name.push(DnType::OrganizationName, "DF0001");
            params.serial_number = Some(SerialNumber::from(vec![0x80, 0x0a, 0x01]));
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        });
        let identity = Identity::of_certificate(Some(&der)).unwrap();
        assert_eq!(identity.number.as_str(), "DF3637");
        assert_eq!(identity.certificate_serial, "800a01");
        assert_eq!(identity.not_before, UtcMillis(1_767_225_600_000));
        assert_eq!(identity.not_after, UtcMillis(1_798_761_600_999));
    }

    #[test]
    fn certificates_that_name_no_lamppost_are_refused() {
        assert_eq!(Identity::of_certificate(None), Err(IdentityError::None));
        assert_eq!(Identity::of_certificate(Some(b"0\x03abc")), Err(IdentityError::Unreadable));
        assert_eq!(Identity::of_certificate(Some(&certificate(|_| ()))), Err(IdentityError::NotOneName));
        for name in ["", "DF/3637", "#", "*", "DF3637 "] {
            assert_eq!(
                Identity::of_certificate(Some(&named(name))),
                Err(IdentityError::NotANumber),
                "{name:?}"
            );
        }
        let binary = certificate(|params| {
            let name = DnValue::BmpString("DF3637".try_into().unwrap());
            params.distinguished_name.push(DnType::CommonName, name);
        });
        assert_eq!(Identity::of_certificate(Some(&binary)), Err(IdentityError::NotANumber));
    }
}
