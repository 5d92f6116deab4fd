//! The rows: each is a lamppost or has problems.

use std::collections::HashMap;

use csv::StringRecord;
use lamplighter_protocol::LamppostNumber;

use super::columns::{Column, Header};
use super::{Fault, MOST_PROBLEMS, Problem, shortened};
use crate::registry::{Coordinates, Lamppost};

/// Longest road, district, feeder, pillar or remark, in characters.
pub(super) const LONGEST_TEXT: usize = 500;

/// Tallest pole, in metres: high masts light junctions from some 40 m.
const TALLEST_M: f64 = 100.0;

/// All lampposts of a text, or all its problems; at least one then.
pub(super) fn parse(text: &str) -> Result<Vec<Lamppost>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
        .into_records()
        .map(|row| row.expect("memory is readable, the text is UTF-8, and any number of fields is taken"));
    let Some(header) = rows.next() else {
        return Err(vec![Problem { line: 1, column: None, fault: Fault::NoLamppost }]);
    };
    let header = Header::parse(&header, line_of(&header, text))?;
    let mut table = Table { header, lines: HashMap::new(), lampposts: Vec::new(), problems: Vec::new() };
    for row in rows {
        table.take(&row, line_of(&row, text));
        if table.problems.len() >= MOST_PROBLEMS {
            break;
        }
    }
    if table.lampposts.is_empty() && table.problems.is_empty() {
        table.problems.push(Problem { line: 1, column: None, fault: Fault::NoLamppost });
    }
    if table.problems.is_empty() { Ok(table.lampposts) } else { Err(table.problems) }
}

struct Table {
    header: Header,
    lines: HashMap<LamppostNumber, u64>,
    lampposts: Vec<Lamppost>,
    problems: Vec<Problem>,
}

impl Table {
    fn take(&mut self, row: &StringRecord, line: u64) {
        let expected = self.header.0.len();
        if row.len() != expected {
            let fault = Fault::Fields { found: row.len(), expected };
            self.problems.push(Problem { line, column: None, fault });
            return;
        }
        let header = &self.header;
        let field = |column: Column| {
            let place = header.0.iter().position(|known| *known == column);
            place.and_then(|place| row.get(place)).filter(|text| !text.is_empty())
        };
        let problems = &mut self.problems;
        let mut checked = |column: Column, fault: Fault| problems.push(column.problem(line, fault));

        let number = keep(Column::Number, number(field(Column::Number)), &mut checked);
        let latitude = keep(Column::Latitude, degrees(field(Column::Latitude), 90.0), &mut checked);
        let longitude = keep(Column::Longitude, degrees(field(Column::Longitude), 180.0), &mut checked);
        let road = keep(Column::Road, needed(field(Column::Road)), &mut checked);
        let district = keep(Column::District, needed(field(Column::District)), &mut checked);
        let feeder = keep(Column::Feeder, optional(field(Column::Feeder)), &mut checked);
        let pillar = keep(Column::Pillar, optional(field(Column::Pillar)), &mut checked);
        let height_m = keep(Column::Height, height(field(Column::Height)), &mut checked);
        let remarks = keep(Column::Remarks, optional(field(Column::Remarks)), &mut checked);

        if let Some(number) = &number {
            let first = *self.lines.entry(number.clone()).or_insert(line);
            if first != line {
                checked(Column::Number, Fault::Twice { number: number.clone(), first });
                return;
            }
        }
        let lamppost = || {
            Some(Lamppost {
                number: number?,
                coordinates: Coordinates::new(latitude?, longitude?).ok()?,
                road: road?,
                district: district?,
                feeder: feeder?,
                pillar: pillar?,
                height_m: height_m?,
                remarks: remarks?,
            })
        };
        self.lampposts.extend(lamppost());
    }
}

fn keep<T>(column: Column, read: Result<T, Fault>, problem: &mut impl FnMut(Column, Fault)) -> Option<T> {
    read.map_err(|fault| problem(column, fault)).ok()
}

fn number(field: Option<&str>) -> Result<LamppostNumber, Fault> {
    LamppostNumber::new(field.ok_or(Fault::Empty)?).map_err(Fault::Number)
}

fn degrees(field: Option<&str>, most: f64) -> Result<f64, Fault> {
    within(field.ok_or(Fault::Empty)?, -most, most, "degrees")
}

fn height(field: Option<&str>) -> Result<Option<f64>, Fault> {
    field.map(|text| within(text, 0.0, TALLEST_M, "metres")).transpose()
}

fn within(text: &str, least: f64, most: f64, unit: &'static str) -> Result<f64, Fault> {
    let value = text.parse().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| Fault::OutOfRange { text: shortened(text), least, most, unit })
}

fn needed(field: Option<&str>) -> Result<String, Fault> {
    optional(field)?.ok_or(Fault::Empty)
}

fn optional(field: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(text) = field else { return Ok(None) };
    if text.chars().any(char::is_control) {
        return Err(Fault::ControlCharacter);
    }
    if text.chars().nth(LONGEST_TEXT).is_some() {
        return Err(Fault::TooLong);
    }
    Ok(Some(text.to_owned()))
}

/// The line in which a row begins, as an editor counts. The reader says where the row before ended, which is before
/// the rest of its line break and before blank lines.
fn line_of(row: &StringRecord, text: &str) -> u64 {
    let Some(position) = row.position() else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|start| text.as_bytes().get(start..));
    let breaks = rest.unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + breaks.filter(|byte| **byte == b'\n').count() as u64
}
