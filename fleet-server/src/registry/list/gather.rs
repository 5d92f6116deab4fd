//! Lampposts as they are read, each with its fields checked, and what was wrong so far. The rules are the same for all formats.

use std::borrow::Cow;
use std::collections::HashMap;

use lamplighter_protocol::LamppostNumber;
use lamplighter_protocol::limits::RESERVED_NUMBER;

use super::column::Column;
use super::problem::{Fault, Place, Problem};
use super::{MOST_PROBLEMS, shortened};
use crate::registry::{Coordinates, Lamppost};

/// Longest road, district, feeder, pillar or remark, in characters.
pub(super) const LONGEST_TEXT: usize = 500;

/// Tallest pole, in metres: high masts light junctions from some 40 m.
const TALLEST_M: f64 = 100.0;

/// What a file has in a field.
pub(super) enum Field<'a> {
    /// Nothing.
    Empty,
    /// A text, or a number as it is written; without spaces around it.
    Text(Cow<'a, str>),
    /// What cannot be in it.
    Wrong(Fault),
    /// What cannot be, and was told already.
    Told,
}

impl<'a> Field<'a> {
    /// A text that may be empty.
    pub(super) fn of(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Gathering {
    firsts: HashMap<LamppostNumber, Place>,
    lampposts: Vec<Lamppost>,
    problems: Vec<Problem>,
}

impl Gathering {
    /// Takes a lamppost whose fields are these, if nothing is wrong with them.
    pub(super) fn take<'a>(&mut self, place: Place, field: impl Fn(Column) -> Field<'a>) {
        let problems = &mut self.problems;
        let mut checked = |column: Column, fault: Fault| problems.push(column.problem(place, fault));

        let number = keep(Column::Number, &field, number, &mut checked);
        let latitude = keep(Column::Latitude, &field, |text| degrees(text, 90.0), &mut checked);
        let longitude = keep(Column::Longitude, &field, |text| degrees(text, 180.0), &mut checked);
        let road = keep(Column::Road, &field, needed, &mut checked);
        let district = keep(Column::District, &field, needed, &mut checked);
        let feeder = keep(Column::Feeder, &field, optional, &mut checked);
        let pillar = keep(Column::Pillar, &field, optional, &mut checked);
        let height_m = keep(Column::Height, &field, height, &mut checked);
        let remarks = keep(Column::Remarks, &field, optional, &mut checked);

        if let Some(number) = &number {
            let first = *self.firsts.entry(number.clone()).or_insert(place);
            if first != place {
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

    /// Something else is wrong.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_given_up(&self) -> bool {
        self.problems.len() >= MOST_PROBLEMS
    }

    /// All lampposts, or all problems; at least one then.
    pub(super) fn finish(mut self) -> Result<Vec<Lamppost>, Vec<Problem>> {
        if self.lampposts.is_empty() && self.problems.is_empty() {
            let nothing = Problem { place: Place::Line(1), column: None, fault: Fault::NoLamppost };
            self.problems.push(nothing);
        }
        self.problems.truncate(MOST_PROBLEMS);
        if self.problems.is_empty() { Ok(self.lampposts) } else { Err(self.problems) }
    }
}

/// A text as the register takes it for a road, a district, a feeder or a pillar; spaces around it are cut off.
///
/// # Errors
/// What is wrong with it.
pub fn register_text(text: &str) -> Result<String, Fault> {
    needed(Some(text.trim()).filter(|text| !text.is_empty()))
}

/// What a field says. None: it cannot be read, and that is told.
fn keep<'a, T>(
    column: Column,
    field: impl Fn(Column) -> Field<'a>,
    read: impl FnOnce(Option<&str>) -> Result<T, Fault>,
    problem: &mut impl FnMut(Column, Fault),
) -> Option<T> {
    let read = match field(column) {
        Field::Empty => read(None),
        Field::Text(text) => read(Some(&text)),
        Field::Wrong(fault) => Err(fault),
        Field::Told => return None,
    };
    read.map_err(|fault| problem(column, fault)).ok()
}

fn number(text: Option<&str>) -> Result<LamppostNumber, Fault> {
    let number = LamppostNumber::new(text.ok_or(Fault::Empty)?).map_err(Fault::Number)?;
    if number.as_str() == RESERVED_NUMBER { Err(Fault::Reserved) } else { Ok(number) }
}

fn degrees(text: Option<&str>, most: f64) -> Result<f64, Fault> {
    within(text.ok_or(Fault::Empty)?, -most, most, "degrees")
}

fn height(text: Option<&str>) -> Result<Option<f64>, Fault> {
    text.map(|text| within(text, 0.0, TALLEST_M, "metres")).transpose()
}

fn within(text: &str, least: f64, most: f64, unit: &'static str) -> Result<f64, Fault> {
    let value = text.parse().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| Fault::OutOfRange { text: shortened(text), least, most, unit })
}

fn needed(text: Option<&str>) -> Result<String, Fault> {
    optional(text)?.ok_or(Fault::Empty)
}

fn optional(text: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().any(char::is_control) {
        return Err(Fault::ControlCharacter);
    }
    if text.chars().nth(LONGEST_TEXT).is_some() {
        return Err(Fault::TooLong);
    }
    Ok(Some(text.to_owned()))
}
