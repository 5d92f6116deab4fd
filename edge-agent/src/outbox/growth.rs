//! How fast the outbox fills, and how far it can.

use std::time::Duration;

use super::AppendRate;
use crate::meter::Meter;

/// Long enough for sensors that are read every few minutes.
const WINDOW: Duration = Duration::from_hours(1);

/// What is appended, and how much there can be.
#[derive(Debug)]
pub(super) struct Growth {
    appended: AppendRate,
    bytes: Meter,
    records: Meter,
    pub(super) per_hour: Option<AppendRate>,
    max_bytes: u64,
    pub(super) capacity: u64,
}

impl Growth {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            appended: AppendRate::default(),
            bytes: Meter::over(WINDOW),
            records: Meter::over(WINDOW),
            per_hour: None,
            max_bytes,
            capacity: max_bytes,
        }
    }

    /// A record was appended.
    pub(super) fn add(&mut self, bytes: u64) {
        self.appended.bytes += bytes;
        self.appended.records += 1;
    }

    /// What time it is; `on_disk` bytes are taken, and so many the disk still has.
    pub(super) fn look(&mut self, now: Duration, on_disk: u64, free: Option<u64>) {
        let AppendRate { bytes, records } = self.appended;
        self.bytes.mark(now, bytes);
        self.records.mark(now, records);
        let rates = self.bytes.per_hour(now, bytes).zip(self.records.per_hour(now, records));
        self.per_hour = rates.map(|(bytes, records)| AppendRate { bytes, records });
        let room = free.map_or(u64::MAX, |free| on_disk.saturating_add(free));
        self.capacity = self.max_bytes.min(room);
    }
}
