use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, ServerConnection};
use tempfile::TempDir;
use x509_parser::prelude::FromDer as _;

use super::authority::AuthorityError;
use super::*;
use crate::audit::Actor;
use crate::clock;
use crate::registry::{CertificateSerial, Coordinates, Lamppost, Registry};

const DAY_MS: i64 = 86_400_000;

fn number(text: &str) -> LamppostNumber {
    LamppostNumber::new(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<ServerName<'static>> {
    texts.iter().map(|text| ServerName::try_from((*text).to_owned()).unwrap()).collect()
}

fn authority(directory: &TempDir) -> Authority {
    Authority::open_or_create(&directory.path().join("ca"), clock::wall()).unwrap().0
}

fn issue(authority: &Authority, lamppost: &str) -> IssuedCertificate {
    authority.issue_lamppost(&number(lamppost), Validity::LAMPPOST, clock::wall()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The gateway's end.
fn gateway(authority: &Authority, directory: &TempDir) -> Arc<rustls::ServerConfig> {
    let tls = directory.path().join("tls");
    let (server, _) =
        ServerCertificate::open_or_make(&tls, authority, &names(&["fleet.example.org"]), clock::wall())
            .unwrap();
    server_tls(authority, &server).unwrap()
}

struct Shown<'a> {
    certificate: &'a str,
    key: &'a str,
}

impl<'a> Shown<'a> {
    fn by(issued: &'a IssuedCertificate) -> Self {
        Self { certificate: &issued.certificate_pem, key: issued.key_pem.reveal() }
    }
}

/// A lamppost's end, which trusts the CA of `ca_pem`.
fn lamppost(
    ca_pem: &str,
    shown: Option<Shown<'_>>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match shown {
        None => config.with_no_client_auth(),
        Some(shown) => {
            let certificate = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    })
}

/// Shakes hands in memory. What the gateway knows of its client then, or the first error of either end.
fn shake_hands(
    gateway: &Arc<rustls::ServerConfig>,
    lamppost: &Arc<ClientConfig>,
    name: &str,
) -> Result<ServerConnection, (End, rustls::Error)> {
    let mut client =
        ClientConnection::new(Arc::clone(lamppost), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(gateway)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| server.read_tls(bytes));
        server.process_new_packets().map_err(|error| (End::Gateway, error))?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(&wire, |bytes| client.read_tls(bytes));
        client.process_new_packets().map_err(|error| (End::Lamppost, error))?;
    }
    Ok(server)
}

#[derive(Debug, PartialEq)]
enum End {
    Gateway,
    Lamppost,
}

fn feed(mut wire: &[u8], mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>) {
    while !wire.is_empty() {
        assert_ne!(read(&mut wire).unwrap(), 0);
    }
}

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
fn the_ca_may_sign_certificates_and_nothing_below_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    let (_, certificate) =
        x509_parser::certificate::X509Certificate::from_der(authority.certificate_der()).unwrap();
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
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
fn the_ca_is_the_same_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    let (first, origin) = Authority::open_or_create(&path, clock::wall()).unwrap();
    assert_eq!(origin, Origin::Created);
    let (second, origin) = Authority::open_or_create(&path, clock::wall()).unwrap();
    assert_eq!(origin, Origin::Found);
    assert_eq!(first.certificate_pem(), second.certificate_pem());
    let issued = issue(&second, "A1");
    let gateway = gateway(&first, &directory);
    let lamppost = lamppost(first.certificate_pem(), Some(Shown::by(&issued)), &rustls::version::TLS13);
    shake_hands(&gateway, &lamppost, "localhost").unwrap();
}

#[test]
fn many_that_create_the_ca_at_once_get_the_same_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    let opened: Vec<(String, Origin)> = std::thread::scope(|scope| {
        let open = || {
            let (authority, origin) = Authority::open_or_create(&path, clock::wall()).unwrap();
            (authority.certificate_pem().to_owned(), origin)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|(pem, _)| *pem == opened[0].0));
    assert_eq!(opened.iter().filter(|(_, origin)| *origin == Origin::Created).count(), 1);
}

#[test]
fn a_creation_that_was_cut_short_is_completed_with_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    let before = authority(&directory);
    let issued = issue(&before, "A1");
    let key = fs::read(path.join("ca.key")).unwrap();
    fs::remove_file(path.join("ca.pem")).unwrap();
    put(path.join("ca.pem.new"), "-----BEGIN CERTIFICATE-----\nMIIB");
    let (after, origin) = Authority::open_or_create(&path, clock::wall()).unwrap();
    assert_eq!(origin, Origin::Completed);
    assert_eq!(fs::read(path.join("ca.key")).unwrap(), key);
    let gateway = gateway(&after, &directory);
    for ca_pem in [before.certificate_pem(), after.certificate_pem()] {
        let lamppost = lamppost(ca_pem, Some(Shown::by(&issued)), &rustls::version::TLS13);
        shake_hands(&gateway, &lamppost, "localhost").unwrap();
    }
}

