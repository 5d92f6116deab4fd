//! The gateway's own certificate.

use super::*;

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
