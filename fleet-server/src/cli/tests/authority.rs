//! `ca`: what an operator sees of a rotation, and of an encrypted key.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

/// Two lampposts with a certificate each.
async fn city() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    for number in ["DF3637", "DF3638"] {
        issue(directory.path(), number, "").await.unwrap();
        fs::remove_dir_all(directory.path().join("out")).unwrap();
    }
    directory
}

async fn run(directory: &TempDir, words: &str) -> Result<String, String> {
    perform(&format!("fleet-server {words} --data {}/data", directory.path().display())).await
}

fn passphrase_file(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    put(&path, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_ca_is_not_retired_before_every_lamppost_has_followed_unless_it_is_forced() {
    let city = city().await;
    let said = run(&city, "ca show").await.unwrap();
    assert!(
        said.starts_with("CA Lamplighter fleet CA ") && said.ends_with("no other CA is trusted\n"),
        "{said}"
    );
    assert!(said.contains("not encrypted: `fleet-server ca encrypt`"), "{said}");
    let nothing = run(&city, "ca retire").await.unwrap_err();
    assert_eq!(nothing, "no CA but the present one is trusted: there is nothing to retire");

    let said = run(&city, "ca rotate").await.unwrap();
    assert!(
        said.contains("2 lampposts know the one before") && said.contains("back up the keys anew"),
        "{said}"
    );
    let twice = run(&city, "ca rotate").await.unwrap_err();
    assert!(twice.contains("end that with `fleet-server ca retire`"), "{twice}");
    let said = run(&city, "ca show").await.unwrap();
    assert!(said.contains("0 lampposts were seen with a certificate of the new CA"), "{said}");
    assert!(said.contains("2 lampposts trust only the old CA") && said.contains("DF3638 "), "{said}");
    let refused = run(&city, "ca retire").await.unwrap_err();
    assert!(refused.starts_with("2 lampposts would be cut off"), "{refused}");
    assert!(!run(&city, "cert list").await.unwrap().contains("revoked"), "nothing was changed");

    let said = run(&city, "ca retire --force").await.unwrap();
    assert!(said.ends_with("is not trusted any more; 2 certificates of it are revoked\n"), "{said}");
    let list = run(&city, "cert list").await.unwrap();
    assert_eq!(list.lines().filter(|line| line.ends_with("revoked")).count(), 2, "{list}");
    assert!(run(&city, "ca show").await.unwrap().ends_with("no other CA is trusted\n"));
    let audit = run(&city, "audit export").await.unwrap();
    for told in ["\"authority_rotated\"", "\"authority_retired\"", "its CA is retired", r#"\"cut_off\":2"#] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
    assert!(run(&city, "audit verify").await.is_ok());
}

#[tokio::test]
async fn whoever_needs_the_key_of_the_ca_needs_its_passphrase_once_it_is_encrypted() {
    let city = city().await;
    let file = passphrase_file(&city, "passphrase", "a passphrase of some length\n");
    let said = run(&city, &format!("ca encrypt --passphrase-file {file}")).await.unwrap();
    assert!(said.contains(&format!("start the server with --ca-passphrase-file {file}")), "{said}");
    assert!(run(&city, "ca show").await.unwrap().contains("  key         encrypted\n"));
    let key = city.path().join("data/ca/ca.key");
    let other = passphrase_file(&city, "other", "another passphrase as long\n");
    for command in ["ca rotate", "ca decrypt"] {
        let locked = run(&city, command).await.unwrap_err();
        let expected = format!(
            "{} is encrypted: name the file of its passphrase with --ca-passphrase-file",
            key.display()
        );
        assert_eq!(locked, expected, "{command}");
        let wrong = run(&city, &format!("{command} --ca-passphrase-file {other}")).await.unwrap_err();
        assert!(wrong.contains("cannot be decrypted: the passphrase is another one"), "{wrong}");
    }
    assert!(issue(city.path(), "DF3637", "").await.unwrap_err().contains("is encrypted"));
    issue(city.path(), "DF3637", &format!(" --ca-passphrase-file {file}")).await.unwrap();

    // The new CA's key is encrypted as the old one's was, and a backup takes it as it is.
    run(&city, &format!("ca rotate --ca-passphrase-file {file}")).await.unwrap();
    assert!(fs::read_to_string(&key).unwrap().contains("BEGIN ENCRYPTED PRIVATE KEY"));
    let at = |name: &str| city.path().join(name).display().to_string();
    run(&city, &format!("backup --out {} --keys {}", at("backup"), at("keys"))).await.unwrap();
    let restored =
        format!("fleet-server restore --from {} --keys {} --data {}", at("backup"), at("keys"), at("again"));
    perform(&restored).await.unwrap();
    let said = perform(&format!("fleet-server ca show --data {}", at("again"))).await.unwrap();
    assert!(said.contains("  key         encrypted\n") && said.contains("still trusted"), "{said}");

    run(&city, &format!("ca decrypt --ca-passphrase-file {file}")).await.unwrap();
    assert!(fs::read_to_string(&key).unwrap().contains("BEGIN PRIVATE KEY"));
    let audit = run(&city, "audit export").await.unwrap();
    assert!(
        audit.contains("authority_key_encrypted") && audit.contains("authority_key_decrypted"),
        "{audit}"
    );
    assert!(!audit.contains("a passphrase of some length"));
}
