//! `[outbox]`: how much is kept on the lamppost, and how soon it is on disk.

use std::time::Duration;

use super::print::Printer;
use super::reader::{Section, keys};
use super::value::whole;

/// How much the outbox keeps, and how soon it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxConfig {
    /// Bytes that it may take on disk.
    pub max_bytes: u64,
    /// The longest time that a sample waits for its sync (D2); zero: each append is synced.
    pub sync_every: Duration,
}

keys! {
    /// How many MiB of records are kept, 16 to 1048576. What the server holds goes first.
    MAX_MB = "max_mb";
    /// Milliseconds that a sample may wait until it is safe on disk, 0 to 60000; 0: each is written at once.
    /// What a power cut can take is what was sampled in this time. Shorter wears the card more.
    SYNC_EVERY_MS = "sync_every_ms";
}

const MIB: u64 = 1 << 20;
/// Half a year of two sensors at 10 s.
const DEFAULT_MAX_MB: i64 = 1024;
/// What the delivery contract states (D2).
const DEFAULT_SYNC_EVERY_MS: i64 = 2000;

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            max_bytes: DEFAULT_MAX_MB.unsigned_abs() * MIB,
            sync_every: Duration::from_millis(DEFAULT_SYNC_EVERY_MS.unsigned_abs()),
        }
    }
}

impl OutboxConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let max = section.or(&MAX_MB, DEFAULT_MAX_MB, |value| whole(value, 16..=1_048_576));
        let sync = section.or(&SYNC_EVERY_MS, DEFAULT_SYNC_EVERY_MS, |value| whole(value, 0..=60_000));
        section.finish();
        Some(Self {
            max_bytes: max?.into_inner().unsigned_abs() * MIB,
            sync_every: Duration::from_millis(sync?.into_inner().unsigned_abs()),
        })
    }

    pub(super) fn print(&self, to: &mut Printer) {
        to.key(&MAX_MB, self.max_bytes / MIB);
        to.key(&SYNC_EVERY_MS, self.sync_every.as_millis());
    }
}
