use std::path::{Path, PathBuf};

use lamplighter_protocol::{LamppostNumber, UtcMillis};
use sqlx::ConnectOptions as _;
use tempfile::TempDir;

use super::*;
use crate::audit::Actor;
use crate::gateway::{Admission as _, Admitted, Refusal};

mod departments;
mod life;
mod rotation;

const NOW: UtcMillis = UtcMillis(1_760_000_000_000);
const LATER: UtcMillis = UtcMillis(1_760_000_060_000);
const BY: Actor = Actor::Server;

fn number(text: &str) -> LamppostNumber {
    LamppostNumber::new(text).unwrap()
}

fn lamppost(text: &str) -> Lamppost {
    Lamppost {
        road: "Wang Chiu Road 宏照道".to_owned(),
        pillar: Some("P7".to_owned()),
        height_m: Some(10.5),
        ..Lamppost::example(text)
    }
}

fn record(serial: &str, of: &str) -> CertificateRecord {
    CertificateRecord {
        serial: serial.parse().unwrap(),
        lamppost: number(of),
        issued: NOW,
        not_after: LATER,
        revoked: None,
        authority: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("data").join(Registry::FILE_NAME)
}

async fn registry() -> (TempDir, Registry) {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::open(&file(&directory)).await.unwrap();
    (directory, registry)
}

/// A connection that keeps none of our rules.
async fn strange_hand(path: &Path) -> sqlx::SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false).connect().await.unwrap()
}

#[tokio::test]
async fn what_is_imported_comes_back_as_it_was() {
    let (_directory, registry) = registry().await;
    let other = Lamppost {
        feeder: Some("F1".into()),
        height_m: None,
        remarks: Some("leans, \"a little\"".into()),
        ..lamppost("DF3638")
    };
    registry.import(vec![lamppost("DF3637"), other.clone()], NOW, &BY).await.unwrap();
    assert_eq!(registry.lamppost(&number("DF3637")).await.unwrap(), Some(lamppost("DF3637")));
    assert_eq!(registry.lamppost(&number("DF3638")).await.unwrap(), Some(other));
    assert_eq!(registry.lamppost(&number("DF3639")).await.unwrap(), None);
    assert_eq!(registry.count().await.unwrap(), 2);
}

#[tokio::test]
async fn an_import_counts_what_is_new_different_and_the_same() {
    let (_directory, registry) = registry().await;
    let first =
        registry.import(vec![lamppost("A1"), lamppost("A2"), lamppost("A3")], NOW, &BY).await.unwrap();
    assert_eq!(first, Imported { added: 3, changed: 0, unchanged: 0 });
    let moved = Lamppost { coordinates: Coordinates::new(22.33, 114.21).unwrap(), ..lamppost("A2") };
    let known_less = Lamppost { pillar: None, ..lamppost("A3") };
    let rows = vec![lamppost("A1"), moved.clone(), known_less.clone(), lamppost("A4")];
    let second = registry.import(rows.clone(), LATER, &BY).await.unwrap();
    assert_eq!(second, Imported { added: 1, changed: 2, unchanged: 1 });
    assert_eq!(registry.lampposts(None, 10).await.unwrap(), rows);
    let third = registry.import(rows, LATER, &BY).await.unwrap();
    assert_eq!(third, Imported { added: 0, changed: 0, unchanged: 4 });
}

#[tokio::test]
async fn an_import_keeps_when_a_lamppost_came_and_when_it_last_changed() {
    let (directory, registry) = registry().await;
    registry.import(vec![lamppost("A1"), lamppost("A2")], NOW, &BY).await.unwrap();
    let renamed = Lamppost { road: "Kai Cheung Road".into(), ..lamppost("A2") };
    registry.import(vec![lamppost("A1"), renamed], LATER, &BY).await.unwrap();
    let times: Vec<(i64, i64)> = sqlx::query_as("SELECT created, changed FROM lampposts ORDER BY number")
        .fetch_all(&mut strange_hand(&file(&directory)).await)
        .await
        .unwrap();
    assert_eq!(times, [(NOW.0, NOW.0), (NOW.0, LATER.0)]);
}

#[tokio::test]
async fn an_import_that_names_a_lamppost_twice_stores_nothing() {
    let (_directory, registry) = registry().await;
    let error =
        registry.import(vec![lamppost("A1"), lamppost("A2"), lamppost("A1")], NOW, &BY).await.unwrap_err();
    assert_eq!(error.to_string(), "lamppost A1 stands twice in one import; nothing was stored");
    assert_eq!(registry.count().await.unwrap(), 0);
}

