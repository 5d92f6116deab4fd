//! What a record says, before it has its place in the chain.

use std::fmt;

use lamplighter_protocol::{Digest, LamppostNumber, OutboxId, UtcMillis};
use serde_json::{Map, Number, Value};

use crate::feeds::{AccessKeyId, DepartmentName};
use crate::registry::{CertificateSerial, GrantId, TokenId};

/// Longest text in the detail of a record, in characters: a reason that somebody typed, the name of a file. With the ten
/// that a record has at most, it stays below what the table takes.
const LONGEST_TEXT: usize = 200;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An operator at the server's command line.
    CommandLine {
        /// The numeric id of the user who ran the command.
        user_id: u32,
    },
    /// Whoever holds the token of the console and the API.
    Console,
    /// A lamppost, by its certificate or by a token.
    Lamppost(LamppostNumber),
    /// The server by itself.
    Server,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lampposts were registered, or something about them was changed.
    LamppostsImported,
    /// A lamppost has another controller.
    ControllerReplaced,
    /// A lamppost was moved.
    LamppostRelocated,
    /// A lamppost was taken down.
    LamppostRetired,
    /// A lamppost that was taken down is one of the city again.
    LamppostRevived,
    /// A lamppost was given a certificate.
    CertificateIssued,
    /// A token was made, by which a lamppost can have a certificate issued.
    TokenCreated,
    /// A token is not good any more.
    TokenEnded,
    /// A certificate is not to be trusted any more.
    CertificateRevoked,
    /// A certificate of the fleet's CA is used for the first time.
    AuthorityMade,
    /// A CA signs from now on in place of another, which is still trusted.
    AuthorityRotated,
    /// A CA is not trusted any more.
    AuthorityRetired,
    /// The key of the CA was encrypted, or encrypted by another passphrase.
    AuthorityKeyEncrypted,
    /// The key of the CA lies on disk as it is from now on.
    AuthorityKeyDecrypted,
    /// A certificate of the gateway is used for the first time.
    ServerCertificateMade,
    /// A department was added, which may listen to what it is granted.
    DepartmentAdded,
    /// A department has ended, and all of its keys, certificates and grants with it.
    DepartmentEnded,
    /// A department was given an API key.
    DepartmentKeyAdded,
    /// An API key is not good any more.
    DepartmentKeyEnded,
    /// A department was given a certificate to log in by.
    DepartmentCertificateIssued,
    /// A department's certificate is not to be trusted any more.
    DepartmentCertificateEnded,
    /// A department may hear something.
    GrantAdded,
    /// A department may not hear something any more.
    GrantWithdrawn,
    /// An operator has decided that an outbox belongs where it is.
    OutboxReleased,
    /// An operator has given up what only an outbox has.
    OutboxClosed,
    /// All that the server is was backed up.
    BackupTaken,
    /// The server was made of a backup: whatever came after that is not in it.
    BackupRestored,
    /// The server has begun to run.
    ServerStarted,
    /// The server ends: as it was told to, or why.
    ServerStopped,
    /// The gateway has refused something, so many times within a minute.
    Refused,
}

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The register of lampposts.
    Lampposts,
    /// One lamppost.
    Lamppost(LamppostNumber),
    /// A certificate that was issued to a lamppost or a department.
    Certificate(CertificateSerial),
    /// A token, by the name that it has among people.
    Token(TokenId),
    /// A department.
    Department(DepartmentName),
    /// An API key of a department, by the name that it has among people.
    DepartmentKey(AccessKeyId),
    /// A grant of a department.
    Grant(GrantId),
    /// An outbox of a lamppost.
    Outbox(OutboxId),
    /// The fleet's CA, by the SHA-256 of its certificate.
    Authority(Digest),
    /// The gateway's own certificate, by its SHA-256.
    ServerCertificate(Digest),
    /// The listener for lampposts, where no lamppost is known.
    Gateway,
    /// The server.
    Server,
}

/// A record that has no place in the chain yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it was done, by the clock of whoever writes it down. Records are in the order in which they were written.
    pub at: UtcMillis,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    detail: Map<String, Value>,
}

