//! Times as the API writes and reads them.

use std::fmt;

use lamplighter_protocol::UtcMillis;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use utoipa::ToSchema;

/// An instant in UTC by RFC 3339, to the millisecond: `2026-07-01T08:00:00.000Z`. One that RFC 3339 cannot say (before
/// the year 0, after the year 9999) is written as whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-07-01T08:00:00.000Z")]
pub struct Timestamp(pub UtcMillis);

/// A text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is a time by RFC 3339 such as 2026-07-01T08:00:00Z or 2026-07-01T16:00:00.250+08:00 (a + in a query is \
     written %2B), or whole milliseconds since 1970-01-01T00:00:00Z"
)]
pub(crate) struct NoTime;

impl Timestamp {
    /// Reads a time as [`NoTime`] describes it. What is finer than a millisecond is cut off.
    pub(crate) fn parse(text: &str) -> Result<UtcMillis, NoTime> {
        if let Ok(ms) = text.parse::<i64>() {
            return Ok(UtcMillis(ms));
        }
        let text = with_plus(text);
        let instant = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| NoTime)?;
        let ms = instant.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(ms).map(UtcMillis).map_err(|_| NoTime)
    }
}

/// A `+` that was not escaped arrives as a space: where only the sign of an offset can stand, it is put back.
fn with_plus(text: &str) -> String {
    let Some(place) = text.len().checked_sub("+08:00".len()) else { return text.to_owned() };
    match (text.get(..place), text.get(place..)) {
        (Some(time), Some(offset)) if offset.starts_with(' ') => format!("{time}+{}", &offset[1..]),
        (_, _) => text.to_owned(),
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape =
            format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0.0) * 1_000_000);
        let instant = instant.ok().filter(|instant| instant.year() >= 0);
        match instant.and_then(|instant| instant.format(shape).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}", self.0.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn offsets_milliseconds_and_unescaped_plus_signs_are_read() {
        let instant = UtcMillis(1_782_892_800_250);
        for text in [
            "2026-07-01T08:00:00.250Z",
            "2026-07-01T16:00:00.250+08:00",
            "2026-07-01T16:00:00.250 08:00",
            "2026-07-01T03:00:00.2509-05:00",
            "1782892800250",
        ] {
            assert_eq!(Timestamp::parse(text), Ok(instant), "{text}");
        }
        assert_eq!(Timestamp(instant).to_string(), "2026-07-01T08:00:00.250Z");
    }

    #[test]
    fn times_before_1970_keep_their_milliseconds() {
        assert_eq!(Timestamp(UtcMillis(-1)).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59.9991Z"), Ok(UtcMillis(-1)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "now", "2026-07-01", "2026-07-01T08:00:00", "2026-13-01T08:00:00Z", "1.5", "é +08:00"]
        {
            assert_eq!(Timestamp::parse(text), Err(NoTime), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_prints_and_parses_back(ms: i64) {
            prop_assert_eq!(Timestamp::parse(&Timestamp(UtcMillis(ms)).to_string()), Ok(UtcMillis(ms)));
        }

        #[test]
        fn times_of_this_century_print_as_rfc_3339(ms in 946_684_800_000_i64..4_102_444_800_000) {
            let text = Timestamp(UtcMillis(ms)).to_string();
            prop_assert!(text.ends_with('Z') && text.contains('T'), "{}", text);
            prop_assert_eq!(Timestamp::parse(&text), Ok(UtcMillis(ms)));
        }
    }
}
