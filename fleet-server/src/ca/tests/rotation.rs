//! A new CA takes the place of the present one: whom either end believes meanwhile and afterwards, and what a power cut
//! leaves.

use super::super::directory::Directory;
use super::super::rotation::{Next, WRITES, encrypt};
use super::*;

const TLS13: &rustls::SupportedProtocolVersion = &rustls::version::TLS13;

fn rotated(directory: &TempDir) -> Authority {
    rotate(&directory.path().join("ca"), None, clock::wall()).unwrap()
}

fn unknown_issuer() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

#[test]
fn while_a_ca_is_rotated_everybody_believes_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let before = authority(&directory);
    let old = issue(&before, "A1");
    let after = rotated(&directory);
    let new = issue(&after, "A1");
    assert_ne!(before.certificate_pem(), after.certificate_pem());
    let gateway = gateway(&after, &directory);
    for trusted in [&old.ca_pem, &new.ca_pem] {
        for shown in [&old, &new] {
            for version in [TLS13, &rustls::version::TLS12] {
                let lamppost = lamppost(trusted, Some(Shown::by(shown)), version);
                shake_hands(&gateway, &lamppost, "localhost").unwrap();
            }
        }
    }
    let told: Vec<_> = after.published().collect();
    assert_eq!(told.len(), 3);
    let trusted: Vec<_> = after.trusted().cloned().collect();
    assert_eq!(trusted, [after.certificate_der().clone(), before.certificate_der().clone()]);
}

#[test]
fn the_gateways_chain_is_good_for_openssl_that_knows_the_old_ca_alone() {
    let directory = tempfile::tempdir().unwrap();
    let old = authority(&directory);
    let new = rotated(&directory);
    gateway(&new, &directory);
    let at = |file: &str| directory.path().join(file).display().to_string();
    put(at("old-alone.pem"), old.certificate_pem());
    let (cross, server) = (at("ca/cross.pem"), at("tls/server.pem"));
    for (trusted, more) in
        [(at("old-alone.pem"), &["-untrusted", cross.as_str()][..]), (at("ca/ca.pem"), &[])]
    {
        let said = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", &trusted])
            .args(more)
            .arg(&server)
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn after_it_is_retired_nobody_is_believed_by_the_old_ca_and_no_session_of_before_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let before = authority(&directory);
    let old = issue(&before, "A1");
    let after = rotated(&directory);
    let new = issue(&after, "A1");
    let both = gateway(&after, &directory);
    let client = lamppost(&new.ca_pem, Some(Shown::by(&old)), &rustls::version::TLS12);
    for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let server = shake_hands(&both, &client, "localhost").unwrap();
        assert_eq!(server.handshake_kind(), Some(kind), "TLS 1.2, so that it may be resumed");
    }

    let path = directory.path().join("ca");
    retire(&path).unwrap();
    let alone = Authority::open(&path, None, clock::wall()).unwrap();
    assert_eq!(alone.certificate_pem(), after.certificate_pem());
    assert_eq!(alone.published().count(), 1);
    let gateway = gateway(&alone, &directory);
    assert_eq!(shake_hands(&gateway, &client, "localhost").unwrap_err(), (End::Gateway, unknown_issuer()));
    let of_the_old = lamppost(&old.ca_pem, Some(Shown::by(&new)), TLS13);
    assert_eq!(
        shake_hands(&gateway, &of_the_old, "localhost").unwrap_err(),
        (End::Lamppost, unknown_issuer())
    );
    let of_the_new = lamppost(&new.ca_pem, Some(Shown::by(&new)), TLS13);
    shake_hands(&gateway, &of_the_new, "localhost").unwrap();
    assert!(matches!(retire(&path), Err(AuthorityError::NotRotated)));
}

