//! Requests: PKCS#10 in base64 (RFC 7030, 4.2.1), read into what we make a certificate of. Pure; nothing in here trusts
//! a byte, and nothing of the request but its key and its name is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lamplighter_protocol::LamppostNumber;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;
use x509_parser::prelude::FromDer as _;

use crate::ca::{LamppostKey, NotALamppostKey};

/// Bytes of a request. One for a key of P-256 has some 400; the rest is for what others put in.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// What a lamppost asks for, signed with the key that it is to be for.
#[derive(Clone, Debug)]
pub(super) struct SigningRequest {
    /// The lamppost's key.
    pub(super) key: LamppostKey,
    /// Whom the request names.
    pub(super) name: Option<LamppostNumber>,
}

/// What is wrong with a request. Told to who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// Not base64, or PEM.
    #[error(
        "the request is not base64 (RFC 7030, 4.2.1); lines such as BEGIN CERTIFICATE REQUEST do not belong to it"
    )]
    NotBase64,
    /// Not PEM.
    #[error("it is no request in PEM, as `openssl req -new` writes it")]
    NotPem,
    /// Not PKCS#10.
    #[error("the request is not PKCS#10 in DER, in base64")]
    NotPkcs10,
    /// Bytes behind the request.
    #[error("there is something behind the request: send one, alone")]
    MoreThanOne,
    /// The key.
    #[error(transparent)]
    Key(#[from] NotALamppostKey),
    /// The signature's algorithm.
    #[error("the request has to be signed by ECDSA with SHA-256")]
    Algorithm,
    /// The signature.
    #[error("the request is not signed with the key that it is for")]
    Signature,
    /// The subject.
    #[error("the request's subject has to have the lamppost's number as its one common name, or none")]
    Name,
}

impl SigningRequest {
    /// Reads what was sent.
    pub(super) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let der = decode(body)?;
        let (request, key) = signed(&der)?;
        let mut names = request.certification_request_info.subject.iter_common_name();
        let name = match (names.next(), names.next()) {
            (None, _) => None,
            (Some(name), None) => {
                Some(name.as_str().ok().and_then(|name| name.parse().ok()).ok_or(Malformed::Name)?)
            }
            (Some(_), Some(_)) => return Err(Malformed::Name),
        };
        Ok(Self { key, name })
    }
}

/// Why no certificate is made for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct NotARequest(#[from] Malformed);

/// The key of a request in PEM that is signed with it. Nothing else of the request is used, nor looked at.
///
/// # Errors
/// [`NotARequest`], which says what is wrong.
pub fn requested_key(pem: &str) -> Result<LamppostKey, NotARequest> {
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| Malformed::NotPem)?;
    Ok(signed(&der)?.1)
}

/// A request and its key, which has signed it.
fn signed(der: &[u8]) -> Result<(X509CertificationRequest<'_>, LamppostKey), Malformed> {
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| Malformed::NotPkcs10)?;
    if !rest.is_empty() {
        return Err(Malformed::MoreThanOne);
    }
    let key = LamppostKey::from_der(request.certification_request_info.subject_pki.raw)?;
    if request.signature_algorithm.algorithm != OID_SIG_ECDSA_WITH_SHA256 {
        return Err(Malformed::Algorithm);
    }
    request.verify_signature().map_err(|_| Malformed::Signature)?;
    Ok((request, key))
}

