//! Lampposts from a CSV file. Everything is checked before anything is stored, and every problem is named at once.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use lamplighter_protocol::{IdError, LamppostNumber};

use super::Lamppost;

mod columns;
mod rows;

#[cfg(test)]
mod tests;

/// A city of 143,000 lampposts is some 12 MB; what is larger is not a list of lampposts.
pub const LARGEST_CSV_BYTES: u64 = 64 << 20;

/// The file is read no further once it has had this many problems.
pub const MOST_PROBLEMS: usize = 10_000;

/// Why a file of lampposts was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// It could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`LARGEST_CSV_BYTES`].
    #[error("{path} is larger than {} MiB: a list of lampposts is not", LARGEST_CSV_BYTES >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not UTF-8.
    #[error("{path}, line {line}: the text is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first line that is not.
        line: u64,
    },
    /// What it says is wrong. Shown with a line for each problem.
    #[error("{}", show(path, problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// All of them in the order of the file, up to [`MOST_PROBLEMS`]; at least one.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong in a file of lampposts.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The line in which the row begins; the first is 1.
    pub line: u64,
    /// The column, where it is one column's fault.
    pub column: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a row, or with a field of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The file has no header, or nothing after it.
    #[error("the file names no lamppost")]
    NoLamppost,
    /// The header names a column that is not known.
    #[error("is not known; the columns are {}", columns::Column::list())]
    UnknownColumn,
    /// The header names a column twice.
    #[error("stands twice in the header")]
    ColumnTwice,
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
    /// An earlier row has this number.
    #[error("{number} stands in line {first} already")]
    Twice {
        /// The number.
        number: LamppostNumber,
        /// The line of the earlier row.
        first: u64,
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
    #[error("has more than {} characters; is a quotation mark missing?", rows::LONGEST_TEXT)]
    TooLong,
    /// A text has a line break, a tabulator or the like in it.
    #[error("has a line break or another control character in it; is a quotation mark missing?")]
    ControlCharacter,
}

/// Reads lampposts from a CSV file (UTF-8, comma, quotation marks where needed, a header). The header names the
/// columns `number`, `latitude`, `longitude`, `road` and `district`, and any of `feeder`, `pillar`, `height_m` and
/// `remarks`, in any order. Latitude and longitude are degrees of WGS 84, the height is metres.
///
/// # Errors
/// [`CsvError`], which names every problem.
pub fn read_csv(path: &Path) -> Result<Vec<Lamppost>, CsvError> {
    let reading = |source| CsvError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(reading)?;
    file.take(LARGEST_CSV_BYTES + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > LARGEST_CSV_BYTES {
        return Err(CsvError::TooLarge { path: path.to_owned() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count() as u64;
        CsvError::NotUtf8 { path: path.to_owned(), line }
    })?;
    rows::parse(text).map_err(|problems| CsvError::Problems { path: path.to_owned(), problems })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", {column}")?;
        }
        write!(f, ": {}", self.fault)
    }
}

fn show(path: &Path, problems: &[Problem]) -> String {
    let count = problems.len();
    let plural = if count == 1 { "" } else { "s" };
    let head = format!("{}: {count} problem{plural}, nothing was stored", path.display());
    let given_up = (count >= MOST_PROBLEMS).then(|| "  (the file was read no further)".to_owned());
    let problems = problems.iter().map(|problem| format!("  {problem}"));
    [head].into_iter().chain(problems).chain(given_up).collect::<Vec<_>>().join("\n")
}

/// The beginning of a field, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(48).collect()
}
