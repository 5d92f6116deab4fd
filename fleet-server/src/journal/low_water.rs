//! Low water: how much of the file system new entries leave alone, so that what makes room again has room to work (D15).

use std::str::FromStr;

use super::disk::{Disk, Space};
use super::metrics::JournalMetrics;

/// What is left alone: a number of bytes, or a share of the file system if that is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowWater {
    /// So many bytes,
    pub bytes: u64,
    /// or so many hundredths of the file system, if that is said and less.
    pub percent: Option<u8>,
}

/// There is too little room for new entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// How many have to be for entries to be written again: more than low water, so that the journal does not waver.
    pub needed_bytes: u64,
}

/// No number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give a number of bytes, such as 0, 500MiB or 2GiB")]
pub struct NotBytes;

impl Default for LowWater {
    /// 1 GiB or 5 %: room for some hours of a district, and on a small disk still most of it is used.
    fn default() -> Self {
        Self { bytes: 1 << 30, percent: Some(5) }
    }
}

impl LowWater {
    /// So many bytes, however small the file system is; with 0 it is written until it is full.
    pub fn of_bytes(bytes: u64) -> Self {
        Self { bytes, percent: None }
    }

    /// How many bytes that is on a file system of this room.
    pub(crate) fn on(self, space: Space) -> u64 {
        let Some(percent) = self.percent else { return self.bytes };
        let share = u128::from(space.total_bytes) * u128::from(percent) / 100;
        u64::try_from(share).unwrap_or(u64::MAX).min(self.bytes)
    }
}

impl FromStr for LowWater {
    type Err = NotBytes;

    fn from_str(text: &str) -> Result<Self, NotBytes> {
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        let unit: u64 = match &text[digits.len()..] {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(NotBytes),
        };
        // `parse` alone would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotBytes);
        }
        let bytes = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
        bytes.map(Self::of_bytes).ok_or(NotBytes)
    }
}

/// Whether there is room, as it was when somebody last looked.
#[derive(Debug)]
pub(super) struct Room {
    low_water: LowWater,
    shortage: Option<Shortage>,
    /// The file system does not say.
    is_unknown: bool,
}

impl Room {
    pub(super) fn new(low_water: LowWater) -> Self {
        Self { low_water, shortage: None, is_unknown: false }
    }

    pub(super) fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// Asks the disk. Where it does not say, there is no shortage: a write that finds no room fails by itself.
    pub(super) fn look(&mut self, disk: &dyn Disk, metrics: &JournalMetrics) -> Option<Shortage> {
        let space = disk.space();
        if let Err(error) = &space
            && !self.is_unknown
        {
            tracing::warn!(%error, "the file system does not say how much room it has: low water is not kept");
        }
        self.is_unknown = space.is_err();
        let before = self.shortage;
        self.shortage = space.ok().and_then(|space| {
            let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            metrics.free_bytes.set(gauge(space.free_bytes));
            metrics.low_water_bytes.set(gauge(self.low_water.on(space)));
            self.judge(space)
        });
        metrics.below_low_water.set(i64::from(self.shortage.is_some()));
        match (before, self.shortage) {
            (None, Some(Shortage { free_bytes, needed_bytes })) => tracing::error!(
                free_bytes,
                needed_bytes,
                "the disk is nearly full: nothing new is acknowledged, lampposts keep their data until there is room"
            ),
            (Some(_), None) => tracing::info!("there is room on the disk again: the journal goes on"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.shortage
    }

    fn judge(&self, space: Space) -> Option<Shortage> {
        let low_water = self.low_water.on(space);
        // An eighth more: what was freed has to last for a while.
        let rises_at = low_water.saturating_add(low_water / 8);
        let needed = if self.shortage.is_some() { rises_at } else { low_water };
        let is_short = space.free_bytes < needed;
        is_short.then_some(Shortage { free_bytes: space.free_bytes, needed_bytes: rises_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn by_default_it_is_the_lesser_of_one_gibibyte_and_five_hundredths() {
        let on = |total_bytes| LowWater::default().on(Space { free_bytes: 0, total_bytes });
        assert_eq!(
            [on(0), on(GIB), on(10 * GIB), on(20 * GIB), on(1 << 50)],
            [0, GIB / 20, GIB / 2, GIB, GIB]
        );
        assert_eq!(on(u64::MAX), GIB);
    }

    #[test]
    fn bytes_are_read_with_the_units_of_memory_and_nothing_else() {
        let good =
            [("0", 0), ("17", 17), ("5B", 5), ("3KiB", 3072), ("500MiB", 500 << 20), ("2GiB", 2 * GIB)];
        for (text, bytes) in good {
            assert_eq!(text.parse(), Ok(LowWater::of_bytes(bytes)), "{text}");
        }
        for text in
            ["", "GiB", "1GB", "1 GiB", "-1", "+1", "1.5GiB", "5%", "17000000TiB", "1GiB1", "1\u{664}"]
        {
            assert_eq!(text.parse::<LowWater>(), Err(NotBytes), "{text}");
        }
    }

    #[test]
    fn once_too_low_it_has_to_rise_by_an_eighth_before_it_counts_as_enough() {
        let mut room = Room::new(LowWater::of_bytes(800));
        let mut at = |free_bytes| {
            room.shortage = room.judge(Space { free_bytes, total_bytes: 10_000 });
            room.shortage.map(|shortage| shortage.needed_bytes)
        };
        assert_eq!(
            [at(900), at(800), at(799), at(800), at(899)],
            [None, None, Some(900), Some(900), Some(900)]
        );
        assert_eq!([at(900), at(800), at(0)], [None, None, Some(900)]);
    }
}
