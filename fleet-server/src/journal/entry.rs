//! An entry, and how it stands in a record.

use bytes::Bytes;
use lamplighter_protocol::{LamppostNumber, Leaf, UtcMillis};

/// Largest payload of an entry, in bytes; the gateway takes far smaller packets.
pub const LARGEST_PAYLOAD_BYTES: usize = 1 << 20;

/// What was received, as it waits to be journalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// When the server received it.
    pub received: UtcMillis,
    /// Who sent it, by its certificate.
    pub lamppost: LamppostNumber,
    /// To which of its topics.
    pub leaf: Leaf,
    /// The bytes, as they came; at most [`LARGEST_PAYLOAD_BYTES`].
    pub payload: Bytes,
}

/// What was received, with its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place: from 0, consecutive.
    pub sequence: u64,
    /// When the server received it.
    pub received: UtcMillis,
    /// Who sent it, by its certificate.
    pub lamppost: LamppostNumber,
    /// To which of its topics.
    pub leaf: Leaf,
    /// The bytes, as they came.
    pub payload: Bytes,
}
