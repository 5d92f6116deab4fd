//! Backups of a data directory that is a server's, but for the process.

mod hostile;
mod interrupted;
mod taking;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lamplighter_protocol::{LamppostNumber, Leaf, Log, UtcMillis};
use tempfile::TempDir;

use super::*;
use crate::audit::Actor;
use crate::ca::{Authority, Origin, ServerCertificate, Validity, enrol};
use crate::clock;
use crate::journal::{Draft, Journal, JournalOptions, SteppedJournal};
use crate::registry::{CertificateSerial, Lamppost, Registry};

/// A server's data directory, and who writes to it.
struct City {
    directory: TempDir,
    journal: SteppedJournal,
    registry: Registry,
    serial: CertificateSerial,
    pushed: u64,
}

impl City {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let now = clock::wall();
        let registry = Registry::open(&data.join(Registry::FILE_NAME)).await.unwrap();
        registry
            .import(vec![Lamppost::example("DF3637"), Lamppost::example("DF3638")], now, &Actor::Server)
            .await
            .unwrap();
        let (authority, _) = Authority::open_or_create(&data.join("ca"), now).unwrap();
        ServerCertificate::open_or_make(&data.join("tls"), &authority, &[], now).unwrap();
        let issued = enrol(&registry, &authority, &number("DF3637"), Validity::LAMPPOST, now, &Actor::Server)
            .await
            .unwrap();
        fs::create_dir(data.join("checkpoints")).unwrap();
        for (sequence, content) in [(3, "the older one"), (7, "the newer one")] {
            put(&data.join(format!("checkpoints/checkpoint-{sequence:020}")), content);
        }
        put(&data.join("checkpoints/checkpoint.new"), "not whole");
        // Segments of some ten entries.
        let options =
            JournalOptions { segment_bytes: 1_000, ..JournalOptions::in_directory(data.join("journal")) };
        let journal = Journal::open(options).unwrap().stepped();
        let mut city = Self { directory, journal, registry, serial: issued.serial, pushed: 0 };
        for _ in 0..5 {
            city.receives(10);
        }
        city
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn receives(&mut self, entries: u64) {
        receive(&mut self.journal, &mut self.pushed, entries);
    }

    /// With keys.
    fn request(&self) -> BackupRequest {
        BackupRequest { data: self.data(), out: self.path("backup"), keys: Some(self.path("keys")) }
    }

    async fn backed_up(&self) -> Manifest {
        take(&self.request(), clock::wall(), &mut |_| {}).await.unwrap()
    }

    async fn restored(&self) -> Result<Checked, BackupError> {
        self.restored_with(Some(&self.path("keys"))).await
    }

    async fn restored_with(&self, keys: Option<&Path>) -> Result<Checked, BackupError> {
        let by = (&Actor::Server, clock::wall());
        restore(&self.path("backup"), keys, &self.path("restored"), by, &mut |_| {}).await
    }

    /// That the restored server is the one that was backed up, with this beginning of its journal at least.
    async fn is_restored(&self, entries: u64) {
        let data = self.path("restored");
        let now = clock::wall();
        let (authority, origin) = Authority::open_or_create(&data.join("ca"), now).unwrap();
        assert_eq!(origin, Origin::Found);
        let (_, made) = ServerCertificate::open_or_make(&data.join("tls"), &authority, &[], now).unwrap();
        assert_eq!(made, None);
        let registry = Registry::open(&data.join(Registry::FILE_NAME)).await.unwrap();
        assert_eq!(
            registry.lampposts(None, 10).await.unwrap(),
            self.registry.lampposts(None, 10).await.unwrap()
        );
        let certificate = registry.certificate(&self.serial).await.unwrap();
        assert_eq!(certificate.unwrap().lamppost, number("DF3637"));
        registry.close().await;
        assert!(held(&data) >= entries);
        let names = ["checkpoint-00000000000000000003", "checkpoint-00000000000000000007"];
        assert_eq!(names_in(&data.join("checkpoints")), names);
        let newer = fs::read(data.join("checkpoints").join(names[1])).unwrap();
        assert_eq!(newer, b"the newer one");
        assert!(!self.path("restored.partial").exists());
    }
}

fn number(text: &str) -> LamppostNumber {
    text.parse().unwrap()
}

fn payload(id: u64) -> Bytes {
    format!("entry number {id}").into_bytes().into()
}

fn receive(journal: &mut SteppedJournal, pushed: &mut u64, entries: u64) {
    for _ in 0..entries {
        journal.push(Draft {
            received: UtcMillis(1_800_000_000_000),
            lamppost: number("DF3637"),
            leaf: Leaf::Frames(Log::Samples),
            payload: payload(*pushed),
        });
        *pushed += 1;
    }
    journal.commit().unwrap();
}

/// How many entries a journal holds; they are those that were received, from the first on.
fn held(data: &Path) -> u64 {
    let mut journal = Journal::open(JournalOptions::in_directory(data.join("journal"))).unwrap();
    let mut next = 0;
    let report = journal
        .replay(|entry| {
            assert_eq!((entry.sequence, &entry.payload), (next, &payload(next)));
            next += 1;
        })
        .unwrap();
    assert_eq!((report.damaged, report.missing, report.torn_bytes), (Vec::new(), 0, 0));
    next
}

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
}

fn names_in(directory: &Path) -> Vec<String> {
    files::names(directory).unwrap()
}

/// Every file and directory below this one.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for name in names_in(directory) {
        let path = directory.join(name);
        if path.is_dir() { found.extend(tree(&path)) } else { found.push(path) }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
