//! Answers: certificates alone in PKCS#7 (a degenerate `SignedData`, RFC 5652, 5.1, as RFC 7030, 4.1.3 asks for), in
//! base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use yasna::Tag;
use yasna::models::ObjectIdentifier;

/// pkcs7-signedData.
const SIGNED_DATA: [u64; 7] = [1, 2, 840, 113_549, 1, 7, 2];
/// pkcs7-data.
const DATA: [u64; 7] = [1, 2, 840, 113_549, 1, 7, 1];
/// Characters of a line of base64 (RFC 2045, 6.8): tools that read line by line take no longer ones.
const LINE: usize = 76;

/// Certificates, nothing signed and nobody's signature, in DER.
fn certificates_alone(certificates: &[&[u8]]) -> Vec<u8> {
    let oid = |components: &[u64]| ObjectIdentifier::from_slice(components);
    yasna::construct_der(|writer| {
        writer.write_sequence(|content| {
            content.next().write_oid(&oid(&SIGNED_DATA));
            content.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|signed| {
                    // The version: 1, for nothing but certificates of X.509 is in it (RFC 5652, 5.1).
                    signed.next().write_u8(1);
                    // No digests, no content but its type, and after the certificates no signers.
                    signed.next().write_set(|_| ());
                    signed.next().write_sequence(|encapsulated| encapsulated.next().write_oid(&oid(&DATA)));
                    signed.next().write_tagged_implicit(Tag::context(0), |writer| {
                        writer.write_set_of(|set| {
                            for certificate in certificates {
                                set.next().write_der(certificate);
                            }
                        });
                    });
                    signed.next().write_set(|_| ());
                });
            });
        });
    })
}

/// The body of an answer that hands out these certificates.
pub(super) fn certs_only(certificates: &[&[u8]]) -> String {
    let text = STANDARD.encode(certificates_alone(certificates));
    let mut lines = String::with_capacity(text.len() + 2 * (text.len() / LINE + 1));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push_str("\r\n");
        rest = more;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl crl2pkcs7 -nocrl` makes of a "certificate" that is the sequence of one NULL.
    #[test]
    fn a_certificate_alone_is_what_the_standard_says() {
        let expected = [
            &[0x30, 0x29, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x1c][..],
            &[0x30, 0x1a, 0x02, 0x01, 0x01, 0x31, 0x00],
            &[0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01],
            &[0xa0, 0x04, 0x30, 0x02, 0x05, 0x00, 0x31, 0x00],
        ]
        .concat();
        assert_eq!(certificates_alone(&[&[0x30, 0x02, 0x05, 0x00]]), expected);
    }

    #[test]
    fn lines_are_no_longer_than_any_reader_takes() {
        let mut certificate = vec![0x30, 0x82, 0x03, 0xe8];
        certificate.resize(1004, 0);
        let text = certs_only(&[&certificate]);
        assert!(text.ends_with("\r\n") && text.lines().all(|line| (1..=LINE).contains(&line.len())));
        let joined: String = text.lines().collect();
        assert_eq!(STANDARD.decode(joined).unwrap(), certificates_alone(&[&certificate]));
    }
}
