//! The register's document, made once for all who read it.
//!
//! It is the longest document that there is, and the same for everybody until the register changes: as many clients as
//! there are read one copy in memory, however slowly.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;

use super::etag::ETag;
use crate::roll::Revision;

/// The document of the newest register that was asked for.
#[derive(Debug, Default)]
pub(super) struct CityCopies(Mutex<Option<Arc<CityCopy>>>);

/// The document of a register.
#[derive(Debug)]
pub(super) struct CityCopy {
    revision: Revision,
    pub(super) document: Bytes,
    pub(super) etag: ETag,
}

impl CityCopies {
    /// The document of this revision. It may wait while another one has it made.
    pub(super) fn of(&self, revision: Revision, make: impl FnOnce() -> Vec<u8>) -> Arc<CityCopy> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = newest.as_ref().filter(|copy| copy.revision == revision) {
            return Arc::clone(copy);
        }
        let document = Bytes::from(make());
        let copy = CityCopy { revision, etag: etag_of(&document), document };
        Arc::clone(newest.insert(Arc::new(copy)))
    }
}

/// By the bytes, and not by the revision alone: the next version of the server may write the same register in another
/// form, which a client of this one does not have.
pub(super) fn etag_of(document: &[u8]) -> ETag {
    // Not the hasher of a map: that one is seeded anew with every start.
    let mut hasher = DefaultHasher::new();
    hasher.write(document);
    ETag::weak(&format!("{:016x}", hasher.finish()))
}
