//! Waiting for conditions.

use std::time::{Duration, Instant};

use anyhow::bail;

/// The moment, for durations.
#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Waits until `ready` gives something, asking every 50 ms.
///
/// # Errors
/// If it does not within this time; names `what` was waited for.
pub fn wait_for<T>(what: &str, within: Duration, mut ready: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let started = monotonic();
    loop {
        if let Some(found) = ready() {
            return Ok(found);
        }
        if started.elapsed() > within {
            bail!("waited {} s in vain for {what}", within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
