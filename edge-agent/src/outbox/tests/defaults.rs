//! The default bound holds what the configuration's help says.

use super::*;
use crate::config::OutboxConfig;
use crate::outbox::segment::PREFIX_BYTES;

/// MiB that a week of 40 series at 10 s takes if each device has so many of them.
fn week_mib(series_per_device: usize) -> u64 {
    let observation = |series| Observation { series, value: Some(101_325), reason: Reason::GOOD };
    let observations = (0..series_per_device).map(observation).collect();
    let tick = Tick { device: 39, time: UtcMillis(1_900_000_000_000), observations };
    let bytes = (PREFIX_BYTES + Record::Tick(tick).encode().len()) as u64;
    let ticks = 7 * 24 * 360 * (40 / series_per_device as u64);
    (bytes * ticks).div_ceil(1 << 20)
}

#[test]
fn d11_by_default_a_week_of_forty_series_every_ten_seconds_fits() {
    assert_eq!((week_mib(1), week_mib(4)), (58, 29));
    assert!(week_mib(1) << 20 <= OutboxConfig::default().max_bytes);
}