#[test]
fn whenever_the_power_goes_there_is_one_ca_that_signs_and_the_old_one_is_trusted() {
    for writes in 0..=WRITES.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca");
        let before = authority(&directory);
        let issued = issue(&before, "A1");
        let place = Directory::at(&path);
        let next = Next::of(&before, clock::wall()).unwrap();
        for write in &WRITES[..writes] {
            next.perform(*write, &place, None).unwrap();
        }
        let after = Authority::open(&path, None, clock::wall()).unwrap();
        let is_new = after.certificate_pem() != before.certificate_pem();
        assert_eq!(is_new, writes >= 4, "after {writes} writes");
        assert_eq!(after.predecessor().is_some(), is_new);
        let gateway = gateway(&after, &directory);
        let lamppost = lamppost(&issued.ca_pem, Some(Shown::by(&issued)), TLS13);
        shake_hands(&gateway, &lamppost, "localhost").unwrap();
        // What is left can be gone on from.
        if is_new {
            assert!(matches!(rotate(&path, None, clock::wall()), Err(AuthorityError::Rotated { .. })));
            retire(&path).unwrap();
        }
        let third = rotated(&directory);
        assert_eq!(third.predecessor().unwrap().certificate_der(), after.certificate_der());
    }
}

#[test]
fn whoever_comes_first_after_a_power_cut_completes_what_was_decided() {
    // What is done first, without anybody having opened the CA.
    type First = fn(&Path);
    let firsts: [(&str, First); 4] = [
        ("look", |path| assert!(matches!(look(path).unwrap().phase, Phase::Rotated { .. }))),
        ("rotate", |path| {
            assert!(matches!(rotate(path, None, clock::wall()), Err(AuthorityError::Rotated { .. })));
        }),
        ("encrypt", |path| encrypt(path, None, None).unwrap()),
        ("retire", |path| retire(path).unwrap()),
    ];
    // The decision is written, or the key is in place as well.
    for (writes, (name, first)) in [4, 5].into_iter().flat_map(|writes| firsts.map(|first| (writes, first))) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca");
        let before = authority(&directory);
        let next = Next::of(&before, clock::wall()).unwrap();
        for write in &WRITES[..writes] {
            next.perform(*write, &Directory::at(&path), None).unwrap();
        }
        first(&path);
        let after = Authority::open(&path, None, clock::wall()).unwrap();
        assert_ne!(after.certificate_pem(), before.certificate_pem(), "{name} after {writes} writes");
        let old = after.predecessor().map(|old| old.certificate_der().clone());
        let kept = (name != "retire").then(|| before.certificate_der().clone());
        assert_eq!(old, kept, "{name} after {writes} writes");
    }
}

#[test]
fn a_retirement_that_was_cut_short_has_happened_and_the_next_rotation_makes_all_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    authority(&directory);
    rotated(&directory);
    fs::remove_file(path.join("old.pem")).unwrap();
    let alone = Authority::open(&path, None, clock::wall()).unwrap();
    assert!(alone.predecessor().is_none());
    let next = rotated(&directory);
    let lamppost = lamppost(alone.certificate_pem(), None, TLS13);
    shake_hands(&gateway(&next, &directory), &lamppost, "localhost").unwrap();
}

#[test]
fn what_is_known_of_a_rotation_is_known_without_the_key_which_the_old_ca_has_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca");
    let before = authority(&directory);
    let old_key = fs::read_to_string(path.join("ca.key")).unwrap();
    assert_eq!(look(&path).unwrap().phase, Phase::Settled);
    let after = rotated(&directory);
    for entry in fs::read_dir(&path).unwrap() {
        assert_ne!(fs::read_to_string(entry.unwrap().path()).unwrap(), old_key);
    }
    fs::remove_file(path.join("ca.key")).unwrap();
    let Overview { present, phase, is_key_encrypted } = look(&path).unwrap();
    let Phase::Rotated { old } = phase else { panic!("{phase:?}") };
    assert_eq!((&present.der, &old.der), (after.certificate_der(), before.certificate_der()));
    assert_eq!((&present.key, is_key_encrypted), (after.key(), None));
    assert!(present.name.starts_with("Lamplighter fleet CA ") && present.name != old.name);
    assert!(matches!(look(&directory.path().join("none")), Err(AuthorityError::Missing { .. })));
}
