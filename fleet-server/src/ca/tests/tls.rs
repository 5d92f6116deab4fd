//! Who gets past the handshake, at either end.

use super::*;

#[test]
fn a_lamppost_and_the_gateway_of_one_ca_know_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let gateway = gateway(&authority, &directory);
    let issued = issue(&authority, "DF3637");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let lamppost = lamppost(&issued.ca_pem, Some(Shown::by(&issued)), version);
        for name in ["localhost", "127.0.0.1", "::1", "fleet.example.org"] {
            let server = shake_hands(&gateway, &lamppost, name).unwrap();
            assert_eq!(server.protocol_version(), Some(version.version));
            let certificate = &server.peer_certificates().unwrap()[0];
            assert_eq!(CertificateSerial::of_certificate(certificate), Ok(issued.serial.clone()));
            let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
            assert_eq!(certificate.subject().to_string(), "CN=DF3637");
        }
    }
}

#[test]
fn a_client_without_a_certificate_gets_through_for_it_may_come_to_enrol() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let gateway = gateway(&authority, &directory);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let nobody = lamppost(authority.certificate_pem(), None, version);
        let server = shake_hands(&gateway, &nobody, "localhost").unwrap();
        assert_eq!(server.peer_certificates(), None);
    }
}

#[test]
fn the_protocol_is_agreed_on_by_its_name_and_others_are_not_spoken() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let gateway = gateway(&authority, &directory);
    let named = |names: &[&str]| {
        let mut client =
            ClientConfig::clone(&lamppost(authority.certificate_pem(), None, &rustls::version::TLS13));
        client.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        shake_hands(&gateway, &Arc::new(client), "localhost")
    };
    assert_eq!(named(&["h2", "http/1.1"]).unwrap().alpn_protocol(), Some(ALPN_HTTP));
    assert_eq!(named(&["mqtt"]).unwrap().alpn_protocol(), Some(ALPN_MQTT));
    assert_eq!(named(&[]).unwrap().alpn_protocol(), None);
    assert_eq!(named(&["h2"]).unwrap_err(), (End::Gateway, rustls::Error::NoApplicationProtocol));
}

#[test]
fn a_client_of_a_foreign_ca_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority_of_ours = authority(&ours);
    let gateway = gateway(&authority_of_ours, &ours);
    let stranger = issue(&authority(&theirs), "DF3637");
    let stranger =
        lamppost(authority_of_ours.certificate_pem(), Some(Shown::by(&stranger)), &rustls::version::TLS13);
    let (end, error) = shake_hands(&gateway, &stranger, "localhost").unwrap_err();
    assert_eq!(end, End::Gateway);
    let unknown = CertificateError::UnknownIssuer;
    assert_eq!(error, rustls::Error::InvalidCertificate(unknown));
}

#[test]
fn the_gateways_own_certificate_is_none_for_a_client() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let gateway = gateway(&authority, &directory);
    let stolen = |file: &str| fs::read_to_string(directory.path().join("tls").join(file)).unwrap();
    let (certificate, key) = (stolen("server.pem"), stolen("server.key"));
    let shown = Shown { certificate: &certificate, key: &key };
    let thief = lamppost(authority.certificate_pem(), Some(shown), &rustls::version::TLS13);
    let (end, error) = shake_hands(&gateway, &thief, "localhost").unwrap_err();
    assert_eq!(end, End::Gateway);
    assert!(format!("{error:?}").contains("Purpose"), "{error:?}");
}

#[test]
fn a_lamppost_that_poses_as_the_gateway_is_refused_by_lampposts() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let (thief, victim) = (issue(&authority, "A1"), issue(&authority, "A2"));
    let posing =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(thief.certificate_pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(thief.key_pem.reveal().as_bytes()).unwrap(),
            )
            .unwrap();
    let victim = lamppost(authority.certificate_pem(), Some(Shown::by(&victim)), &rustls::version::TLS13);
    let (end, error) = shake_hands(&Arc::new(posing), &victim, "localhost").unwrap_err();
    assert_eq!(end, End::Lamppost);
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error:?}");
}

