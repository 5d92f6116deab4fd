//! When a device is read: the pair of keys that devices and the agent's own health share.

use std::ops::RangeInclusive;

use lamplighter_protocol::Grid;

use super::print::Printer;
use super::reader::{Key, Section};
use super::value::{seconds, shown_seconds};

/// The longest period: a day. Grids count from midnight UTC of 1970-01-01, so a longer one would be read on days that
/// nobody expects.
pub(super) const LONGEST_MS: u32 = 86_400_000;

/// Reads period and phase. `least_ms` is the shortest period that makes sense for what is read.
pub(super) fn read(
    section: &mut Section<'_>,
    (period_key, phase_key): (&Key, &Key),
    least_ms: u32,
    default_ms: Option<u32>,
) -> Option<Grid> {
    let range: RangeInclusive<u32> = least_ms..=LONGEST_MS;
    let period = match default_ms {
        Some(default) => section.or(period_key, default, |value| seconds(value, range)),
        None => section.required(period_key, |value| seconds(value, range)),
    };
    let phase = section.or(phase_key, 0, |value| seconds(value, 0..=LONGEST_MS - 1));
    let (period, phase) = (period?, phase?);
    let (period_ms, phase_ms) = (*period.get_ref(), *phase.get_ref());
    if phase_ms >= period_ms {
        let (period, most) = (shown_seconds(period_ms), shown_seconds(period_ms - 1));
        let message = format!(
            "{} s is not below the period of {period} s ({}); choose from 0 to {most}",
            shown_seconds(phase_ms),
            period_key.name
        );
        section.refuse(&phase.span(), phase_key, message);
        return None;
    }
    Some(Grid { period_ms, phase_ms })
}

/// Writes period and phase.
pub(super) fn print(grid: Grid, (period_key, phase_key): (&Key, &Key), to: &mut Printer) {
    to.key(period_key, shown_seconds(grid.period_ms));
    to.key(phase_key, shown_seconds(grid.phase_ms));
}
