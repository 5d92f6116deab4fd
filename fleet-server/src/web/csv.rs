//! A series as a CSV file (RFC 4180): UTF-8 without a byte order mark, a header row always, times by RFC 3339 in UTC,
//! an empty cell where there is no value.
//!
//! A file of observations is as long as its range, so it is sent as it is read: a page under the lock, on a thread
//! where waiting is allowed, and the next one when the connection has taken it. A slow client holds a page of text
//! and nothing else. What leaves the memory meanwhile cannot be sent any more: then the answer breaks off without its
//! last chunk, which every client of HTTP/1.1 reports as an error, so that no part of a file passes for a whole one.
//! HTTP/1.0 has no chunks, and is refused.
//!
//! No cell can be taken for a formula by a spreadsheet: units are the catalogue's, words our own, all else numbers and
//! times.

use std::fmt;
use std::io;
use std::sync::PoisonError;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Version, header};
use axum::response::{IntoResponse as _, Response};
use csv::{Terminator, Writer, WriterBuilder};
use futures_util::{StreamExt as _, stream};
use lamplighter_protocol::{LamppostNumber, SeriesName, UtcMillis};

use super::app::App;
use super::observation::QualityName;
use super::problem::{Problem, ProblemKind};
use super::step::Step;
use super::timestamp::Timestamp;
use crate::store::{Bucket, OlderThanTail, Point, SeriesId, Tail};

/// Media type of a file.
const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

/// Observations that are read at once: some 250 KB of text, which is what a client that does not read keeps here.
const PAGE: usize = 4_096;

const OBSERVATION_COLUMNS: [&str; 5] = ["time", "value", "unit", "quality", "reason"];
const BUCKET_COLUMNS: [&str; 9] =
    ["start", "end", "value", "minimum", "maximum", "good", "uncertain", "bad", "unit"];

/// What a file is called: letters, digits, `_`, `-` and `.` alone, because numbers, names and steps have no others.
pub(super) struct FileName<'a> {
    pub(super) lamppost: &'a LamppostNumber,
    pub(super) series: &'a SeriesName,
    pub(super) step: Option<Step>,
}

impl fmt::Display for FileName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SeriesName { device, property, channel } = self.series;
        write!(f, "{}_{device}_{property}", self.lamppost)?;
        if let Some(channel) = channel {
            write!(f, "_{channel}")?;
        }
        if let Some(step) = self.step {
            write!(f, "_{step}")?;
        }
        f.write_str(".csv")
    }
}

/// Some observations of a file, copied out of the tail.
pub(super) struct Page {
    points: Vec<Point>,
    unit: String,
    /// Where the next page begins, if there is one.
    next: Option<UtcMillis>,
}

impl Page {
    /// The first observations from `from` to before `to`.
    pub(super) fn read(
        tail: &Tail,
        id: SeriesId,
        from: UtcMillis,
        to: UtcMillis,
    ) -> Result<Self, OlderThanTail> {
        let page = tail.range(id, from, to, PAGE)?;
        // Just past the last one, and not where the next one is now: another may come in between.
        let next = page.next.and(page.points.last()).map(|last| last.time.plus_ms(1));
        Ok(Self { points: page.points, unit: tail.meta(id).unit.clone(), next })
    }
}

/// Refuses a client that could not tell a file that breaks off from a whole one.
pub(super) fn can_break_off(version: Version) -> Result<(), Problem> {
    if version >= Version::HTTP_11 {
        return Ok(());
    }
    let detail = format!(
        "a file of observations is sent as it is read, which {version:?} cannot do safely: ask with HTTP/1.1, and \
         let a proxy in between pass it on (nginx: `proxy_http_version 1.1`)"
    );
    Err(Problem::new(ProblemKind::HttpTooOld, detail))
}

/// The observations of a page, and all that follow to before `to`, as a file.
pub(super) fn observations(
    app: App,
    id: SeriesId,
    first: &Page,
    to: UtcMillis,
    name: &FileName<'_>,
) -> Response {
    let text = text(&first.points, &first.unit, Head::Columns);
    let rest = stream::unfold(first.next, move |next| {
        let app = app.clone();
        async move {
            let (text, next) = match page(&app, id, next?, to).await {
                Ok(Ok((text, next))) => (Ok(text), next),
                Ok(Err(older)) => (Err(io::Error::other(older)), None),
                Err(_told) => (Err(io::Error::other("the read failed")), None),
            };
            if let Err(error) = &text {
                tracing::warn!(%error, "a file breaks off: the rest of it cannot be read");
            }
            Some((text, next))
        }
    });
    let pages = stream::iter([Ok(text)]).chain(rest);
    file(name, Body::from_stream(pages))
}

