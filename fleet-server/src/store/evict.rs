//! Where to cut the tail when it is full: one time for the whole fleet, found without sorting all observations.

use lamplighter_protocol::UtcMillis;

use super::series::Series;

/// About how many observations are looked at to find the time.
const SAMPLES: usize = 65_536;

/// A time such that about `excess` of all observations are not after it: at least one, at best within a few per cent.
///
/// Every stride of observations gives one, from a place in the stride that changes evenly (a Weyl sequence): a fixed
/// place would look at the same phase of every series whose length is a multiple of the stride.
pub(super) fn cut_for(series: &[Series], observations: usize, excess: usize) -> Option<UtcMillis> {
    let stride = (observations / SAMPLES).max(1);
    let mut times: Vec<UtcMillis> = Vec::with_capacity(observations / stride + 1);
    let (mut seen, mut next) = (0, place_in(0, stride));
    for block in series.iter().flat_map(Series::blocks) {
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
