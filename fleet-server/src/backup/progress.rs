//! How far a backup or a restore has come.

/// What whoever waits for a backup, or for a restore, is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A checkpoint is being written, or another backup runs: this one begins when that has ended.
    Waiting,
    /// So much is done.
    Done {
        /// Bytes that were read.
        bytes: u64,
        /// Of so many, as far as can be told.
        of: u64,
    },
}

/// Counts, and tells.
pub(super) struct Progress<'a> {
    bytes: u64,
    of: u64,
    tell: &'a mut (dyn FnMut(Step) + Send),
}

impl<'a> Progress<'a> {
    /// Of so many bytes none is done.
    pub(super) fn new(of: u64, tell: &'a mut (dyn FnMut(Step) + Send)) -> Self {
        Self { bytes: 0, of, tell }
    }

    /// So many more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        (self.tell)(Step::Done { bytes: self.bytes, of: self.of.max(self.bytes) });
    }
}
