//! Backups that are not as they were, or never were any.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::*;

/// What is said of the backup, with `HERE` for where it is.
async fn said(city: &City) -> String {
    let error = city.restored().await.unwrap_err();
    assert!(!city.path("restored").exists() && !city.path("restored.partial").exists());
    error.to_string().replace(city.directory.path().to_str().unwrap(), "HERE")
}

/// What is wrong with each file that is named as damaged.
async fn named(city: &City) -> Vec<String> {
    let text = said(city).await;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("the backup HERE/backup is damaged; use another one"));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn every_file_that_is_missing_or_altered_is_named() {
    let city = City::new().await;
    let manifest = city.backed_up().await;
    for entry in &manifest.files {
        let path = city.path("backup").join(entry.path.to_string());
        let whole = fs::read(&path).unwrap();
        let name = entry.path.to_string();

        fs::remove_file(&path).unwrap();
        assert_eq!(named(&city).await, [format!("{name} is missing")]);

        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(named(&city).await, [format!("{name} is no plain file")]);
        fs::remove_file(&path).unwrap();

        fs::create_dir(&path).unwrap();
        assert_eq!(named(&city).await, [format!("{name} is no plain file")]);
        fs::remove_dir(&path).unwrap();

        put(&path, &whole[..whole.len() - 1]);
        let (is, was) = (whole.len() - 1, whole.len());
        assert_eq!(named(&city).await, [format!("{name} has {is} bytes instead of {was}")]);

        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 1;
        put(&path, &altered);
        assert_eq!(named(&city).await, [format!("{name} is altered")]);
        put(&path, &whole);
    }
    let all: Vec<String> = manifest.files.iter().map(|entry| format!("{} is missing", entry.path)).collect();
    for entry in &manifest.files {
        fs::remove_file(city.path("backup").join(entry.path.to_string())).unwrap();
    }
    assert_eq!(named(&city).await, all);
}

#[tokio::test]
async fn a_directory_that_is_a_link_is_not_followed() {
    let city = City::new().await;
    let manifest = city.backed_up().await;
    fs::rename(city.path("backup/journal"), city.path("elsewhere")).unwrap();
    symlink(city.path("elsewhere"), city.path("backup/journal")).unwrap();
    let of_journal = manifest.files.iter().filter(|entry| entry.path.to_string().starts_with("journal/"));
    assert_eq!(
        named(&city).await,
        of_journal.map(|entry| format!("{} is no plain file", entry.path)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_lies_in_a_backup_besides_is_named_and_not_restored() {
    let city = City::new().await;
    city.backed_up().await;
    put(&city.path("backup/journal/99999999999999999999.log"), "x");
    put(&city.path("backup/journal/00000000000000099999.log"), "x");
    put(&city.path("backup/notes.txt"), "x");
    fs::create_dir(city.path("backup/lost+found")).unwrap();
    let strangers = city.restored().await.unwrap().strangers;
    assert_eq!(
        strangers,
        ["journal/00000000000000099999.log", "journal/99999999999999999999.log", "lost+found", "notes.txt"]
            .map(PathBuf::from)
    );
    city.is_restored(50).await;
}

#[tokio::test]
async fn a_manifest_that_is_none_is_refused_with_what_is_wrong() {
    let city = City::new().await;
    city.backed_up().await;
    let path = city.path("backup/manifest.json");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let file = good["files"][0].clone();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let renamed = |to: &str| {
        let mut changed = good.clone();
        changed["files"][0]["path"] = json!(to);
        changed.to_string()
    };
    let not_readable = "HERE/backup/manifest.json is not readable as a manifest";
    let absurd = |what: &str| format!("HERE/backup/manifest.json is no manifest: it {what}");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (String::new(), not_readable.to_owned()),
        ("{}".to_owned(), not_readable.to_owned()),
        (deep.clone(), not_readable.to_owned()),
        (with("files", json!("all")), not_readable.to_owned()),
        (
            with("files", json!([{ "path": "registry.sqlite", "bytes": -1, "sha256": "" }])),
            not_readable.to_owned(),
        ),
        (renamed("../../etc/passwd"), not_readable.to_owned()),
        (renamed("/etc/passwd"), not_readable.to_owned()),
        (renamed("journal/../ca/ca.key"), not_readable.to_owned()),
        (renamed("ca/ca.key"), not_readable.to_owned()),
        (with("files", json!([file])), absurd("lists no registry, or no certificate of the CA")),
        (with("files", json!([file, file])), absurd("lists a file twice")),
        (
            with("format", json!(2)),
            "HERE/backup/manifest.json has format 2, this program reads up to 1: use the later release"
                .to_owned(),
        ),
        (
            r#"{"format":7,"whatever":[]}"#.to_owned(),
            "HERE/backup/manifest.json has format 7, this program reads up to 1: use the later release"
                .to_owned(),
        ),
    ];
    for (text, expected) in cases {
        put(&path, &text);
        assert_eq!(said(&city).await, expected, "{}", &text[..text.len().min(80)]);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(
        said(&city).await,
        "HERE/backup is no backup, or one that was never finished: it has no manifest.json"
    );
    symlink("/dev/zero", &path).unwrap();
    assert_eq!(said(&city).await, absurd("is no plain file"));
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(said(&city).await, absurd("is too large"));
}

#[tokio::test]
async fn keys_that_are_missing_or_another_servers_are_refused() {
    let (city, other) = (City::new().await, City::new().await);
    city.backed_up().await;
    other.backed_up().await;
    let key = city.path("keys/ca/ca.key");
    let expected = "HERE/keys/ca/ca.key is not the key of the CA whose certificate is HERE/backup/ca/ca.pem: no \
                    lamppost would be let in; find the keys that belong to this server";
    fs::copy(other.path("keys/ca/ca.key"), &key).unwrap();
    assert_eq!(said(&city).await, expected);
    put(&key, "no key at all");
    assert_eq!(said(&city).await, expected);
    fs::remove_file(&key).unwrap();
    assert_eq!(said(&city).await, expected);
    symlink("/dev/zero", &key).unwrap();
    assert_eq!(said(&city).await, expected);
    check(&city.path("backup"), None, &mut |_| {}).unwrap();
}

#[tokio::test]
async fn nothing_is_restored_over_anything_or_into_the_backup() {
    let city = City::new().await;
    city.backed_up().await;
    let (backup, keys) = (city.path("backup"), city.path("keys"));
    let into = async |data: &Path| {
        let by = (&Actor::Server, clock::wall());
        restore(&backup, Some(&keys), data, by, &mut |_| {}).await.unwrap_err()
    };
    assert!(matches!(into(&city.data()).await, BackupError::InTheWay(_)));
    for nested in ["backup/data", "keys/data"] {
        assert!(matches!(into(&city.path(nested)).await, BackupError::Nested { .. }), "{nested}");
    }
    assert_eq!(check(&backup, Some(&keys), &mut |_| {}).unwrap().strangers, Vec::<PathBuf>::new());
}
