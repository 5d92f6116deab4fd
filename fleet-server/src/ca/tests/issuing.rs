//! What is issued, and what it says.

use super::*;

#[test]
fn what_is_issued_says_what_it_is_for_and_until_when() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let now = clock::wall();
    let issued = authority.issue_lamppost(&number("A1"), Validity::LAMPPOST, now).unwrap();
    let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(!certificate.is_ca());
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(certificate.raw_serial().len(), 16);
    let seconds = |at: UtcMillis| at.0.div_euclid(1000);
    assert_eq!(certificate.validity().not_before.timestamp(), seconds(now) - 3600);
    assert_eq!(certificate.validity().not_after.timestamp(), seconds(now) + 825 * 86_400);
    assert_eq!(seconds(issued.not_after), certificate.validity().not_after.timestamp());
    let other = authority.issue_lamppost(&number("A1"), Validity::LAMPPOST, now).unwrap();
    assert_ne!(issued.serial, other.serial);
    assert_ne!(issued.key_pem.reveal(), other.key_pem.reveal());
}

#[test]
fn a_departments_certificate_names_it_in_a_uri_and_nobody_by_a_common_name() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = LamppostKey::from_der(&rcgen::PublicKeyData::subject_public_key_info(&key)).unwrap();
    let (now, name) = (clock::wall(), "a1".parse().unwrap());
    let (pem, record) = authority.certify_department(&name, &key, Validity::DEPARTMENT, now).unwrap();
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(certificate.subject().to_string(), "OU=department, O=a1");
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert!(
        matches!(names[..], [x509_parser::extensions::GeneralName::URI("urn:lamplighter:department:a1")]),
        "{names:?}"
    );
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(!certificate.is_ca() && usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(CertificateSerial::of_certificate(&der), Ok(record.serial));
    assert_eq!((record.department, &record.authority), (name.clone(), authority.key()));
    assert_eq!(record.not_after.since_ms(now), 365 * DAY_MS);
    let late = authority.not_after().plus_ms(-DAY_MS);
    let (_, record) = authority.certify_department(&name, &key, Validity::DEPARTMENT, late).unwrap();
    assert_eq!(record.not_after, authority.not_after());
}

#[test]
fn the_ca_may_sign_certificates_and_nothing_below_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let (_, certificate) =
        x509_parser::certificate::X509Certificate::from_der(authority.certificate_der()).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(1), "for its successor");
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    certificate.verify_signature(None).unwrap();
}

#[test]
fn no_certificate_outlives_the_ca() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let late = authority.not_after().plus_ms(-30 * DAY_MS);
    let issued = authority.issue_lamppost(&number("A1"), Validity::LAMPPOST, late).unwrap();
    assert_eq!(issued.not_after, authority.not_after());
}

#[test]
fn nothing_is_written_over_what_was_issued_before() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let out = directory.path().join("out");
    let files = issue(&authority, "A1").write_to(&out).unwrap();
    let before = fs::read(&files.key).unwrap();
    assert_eq!(files.present(), Some(files.certificate.as_path()));
    let error = issue(&authority, "A1").write_to(&out).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write {}", files.key.display()));
    assert_eq!(fs::read(&files.key).unwrap(), before);
}

#[test]
fn a_validity_is_between_a_minute_and_the_life_of_the_ca() {
    assert_eq!("825".parse(), Ok(Validity::LAMPPOST));
    for (text, shown) in [("30", "30d"), ("24h", "1d"), ("36h", "36h"), ("90m", "90m"), ("3650d", "3650d")] {
        let validity: Validity = text.parse().unwrap();
        assert_eq!(validity.to_string(), shown);
        assert_eq!(shown.parse(), Ok(validity));
    }
    for text in
        ["0", "3651", "59s", "87601h", "-1", "ten", "70000", "d", "1.5h", "1w", "99999999999999999999"]
    {
        assert!(text.parse::<Validity>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_is_in_the_registry_before_anybody_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let registry = Registry::open(&directory.path().join(Registry::FILE_NAME)).await.unwrap();
    let now = clock::wall();
    let refused = enrol(&registry, &authority, &number("A1"), Validity::LAMPPOST, now, &Actor::Server)
        .await
        .unwrap_err();
    assert!(matches!(refused, EnrolmentError::NotRegistered { .. }), "{refused}");
    registry.import(vec![Lamppost::example("A1")], now, &Actor::Server).await.unwrap();
    let issued =
        enrol(&registry, &authority, &number("A1"), Validity::LAMPPOST, now, &Actor::Server).await.unwrap();
    let record = registry.certificate(&issued.serial).await.unwrap().unwrap();
    assert_eq!((record.lamppost, record.issued, record.not_after), (number("A1"), now, issued.not_after));
    assert_eq!(record.revoked, None);
}
