//! The CA's key, encrypted; `openssl` is who else reads and writes it.

use std::process::Command;

use super::*;

const PASSPHRASE: &str = "a passphrase of some length";

fn passphrase_file(directory: &TempDir, text: &str) -> std::path::PathBuf {
    let path = directory.path().join("passphrase");
    put(&path, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn passphrase(directory: &TempDir, text: &str) -> Passphrase {
    Passphrase::read(&passphrase_file(directory, text)).unwrap()
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let said = Command::new("openssl").args(arguments).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    said.stdout
}

#[test]
fn an_encrypted_key_is_of_use_with_its_passphrase_alone_and_is_never_on_disk_without() {
    let directory = tempfile::tempdir().unwrap();
    let (path, now) = (directory.path().join("ca"), clock::wall());
    let right = passphrase(&directory, PASSPHRASE);
    let (made, _) = Authority::open_or_create_by(&path, Some(&right), now).unwrap();
    let text = fs::read_to_string(path.join("ca.key")).unwrap();
    assert!(text.contains("BEGIN ENCRYPTED PRIVATE KEY") && !text.contains("BEGIN PRIVATE KEY"), "{text}");
    assert_eq!(mode(&path.join("ca.key")), 0o600);

    let locked = Authority::open_or_create(&path, now).unwrap_err();
    assert!(matches!(locked, AuthorityError::Locked { .. }), "{locked}");
    let wrong = passphrase(&directory, "another passphrase, as long");
    let refused = Authority::open_or_create_by(&path, Some(&wrong), now).unwrap_err();
    assert!(matches!(refused, AuthorityError::WrongPassphrase { .. }), "{refused}");
    assert_eq!(fs::read_to_string(path.join("ca.key")).unwrap(), text, "nothing was replaced");
    let (opened, origin) = Authority::open_or_create_by(&path, Some(&right), now).unwrap();
    assert_eq!((origin, opened.certificate_pem()), (Origin::Found, made.certificate_pem()));
    assert!(is_key_of_authority(made.certificate_pem(), &text));
    let other = tempfile::tempdir().unwrap();
    assert!(!is_key_of_authority(authority(&other).certificate_pem(), &text), "told without the passphrase");
    assert!(!format!("{right:?} {opened:?}").contains(PASSPHRASE));
}

#[test]
fn a_key_is_encrypted_encrypted_anew_and_decrypted_and_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (path, now) = (directory.path().join("ca"), clock::wall());
    let before = authority(&directory);
    let plain = fs::read_to_string(path.join("ca.key")).unwrap();
    let (one, two) = (passphrase(&directory, PASSPHRASE), passphrase(&directory, "quite another passphrase"));
    put(path.join("next.key"), &plain);
    encrypt(&path, None, Some(&one)).unwrap();
    let secret = plain.lines().nth(1).unwrap();
    for entry in fs::read_dir(&path).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(secret), "{text}");
    }
    assert!(matches!(encrypt(&path, None, Some(&two)), Err(AuthorityError::Locked { .. })));
    encrypt(&path, Some(&one), Some(&two)).unwrap();
    let opened = Authority::open(&path, Some(&two), now).unwrap();
    assert_eq!(opened.certificate_pem(), before.certificate_pem());
    assert!(matches!(encrypt(&path, Some(&one), None), Err(AuthorityError::WrongPassphrase { .. })));
    encrypt(&path, Some(&two), None).unwrap();
    assert_eq!(fs::read_to_string(path.join("ca.key")).unwrap(), plain);
}

#[test]
fn openssl_decrypts_what_is_encrypted_here_and_the_other_way_round() {
    let directory = tempfile::tempdir().unwrap();
    let (path, now) = (directory.path().join("ca"), clock::wall());
    authority(&directory);
    let plain = fs::read_to_string(path.join("ca.key")).unwrap();
    let file = passphrase_file(&directory, &format!("{PASSPHRASE}\n"));
    let right = Passphrase::read_for_encryption(&file).unwrap();
    encrypt(&path, None, Some(&right)).unwrap();
    let (key, pass) = (path.join("ca.key"), format!("file:{}", file.display()));
    let key = key.to_str().unwrap();
    let decrypted = openssl(&["pkcs8", "-in", key, "-passin", &pass]);
    assert_eq!(String::from_utf8(decrypted).unwrap(), plain);

    let (from, to) = (directory.path().join("plain"), directory.path().join("theirs"));
    put(&from, &plain);
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    for how in [&["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"][..], &["-scrypt"]] {
        let arguments = [&["pkcs8", "-topk8", "-in", from, "-out", to, "-passout", &pass], how].concat();
        openssl(&arguments);
        put(path.join("ca.key"), fs::read(to).unwrap());
        Authority::open(&path, Some(&right), now).unwrap();
    }
}

#[test]
fn a_file_that_has_no_passphrase_or_that_everybody_reads_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |text: &str| Passphrase::read(&passphrase_file(&directory, text)).unwrap_err();
    for text in ["", "\nsecond line", &"x".repeat(1025)] {
        assert!(matches!(refused(text), PassphraseError::None { .. }), "{text:?}");
    }
    let short = Passphrase::read_for_encryption(&passphrase_file(&directory, "fifteen letters"));
    assert!(matches!(short, Err(PassphraseError::Short { .. })), "{short:?}");
    let open = passphrase_file(&directory, PASSPHRASE);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(Passphrase::read(&open), Err(PassphraseError::Open { .. })));
    let missing = Passphrase::read(Path::new("/nowhere")).unwrap_err();
    assert!(matches!(missing, PassphraseError::Read { .. }));
    let (line, same) = (passphrase(&directory, "a line\r\nmore"), passphrase(&directory, "a line"));
    assert_eq!(line, same);
}
