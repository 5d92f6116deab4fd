//! Certificates as EST hands them out: PKCS #7 certs-only, which is CMS without content or signature (RFC 5272, 4.1;
//! RFC 5652, 5), in base64 (RFC 7030, 4.1.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, Class, FromDer as _, Oid, Tag};
use x509_parser::der_parser::oid;

/// More certificates than an authority and its successor need; whoever sends more means no good.
const MOST_CERTIFICATES: usize = 8;

/// An answer holds no certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCertificates {
    /// It is not in base64.
    #[error("the answer is not base64")]
    Base64,
    /// It is no PKCS #7, or a damaged one.
    #[error("the answer is no PKCS #7 with certificates")]
    Pkcs7,
    /// It is one, and too large or empty.
    #[error("the answer does not have 1 to {MOST_CERTIFICATES} certificates")]
    Count,
}

/// Reads the certificates of an answer, in its order. Whether they are good is for the caller to find out.
///
/// # Errors
/// [`NoCertificates`].
pub(crate) fn certificates(body: &[u8]) -> Result<Vec<CertificateDer<'static>>, NoCertificates> {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(text).map_err(|_| NoCertificates::Base64)?;
    let set = certificate_set(&der).ok_or(NoCertificates::Pkcs7)?;
    let mut rest = set;
    let mut found = Vec::new();
    while !rest.is_empty() {
        if found.len() == MOST_CERTIFICATES {
            return Err(NoCertificates::Count);
        }
        let (after, _) = element(rest, Class::Universal, Tag::Sequence).ok_or(NoCertificates::Pkcs7)?;
        let (certificate, _) = rest.split_at(rest.len() - after.len());
        found.push(CertificateDer::from(certificate.to_vec()));
        rest = after;
    }
    if found.is_empty() { Err(NoCertificates::Count) } else { Ok(found) }
}

/// The content of `certificates` in the `SignedData` (RFC 5652, 5.1); empty if there is none.
fn certificate_set(der: &[u8]) -> Option<&[u8]> {
    // id-signedData
    let signed_data: Oid<'_> = oid!(1.2.840.113549.1.7.2);
    let (_, content_info) = element(der, Class::Universal, Tag::Sequence)?;
    let (content, kind) = Oid::from_der(content_info).ok()?;
    if kind != signed_data {
        return None;
    }
    let (_, content) = element(content, Class::ContextSpecific, Tag(0))?;
    let (_, signed_data) = element(content, Class::Universal, Tag::Sequence)?;
    let (rest, _version) = element(signed_data, Class::Universal, Tag::Integer)?;
    let (rest, _digest_algorithms) = element(rest, Class::Universal, Tag::Set)?;
    let (rest, _content) = element(rest, Class::Universal, Tag::Sequence)?;
    Some(element(rest, Class::ContextSpecific, Tag(0)).map_or(&[][..], |(_, certificates)| certificates))
}

/// The element that `der` begins with, if it is of this kind: what comes after it, and what is in it.
fn element(der: &[u8], class: Class, tag: Tag) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(der).ok()?;
    (any.class() == class && any.tag() == tag).then_some((rest, any.data))
}
