//! The manifest: what a backup holds, as JSON that people can read. It is written last: a directory without one is no backup.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use lamplighter_protocol::Digest;
use serde::{Deserialize, Deserializer, Serialize};

use super::error::BackupError;
use super::files;
use super::path::BackupPath;

/// The newest format that this code reads, and the one that it writes.
pub(super) const FORMAT: u32 = 1;

/// What it is called.
pub(super) const FILE_NAME: &str = "manifest.json";

/// A petabyte of journal is 16 million segments; a manifest of 64 MiB lists 400,000, which is 25 terabytes.
const LARGEST_BYTES: u64 = 64 << 20;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// Which program made it.
    pub program: String,
    /// When it was begun, by RFC 3339.
    pub taken: String,
    /// What is in it.
    pub contents: Contents,
    /// Every file but this one.
    pub files: Vec<FileEntry>,
}

/// What is in a backup, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The sequence of the journal's oldest entry.
    pub first_sequence: u64,
    /// The sequence behind its newest.
    pub next_sequence: u64,
    /// Lampposts that are registered.
    pub lampposts: u64,
    /// Certificates that were issued to them.
    pub certificates: u64,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Which.
    pub path: BackupPath,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its content.
    #[serde(deserialize_with = "digest")]
    pub sha256: Digest,
}

impl Manifest {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Writes it into this directory, synced.
    pub(super) fn write(&self, directory: &Path) -> Result<(), BackupError> {
        let path = directory.join(FILE_NAME);
        let write = || {
            let mut file = files::create(&path)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|source| BackupError::Write { path: path.clone(), source })
    }

    /// Reads that of this backup.
    pub(super) fn read(backup: &Path) -> Result<Self, BackupError> {
        let path = backup.join(FILE_NAME);
        let reading = |source| BackupError::Read { path: path.clone(), source };
        let file = match files::open_plain(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(BackupError::Absurd { path, what: "is no plain file" }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BackupError::NoBackup(backup.to_owned()));
            }
            Err(source) => return Err(reading(source)),
        };
        let text = text_of(file).map_err(reading)?;
        let Some(text) = text else { return Err(BackupError::Absurd { path, what: "is too large" }) };
        let manifest = |source| BackupError::Manifest { path: path.clone(), source };
        // Of another format only the number is understood.
        let Format { format } = serde_json::from_slice(&text).map_err(manifest)?;
        if format > FORMAT {
            return Err(BackupError::Later { path, found: format });
        }
        let read: Self = serde_json::from_slice(&text).map_err(manifest)?;
        let mut seen = HashSet::new();
        if !read.files.iter().all(|file| seen.insert(&file.path)) {
            return Err(BackupError::Absurd { path, what: "lists a file twice" });
        }
        if !seen.contains(&BackupPath::registry()) || !seen.contains(&BackupPath::authority()) {
            return Err(BackupError::Absurd { path, what: "lists no registry, or no certificate of the CA" });
        }
        Ok(read)
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// None: it is too large.
fn text_of(file: File) -> std::io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    file.take(LARGEST_BYTES + 1).read_to_end(&mut text)?;
    Ok(Some(text).filter(|text| text.len() as u64 <= LARGEST_BYTES))
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}
