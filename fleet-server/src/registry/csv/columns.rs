//! The header: which columns there are, and which place each has.

use csv::StringRecord;

use super::{Fault, MOST_PROBLEMS, Problem, shortened};

/// A column that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Number,
    Latitude,
    Longitude,
    Road,
    District,
    Feeder,
    Pillar,
    Height,
    Remarks,
}

impl Column {
    /// In the order of the documentation.
    pub(super) const ALL: [Self; 9] = [
        Self::Number,
        Self::Latitude,
        Self::Longitude,
        Self::Road,
        Self::District,
        Self::Feeder,
        Self::Pillar,
        Self::Height,
        Self::Remarks,
    ];
    /// Those that every file has.
    pub(super) const NEEDED: [Self; 5] =
        [Self::Number, Self::Latitude, Self::Longitude, Self::Road, Self::District];

    /// As the header names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Road => "road",
            Self::District => "district",
            Self::Feeder => "feeder",
            Self::Pillar => "pillar",
            Self::Height => "height_m",
            Self::Remarks => "remarks",
        }
    }

    /// All names, for a message.
    pub(super) fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// A fault of this column.
    pub(super) fn problem(self, line: u64, fault: Fault) -> Problem {
        Problem { line, column: Some(self.name().to_owned()), fault }
    }
}

/// Which column stands at which place.
pub(super) struct Header(pub(super) Vec<Column>);

impl Header {
    /// Every problem of the header, if it has any.
    pub(super) fn parse(row: &StringRecord, line: u64) -> Result<Self, Vec<Problem>> {
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for name in row {
            match Column::ALL.into_iter().find(|column| column.name() == name) {
                None => {
                    let column = Some(shortened(name));
                    problems.push(Problem { line, column, fault: Fault::UnknownColumn });
                }
                Some(column) if columns.contains(&column) => {
                    problems.push(column.problem(line, Fault::ColumnTwice));
                }
                Some(column) => columns.push(column),
            }
        }
        let missing = Column::NEEDED.into_iter().filter(|column| !columns.contains(column));
        problems.extend(missing.map(|column| column.problem(line, Fault::ColumnMissing)));
        problems.truncate(MOST_PROBLEMS);
        if problems.is_empty() { Ok(Self(columns)) } else { Err(problems) }
    }
}