/// Base64, wherever its lines end.
fn decode(body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|_| Malformed::NotBase64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn parameters(names: &[&str]) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        for name in names {
            parameters.distinguished_name.push(DnType::CommonName, *name);
        }
        parameters
    }

    fn request(parameters: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        parameters.serialize_request(key).unwrap().der().to_vec()
    }

    fn p256() -> KeyPair {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
    }

    fn named(name: &str) -> Vec<u8> {
        request(&parameters(&[name]), &p256())
    }

    fn read(der: &[u8]) -> Result<SigningRequest, Malformed> {
        SigningRequest::read(STANDARD.encode(der).as_bytes())
    }

    fn refused(der: &[u8]) -> Malformed {
        read(der).expect_err("it is refused")
    }

    #[test]
    fn name_and_key_are_read_whatever_else_is_asked_for() {
        let key = p256();
        let mut parameters = parameters(&["DF3637"]);
        parameters.distinguished_name.push(DnType::OrganizationName, "root");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.subject_alt_names = vec![SanType::DnsName("fleet.example.org".try_into().unwrap())];
        let read = read(&request(&parameters, &key)).unwrap();
        assert_eq!(read.name, Some("DF3637".parse().unwrap()));
        let same = LamppostKey::from_der(&rcgen::PublicKeyData::subject_public_key_info(&key)).unwrap();
        assert_eq!(read.key.digest(), same.digest());
    }

    #[test]
    fn a_request_may_leave_its_name_to_us() {
        assert_eq!(read(&request(&parameters(&[]), &p256())).unwrap().name, None);
    }

    #[test]
    fn lines_may_end_anywhere_and_in_any_way() {
        let text = STANDARD.encode(named("A1"));
        let lines = |length: usize, end: &str| {
            text.as_bytes()
                .chunks(length)
                .flat_map(|line| [line, end.as_bytes()].concat())
                .collect::<Vec<u8>>()
        };
        for body in [lines(64, "\n"), lines(76, "\r\n"), lines(1, " "), [b"\r\n\t", text.as_bytes()].concat()]
        {
            assert!(SigningRequest::read(&body).is_ok(), "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn names_that_no_lamppost_has_are_refused() {
        for name in ["", "DF/3637", "#", "DF3637 ", "DF3637\0", &"A".repeat(33)] {
            assert_eq!(refused(&named(name)), Malformed::Name, "{name:?}");
        }
        // rcgen keeps one of each kind; so two of them are made of one, in the bytes: CN and O become CN and CN.
        let mut parameters = parameters(&["A1"]);
        parameters.distinguished_name.push(DnType::OrganizationName, "A2");
        let mut twice = request(&parameters, &p256());
        let organization = twice.windows(3).position(|oid| oid == [0x55, 0x04, 0x0a]).unwrap();
        twice[organization + 2] = 0x03;
        assert_eq!(refused(&twice), Malformed::Signature, "what was changed is not what was signed");
    }

    #[test]
    fn the_key_of_a_request_in_pem_is_read_whomever_it_names_and_none_that_has_not_signed_it() {
        let key = p256();
        let request = parameters(&["whoever I want to be"]).serialize_request(&key).unwrap();
        let pem = request.pem().unwrap();
        let same = LamppostKey::from_der(&rcgen::PublicKeyData::subject_public_key_info(&key)).unwrap();
        assert_eq!(requested_key(&pem).unwrap().digest(), same.digest());
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let of_other = parameters(&[]).serialize_request(&other).unwrap().pem().unwrap();
        assert_eq!(requested_key(&of_other).unwrap_err(), Malformed::Key(NotALamppostKey).into());
        let mut forged = request.der().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let forged = STANDARD.encode(forged);
        let armoured = |text: &str| {
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
        };
        assert_eq!(requested_key(&armoured(&forged)).unwrap_err(), Malformed::Signature.into());
        assert_eq!(requested_key(&armoured("MAA=")).unwrap_err(), Malformed::NotPkcs10.into());
        let certificate = parameters(&["A1"]).self_signed(&key).unwrap().pem();
        for text in ["", "a", &armoured("="), &certificate, &pem[..pem.len() / 2]] {
            assert_eq!(requested_key(text).unwrap_err(), Malformed::NotPem.into(), "{text}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            assert_eq!(refused(&request(&parameters(&["A1"]), &key)), Malformed::Key(NotALamppostKey));
        }
    }

    #[test]
    fn whoever_does_not_have_the_key_gets_no_certificate_for_it() {
        let (mine, victims) = (named("A1"), p256());
        let der = request(&parameters(&["A1"]), &victims);
        let (_, theirs) = X509CertificationRequest::from_der(&der).unwrap();
        let (_, ours) = X509CertificationRequest::from_der(&mine).unwrap();
        let point = |request: &X509CertificationRequest<'_>| {
            request.certification_request_info.subject_pki.subject_public_key.data.to_vec()
        };
        let at = mine.windows(65).position(|bytes| bytes == point(&ours)).unwrap();
        let mut stolen = mine.clone();
        stolen[at..at + 65].copy_from_slice(&point(&theirs));
        assert_eq!(refused(&stolen), Malformed::Signature);
        // A point that is not on the curve.
        stolen[at + 1..at + 65].fill(1);
        assert_eq!(refused(&stolen), Malformed::Signature);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let one = named("A1");
        assert_eq!(refused(&[one.clone(), one.clone()].concat()), Malformed::MoreThanOne);
        assert_eq!(refused(&[one.clone(), vec![0]].concat()), Malformed::MoreThanOne);
        for der in [&[][..], &[0], &[0; 600], &one[..one.len() - 1], &one[1..], &vec![0x30; 40_000]] {
            assert_eq!(refused(der), Malformed::NotPkcs10, "{} bytes", der.len());
        }
        let text = STANDARD.encode(&one);
        let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n");
        let truncated = &text[..text.len() - 3];
        let two = format!("{text}\n{text}");
        for body in [pem.as_bytes(), truncated.as_bytes(), one.as_slice(), &[0; 100], b"====", two.as_bytes()]
        {
            let error = SigningRequest::read(body).expect_err("it is refused");
            assert!(matches!(error, Malformed::NotBase64 | Malformed::MoreThanOne), "{error}");
        }
        // A length of four gigabytes that is not there.
        assert_eq!(refused(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30]), Malformed::NotPkcs10);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(body in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(SigningRequest::read(&body).is_err());
        }

        #[test]
        fn any_der_is_refused_or_read(der in prop::collection::vec(any::<u8>(), 0..1000)) {
            prop_assert!(read(&der).is_err());
        }

        #[test]
        fn no_other_byte_makes_another_key_or_name_of_a_request(
            at in any::<prop::sample::Index>(),
            other in 1..=255_u8,
        ) {
            let mut der = named("A1");
            let before = read(&der).unwrap();
            let at = at.index(der.len());
            der[at] ^= other;
            if let Ok(after) = read(&der) {
                prop_assert_eq!((after.name, after.key.digest()), (before.name, before.key.digest()));
            }
        }

        #[test]
        fn a_request_that_is_cut_is_never_read(at in any::<prop::sample::Index>()) {
            let der = named("A1");
            prop_assert!(read(&der[..at.index(der.len())]).is_err());
        }
    }
}
