//! What leaves the tail when it is full: who has to give way, and up to which time, found without sorting all
//! observations.
//!
//! A cut in time for the whole fleet alone would let one lamppost drive out all others: what it reports in excess, a
//! little ahead of the true time, is newer than anything that they hold.

use lamplighter_protocol::UtcMillis;

use super::series::Series;

/// About how many observations are looked at to find the time.
const SAMPLES: usize = 65_536;

/// How many observations a lamppost may keep so that about `excess` go, of what each one has in `held`. None if nobody
/// has more than the fair share, which is `bound` divided by the number of lampposts that hold anything.
///
/// It is the highest level above which `excess` observations lie, so that who holds most gives way first; not below
/// the fair share, also when fewer than `excess` lie above that. Rounded down: one more of each lamppost may go.
pub(super) fn level_for(held: impl Iterator<Item = usize>, bound: usize, excess: usize) -> Option<usize> {
    let mut held: Vec<usize> = held.filter(|&one| one > 0).collect();
    let share = (bound / held.len().max(1)).max(1);
    held.retain(|&one| one > share);
    held.sort_unstable_by(|one, other| other.cmp(one));
    let mut greatest = 0;
    for (place, one) in held.iter().enumerate() {
        greatest += one;
        let (count, next) = (place + 1, held.get(place + 1).copied().unwrap_or(share));
        if greatest - count * next >= excess {
            return Some((greatest - excess) / count);
        }
    }
    (!held.is_empty()).then_some(share)
}

/// A time such that about `excess` of these series' `observations` are not after it: at least one, at best within a
/// few per cent.
///
/// Every stride of observations gives one, from a place in the stride that changes evenly (a Weyl sequence): a fixed
/// place would look at the same phase of every series whose length is a multiple of the stride.
pub(super) fn cut_for<'a>(
    series: impl Iterator<Item = &'a Series>,
    observations: usize,
    excess: usize,
) -> Option<UtcMillis> {
    let stride = (observations / SAMPLES).max(1);
    let mut times: Vec<UtcMillis> = Vec::with_capacity(observations / stride + 1);
    let (mut seen, mut next) = (0, place_in(0, stride));
    for block in series.flat_map(Series::blocks) {
        while next < seen + block.len() {
            times.push(block.time(next - seen));
            let strides = next / stride + 1;
            next = strides * stride + place_in(strides, stride);
        }
        seen += block.len();
    }
    let nth = excess.div_ceil(stride).clamp(1, times.len().max(1)) - 1;
    (nth < times.len()).then(|| *times.select_nth_unstable(nth).1)
}

/// The place to look at in the n-th stride. The factor is 2^32 divided by the golden ratio.
fn place_in(strides: usize, stride: usize) -> usize {
    let phase = (strides as u64).wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF;
    usize::try_from((phase * stride as u64) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::level_for;

    fn level(held: &[usize], bound: usize, excess: usize) -> Option<usize> {
        level_for(held.iter().copied(), bound, excess)
    }

    #[test]
    fn who_holds_most_gives_way_first() {
        assert_eq!(level(&[10, 900, 10, 81], 1_000, 63), Some(837));
        assert_eq!(level(&[10, 500, 10, 480], 1_000, 63), Some(458), "20 to the second, the rest by halves");
        assert_eq!(level(&[10, 500, 10, 480], 1_000, 20), Some(480));
    }

    #[test]
    fn nobody_is_cut_below_the_fair_share() {
        assert_eq!(level(&[240, 251, 250, 252], 1_000, 63), Some(250));
        assert_eq!(level(&[334, 333, 0, 333, 0], 1_000, 63), Some(333), "who holds nothing needs no share");
    }

    #[test]
    fn without_one_above_the_fair_share_there_is_no_level() {
        assert_eq!(level(&[250, 250, 249, 248], 1_000, 63), None);
        assert_eq!(level(&[1, 1, 1, 1], 3, 1), None, "more lampposts than observations");
        assert_eq!(level(&[], 1_000, 1), None);
    }
}
