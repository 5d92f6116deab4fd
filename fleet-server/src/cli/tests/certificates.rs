//! `cert list`, `cert revoke`, and what `audit verify` and `audit export` say of them.

use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use super::*;

/// Two lampposts with a certificate each, and a second one of the first.
async fn city() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), CITY).await.unwrap();
    for (number, more) in [("DF3637", ""), ("DF3638", ""), ("DF3637", " --days 29")] {
        issue(directory.path(), number, more).await.unwrap();
        fs::remove_dir_all(directory.path().join("out")).unwrap();
    }
    directory
}

async fn run(directory: &TempDir, words: &str) -> Result<String, String> {
    perform(&format!("fleet-server {words} --data {}/data", directory.path().display())).await
}

/// Serial number, lamppost and state of what `cert list` prints.
async fn list(directory: &TempDir, of: &str) -> Vec<[String; 3]> {
    let said = run(directory, &format!("cert list{of}")).await.unwrap();
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        [words[0], words[1], words[4]].map(str::to_owned)
    };
    said.lines().skip(1).map(row).collect()
}

async fn states(directory: &TempDir) -> Vec<String> {
    list(directory, "").await.into_iter().map(|[_, _, state]| state).collect()
}

/// The fate of a certificate as the audit tells it: action and reason.
async fn fate(directory: &TempDir, serial: &str) -> Vec<(String, Value)> {
    let said = run(directory, "audit export").await.unwrap();
    let records = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_it = records.filter(|record| record["subject"] == format!("certificate:{serial}"));
    let said = of_it.map(|record| {
        let detail: Value = serde_json::from_str(record["detail"].as_str().unwrap()).unwrap();
        assert!(record["actor"].as_str().unwrap().starts_with("cli:"));
        (record["action"].as_str().unwrap().to_owned(), detail["reason"].clone())
    });
    said.collect()
}

#[tokio::test]
async fn certificates_are_listed_by_lamppost_with_their_state() {
    let city = city().await;
    let all = list(&city, "").await;
    let states: Vec<_> = all.iter().map(|row| (row[1].as_str(), row[2].as_str())).collect();
    assert_eq!(states, [("DF3637", "good"), ("DF3637", "good"), ("DF3638", "good")]);
    assert_eq!(list(&city, " DF3637").await, all[..2]);
    let unknown = run(&city, "cert list DF9999").await.unwrap_err();
    assert_eq!(unknown, "lamppost DF9999 is not registered");
}

#[tokio::test]
async fn a_certificate_is_revoked_once_and_the_audit_says_why() {
    let city = city().await;
    let serial = list(&city, "").await[0][0].clone();
    let said = run(&city, &format!("cert revoke {serial} --reason stolen")).await.unwrap();
    assert!(said.starts_with(&format!("revoked: certificate {serial} of lamppost DF3637, ")), "{said}");
    let again = run(&city, &format!("cert revoke {}", serial.to_uppercase())).await.unwrap();
    assert!(again.contains("was revoked already, on 2"), "{again}");
    assert_eq!(states(&city).await, ["revoked", "good", "good"]);
    let expected =
        [("certificate_issued".to_owned(), Value::Null), ("certificate_revoked".to_owned(), "stolen".into())];
    assert_eq!(fate(&city, &serial).await, expected);
    assert!(run(&city, "audit verify").await.is_ok());
}

#[tokio::test]
async fn all_certificates_of_a_lamppost_are_revoked_together() {
    let city = city().await;
    let serial = list(&city, "").await[0][0].clone();
    run(&city, &format!("cert revoke {serial}")).await.unwrap();
    let said = run(&city, "cert revoke --lamppost DF3637").await.unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.starts_with("revoked: certificate ") && said.contains("revoked already"), "{said}");
    assert_eq!(states(&city).await, ["revoked", "revoked", "good"]);
    assert_eq!(fate(&city, &serial).await.len(), 2, "it was revoked once");
}

#[tokio::test]
async fn what_cannot_be_revoked_is_said() {
    let city = city().await;
    for (words, expected) in [
        (
            "cert revoke 4a00ff",
            "no certificate with the serial number 4a00ff was issued here: `fleet-server cert list` names those that were",
        ),
        ("cert revoke --lamppost DF9999", "lamppost DF9999 is not registered"),
        ("cert revoke", "<SERIAL|--lamppost <NUMBER>>"),
        ("cert revoke 4a --lamppost DF3637", "cannot be used with"),
        ("cert revoke 4x", "a certificate's serial number is 1 to 20 bytes"),
        ("cert revoke 4a --reason a\u{7}", "give a line of 1 to 200 characters"),
    ] {
        let error = run(&city, words).await.unwrap_err();
        assert!(error.contains(expected), "{words}: {error}");
    }
    assert_eq!(states(&city).await, ["good", "good", "good"]);
}

#[tokio::test]
async fn an_altered_record_is_named_and_ends_with_an_error() {
    let city = city().await;
    let said = run(&city, "audit verify").await.unwrap();
    let head = said.lines().nth(1).unwrap().strip_prefix("head ").unwrap();
    // The import, the CA, and three certificates.
    assert!(said.starts_with("5 records, from 2") && head.starts_with("5:"), "{said}");
    assert!(said.ends_with("the audit is sound\n"), "{said}");
    let change = async |sql: &'static str| {
        let path = city.path().join("data").join(Registry::FILE_NAME);
        let mut hand = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut hand).await.unwrap();
    };
    change("DROP TRIGGER audit_is_not_deleted; DELETE FROM audit WHERE sequence = 5").await;
    assert!(run(&city, "audit verify").await.is_ok(), "it cannot know");
    let cut = run(&city, &format!("audit verify --head {head}")).await.unwrap_err();
    assert_eq!(
        cut,
        "the audit is not as it was written: record 5 is missing: the end is cut off, for record 5 was there when the \
         head was noted"
    );
    change("DROP TRIGGER audit_is_not_changed; UPDATE audit SET actor = 'server' WHERE sequence = 3").await;
    let altered = run(&city, "audit verify").await.unwrap_err();
    assert_eq!(
        altered,
        "the audit is not as it was written: record 3 is altered: what it says does not fit its hash"
    );
}

#[tokio::test]
async fn a_time_of_the_audit_is_exported() {
    let city = city().await;
    let lines = async |more: &str| {
        let said = run(&city, &format!("audit export{more}")).await.unwrap();
        said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = lines("").await;
    assert_eq!(all.len(), 5);
    assert_eq!((&all[0]["action"], &all[0]["sequence"]), (&"lampposts_imported".into(), &1.into()));
    assert_eq!(all[1]["previous"], all[0]["hash"]);
    let last = all[4]["at"].as_str().unwrap();
    let since = lines(&format!(" --from {last}")).await;
    let before = lines(&format!(" --to {last}")).await;
    assert!(!since.is_empty() && since.len() + before.len() == 5);
    assert_eq!(lines(" --to 2020-01-01T00:00:00Z").await.len(), 0);
    let error = run(&city, "audit export --from yesterday").await.unwrap_err();
    assert!(error.contains("give a time by RFC 3339"), "{error}");
    for words in ["audit verify", "audit export", "cert list", "cert revoke 4a"] {
        let nowhere = perform(&format!("fleet-server {words} --data /nowhere")).await.unwrap_err();
        assert_eq!(nowhere, "there is no registry in /nowhere: give the data directory of a server");
    }
}
