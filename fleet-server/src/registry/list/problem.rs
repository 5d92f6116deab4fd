//! What is wrong in a file of lampposts, and where.

use std::fmt;
use std::path::Path;

use lamplighter_protocol::limits::RESERVED_NUMBER;
use lamplighter_protocol::{IdError, LamppostNumber};

use super::MOST_PROBLEMS;
use super::column::Column;
use super::gather::LONGEST_TEXT;

/// One thing that is wrong in a file of lampposts.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The column or property, where it is that one's fault.
    pub column: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

/// Where a row or a feature is. The first of anything is 1, but for offsets, which begin at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The line in which a row begins.
    Line(u64),
    /// A feature.
    Feature {
        /// Which one.
        index: u64,
        /// The line in which it begins.
        line: u64,
        /// The byte of the file at which it begins.
        offset: u64,
    },
}

/// What is wrong with a row or a feature, or with a field of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The text is in another encoding. Nothing more is said of it then.
    #[error("the text is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// The file has no header, or nothing after it; or no feature.
    #[error("the file names no lamppost")]
    NoLamppost,
    /// The header names a column that is not known.
    #[error("is not known; the columns are {}", Column::list(&Column::ALL))]
    UnknownColumn,
    /// A feature has a property that is not known. Told once.
    #[error("is not known; the properties are {}", Column::list(&Column::PROPERTIES))]
    UnknownProperty,
    /// The header names a column twice, or a feature a property.
    #[error("stands twice in the {0}")]
    ColumnTwice(&'static str),
    /// The header lacks a column.
    #[error("is missing in the header")]
    ColumnMissing,
    /// A row has more or fewer fields than the header.
    #[error("has {found} fields, the header has {expected}")]
    Fields {
        /// Fields of the row.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A field that every lamppost has is empty.
    #[error("is empty")]
    Empty,
    /// The number breaks its rule.
    #[error(transparent)]
    Number(IdError),
    /// The number is the server's own.
    #[error("{RESERVED_NUMBER} is kept for the server's own messages")]
    Reserved,
    /// An earlier row or feature has this number.
    #[error("{number} stands in {} already", first.short())]
    Twice {
        /// The number.
        number: LamppostNumber,
        /// The earlier one.
        first: Place,
    },
    /// A field is not the number that it should be.
    #[error("{text:?} is not a number from {least} to {most} ({unit})")]
    OutOfRange {
        /// The field, shortened.
        text: String,
        /// The least number that is accepted.
        least: f64,
        /// The greatest number that is accepted.
        most: f64,
        /// Unit of both.
        unit: &'static str,
    },
    /// A text is too long.
    #[error("has more than {LONGEST_TEXT} characters")]
    TooLong,
    /// A text has a line break, a tabulator or the like in it.
    #[error("has a line break or another control character in it")]
    ControlCharacter,
    /// The text is no JSON, or not of the shape that GeoJSON has.
    #[error("is not GeoJSON: {0}")]
    Json(String),
    /// A feature, its geometry or its properties are a list, a number or the like.
    #[error("is no object")]
    NotAnObject,
    /// Something of GeoJSON is of another type.
    #[error("is {found}, and has to be a {expected}")]
    Type {
        /// The type that it has.
        found: String,
        /// The type that it should have.
        expected: &'static str,
    },
    /// A point is not where a point can be.
    #[error("has to be [longitude, latitude], or [longitude, latitude, altitude]")]
    Position,
    /// A property is a number, a list or the like.
    #[error("is no text")]
    NotText,
}

impl Place {
    /// Without where in the file a feature begins.
    fn short(self) -> String {
        match self {
            Self::Line(line) => format!("line {line}"),
            Self::Feature { index, .. } => format!("feature {index}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Feature { index, line, offset } => {
                write!(f, "feature {index} (line {line}, offset {offset})")
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, column, fault } = self;
        write!(f, "{place}")?;
        if let Some(column) = column {
            write!(f, ", {column}")?;
        }
        write!(f, ": {fault}")?;
        match (place, fault) {
            (Place::Line(_), Fault::TooLong | Fault::ControlCharacter) => {
                f.write_str("; is a quotation mark missing?")
            }
            (Place::Line(_) | Place::Feature { .. }, _) => Ok(()),
        }
    }
}

pub(super) fn show(path: &Path, problems: &[Problem]) -> String {
    let count = problems.len();
    let plural = if count == 1 { "" } else { "s" };
    let head = format!("{}: {count} problem{plural}, nothing was stored", path.display());
    let given_up = (count >= MOST_PROBLEMS).then(|| "  (the file was read no further)".to_owned());
    let problems = problems.iter().map(|problem| format!("  {problem}"));
    [head].into_iter().chain(problems).chain(given_up).collect::<Vec<_>>().join("\n")
}
