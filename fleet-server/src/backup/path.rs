//! Which files a backup consists of.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ca::{Authority, ServerCertificate};
use crate::checkpoint::{Checkpoints, checkpoint_sequence};
use crate::journal::{Journal, segment_first};
use crate::registry::Registry;

/// The directories of a backup, and of its keys.
pub(super) const ROOMS: [&str; 4] = [
    Journal::DIRECTORY_NAME,
    Checkpoints::DIRECTORY_NAME,
    Authority::DIRECTORY_NAME,
    ServerCertificate::DIRECTORY_NAME,
];

/// Those of them that have certificates, and keys.
pub(super) const CERTIFICATE_ROOMS: [&str; 2] =
    [Authority::DIRECTORY_NAME, ServerCertificate::DIRECTORY_NAME];

/// A file of a backup, relative to it. A path that is none cannot be made: whatever a manifest says, nothing is read or
/// written elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BackupPath(String);

/// A text names no file that a backup has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no file that a backup has")]
pub struct NotInABackup(String);

impl BackupPath {
    /// The file of this name in one of the directories.
    pub(super) fn in_room(room: &str, name: &str) -> Result<Self, NotInABackup> {
        let is_known = match room {
            Journal::DIRECTORY_NAME => segment_first(name).is_some(),
            Checkpoints::DIRECTORY_NAME => checkpoint_sequence(name).is_some(),
            Authority::DIRECTORY_NAME | ServerCertificate::DIRECTORY_NAME => is_named(name, ".pem"),
            _ => false,
        };
        let path = format!("{room}/{name}");
        if is_known { Ok(Self(path)) } else { Err(NotInABackup(path.chars().take(96).collect())) }
    }

    /// The registry.
    pub(super) fn registry() -> Self {
        Self(Registry::FILE_NAME.to_owned())
    }

    /// The certificate of the CA.
    pub(super) fn authority() -> Self {
        Self(format!("{}/ca.pem", Authority::DIRECTORY_NAME))
    }

    /// Where it is below this directory.
    pub(super) fn below(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }
}

impl TryFrom<String> for BackupPath {
    type Error = NotInABackup;

    fn try_from(text: String) -> Result<Self, NotInABackup> {
        match text.split_once('/') {
            Some((room, name)) => Self::in_room(room, name),
            None if text == Registry::FILE_NAME => Ok(Self(text)),
            None => Err(NotInABackup(text.chars().take(96).collect())),
        }
    }
}

impl fmt::Display for BackupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether this is the name of a key.
pub(super) fn is_key(name: &str) -> bool {
    is_named(name, ".key")
}

fn is_named(name: &str, ending: &str) -> bool {
    let is_plain = |stem: &str| {
        let of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=64).contains(&stem.len()) && stem.bytes().all(of_names)
    };
    name.strip_suffix(ending).is_some_and(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_file_of_a_backup_or_is_refused() {
        for text in [
            "registry.sqlite",
            "journal/00000000000000000042.log",
            "checkpoints/checkpoint-00000000000000000042",
            "ca/ca.pem",
            "tls/server.pem",
        ] {
            assert_eq!(BackupPath::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for text in [
            "",
            "/etc/passwd",
            "../registry.sqlite",
            "journal/../registry.sqlite",
            "journal//00000000000000000042.log",
            "journal/./00000000000000000042.log",
            "journal/42.log",
            "journal/journal.lock",
            "journal",
            "checkpoints/checkpoint.new",
            "ca/ca.key",
            "ca/../../ca.pem",
            "ca/.pem",
            "ca/a/b.pem",
            "ca/ca.pem\0",
            "tls/server.key",
            "manifest.json",
            "registry.sqlite-wal",
            "elsewhere/ca.pem",
        ] {
            assert!(BackupPath::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
