//! What reading a journal met.

use std::path::PathBuf;

/// What [`super::Journal::replay`] met.
#[derive(Debug, Clone, Default)]
pub struct ReplayReport {
    /// The sequence at which the journal begins: the oldest was not trimmed, or is the next to be written.
    pub first: u64,
    /// Entries handed on.
    pub entries: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files read.
    pub segments: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes of a write that never finished, cut off the last segment on opening; they were never acknowledged.
    pub torn_bytes: u64,
    /// What could not be read although it had been committed.
    pub damaged: Vec<Damage>,
    /// How many entries the numbering shows as missing.
    pub missing: u64,
}

/// What trimming removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trimmed {
    /// Segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The sequence at which the journal begins now.
    pub first: u64,
}

/// A region of the journal that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How many bytes are not understood; 0 where only the numbering shows that something is missing.
    pub bytes: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is wrong with a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// The header of the segment; its records are read all the same if they can be told.
    Header,
    /// No record with a right checksum.
    Records,
    /// A record that does not follow its predecessor: entries are missing before it.
    Gap {
        /// The sequence that should have come.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
    /// A record whose sequence had come before; it is not handed on again.
    Repeated {
        /// The sequence that should have come.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
}