#[test]
fn a_ca_that_cannot_be_used_is_refused_by_name_and_never_replaced() {
    let other = tempfile::tempdir().unwrap();
    authority(&other);
    let other_key = fs::read_to_string(other.path().join("ca/ca.key")).unwrap();
    let cases: [(&str, Option<&str>, &str); 6] = [
        (
            "ca.key",
            Some("-----BEGIN PRIVATE KEY-----\nMIGH\n"),
            "CA/ca.key holds no ECDSA P-256 key in PEM: restore it from a backup",
        ),
        ("ca.key", Some(""), "CA/ca.key holds no ECDSA P-256 key in PEM: restore it from a backup"),
        (
            "ca.key",
            None,
            "the fleet CA's key CA/ca.key is missing beside its certificate: restore it from a backup (a new CA would lock out every lamppost)",
        ),
        (
            "ca.key",
            Some(&other_key),
            "CA/ca.pem is not the certificate of the key CA/ca.key: restore both from one backup",
        ),
        (
            "ca.pem",
            Some("not PEM"),
            "CA/ca.pem holds no certificate of a CA in PEM: restore it from a backup, or remove it to have it made anew",
        ),
        (
            "ca.pem",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "CA/ca.pem holds no certificate of a CA in PEM: restore it from a backup, or remove it to have it made anew",
        ),
    ];
    for (file, content, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        authority(&directory);
        let path = directory.path().join("ca");
        match content {
            Some(content) => put(path.join(file), content),
            None => fs::remove_file(path.join(file)).unwrap(),
        }
        let files = || ["ca.key", "ca.pem"].map(|file| fs::read(path.join(file)).ok());
        let before = files();
        let error = Authority::open_or_create(&path, clock::wall()).unwrap_err().to_string();
        assert_eq!(error.replace(&path.display().to_string(), "CA"), expected);
        assert_eq!(files(), before, "{expected}");
    }
}

#[test]
fn a_certificate_of_no_ca_is_not_taken_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let issued = issue(&authority(&directory), "A1");
    let path = directory.path().join("ca");
    put(path.join("ca.pem"), &issued.certificate_pem);
    put(path.join("ca.key"), issued.key_pem.reveal());
    let error = Authority::open_or_create(&path, clock::wall()).unwrap_err();
    assert!(matches!(error, AuthorityError::Certificate { .. }), "{error}");
}

#[test]
fn a_ca_is_refused_when_the_clock_is_outside_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    let made = UtcMillis(1_760_000_000_000);
    Authority::open_or_create(&path, made).unwrap();
    let expected = "the fleet CA CA/ca.pem is good from 2025-10-09T07:53:20Z until 2035-10-09T08:53:20Z, \
                    and not now: is the clock right?";
    for now in [UtcMillis(0), made.plus_ms(3653 * DAY_MS)] {
        let error = Authority::open_or_create(&path, now).unwrap_err().to_string();
        assert_eq!(error.replace(&path.display().to_string(), "CA"), expected);
    }
}

#[test]
fn keys_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(&directory);
    gateway(&authority, &directory);
    let issued = issue(&authority, "A1");
    let files = issued.write_to(&directory.path().join("out")).unwrap();
    let at = |path: &str| directory.path().join(path);
    for path in [at("ca"), at("tls"), at("out")] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    for path in [at("ca/ca.key"), at("tls/server.key"), files.key.clone()] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let secret = issued.key_pem.reveal().lines().nth(1).unwrap();
    assert!(!format!("{issued:?} {authority:?}").contains(secret));
    assert!(fs::read_to_string(files.key).unwrap().contains(secret));
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
fn the_gateways_certificate_is_kept_until_it_does_not_fit_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let tls = directory.path().join("tls");
    let authority = authority(&directory);
    let now = clock::wall();
    let open = |authority: &Authority, of: &[&str], now| {
        ServerCertificate::open_or_make(&tls, authority, &names(of), now).unwrap().1
    };
    assert_eq!(open(&authority, &["a.example.org", "10.0.0.1"], now), Some(WhyMade::Missing));
    assert_eq!(open(&authority, &["10.0.0.1", "a.example.org", "localhost"], now), None);
    assert_eq!(open(&authority, &["b.example.org"], now), Some(WhyMade::OtherNames));
    assert_eq!(open(&authority, &["b.example.org"], now.plus_ms(243 * DAY_MS)), None);
    assert_eq!(open(&authority, &["b.example.org"], now.plus_ms(244 * DAY_MS)), Some(WhyMade::Ending));
    assert_eq!(open(&authority, &["b.example.org"], now), Some(WhyMade::Ending), "from the future");

    let other = tempfile::tempdir().unwrap();
    let other = Authority::open_or_create(other.path(), now).unwrap().0;
    assert_eq!(open(&other, &["b.example.org"], now), Some(WhyMade::OtherAuthority));

    let key = fs::read(tls.join("server.key")).unwrap();
    assert_eq!(open(&other, &["c.example.org"], now), Some(WhyMade::OtherNames));
    put(tls.join("server.key"), key);
    assert_eq!(open(&other, &["c.example.org"], now), Some(WhyMade::Unusable), "the key of the one before");
    put(tls.join("server.pem"), "torn");
    assert_eq!(open(&other, &["c.example.org"], now), Some(WhyMade::Unusable));
    assert_eq!(open(&other, &["c.example.org"], now), None);
}

#[test]
fn a_validity_is_between_a_day_and_the_life_of_the_ca() {
    assert_eq!("825".parse(), Ok(Validity::LAMPPOST));
    for text in ["0", "3651"] {
        let expected =
            format!("a certificate is good for 1 to 3650 days (as long as the CA itself), not for {text}");
        assert_eq!(text.parse::<Validity>(), Err(expected));
    }
    for text in ["-1", "ten", "70000"] {
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
    let a1 = Lamppost {
        number: number("A1"),
        coordinates: Coordinates::new(22.3, 114.2).unwrap(),
        road: "r".into(),
        district: "d".into(),
        feeder: None,
        pillar: None,
        height_m: None,
        remarks: None,
    };
    registry.import(vec![a1], now, &Actor::Server).await.unwrap();
    let issued =
        enrol(&registry, &authority, &number("A1"), Validity::LAMPPOST, now, &Actor::Server).await.unwrap();
    let record = registry.certificate(&issued.serial).await.unwrap().unwrap();
    assert_eq!((record.lamppost, record.issued, record.not_after), (number("A1"), now, issued.not_after));
    assert_eq!(record.revoked, None);
}