impl Entry {
    /// An entry that says nothing more than this.
    pub fn new(at: UtcMillis, actor: Actor, action: Action, subject: Subject) -> Self {
        Self { at, actor, action, subject, detail: Map::new() }
    }

    /// Says more, in words. They may come from outside: what does not print is escaped, what is too long is cut off.
    #[must_use]
    pub fn text(mut self, key: &'static str, text: impl fmt::Display) -> Self {
        self.detail.insert(key.to_owned(), Value::String(printable(&text.to_string())));
        self
    }

    /// Says more, as a number. A key that ends with `_ms` is a time: milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn number(mut self, key: &'static str, number: impl Into<Number>) -> Self {
        self.detail.insert(key.to_owned(), Value::Number(number.into()));
        self
    }

    /// The detail as it is stored and hashed.
    pub(super) fn detail(&self) -> String {
        serde_json::to_string(&self.detail).expect("texts and numbers by their names are JSON")
    }
}

fn printable(text: &str) -> String {
    let plain = |character| matches!(character, '"' | '\'');
    let mut shown = String::new();
    for character in text.chars().take(LONGEST_TEXT) {
        if plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_debug());
        }
    }
    match shown.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => shown[..end].to_owned(),
        None => shown,
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine { user_id } => write!(f, "cli:{user_id}"),
            Self::Console => f.write_str("console"),
            Self::Lamppost(number) => write!(f, "lamppost:{number}"),
            Self::Server => f.write_str("server"),
        }
    }
}

impl Action {
    /// Its name in records, for good.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LamppostsImported => "lampposts_imported",
            Self::ControllerReplaced => "controller_replaced",
            Self::LamppostRelocated => "lamppost_relocated",
            Self::LamppostRetired => "lamppost_retired",
            Self::LamppostRevived => "lamppost_revived",
            Self::CertificateIssued => "certificate_issued",
            Self::TokenCreated => "token_created",
            Self::TokenEnded => "token_ended",
            Self::CertificateRevoked => "certificate_revoked",
            Self::AuthorityMade => "authority_made",
            Self::AuthorityRotated => "authority_rotated",
            Self::AuthorityRetired => "authority_retired",
            Self::AuthorityKeyEncrypted => "authority_key_encrypted",
            Self::AuthorityKeyDecrypted => "authority_key_decrypted",
            Self::ServerCertificateMade => "server_certificate_made",
            Self::DepartmentAdded => "department_added",
            Self::DepartmentEnded => "department_ended",
            Self::DepartmentKeyAdded => "department_key_added",
            Self::DepartmentKeyEnded => "department_key_ended",
            Self::DepartmentCertificateIssued => "department_certificate_issued",
            Self::DepartmentCertificateEnded => "department_certificate_ended",
            Self::GrantAdded => "grant_added",
            Self::GrantWithdrawn => "grant_withdrawn",
            Self::OutboxReleased => "outbox_released",
            Self::OutboxClosed => "outbox_closed",
            Self::BackupTaken => "backup_taken",
            Self::BackupRestored => "backup_restored",
            Self::ServerStarted => "server_started",
            Self::ServerStopped => "server_stopped",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lampposts => f.write_str("lampposts"),
            Self::Lamppost(number) => write!(f, "lamppost:{number}"),
            Self::Certificate(serial) => write!(f, "certificate:{serial}"),
            Self::Token(token) => write!(f, "token:{token}"),
            Self::Department(name) => write!(f, "department:{name}"),
            Self::DepartmentKey(key) => write!(f, "department_key:{key}"),
            Self::Grant(grant) => write!(f, "grant:{grant}"),
            Self::Outbox(outbox) => write!(f, "outbox:{outbox}"),
            Self::Authority(digest) => write!(f, "authority:{digest}"),
            Self::ServerCertificate(digest) => write!(f, "server_certificate:{digest}"),
            Self::Gateway => f.write_str("gateway"),
            Self::Server => f.write_str("server"),
        }
    }
}