/// Buckets as a file.
pub(super) fn buckets(buckets: &[Bucket], unit: &str, name: &FileName<'_>) -> Response {
    let mut rows = Rows::new();
    rows.push(BUCKET_COLUMNS);
    for &Bucket { start, end, value, minimum, maximum, good, uncertain, bad } in buckets {
        let (start, end) = (Timestamp(start), Timestamp(end));
        rows.push((start, end, value, minimum, maximum, good, uncertain, bad, unit));
    }
    file(name, rows.into_bytes().into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Columns,
    None,
}

/// A page of text that is not the first, and where the next one begins, if there is one.
async fn page(
    app: &App,
    id: SeriesId,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Result<(Bytes, Option<UtcMillis>), OlderThanTail>, Problem> {
    app.blocking(move |state| {
        let page = Page::read(&state.store.read().unwrap_or_else(PoisonError::into_inner), id, from, to)?;
        Ok((text(&page.points, &page.unit, Head::None), page.next))
    })
    .await
}

fn text(points: &[Point], unit: &str, head: Head) -> Bytes {
    let mut rows = Rows::new();
    if head == Head::Columns {
        rows.push(OBSERVATION_COLUMNS);
    }
    for point in points {
        let quality = QualityName::from(point.reason.quality());
        rows.push((Timestamp(point.time), point.value, unit, quality, point.reason.name()));
    }
    rows.into_bytes().into()
}

/// Rows of text in memory.
struct Rows(Writer<Vec<u8>>);

impl Rows {
    fn new() -> Self {
        Self(WriterBuilder::new().has_headers(false).terminator(Terminator::CRLF).from_writer(Vec::new()))
    }

    fn push(&mut self, row: impl serde::Serialize) {
        self.0.serialize(row).expect("rows have as many cells as columns, and memory takes them all");
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes all rows")
    }
}

fn file(name: &FileName<'_>, body: Body) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let disposition = HeaderValue::try_from(disposition).expect("the names of files are ASCII");
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    ([(header::CONTENT_TYPE, content_type), (header::CONTENT_DISPOSITION, disposition)], body).into_response()
}

#[cfg(test)]
mod tests {
    use lamplighter_protocol::{Catalogue, Reason};
    use proptest::prelude::*;

    use super::*;

    /// What a spreadsheet takes for the begin of a formula.
    fn begins_a_formula(cell: &str) -> bool {
        cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
    }

    #[test]
    fn no_unit_reason_quality_or_column_can_be_taken_for_a_formula_or_needs_quotes() {
        let catalogue = Catalogue::built_in();
        let units = catalogue.iter().map(|property| property.unit.clone());
        let reasons = (0..=u8::MAX).map(|code| Reason(code).name());
        let qualities = (0..=u8::MAX).map(|code| Reason(code).quality().as_str().to_owned());
        let columns = OBSERVATION_COLUMNS.iter().chain(&BUCKET_COLUMNS).map(|&name| name.to_owned());
        for cell in units.chain(reasons).chain(qualities).chain(columns) {
            assert!(!cell.is_empty() && !begins_a_formula(&cell), "{cell:?}");
            assert!(!cell.contains([',', '"', '\r', '\n', ';']), "{cell:?}");
        }
    }

    proptest! {
        /// A cell that begins with a minus is a whole number or a decimal, and nothing that is computed.
        #[test]
        fn cells_of_any_observation_are_times_numbers_and_words(ms: i64, value: Option<f64>, reason: u8) {
            let value = value.filter(|value| value.is_finite());
            let point = Point { time: UtcMillis(ms), value, reason: Reason(reason) };
            let text = text(&[point], "Cel", Head::None);
            let line = std::str::from_utf8(&text).unwrap().strip_suffix("\r\n").unwrap();
            let cells: Vec<&str> = line.split(',').collect();
            prop_assert_eq!(cells.len(), OBSERVATION_COLUMNS.len());
            prop_assert_eq!(Timestamp::parse(cells[0]).unwrap(), UtcMillis(ms));
            let read = (!cells[1].is_empty()).then(|| cells[1].parse::<f64>().unwrap().to_bits());
            prop_assert_eq!(read, value.map(f64::to_bits));
            for cell in cells {
                prop_assert!(!begins_a_formula(cell) || cell.parse::<f64>().is_ok(), "{}", cell);
            }
        }

        #[test]
        fn file_names_are_ascii_and_name_no_directory(
            lamppost in "[A-Za-z0-9_-]{1,32}", device in "[a-z0-9-]{1,32}",
            property in "[a-z][a-z0-9_]{0,47}", channel in prop::option::of("[a-z0-9_-]{1,32}"),
            step in prop::option::of(1_i64..400_000_000),
        ) {
            let series = SeriesName {
                device: device.parse().unwrap(),
                property: property.parse().unwrap(),
                channel: channel.map(|channel| channel.parse().unwrap()),
            };
            let step = step.map(|ms| Step::parse(&format!("{}.{:03}", ms / 1000, ms % 1000)).unwrap());
            let name = FileName { lamppost: &lamppost.parse().unwrap(), series: &series, step }.to_string();
            prop_assert!(name.strip_suffix(".csv").is_some());
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)), "{}", name);
        }
    }
}
