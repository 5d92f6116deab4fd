//! The server's clock adapter: the one place that reads the machine's time.

use std::time::{Instant, SystemTime};

use lamplighter_protocol::{UtcMillis, whole_ms};

/// Wall time, for stamps.
#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
pub fn wall() -> UtcMillis {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcMillis(whole_ms(since_epoch))
}

/// Monotonic time, for intervals.
#[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
pub fn monotonic() -> Instant {
    Instant::now()
}
