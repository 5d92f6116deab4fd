//! CSV: a header, and rows, each of which is a lamppost or has problems.

use csv::StringRecord;

use super::column::Column;
use super::gather::{Field, Gathering};
use super::problem::{Fault, Place, Problem};
use super::{MOST_PROBLEMS, shortened};
use crate::registry::Lamppost;

/// All lampposts of a text, or all its problems; at least one then.
pub(super) fn parse(text: &str) -> Result<Vec<Lamppost>, Vec<Problem>> {
    let mut gathering = Gathering::default();
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes())
        .into_records()
        .map(|row| row.expect("memory is readable, the text is UTF-8, and any number of fields is taken"));
    let Some(header) = rows.next() else { return gathering.finish() };
    let header = Header::parse(&header, Place::Line(line_of(&header, text)))?;
    for row in rows {
        header.take(&row, Place::Line(line_of(&row, text)), &mut gathering);
        if gathering.is_given_up() {
            break;
        }
    }
    gathering.finish()
}

/// Which column stands at which place.
struct Header(Vec<Column>);

impl Header {
    /// Every problem of the header, if it has any.
    fn parse(row: &StringRecord, place: Place) -> Result<Self, Vec<Problem>> {
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for name in row {
            match Column::ALL.into_iter().find(|column| column.name() == name) {
                None => {
                    let column = Some(shortened(name));
                    problems.push(Problem { place, column, fault: Fault::UnknownColumn });
                }
                Some(column) if columns.contains(&column) => {
                    problems.push(column.problem(place, Fault::ColumnTwice("header")));
                }
                Some(column) => columns.push(column),
            }
        }
        let missing = Column::NEEDED.into_iter().filter(|column| !columns.contains(column));
        problems.extend(missing.map(|column| column.problem(place, Fault::ColumnMissing)));
        problems.truncate(MOST_PROBLEMS);
        if problems.is_empty() { Ok(Self(columns)) } else { Err(problems) }
    }

    fn take(&self, row: &StringRecord, place: Place, gathering: &mut Gathering) {
        let expected = self.0.len();
        if row.len() != expected {
            let fault = Fault::Fields { found: row.len(), expected };
            gathering.problem(Problem { place, column: None, fault });
            return;
        }
        gathering.take(place, |column| {
            let place = self.0.iter().position(|known| *known == column);
            place.and_then(|place| row.get(place)).map_or(Field::Empty, Field::of)
        });
    }
}

/// The line in which a row begins, as an editor counts. The reader says where the row before ended, which is before
/// the rest of its line break and before blank lines.
fn line_of(row: &StringRecord, text: &str) -> u64 {
    let Some(position) = row.position() else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|start| text.as_bytes().get(start..));
    let breaks = rest.unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + breaks.filter(|byte| **byte == b'\n').count() as u64
}
