//! What can fail at the registry.

use std::io;
use std::path::PathBuf;

use lamplighter_protocol::LamppostNumber;
use sqlx::migrate::MigrateError;

use super::{CertificateSerial, GrantId};
use crate::feeds::{AccessKeyId, DepartmentName};

/// What failed at the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The directory of the file could not be made.
    #[error("cannot make the registry's directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file that keeps two processes from creating the registry at once could not be locked.
    #[error("cannot lock {path}, which guards the opening of the registry")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database could not be opened.
    #[error("cannot open the registry {path}: is it a SQLite database, and may this user write it?")]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// A later release has changed the schema.
    #[error(
        "the registry {path} was written by a later release (its schema is number {schema}): use that release"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema number that this release does not know.
        schema: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema of the registry {path} up to date")]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: MigrateError,
    },
    /// Reading failed. Retryable.
    #[error("cannot read {what} from the registry")]
    Read {
        /// What was asked for.
        what: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// Writing failed, and nothing was changed. Retryable.
    #[error("cannot write {what} to the registry; it is as it was before")]
    Write {
        /// What was to be written.
        what: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// It could not be copied.
    #[error("cannot copy the registry to {path}")]
    Copy {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// A copy of it is no sound database: neither is the original.
    #[error("the registry is damaged: of its copy {path} SQLite says: {said}")]
    Unsound {
        /// The copy.
        path: PathBuf,
        /// What SQLite says.
        said: String,
    },
    /// A row breaks a rule that everything which is written keeps: somebody else wrote it.
    #[error("the registry {path} is damaged: {what} {key:?} breaks its rule")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// Which kind of thing the row is, and which part of it is wrong.
        what: &'static str,
        /// The row's key.
        key: String,
    },
    /// One import names a lamppost twice.
    #[error("lamppost {number} stands twice in one import; nothing was stored")]
    Twice {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// A certificate names a lamppost that is not there.
    #[error("lamppost {number} is not registered")]
    NotRegistered {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// It is retired, and has to be revived first.
    #[error("lamppost {number} is retired: `fleet-server lamppost revive {number}` brings it back")]
    Retired {
        /// The lamppost.
        number: LamppostNumber,
    },
    /// An import names lampposts that are retired.
    #[error(
        "these lampposts are retired, and nothing was stored: {}; leave them out, or bring each back with \
         `fleet-server lamppost revive NUMBER`",
        named(numbers)
    )]
    ImportsRetired {
        /// All of them, at least one.
        numbers: Vec<LamppostNumber>,
    },
    /// A certificate of this serial number is recorded already.
    #[error("a certificate with the serial number {serial} is recorded already")]
    SerialTaken {
        /// The serial number.
        serial: CertificateSerial,
    },
    /// No certificate of this serial number was issued here.
    #[error(
        "no certificate with the serial number {serial} was issued here: `fleet-server cert list` names those that were"
    )]
    NoCertificate {
        /// The serial number.
        serial: CertificateSerial,
    },
    /// There is no department of this name, or it has ended.
    #[error("there is no department {name}")]
    NoDepartment {
        /// The name.
        name: DepartmentName,
    },
    /// A department has this name, or has had it.
    #[error("there is or was a department {name}: take another name, for the audit knows that one")]
    DepartmentTaken {
        /// The name.
        name: DepartmentName,
    },
    /// There is no key of this number that is good, or not of this department.
    #[error("there is no key {id}, or it is ended")]
    NoKey {
        /// The number.
        id: AccessKeyId,
    },
    /// There is no certificate of this serial number that is good for a department, or not for this one.
    #[error("no department has a certificate with the serial number {serial}, or it is ended")]
    NoDepartmentCertificate {
        /// The serial number.
        serial: CertificateSerial,
    },
    /// There is no grant of this number, or not of this department.
    #[error("there is no grant {id}, or it is withdrawn")]
    NoGrant {
        /// The number.
        id: GrantId,
    },
    /// The department has this very grant.
    #[error("this is granted already: it is grant {id}")]
    GrantedAlready {
        /// The grant.
        id: GrantId,
    },
    /// There is no room for another one.
    #[error("there are {most} {what} already, and no more are taken: end one that is not needed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: u32,
    },
}

/// Lampposts of a list that a message names.
const NAMED: usize = 20;

fn named(numbers: &[LamppostNumber]) -> String {
    let first: Vec<&str> = numbers.iter().take(NAMED).map(LamppostNumber::as_str).collect();
    let more = numbers.len() - first.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} others") };
    first.join(", ") + &more
}