#[tokio::test]
async fn an_import_that_fails_half_way_stores_nothing() {
    let (directory, registry) = registry().await;
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON lampposts WHEN NEW.number = 'L1999'
                BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END";
    sqlx::query(trap).execute(&mut strange_hand(&file(&directory)).await).await.unwrap();
    let city: Vec<_> = (0..2000).map(|n| lamppost(&format!("L{n:04}"))).collect();
    let error = registry.import(city[..1999].to_vec(), NOW, &BY).await.map(|imported| imported.added);
    assert_eq!(error.unwrap(), 1999);
    let changed = city.into_iter().map(|row| Lamppost { road: "Elsewhere".into(), ..row }).collect();
    let error = registry.import(changed, LATER, &BY).await.unwrap_err();
    assert!(matches!(error, RegistryError::Write { what: "the lampposts", .. }), "{error}");
    assert_eq!(registry.lamppost(&number("L0000")).await.unwrap(), Some(lamppost("L0000")));
    assert_eq!(registry.count().await.unwrap(), 1999);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let (_directory, registry) = registry().await;
    let mut city: Vec<_> = (0..25).map(|n| lamppost(&format!("L{n}"))).collect();
    registry.import(city.clone(), NOW, &BY).await.unwrap();
    city.sort_by(|a, b| a.number.cmp(&b.number));
    let mut seen: Vec<Lamppost> = Vec::new();
    loop {
        let page = registry.lampposts(seen.last().map(|last| &last.number), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, city);
}

#[tokio::test]
async fn a_certificate_is_recorded_once_and_only_for_a_registered_lamppost() {
    let (_directory, registry) = registry().await;
    registry.import(vec![lamppost("A1")], NOW, &BY).await.unwrap();
    let known = CertificateRecord { revoked: Some(LATER), ..record("4a00ff", "A1") };
    registry.record_certificate(&known, &BY).await.unwrap();
    assert_eq!(registry.certificate(&known.serial).await.unwrap(), Some(known));
    assert_eq!(registry.certificate(&"4a00fe".parse().unwrap()).await.unwrap(), None);
    let again = registry.record_certificate(&record("4a00ff", "A1"), &BY).await.unwrap_err();
    assert_eq!(again.to_string(), "a certificate with the serial number 4a00ff is recorded already");
    let stranger = registry.record_certificate(&record("01", "B1"), &BY).await.unwrap_err();
    assert_eq!(stranger.to_string(), "lamppost B1 is not registered");
}

#[tokio::test]
async fn a_lamppost_is_admitted_by_its_own_certificate_alone() {
    let (_directory, registry) = registry().await;
    registry.import(vec![lamppost("A1"), lamppost("A2")], NOW, &BY).await.unwrap();
    registry.record_certificate(&record("0a01", "A1"), &BY).await.unwrap();
    registry.record_certificate(&record("4a02", "A1"), &BY).await.unwrap();
    let revoked = CertificateRecord { revoked: Some(NOW), ..record("4a03", "A1") };
    registry.record_certificate(&revoked, &BY).await.unwrap();
    let admission = RegistryAdmission::new(registry.clone());
    let cases = [
        ("A1", "0a01", Ok(Admitted)),
        ("A1", "a01", Ok(Admitted)),
        ("A1", "4a02", Ok(Admitted)),
        ("A1", "4a03", Err(Refusal::Revoked)),
        ("A1", "4a04", Err(Refusal::UnknownCertificate)),
        ("A1", "no serial", Err(Refusal::UnknownCertificate)),
        ("A2", "4a02", Err(Refusal::UnknownCertificate)),
        ("A2", "4a03", Err(Refusal::UnknownCertificate)),
        ("B1", "4a02", Err(Refusal::UnknownLamppost)),
    ];
    for (of, serial, expected) in cases {
        assert_eq!(admission.admit(&number(of), serial).await, expected, "{of} {serial}");
    }
    registry.close().await;
    assert_eq!(admission.admit(&number("A1"), "4a02").await, Err(Refusal::Unavailable));
}

#[tokio::test]
async fn what_one_process_writes_the_other_reads_and_both_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    let (server, subcommand) = tokio::join!(Registry::open(&path), Registry::open(&path));
    let (server, subcommand) = (server.unwrap(), subcommand.unwrap());
    subcommand.import(vec![lamppost("A1")], NOW, &BY).await.unwrap();
    assert_eq!(server.lamppost(&number("A1")).await.unwrap(), Some(lamppost("A1")));

    let city = |prefix: &str| (0..1500).map(|n| lamppost(&format!("{prefix}{n}"))).collect::<Vec<_>>();
    let (here, there, certificate) =
        tokio::join!(server.import(city("H"), NOW, &BY), subcommand.import(city("T"), NOW, &BY), async {
            let record = record("5b", "A1");
            subcommand.record_certificate(&record, &BY).await.map(|()| record)
        });
    assert_eq!((here.unwrap().added, there.unwrap().added), (1500, 1500));
    let certificate = certificate.unwrap();
    assert_eq!(server.certificate(&certificate.serial).await.unwrap(), Some(certificate));
    assert_eq!(server.count().await.unwrap(), 3001);
    assert_eq!(subcommand.count().await.unwrap(), 3001);
}

