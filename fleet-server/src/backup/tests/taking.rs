//! What is in a backup, and what a server does meanwhile.

use std::io::Write as _;

use super::*;
use crate::audit::{AuditReader, verify};
use crate::checkpoint::{BackupLock, Backups as _};

#[tokio::test]
async fn a_backup_restores_to_what_was_there_and_nobody_else_reads_either() {
    let city = City::new().await;
    let manifest = city.backed_up().await;
    let contents = Contents { first_sequence: 0, next_sequence: 50, lampposts: 2, certificates: 1 };
    assert_eq!((manifest.format, manifest.contents), (1, contents));
    assert!(manifest.files.len() > 8, "{manifest:?}");
    assert_eq!(
        check(&city.path("backup"), None, &mut |_| {}).unwrap(),
        Checked { manifest, strangers: vec![] }
    );

    let backup = tree(&city.path("backup"));
    assert!(!backup.iter().any(|path| path.extension().is_some_and(|ending| ending == "key")), "{backup:?}");
    let keys = tree(&city.path("keys"));
    let relative =
        |path: &PathBuf| path.strip_prefix(city.path("keys")).unwrap().to_str().unwrap().to_owned();
    let keys_at: Vec<_> = keys.iter().map(relative).collect();
    assert_eq!(keys_at, ["", "ca", "ca/ca.key", "tls", "tls/server.key"]);

    city.restored().await.unwrap();
    for path in backup.iter().chain(&keys).chain(&tree(&city.path("restored"))) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    city.is_restored(50).await;
    let mut reader = AuditReader::open(&city.path("restored").join(Registry::FILE_NAME)).await.unwrap();
    let records = reader.page().await.unwrap();
    verify(records.clone(), None).unwrap();
    let last = records.last().and_then(|stored| stored.record.clone()).unwrap();
    assert_eq!((&*last.action, &*last.subject), ("backup_restored", "server"));
    assert!(last.detail.contains(city.path("backup").to_str().unwrap()), "{}", last.detail);
}

#[tokio::test]
async fn what_comes_while_a_backup_is_made_is_in_it_up_to_some_entry() {
    let mut city = City::new().await;
    let (before, request) = (city.pushed, city.request());
    let City { journal, pushed, .. } = &mut city;
    let mut keep_receiving = |_| receive(journal, pushed, 7);
    let manifest = take(&request, clock::wall(), &mut keep_receiving).await.unwrap();
    let next = manifest.contents.next_sequence;
    assert!(before <= next && next < city.pushed, "{before} {next} {}", city.pushed);
    city.restored().await.unwrap();
    assert_eq!(held(&city.path("restored")), next);
    city.is_restored(before).await;
}

#[tokio::test]
async fn a_write_that_is_under_way_is_left_out_to_its_last_whole_record() {
    let city = City::new().await;
    let segments = names_in(&city.data().join("journal"));
    // Behind them in the order of names is the journal's lock.
    let newest = segments.iter().rfind(|name| name.starts_with('0')).unwrap();
    let newest = city.data().join("journal").join(newest);
    let whole = fs::read(&newest).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&newest).unwrap();
    // Some of the last record again.
    file.write_all(&whole[whole.len() - 20..]).unwrap();
    let manifest = city.backed_up().await;
    assert_eq!(manifest.contents.next_sequence, 50);
    assert_eq!(fs::read(&newest).unwrap().len(), whole.len() + 20, "the server's own is as it was");
    city.restored().await.unwrap();
    city.is_restored(50).await;
}

#[tokio::test]
async fn while_a_backup_is_made_nothing_is_sealed_and_one_waits_for_a_server_that_seals() {
    let city = City::new().await;
    let lock = BackupLock::of(&city.data());
    let mut sealing = lock.hold_off().unwrap();
    assert!(sealing.is_some());
    let (mut waited, mut copied) = (0, 0);
    let mut meanwhile = |step| match step {
        Step::Waiting => {
            waited += 1;
            // The checkpoint is written.
            sealing = None;
        }
        Step::Done { bytes, of } => {
            copied += 1;
            assert!(bytes <= of && lock.hold_off().unwrap().is_none());
        }
    };
    take(&city.request(), clock::wall(), &mut meanwhile).await.unwrap();
    assert_eq!(waited, 1);
    assert!(copied > 8, "{copied}");
    assert!(lock.hold_off().unwrap().is_some(), "it has ended");
}

