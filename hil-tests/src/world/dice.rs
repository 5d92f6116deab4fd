//! Numbers that look like chance and follow from a seed.

/// A number for these words, evenly spread over [0, 1).
pub(super) fn part(words: [u64; 4]) -> f64 {
    // The upper 53 bits are as many as a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let bits = (mixed(words) >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}

/// A number for these words.
pub(crate) fn mixed(words: [u64; 4]) -> u64 {
    words.into_iter().fold(0, |state: u64, word| stirred(state ^ word))
}

/// A number for another one, by a round of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014).
pub(crate) fn stirred(word: u64) -> u64 {
    let mut z = word.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// By how much the state of `SplitMix64` grows with each number.
pub(crate) const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
