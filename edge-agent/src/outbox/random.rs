//! Where ids come from.

use std::fmt;
use std::io;

use super::error::OutboxError;

type Source = dyn Fn(&mut [u8]) -> io::Result<()> + Send + Sync;

/// A source of ids that nobody else draws: the system's, or one that is handed in, so that a simulation repeats.
pub struct Random(Box<Source>);

impl Random {
    /// The system's randomness.
    pub fn system() -> Self {
        Self::new(|bytes| getrandom::fill(bytes).map_err(io::Error::other))
    }

    /// A source that fills what it is given.
    pub fn new(source: impl Fn(&mut [u8]) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Box::new(source))
    }

    /// Sixteen bytes.
    pub(super) fn id(&self) -> Result<[u8; 16], OutboxError> {
        let mut bytes = [0; 16];
        (self.0)(&mut bytes).map_err(OutboxError::Random)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Random")
    }
}
