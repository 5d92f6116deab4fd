//! The header `Range` (RFC 9110, 14.2), for one range of bytes.

use std::ops::Range;

/// What is asked of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: the range is of a unit that is not known here, which has no meaning.
    Whole,
    /// These bytes, of which there is at least one.
    Part(Range<u64>),
    /// Nothing that can be sent, and why.
    Refused(&'static str),
}

/// What a `Range` asks of a file of `size` bytes. A list of ranges is refused, and so is what breaks the rules: the
/// standard allows to send the whole file instead, which is what somebody who wants pieces of it wants least.
pub(super) fn parse(range: &str, size: u64) -> Wanted {
    let Some((unit, ranges)) = range.split_once('=') else { return Wanted::Refused(RULE) };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    if ranges.contains(',') {
        return Wanted::Refused("one range is served at a time: ask for each of them");
    }
    let Some((first, last)) = ranges.trim().split_once('-') else { return Wanted::Refused(RULE) };
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(length)) if first.is_empty() => size.saturating_sub(length)..size,
        (_, _) => return Wanted::Refused(RULE),
    };
    if part.is_empty() {
        return Wanted::Refused("the range begins after the end");
    }
    Wanted::Part(part)
}

const RULE: &str = "a range is bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH, with FIRST not after LAST";

/// Digits as a number; one that is too great for any file is the greatest there is.
fn number(digits: &str) -> Option<u64> {
    let only_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        let cases = [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=90-16383", 90..100),
            ("bytes=99-", 99..100),
            ("bytes=-1", 99..100),
            ("bytes=-1000", 0..100),
            ("BYTES= 5-6 ", 5..7),
            ("bytes=0-99999999999999999999999", 0..100),
            ("bytes=0-18446744073709551615", 0..100),
        ];
        for (range, expected) in cases {
            assert_eq!(parse(range, 100), Wanted::Part(expected), "{range}");
        }
    }

    #[test]
    fn what_is_no_single_range_within_the_file_is_refused() {
        for range in [
            "bytes=100-",
            "bytes=100-200",
            "bytes=-0",
            "bytes=2-1",
            "bytes=0-1,5-6",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=99999999999999999999999-",
            "bytes 0-1",
            "",
        ] {
            assert!(matches!(parse(range, 100), Wanted::Refused(_)), "{range}");
        }
    }

    #[test]
    fn a_unit_that_is_not_known_asks_for_the_whole() {
        assert_eq!(parse("pages=1-2", 100), Wanted::Whole);
    }
}
