//! Lampposts from a file, and into one. Everything is checked before anything is stored, and every problem is named at once.

mod column;
mod csv;
mod gather;
mod geojson;
mod problem;
mod write;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use gather::register_text;
pub use problem::{Fault, Place, Problem};
pub use write::{write_csv, write_geojson};

use super::Lamppost;

/// A city of 143,000 lampposts is some 12 MB as CSV and 50 MB as GeoJSON, twice that if it is indented; what is much larger is
/// no list of lampposts. The file is in memory while it is read, and little else.
pub const LARGEST_LIST_BYTES: u64 = 256 << 20;

/// The file is read no further once it has had this many problems.
pub const MOST_PROBLEMS: usize = 10_000;

/// Why a file of lampposts was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`LARGEST_LIST_BYTES`].
    #[error("{path} is larger than {} MiB: a list of lampposts is not", LARGEST_LIST_BYTES >> 20)]
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
    #[error("{}", problem::show(path, problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// All of them in the order of the file, up to [`MOST_PROBLEMS`]; at least one.
        problems: Vec<Problem>,
    },
}

/// Reads lampposts from a file. It is GeoJSON if it begins with a brace or a bracket, which no header of CSV does.
///
/// CSV is UTF-8 with commas, quotation marks where needed, and a header that names the columns `number`, `latitude`,
/// `longitude`, `road` and `district`, and any of `feeder`, `pillar`, `height_m` and `remarks`, in any order. GeoJSON (RFC
/// 7946) is a `FeatureCollection` of `Point`s with these as properties, except for the position. Latitude and longitude are
/// degrees of WGS 84, the height is metres.
///
/// # Errors
/// [`ListError`], which names every problem.
pub fn read_list(path: &Path) -> Result<Vec<Lamppost>, ListError> {
    let reading = |source| ListError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(reading)?;
    if file.metadata().map_err(reading)?.len() > LARGEST_LIST_BYTES {
        return Err(ListError::TooLarge { path: path.to_owned() });
    }
    // A pipe does not say how much is in it.
    file.take(LARGEST_LIST_BYTES + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > LARGEST_LIST_BYTES {
        return Err(ListError::TooLarge { path: path.to_owned() });
    }
    let text = text_of(&bytes).map_err(|line| ListError::NotUtf8 { path: path.to_owned(), line })?;
    parse(text).map_err(|problems| ListError::Problems { path: path.to_owned(), problems })
}

/// Reads lampposts from bytes as [`read_list`] does from a file.
///
/// # Errors
/// Every problem, in the order of the text, up to [`MOST_PROBLEMS`]; at least one.
pub fn parse_list(bytes: &[u8]) -> Result<Vec<Lamppost>, Vec<Problem>> {
    let not_utf8 = |line| vec![Problem { place: Place::Line(line), column: None, fault: Fault::NotUtf8 }];
    parse(text_of(bytes).map_err(not_utf8)?)
}

/// The text that these bytes are, or the first line that is not UTF-8.
fn text_of(bytes: &[u8]) -> Result<&str, u64> {
    std::str::from_utf8(bytes)
        .map_err(|error| bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count() as u64)
}

/// All lampposts of a text, or all its problems; at least one then.
fn parse(text: &str) -> Result<Vec<Lamppost>, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) { geojson::parse(text) } else { csv::parse(text) }
}

/// The beginning of a text, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(48).collect()
}
