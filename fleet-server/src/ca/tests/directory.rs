//! The CA's files: made once, taken as they are, and never replaced.

use super::*;

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
