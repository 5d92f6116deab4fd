//! What values of a configuration file mean: each function says what is wrong with a value, and what to do.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::de::DeValue;

use super::reader::{Parsed, closest, described, shown};

/// A text that is not empty and has at most `most` bytes.
pub(super) fn text(value: &DeValue<'_>, most: usize) -> Parsed<String> {
    let text = value.as_str().ok_or_else(|| wrong("a text", value, "write it in quotes"))?;
    if text.is_empty() || text.len() > most || text.contains(char::is_control) {
        return Err(format!(
            "\"{}\" is empty, too long or not printable; write 1 to {most} bytes without control characters",
            shown(text)
        ));
    }
    Ok(text.to_owned())
}

/// A text that is a `T`: its error says the rule.
pub(super) fn named<T: FromStr<Err: std::fmt::Display>>(value: &DeValue<'_>) -> Parsed<T> {
    let text = value.as_str().ok_or_else(|| wrong("a text", value, "write it in quotes"))?;
    text.parse().map_err(|error| format!("{error}; choose such a name"))
}

/// One of a few words.
pub(super) fn word<T: Copy>(value: &DeValue<'_>, what: &str, words: &[(&str, T)]) -> Parsed<T> {
    let text = value.as_str().ok_or_else(|| wrong("a text", value, "write it in quotes"))?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let remedy = closest(text, &known)
        .map_or_else(|| format!("choose {}", known.join(" or ")), |near| format!("did you mean {near}?"));
    Err(format!("\"{}\" is no {what}; {remedy}", shown(text)))
}

/// A path; relative ones start at `folder`.
pub(super) fn path(value: &DeValue<'_>, folder: &Path) -> Parsed<PathBuf> {
    text(value, 4096).map(|text| folder.join(text))
}

/// A whole number in a range.
pub(super) fn whole(value: &DeValue<'_>, range: RangeInclusive<i64>) -> Parsed<i64> {
    let digits = value
        .as_integer()
        .ok_or_else(|| wrong("a whole number", value, "write it without quotes or point"))?;
    let number =
        i64::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        format!(
            "{} is out of range; choose from {} to {}",
            shown(&digits.to_string()),
            range.start(),
            range.end()
        )
    })
}

/// Seconds, in milliseconds: a number, whole to the millisecond and in a range of milliseconds.
pub(super) fn seconds(value: &DeValue<'_>, range: RangeInclusive<u32>) -> Parsed<u32> {
    let digits = match value {
        DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str(),
        DeValue::Float(digits) => digits.as_str(),
        DeValue::Integer(_)
        | DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            return Err(wrong(
                "a number of seconds",
                value,
                "write it such as 10 or 0.5, in decimal and without quotes",
            ));
        }
    };
    let milliseconds = digits.parse().unwrap_or(f64::NAN) * 1000.0;
    let whole = milliseconds.round();
    // Decimal fractions are not exact in binary: up to a billionth beside the millisecond is still that millisecond.
    if milliseconds.is_finite() && (milliseconds - whole).abs() > 1e-6 {
        return Err(format!("{} s is not whole in milliseconds; write at most three places", shown(digits)));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on this line")]
    let checked = (0.0..=f64::from(u32::MAX)).contains(&whole).then_some(whole as u32);
    checked.filter(|ms| range.contains(ms)).ok_or_else(|| {
        let (least, most) = (shown_seconds(*range.start()), shown_seconds(*range.end()));
        format!("{} s is out of range; choose from {least} to {most}", shown(digits))
    })
}

/// Milliseconds as seconds, as they are written in the file.
pub(super) fn shown_seconds(ms: u32) -> String {
    (f64::from(ms) / 1000.0).to_string()
}

fn wrong(expected: &str, value: &DeValue<'_>, remedy: &str) -> String {
    format!("{expected} belongs here, not {}; {remedy}", described(value))
}
