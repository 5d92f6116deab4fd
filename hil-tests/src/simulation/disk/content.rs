//! The bytes of a file.

use std::sync::Arc;

/// The bytes of a file. Copies share them until one is changed, and zeros at the end that nobody wrote take no memory: most
/// files are allocated ahead, and disks are copied often.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// The first bytes of it; the rest are zeros.
    written: Arc<Vec<u8>>,
    length: usize,
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len(), written: Arc::new(bytes) }
    }
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.written.to_vec();
        bytes.resize(self.length, 0);
        bytes
    }

    /// Copies from this place on; says how much there was.
    pub(super) fn read(&self, from: usize, into: &mut [u8]) -> usize {
        let from = from.min(self.length);
        let length = into.len().min(self.length - from);
        let written = self.written.get(from..).unwrap_or_default();
        let copied = length.min(written.len());
        into[..copied].copy_from_slice(&written[..copied]);
        into[copied..length].fill(0);
        length
    }

    /// Overwrites bytes, or adds them; what is between the end and them is zeros.
    pub(super) fn write(&mut self, from: usize, bytes: &[u8]) {
        self.length = self.length.max(from + bytes.len());
        let written = Arc::make_mut(&mut self.written);
        if written.len() < from + bytes.len() {
            written.resize(from + bytes.len(), 0);
        }
        written[from..from + bytes.len()].copy_from_slice(bytes);
    }

    /// Cuts it, or adds zeros.
    pub(super) fn resize(&mut self, length: usize) {
        self.length = length;
        if self.written.len() > length {
            Arc::make_mut(&mut self.written).truncate(length);
        }
    }

    /// Overwrites from here to there with what is there in another one, which has so much.
    pub(super) fn take_from(&mut self, other: &Self, from: usize, to: usize) {
        self.length = self.length.max(to);
        let there = to.min(other.written.len());
        if from < there {
            self.write(from, &other.written[from..there]);
        }
        // The rest are zeros there.
        let (zeros, end) = (from.max(there), to.min(self.written.len()));
        if zeros < end {
            Arc::make_mut(&mut self.written)[zeros..end].fill(0);
        }
    }
}