#[tokio::test]
async fn a_backup_without_keys_has_none_and_is_not_restored_without_any() {
    let city = City::new().await;
    take(&BackupRequest { keys: None, ..city.request() }, clock::wall(), &mut |_| {}).await.unwrap();
    let error = city.restored_with(None).await.unwrap_err();
    assert!(matches!(error, BackupError::NoKeys), "{error}");
    // Those of the server, or a copy of them.
    city.restored_with(Some(&city.data())).await.unwrap();
    city.is_restored(50).await;
}

#[tokio::test]
async fn a_backup_is_written_over_nothing_and_apart_from_everything() {
    let city = City::new().await;
    let said = async |out: &str, keys: Option<&str>| {
        let request =
            BackupRequest { out: city.path(out), keys: keys.map(|keys| city.path(keys)), data: city.data() };
        let error = take(&request, clock::wall(), &mut |_| {}).await.unwrap_err().to_string();
        error.replace(city.directory.path().canonicalize().unwrap().to_str().unwrap(), "HERE")
    };
    fs::create_dir(city.path("full")).unwrap();
    put(&city.path("full/holiday.jpg"), "");
    fs::create_dir(city.path("photos.partial")).unwrap();
    put(&city.path("photos.partial/holiday.jpg"), "");
    let in_the_way =
        "HERE/full is there and not empty: nothing is written over it; remove it, or name another directory";
    assert_eq!(said("full", None).await, in_the_way);
    assert_eq!(said("backup", Some("full")).await, in_the_way);
    assert_eq!(
        said("data/backup", None).await,
        "HERE/data/backup and HERE/data lie one in the other: name directories that are apart"
    );
    assert_eq!(
        said("photos", None).await,
        "HERE/photos.partial is in the way, and is not what an interrupted backup or restore leaves: remove it"
    );
    assert!(said("backup", Some("photos")).await.starts_with("HERE/photos.partial is in the way"));
    for (out, keys) in [("backup", "backup"), ("backup", "backup.partial"), ("backup", "data/keys")] {
        let said = said(out, Some(keys)).await;
        assert!(said.ends_with("lie one in the other: name directories that are apart"), "{keys}: {said}");
    }
    assert!(said("no/such/backup", None).await.starts_with("cannot read "));
    assert_eq!(names_in(&city.path("photos.partial")), ["holiday.jpg"]);
    assert!(!city.path("backup").exists());
    // An empty one is as good as none.
    fs::create_dir(city.path("backup")).unwrap();
    city.backed_up().await;
}

#[tokio::test]
async fn what_is_no_server_is_not_backed_up() {
    let city = City::new().await;
    let request = BackupRequest { data: city.path("elsewhere"), ..city.request() };
    let error = take(&request, clock::wall(), &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.ends_with("no server has run there yet: it has no registry.sqlite"), "{error}");
}

#[tokio::test]
async fn keys_that_are_not_the_authoritys_are_not_taken_for_a_backup_of_it() {
    let city = City::new().await;
    fs::copy(city.data().join("tls/server.key"), city.data().join("ca/ca.key")).unwrap();
    let error = take(&city.request(), clock::wall(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, BackupError::ForeignKey { .. }), "{error}");
    for left in ["backup", "backup.partial", "keys", "keys.partial"] {
        assert!(!city.path(left).exists(), "{left}");
    }
}

#[test]
fn a_backup_that_does_not_fit_is_not_begun_and_leaves_the_server_its_room() {
    let directory = tempfile::tempdir().unwrap();
    let destination = destination::Destination::at(&directory.path().join("backup")).unwrap();
    destination.has_room(0, Some(directory.path())).unwrap();
    let alone = destination.has_room(u64::MAX, None).unwrap_err().to_string();
    assert!(alone.contains(&u64::MAX.to_string()) && alone.ends_with(" are free"), "{alone}");
    let beside = destination.has_room(u64::MAX, Some(directory.path())).unwrap_err().to_string();
    assert!(beside.ends_with(" to go on"), "{beside}");
}