#[tokio::test]
async fn a_writer_waits_for_another_writer() {
    let (directory, registry) = registry().await;
    let mut other = strange_hand(&file(&directory)).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut import = std::pin::pin!(registry.import(vec![lamppost("A1")], NOW, &BY));
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(300), import.as_mut()).await;
    assert!(waiting.is_err(), "it did not wait: {waiting:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(import.await.unwrap().added, 1);
}

#[tokio::test]
async fn the_registry_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = Registry::open(&file(&directory)).await.unwrap();
    first.import(vec![lamppost("A1")], NOW, &BY).await.unwrap();
    first.close().await;
    assert!(first.count().await.is_err());
    let second = Registry::open(&file(&directory)).await.unwrap();
    assert_eq!(second.lamppost(&number("A1")).await.unwrap(), Some(lamppost("A1")));
}

#[tokio::test]
async fn commits_are_synced_and_foreign_keys_enforced_on_every_connection() {
    let (directory, registry) = registry().await;
    let (writer, readers) = registry.pools();
    let pragma = async |pool: &sqlx::SqlitePool, sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
    };
    assert_eq!(pragma(writer, "PRAGMA synchronous").await, 2, "FULL");
    assert_eq!(pragma(writer, "PRAGMA foreign_keys").await, 1);
    assert_eq!(pragma(writer, "PRAGMA busy_timeout").await, 30_000);
    assert_eq!(pragma(readers, "PRAGMA query_only").await, 1);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut strange_hand(&file(&directory)).await)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(Registry::FILE_NAME);
    put(&path, "number,latitude,longitude\n".repeat(100));
    let error = Registry::open(&path).await.unwrap_err();
    let expected = format!(
        "cannot open the registry {}: is it a SQLite database, and may this user write it?",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_registry_of_a_later_release_is_refused() {
    let (directory, registry) = registry().await;
    registry.close().await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                  VALUES (1000, 'what is to come', 1, x'00', 0)";
    sqlx::query(insert).execute(&mut strange_hand(&file(&directory)).await).await.unwrap();
    let error = Registry::open(&file(&directory)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Newer { schema: 1000, .. }), "{error}");
}

#[tokio::test]
async fn a_row_that_breaks_its_rule_is_an_error_and_no_lamppost() {
    let (directory, registry) = registry().await;
    registry.import(vec![lamppost("A1")], NOW, &BY).await.unwrap();
    let spoil = "UPDATE lampposts SET latitude = 122.3";
    sqlx::query(spoil).execute(&mut strange_hand(&file(&directory)).await).await.unwrap();
    let error = registry.lampposts(None, 10).await.unwrap_err().to_string();
    assert!(error.ends_with("is damaged: the position of lamppost \"A1\" breaks its rule"), "{error}");
}

#[test]
fn a_serial_reads_the_same_from_der_and_from_every_way_of_writing_it() {
    let serial = CertificateSerial::from_der_integer(&[0x00, 0x9a, 0x00, 0xff]).unwrap();
    assert_eq!(serial.as_str(), "9a00ff");
    for text in ["9a00ff", "9A00FF", "9a:00:ff", "00:9a:00:ff"] {
        assert_eq!(text.parse(), Ok(serial.clone()), "{text}");
    }
    assert_eq!("0a0".parse::<CertificateSerial>().unwrap().as_str(), "a0");
    for text in ["", "00", "0x9a", "9g", "é", "-1", &"11".repeat(21)] {
        assert_eq!(text.parse::<CertificateSerial>(), Err(NotASerial), "{text:?}");
    }
}

#[test]
fn coordinates_off_the_globe_are_refused() {
    assert!(Coordinates::new(-90.0, 180.0).is_ok());
    for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
        assert!(Coordinates::new(latitude, longitude).is_err(), "{latitude} {longitude}");
    }
}

#[tokio::test]
async fn what_anybody_writes_is_noticed_and_what_nobody_does_is_not() {
    let (directory, registry) = registry().await;
    let mut changes = registry.changes().await.unwrap();
    let first = changes.version().await.unwrap();
    registry.lampposts(None, 10).await.unwrap();
    assert_eq!(changes.version().await.unwrap(), first, "reading is no change");
    registry.import(vec![lamppost("A1")], NOW, &BY).await.unwrap();
    let second = changes.version().await.unwrap();
    assert_ne!(second, first);
    let other = Registry::open(&file(&directory)).await.unwrap();
    other.import(vec![lamppost("A2")], NOW, &BY).await.unwrap();
    let third = changes.version().await.unwrap();
    assert_ne!(third, second, "as from another process");
    other.import(vec![lamppost("A2")], LATER, &BY).await.unwrap();
    other.close().await;
    assert_eq!(changes.version().await.unwrap(), third, "all was the same");
    registry.close().await;
    assert_eq!(
        changes.version().await.unwrap(),
        third,
        "it keeps nothing from closing, and needs nothing open"
    );
}
