//! Where the marks of segments come from.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A source of random bytes: the system's, or one that is handed in. Clones are one and the same.
///
/// Marks keep what strangers write from passing for records: outside of tests only the system's will do.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> io::Result<()> + Send + Sync;

impl Random {
    /// The system's own.
    pub fn system() -> Self {
        Self::new(|into| getrandom::fill(into).map_err(io::Error::other))
    }

    /// Bytes as this function fills them in.
    pub fn new(fill: impl Fn(&mut [u8]) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Fills all of `into`.
    pub(super) fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        (self.0)(into)
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Random").finish_non_exhaustive()
    }
}
