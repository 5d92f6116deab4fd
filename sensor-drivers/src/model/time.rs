//! World time of an in-process rig: a number that somebody sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use embedded_hal::delay::DelayNs;

/// Handle on world time. Clones share it; a driver's delay on it moves it forward and does not wait.
#[derive(Debug, Clone, Default)]
pub struct ModelTime {
    nanoseconds: Arc<AtomicU64>,
}

impl ModelTime {
    /// Time since the world began.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst))
    }

    /// Sets the time since the world began; stops at 584 years.
    pub fn set(&self, now: Duration) {
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.store(nanoseconds, Ordering::SeqCst);
    }
}

impl DelayNs for ModelTime {
    fn delay_ns(&mut self, ns: u32) {
        self.nanoseconds.fetch_add(u64::from(ns), Ordering::SeqCst);
    }
}