#[test]
fn a_lamppost_refuses_a_gateway_of_another_ca_or_name() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (authority_of_ours, authority_of_theirs) = (authority(&ours), authority(&theirs));
    let issued = issue(&authority_of_ours, "A1");
    let lamppost = lamppost(&issued.ca_pem, Some(Shown::by(&issued)), &rustls::version::TLS13);
    let foreign = shake_hands(&gateway(&authority_of_theirs, &theirs), &lamppost, "localhost").unwrap_err();
    assert_eq!(foreign, (End::Lamppost, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)));
    let other = shake_hands(&gateway(&authority_of_ours, &ours), &lamppost, "other.example.org").unwrap_err();
    assert_eq!(other.0, End::Lamppost);
    assert!(format!("{:?}", other.1).contains("NotValidForName"), "{:?}", other.1);
}

#[test]
fn a_certificate_that_has_ended_gets_through_and_is_still_known_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let old = clock::wall().plus_ms(-40 * DAY_MS);
    let (authority, _) = Authority::open_or_create(&directory.path().join("ca"), old).unwrap();
    let gateway = gateway(&authority, &directory);
    let issued = authority.issue_lamppost(&number("A1"), Validity::days(30).unwrap(), old).unwrap();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let lamppost = lamppost(&issued.ca_pem, Some(Shown::by(&issued)), version);
        let server = shake_hands(&gateway, &lamppost, "localhost").unwrap();
        let (_, shown) =
            x509_parser::parse_x509_certificate(&server.peer_certificates().unwrap()[0]).unwrap();
        assert!(!shown.validity().is_valid());
    }
}

#[test]
fn nothing_but_the_end_of_a_certificate_is_forgiven() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let now = clock::wall();
    let old = now.plus_ms(-40 * DAY_MS);
    let make = |directory: &TempDir| Authority::open_or_create(&directory.path().join("ca"), old).unwrap().0;
    let (authority_of_ours, authority_of_theirs) = (make(&ours), make(&theirs));
    let gateway = gateway(&authority_of_ours, &ours);
    let month = Validity::days(30).unwrap();
    let foreign = authority_of_theirs.issue_lamppost(&number("A1"), month, old).unwrap();
    let future = authority_of_ours.issue_lamppost(&number("A1"), month, now.plus_ms(DAY_MS)).unwrap();
    let own = ServerCertificate::open_or_make(
        &ours.path().join("ended"),
        &authority_of_ours,
        &names(&["a"]),
        now.plus_ms(-400 * DAY_MS),
    );
    let own = own.unwrap().0;
    for (issued, expected) in [(&foreign, "UnknownIssuer"), (&future, "NotValidYet")] {
        let lamppost =
            lamppost(authority_of_ours.certificate_pem(), Some(Shown::by(issued)), &rustls::version::TLS13);
        let (end, error) = shake_hands(&gateway, &lamppost, "localhost").unwrap_err();
        assert_eq!(end, End::Gateway);
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
    let stolen = fs::read_to_string(ours.path().join("ended/server.pem")).unwrap();
    let key = fs::read_to_string(ours.path().join("ended/server.key")).unwrap();
    let shown = Shown { certificate: &stolen, key: &key };
    let thief = lamppost(authority_of_ours.certificate_pem(), Some(shown), &rustls::version::TLS13);
    let (end, error) = shake_hands(&gateway, &thief, "localhost").unwrap_err();
    assert_eq!(end, End::Gateway);
    assert!(format!("{error:?}").contains("Purpose"), "{error:?}");
    drop(own);
}

#[test]
fn a_resumed_session_still_names_its_client_and_has_no_early_data() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let gateway = gateway(&authority, &directory);
    assert_eq!(gateway.max_early_data_size, 0);
    let issued = issue(&authority, "A1");
    let lamppost = lamppost(&issued.ca_pem, Some(Shown::by(&issued)), &rustls::version::TLS12);
    let kinds = [(); 2].map(|()| {
        let server = shake_hands(&gateway, &lamppost, "localhost").unwrap();
        let certificate = &server.peer_certificates().unwrap()[0];
        assert_eq!(CertificateSerial::of_certificate(certificate), Ok(issued.serial.clone()));
        server.handshake_kind()
    });
    assert_eq!(kinds, [Some(rustls::HandshakeKind::Full), Some(rustls::HandshakeKind::Resumed)]);
}
