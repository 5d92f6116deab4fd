//! `lamppost replace`, `relocate`, `retire` and `revive`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use super::*;

/// Two lampposts, of which `DF3637` has a certificate and a token.
async fn city() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    issue(directory.path(), "DF3637", "").await.unwrap();
    run(&directory, "token create DF3637").await.unwrap();
    directory
}

async fn run(directory: &TempDir, words: &str) -> Result<String, String> {
    perform(&format!("fleet-server {words} --data {}/data", directory.path().display())).await
}

#[tokio::test]
async fn whoever_replaces_a_controller_is_told_what_the_installer_types() {
    let city = city().await;
    let said = run(&city, "lamppost replace DF3637 --reason burnt").await.unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "lamppost DF3637 has another controller: 1 certificate revoked, 1 token ended");
    assert!(lines[1].starts_with("token 2 for lamppost DF3637, good until 2"), "{said}");
    let token = lines[2].trim();
    assert!(token.parse::<crate::est::Token>().is_ok(), "{token}");
    assert_eq!(lines[4], format!("  edge-agent enrol --config FILE --token {token}"));
    let ca =
        lines[6].strip_prefix("  edge-agent enrol --config FILE --token-file FILE --ca-sha256 ").unwrap();
    let pem = fs::read_to_string(city.path().join("out/ca.pem")).unwrap();
    let pem = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    assert_eq!(ca, lamplighter_protocol::Digest::of(&pem).to_string());
    let list = run(&city, "cert list").await.unwrap();
    assert!(list.lines().nth(1).unwrap().ends_with("revoked"), "{list}");
    let unknown = run(&city, "lamppost replace DF9999").await.unwrap_err();
    assert_eq!(unknown, "lamppost DF9999 is not registered");
    let nowhere = perform("fleet-server lamppost replace DF3637 --data /nowhere").await.unwrap_err();
    assert_eq!(nowhere, "there is no registry in /nowhere: give the data directory of a server");
}

#[tokio::test]
async fn whoever_moves_a_lamppost_is_told_from_where_to_where() {
    let city = city().await;
    let said = run(&city, "lamppost relocate DF3637 --lat 22.31 --lon -114.2 --feeder KB7").await.unwrap();
    let (when, places) = said.split_once('\n').unwrap();
    assert!(when.starts_with("lamppost DF3637 was moved, 2"), "{said}");
    assert_eq!(
        places,
        "  from Wang Chiu Road, Kwun Tong, 22.32 N 114.21 E\n  to   Wang Chiu Road, Kwun Tong, 22.31 N -114.2 E, feeder KB7\n"
    );
    for (words, expected) in [
        ("--lat 22.31 --lon -114.2", "lamppost DF3637 stands there already"),
        ("--lat 91 --lon 114.2", "latitude 91, longitude 114.2 is no place"),
        ("--lat 22.31", "--lon <DEGREES>"),
        ("--since 2026-01-01T00:00:00Z", "required"),
        ("--road ", "invalid value"),
        ("--road Elsewhere --since 2126-01-01T00:00:00Z", "that time is still to come"),
        ("--road Elsewhere --since 2020-01-01T00:00:00Z", "was moved at that time or after it"),
        ("--road Elsewhere --since yesterday", "it is a time by RFC 3339"),
    ] {
        let words = format!("lamppost relocate DF3637 {words}");
        let error = run(&city, &words).await.unwrap_err();
        assert!(error.contains(expected), "{words}: {error}");
    }
}

#[tokio::test]
async fn a_retired_lamppost_is_left_out_and_given_nothing_until_it_is_revived() {
    let city = city().await;
    let said = run(&city, "lamppost retire DF3637 --reason gone").await.unwrap();
    let expected =
        "lamppost DF3637 is retired: 1 certificate revoked, 1 token ended; what was observed on it stays\n";
    assert_eq!(said, expected);
    let exported = run(&city, "lamppost export").await.unwrap();
    assert!(!exported.contains("DF3637") && exported.contains("DF3638"), "{exported}");
    for words in ["token create DF3637", "lamppost retire DF3637", "lamppost replace DF3637"] {
        let error = run(&city, words).await.unwrap_err();
        let expected = "lamppost DF3637 is retired: `fleet-server lamppost revive DF3637` brings it back";
        assert!(error.ends_with(expected), "{words}: {error}");
    }
    fs::remove_dir_all(city.path().join("out")).unwrap();
    assert!(issue(city.path(), "DF3637", "").await.unwrap_err().contains("is retired"));
    let again = import(city.path(), CITY).await.unwrap_err();
    assert!(
        again.starts_with("these lampposts are retired, and nothing was stored: DF3637; leave them out"),
        "{again}"
    );

    let said = run(&city, "lamppost revive DF3637").await.unwrap();
    assert!(said.starts_with("lamppost DF3637 is one of the city again; it was retired since 2"), "{said}");
    assert!(said.contains("\nenrol it anew: fleet-server token create DF3637 --data "), "{said}");
    assert_eq!(run(&city, "lamppost revive DF3637").await.unwrap_err(), "lamppost DF3637 is not retired");
    import(city.path(), CITY).await.unwrap();
    run(&city, "token create DF3637").await.unwrap();
    assert!(run(&city, "audit verify").await.unwrap().ends_with("the audit is sound\n"));
}
