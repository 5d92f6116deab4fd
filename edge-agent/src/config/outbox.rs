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
    /// The longest time that it keeps what the server does not hold (D11).
    pub max_age: Duration,
    /// The longest time that a sample waits for its sync (D2); zero: each append is synced.
    pub sync_every: Duration,
}

keys! {
    /// How many MiB of records are kept, 16 to 1048576. A week of 40 series every 10 seconds takes 26 (devices with four
    /// series each) to 58 (each series a device of its own). When they are full, what the server holds goes first, then
    /// the oldest samples, and the server is told what is missing; `edge-agent status` says for how long there is room.
    MAX_MB = "max_mb";
    /// Days for which anything is kept that the server does not hold, 1 to 3650. What is older goes, and the server is
    /// told what is missing. A clock that is not confirmed, or that jumps, makes nothing old.
    MAX_AGE_DAYS = "max_age_days";
    /// Milliseconds that a sample may wait until it is safe on disk, 0 to 60000; 0: each is written at once.
    /// What a power cut can take is what was sampled in this time. Shorter wears the card more.
    SYNC_EVERY_MS = "sync_every_ms";
}

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_hours(24);
/// A week of 40 series every 10 seconds, even if each of them is a device of its own.
const DEFAULT_MAX_MB: i64 = 64;
/// Longer than any outage that is still worth filling up.
const DEFAULT_MAX_AGE_DAYS: i64 = 30;
/// What the delivery contract states (D2).
const DEFAULT_SYNC_EVERY_MS: i64 = 2000;

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            max_bytes: DEFAULT_MAX_MB.unsigned_abs() * MIB,
            max_age: days(DEFAULT_MAX_AGE_DAYS),
            sync_every: Duration::from_millis(DEFAULT_SYNC_EVERY_MS.unsigned_abs()),
        }
    }
}

impl OutboxConfig {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let max = section.or(&MAX_MB, DEFAULT_MAX_MB, |value| whole(value, 16..=1_048_576));
        let age = section.or(&MAX_AGE_DAYS, DEFAULT_MAX_AGE_DAYS, |value| whole(value, 1..=3650));
        let sync = section.or(&SYNC_EVERY_MS, DEFAULT_SYNC_EVERY_MS, |value| whole(value, 0..=60_000));
        section.finish();
        Some(Self {
            max_bytes: max?.into_inner().unsigned_abs() * MIB,
            max_age: days(age?.into_inner()),
            sync_every: Duration::from_millis(sync?.into_inner().unsigned_abs()),
        })
    }

    pub(super) fn print(&self, to: &mut Printer) {
        to.key(&MAX_MB, self.max_bytes / MIB);
        to.key(&MAX_AGE_DAYS, self.max_age.as_secs() / DAY.as_secs());
        to.key(&SYNC_EVERY_MS, self.sync_every.as_millis());
    }
}

fn days(count: i64) -> Duration {
    DAY.saturating_mul(u32::try_from(count).unwrap_or(0))
}
