//! What reading a journal met.

use std::fmt;
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

impl DamageKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Records => "records",
            Self::Gap { .. } => "gap",
            Self::Repeated { .. } => "repeated",
        }
    }

    /// With a gap or a repetition: the sequence that should have come, and the one that came.
    pub fn sequences(self) -> Option<(u64, u64)> {
        match self {
            Self::Header | Self::Records => None,
            Self::Gap { expected, found } | Self::Repeated { expected, found } => Some((expected, found)),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, bytes, kind } = self;
        write!(f, "{}, offset {offset}: ", path.display())?;
        match kind {
            DamageKind::Header => write!(f, "the header is damaged ({bytes} bytes)"),
            DamageKind::Records => write!(f, "{bytes} bytes are no records"),
            DamageKind::Gap { expected, found } => {
                let (last, count) = (found.saturating_sub(1), found.saturating_sub(*expected));
                write!(f, "entries {expected} to {last} are missing ({count})")
            }
            DamageKind::Repeated { expected, found } => {
                write!(f, "entry {found} came again where {expected} should have come")
            }
        }
    }
}
