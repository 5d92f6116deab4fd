//! Times as text, by RFC 3339.

use lamplighter_protocol::UtcMillis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// `2026-03-05T07:00:00Z`. What has no date in four digits is written as milliseconds.
pub(crate) fn to_the_second(time: UtcMillis) -> String {
    let shape = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    date(time).and_then(|date| date.format(shape).ok()).unwrap_or_else(|| format!("{time:?}"))
}

/// `2026-03-05T07:00:00.250Z`. What has no date in four digits is written as milliseconds.
pub(crate) fn to_the_millisecond(time: UtcMillis) -> String {
    let shape = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    date(time).and_then(|date| date.format(shape).ok()).unwrap_or_else(|| format!("{time:?}"))
}

/// What is finer than a millisecond is cut off; none if it is no time.
pub(crate) fn parse(text: &str) -> Option<UtcMillis> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(UtcMillis)
}

fn date(time: UtcMillis) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0) * 1_000_000).ok()
}
