//! What leaves the tail when it is full: who has to give way, and up to which time, found without sorting all
//! observations.
//!
//! A cut in time for the whole fleet alone would let one lamppost drive out all others: what it reports in excess, a
//! little ahead of the true time, is newer than anything that they hold.

use lamplighter_protocol::UtcMillis;

use super::series::Series;

/// About how many observations are looked at to find the time.
const SAMPLES: usize = 16_384;

/// At how many lampposts, none of which holds more than the fair share, is looked to find it for all. Each look at a series is
/// one into cold memory, and ingest waits meanwhile.
const LOOKED_AT: usize = 256;

/// Who gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Who holds more than this, down to it.
    Above(usize),
    /// There is not enough above the fair share, which is this: the oldest of all goes, and then what is still above it.
    Oldest(usize),
}

/// Who gives way so that about `excess` go, of what each lamppost has in `held`. The fair share is `bound` divided by the
/// number of lampposts that hold anything.
///
/// It is the highest level above which `excess` observations lie, so that who holds most gives way first, and not below
/// the fair share. Rounded down: one more of each lamppost may go.
pub(super) fn cut_among(held: impl Iterator<Item = usize>, bound: usize, excess: usize) -> Cut {
    let mut held: Vec<usize> = held.filter(|&one| one > 0).collect();
    let share = (bound / held.len().max(1)).max(1);
    held.retain(|&one| one > share);
    held.sort_unstable_by(|one, other| other.cmp(one));
    let mut greatest = 0;
    for (place, one) in held.iter().enumerate() {
        greatest += one;
        let (count, next) = (place + 1, held.get(place + 1).copied().unwrap_or(share));
        if greatest - count * next >= excess {
            return Cut::Above((greatest - excess) / count);
        }
    }
    Cut::Oldest(share)
}

/// Of so many lampposts, the places of those that are looked at: all of them, or about [`LOOKED_AT`], evenly.
pub(super) fn looked_at(lampposts: usize) -> impl Iterator<Item = usize> {
    let stride = lampposts.div_ceil(LOOKED_AT).max(1);
    (0..lampposts.div_ceil(stride))
        .map(move |one| one * stride + place_in(one, stride))
        .filter(move |place| *place < lampposts)
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
    if stride == 1 {
        // Of one series no more can go than are to go.
        let mut times: Vec<UtcMillis> =
            series.flat_map(|series| series.times().take(excess.max(1))).collect();
        let nth = excess.clamp(1, times.len().max(1)) - 1;
        return (nth < times.len()).then(|| *times.select_nth_unstable(nth).1);
    }
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
    use super::{Cut, LOOKED_AT, cut_among, looked_at};

    fn cut(held: &[usize], bound: usize, excess: usize) -> Cut {
        cut_among(held.iter().copied(), bound, excess)
    }

    #[test]
    fn who_holds_most_gives_way_first() {
        assert_eq!(cut(&[10, 900, 10, 81], 1_000, 63), Cut::Above(837));
        assert_eq!(
            cut(&[10, 500, 10, 480], 1_000, 63),
            Cut::Above(458),
            "20 to the second, the rest by halves"
        );
        assert_eq!(cut(&[10, 500, 10, 480], 1_000, 20), Cut::Above(480));
        assert_eq!(cut(&[240, 313, 250, 198], 1_000, 63), Cut::Above(250));
    }

    #[test]
    fn nobody_is_cut_below_the_fair_share() {
        assert_eq!(cut(&[240, 251, 250, 252], 1_000, 63), Cut::Oldest(250));
        assert_eq!(
            cut(&[334, 333, 0, 333, 0], 1_000, 63),
            Cut::Oldest(333),
            "who holds nothing needs no share"
        );
    }

    #[test]
    fn without_one_above_the_fair_share_the_oldest_go() {
        assert_eq!(cut(&[250, 250, 249, 248], 1_000, 63), Cut::Oldest(250));
        assert_eq!(cut(&[1, 1, 1, 1], 3, 1), Cut::Oldest(1), "more lampposts than observations");
        assert_eq!(cut(&[], 1_000, 1), Cut::Oldest(1_000));
    }

    #[test]
    fn all_of_a_few_are_looked_at_and_of_many_as_many_everywhere() {
        assert_eq!(looked_at(0).count(), 0);
        assert_eq!(looked_at(LOOKED_AT).collect::<Vec<_>>(), (0..LOOKED_AT).collect::<Vec<_>>());
        let places: Vec<usize> = looked_at(10_000).collect();
        assert!(places.is_sorted_by(|one, next| one < next) && places.len() == 250, "{}", places.len());
        let halves = places.iter().filter(|place| **place < 5_000).count();
        assert_eq!(halves, 125);
    }
}
