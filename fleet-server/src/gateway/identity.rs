//! Who is calling: what the client's certificate says.

use std::fmt::Write as _;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::feeds::{DepartmentIdentity, DepartmentName};

/// A verified certificate of a lamppost, as far as the gateway needs it.
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

/// Whose certificate a client has shown: never more than one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Lamppost(Identity),
    Department(DepartmentIdentity),
}

/// A certificate that names neither a lamppost nor a department, or something of both.
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
    #[error(
        "the client's certificate says that it is a department's, and does not name one, or not it alone"
    )]
    NotADepartment,
    #[error("the client's certificate is a department's, and departments are not served here")]
    NoFeeds,
}

impl Shown {
    /// Reads a leaf certificate in DER that TLS has verified.
    pub(super) fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        let mut certificate_serial = String::new();
        for byte in certificate.raw_serial().iter().skip_while(|byte| **byte == 0) {
            write!(certificate_serial, "{byte:02x}").expect("a String takes what is written to it");
        }
        let validity = certificate.validity();
        // The second named by notAfter is still good as a whole (RFC 5280, 4.1.2.5).
        let not_after = millis(validity.not_after.timestamp()).plus_ms(999);
        let not_before = millis(validity.not_before.timestamp());
        if let Some(department) = department_of(&certificate)? {
            return Ok(Self::Department(DepartmentIdentity { department, certificate_serial, not_after }));
        }
        let number = number_of(&certificate)?;
        Ok(Self::Lamppost(Identity { number, certificate_serial, not_before, not_after }))
    }
}

fn number_of(certificate: &X509Certificate<'_>) -> Result<LamppostNumber, IdentityError> {
    let mut names = certificate.subject().iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err(IdentityError::NotOneName);
    };
    let name = name.as_str().map_err(|_| IdentityError::NotANumber)?;
    LamppostNumber::new(name).map_err(|_| IdentityError::NotANumber)
}

/// The department that a certificate names; none if nothing in it speaks of departments. What speaks of them and has another
/// shape than the CA gives it is nobody's, and above all no lamppost's.
fn department_of(certificate: &X509Certificate<'_>) -> Result<Option<DepartmentName>, IdentityError> {
    let subject = certificate.subject();
    let has_unit = subject
        .iter_organizational_unit()
        .any(|unit| unit.as_str().is_ok_and(|unit| unit == DepartmentIdentity::UNIT));
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let speaks_of_one = |name: &GeneralName<'_>| matches!(name, GeneralName::URI(uri) if uri.starts_with(DepartmentName::URI_PREFIX));
    if !has_unit && !names.iter().any(speaks_of_one) {
        return Ok(None);
    }
    match names {
        [GeneralName::URI(uri)] if has_unit && subject.iter_common_name().next().is_none() => {
            DepartmentName::from_uri(uri).map(Some).ok_or(IdentityError::NotADepartment)
        }
        _ => Err(IdentityError::NotADepartment),
    }
}

fn millis(seconds: i64) -> UtcMillis {
    UtcMillis(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType, SerialNumber};

    fn certificate(shape: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        shape(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn named(name: &str) -> Vec<u8> {
        certificate(|params| params.distinguished_name.push(DnType::CommonName, name))
    }

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().unwrap())
    }

    fn department(unit: &str, names: &[SanType], more: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        certificate(|params| {
            params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
            params.subject_alt_names = names.to_vec();
            more(params);
        })
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
        let Shown::Lamppost(identity) = Shown::of_certificate(&der).unwrap() else { panic!("a department") };
        assert_eq!(identity.number.as_str(), "DF3637");
        assert_eq!(identity.certificate_serial, "800a01");
        assert_eq!(identity.not_before, UtcMillis(1_767_225_600_000));
        assert_eq!(identity.not_after, UtcMillis(1_798_761_600_999));
    }

    #[test]
    fn a_department_is_named_by_its_uri_and_has_no_common_name() {
        let der = department("department", &[uri("urn:lamplighter:department:a1")], |params| {
            params.serial_number = Some(SerialNumber::from(vec![0x0a, 0x01]));
            params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        });
        let expected = DepartmentIdentity {
            department: "a1".parse().unwrap(),
            certificate_serial: "0a01".to_owned(),
            not_after: UtcMillis(1_798_761_600_999),
        };
        assert_eq!(Shown::of_certificate(&der), Ok(Shown::Department(expected)));
    }

    /// `a1` is a number that a lamppost may have and a name that a department may have.
    #[test]
    fn a_lamppost_is_never_taken_for_a_department_of_that_name_nor_the_other_way_round() {
        let lamppost = Shown::of_certificate(&named("a1")).unwrap();
        assert!(matches!(lamppost, Shown::Lamppost(identity) if identity.number.as_str() == "a1"));
        let own = || uri("urn:lamplighter:department:a1");
        let with_number = |params: &mut CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, "a1");
        };
        let other = || SanType::DnsName("a1".try_into().unwrap());
        for (der, says) in [
            (department("department", &[own()], with_number), "a number besides"),
            (department("department", &[], with_number), "a number and no name"),
            (department("department", &[], |_| ()), "no name"),
            (department("lamppost", &[own()], with_number), "another unit and a number"),
            (department("lamppost", &[own()], |_| ()), "another unit"),
            (department("department", &[own(), own()], |_| ()), "a name twice"),
            (department("department", &[own(), uri("urn:lamplighter:department:b2")], |_| ()), "two names"),
            (department("department", &[own(), other()], |_| ()), "another name besides"),
            (department("department", &[other()], |_| ()), "a name of another kind"),
            (
                department("department", &[uri("urn:lamplighter:department:DF3637")], |_| ()),
                "what is no name",
            ),
        ] {
            assert_eq!(Shown::of_certificate(&der), Err(IdentityError::NotADepartment), "{says}");
        }
    }

    #[test]
    fn certificates_that_name_nobody_are_refused() {
        assert_eq!(Shown::of_certificate(b"0\x03abc"), Err(IdentityError::Unreadable));
        assert_eq!(Shown::of_certificate(&certificate(|_| ())), Err(IdentityError::NotOneName));
        for name in ["", "DF/3637", "#", "*", "DF3637 "] {
            assert_eq!(Shown::of_certificate(&named(name)), Err(IdentityError::NotANumber), "{name:?}");
        }
        let binary = certificate(|params| {
            let name = DnValue::BmpString("DF3637".try_into().unwrap());
            params.distinguished_name.push(DnType::CommonName, name);
        });
        assert_eq!(Shown::of_certificate(&binary), Err(IdentityError::NotANumber));
    }
}
