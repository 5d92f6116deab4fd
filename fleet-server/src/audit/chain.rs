//! The chain: how a record is written as bytes, and what its hash is. `docs/audit.md` says it for those who check it with
//! programs of their own.
//!
//! The hash of a record is SHA-256 over these bytes, one after the other:
//!
//! | bytes | what |
//! | --- | --- |
//! | 25 | `lamplighter audit record`, then the version of this encoding as one byte: 1 |
//! | 32 | the hash of the record before; of the first one 32 zeros |
//! | 8 | the sequence: 1 for the first record, one more for each (big endian, as all numbers here) |
//! | 8 | the time in milliseconds since 1970-01-01T00:00:00Z, signed |
//! | 4 + n, four times | actor, action, subject and detail: length in bytes, then the text in UTF-8 |

use std::fmt;
use std::str::FromStr;

use lamplighter_protocol::{Digest, UtcMillis};

use super::Entry;

/// What is hashed begins with this: no other hash of ours can be passed off as a record's.
const VERSION_1: &[u8; 25] = b"lamplighter audit record\x01";

/// How far a chain goes. Whoever has noted it can later tell whether all up to here is still as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The sequence of the last record; 0 before the first.
    pub sequence: i64,
    /// Its hash.
    pub hash: Digest,
}

/// A text is no [`Head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a head is SEQUENCE:HASH as `audit verify` prints it: a whole number from 0 on, and 64 hexadecimal digits"
)]
pub struct NotAHead;

/// A record in its place in the chain, word by word as it is stored: also what nobody who kept the rules has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1 for the first record, one more for each.
    pub sequence: i64,
    /// When.
    pub at: UtcMillis,
    /// Who, as [`Actor`](super::Actor) prints.
    pub actor: String,
    /// Name of the [`Action`](super::Action).
    pub action: String,
    /// To what, as [`Subject`](super::Subject) prints.
    pub subject: String,
    /// A JSON object.
    pub detail: String,
    /// The hash of the record before.
    pub previous: Digest,
    /// The hash of this record.
    pub hash: Digest,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub sequence: i64,
    /// What it says; none if a text is no UTF-8, or a hash has not 32 bytes: nobody who kept the rules has written that.
    pub record: Option<Record>,
}

impl Head {
    /// Where every chain begins: no record, and 32 zeros as its hash.
    pub const GENESIS: Self = Self { sequence: 0, hash: Digest([0; 32]) };

    /// The record that an entry becomes behind this head.
    pub fn next(self, entry: &Entry) -> Record {
        let mut record = Record {
            // One that somebody has put at the end of all numbers is followed by none: the table refuses a second.
            sequence: self.sequence.saturating_add(1),
            at: entry.at,
            actor: entry.actor.to_string(),
            action: entry.action.as_str().to_owned(),
            subject: entry.subject.to_string(),
            detail: entry.detail(),
            previous: self.hash,
            hash: Self::GENESIS.hash,
        };
        record.hash = record.hash_behind(self.hash);
        record
    }
}

impl Record {
    /// The head of the chain that ends with this record.
    pub fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash }
    }

    /// What its hash has to be if the record before it has this one.
    pub(super) fn hash_behind(&self, previous: Digest) -> Digest {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(VERSION_1);
        bytes.extend_from_slice(&previous.0);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        for text in [&self.actor, &self.action, &self.subject, &self.detail] {
            // What SQLite holds is far shorter than 4 GiB; the table allows a few KiB.
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Digest::of(&bytes)
    }
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        Self { sequence: record.sequence, record: Some(record) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (sequence, hash) = text.trim().split_once(':').ok_or(NotAHead)?;
        let sequence = sequence.parse().ok().filter(|sequence| *sequence >= 0).ok_or(NotAHead)?;
        Ok(Self { sequence, hash: hash.parse().map_err(|_| NotAHead)? })
    }
}
