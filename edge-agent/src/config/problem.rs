//! What is wrong with a configuration, for the person who has to put it right.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong in a configuration file. Prints as `FILE:LINE:COLUMN: key: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named to us.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, from the top: `device[weather-1].every_s`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All that is wrong in a configuration file, in the order of the file; one problem a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.0 {
            write!(f, "{separator}{problem}")?;
            separator = "\n";
        }
        Ok(())
    }
}

/// Gathers the problems of one text while its parts are read.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    text: &'a str,
    found: RefCell<Vec<(usize, String, String)>>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: RefCell::default() }
    }

    /// Notes that what stands at `at` is wrong.
    pub(super) fn add(&self, at: &Range<usize>, key: impl Into<String>, message: impl Into<String>) {
        self.found.borrow_mut().push((at.start, key.into(), message.into()));
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The line, from 1, of what stands at `at`.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        position(self.text, at.start).0
    }

    /// All that was found, in the order of the file.
    pub(super) fn into_problems(self, file: &Path) -> Problems {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(offset, ..)| *offset);
        let problem = |(offset, key, message)| {
            let (line, column) = position(self.text, offset);
            Problem { file: file.to_owned(), line, column, key, message }
        };
        Problems(found.into_iter().map(problem).collect())
    }
}

/// Line, and column in characters, both from 1, of the byte at `offset`; of the end, if the text is shorter.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.split(|byte| *byte == b'\n');
    let column = line.clone().next_back().map_or(0, |line| String::from_utf8_lossy(line).chars().count());
    (line.count(), column + 1)
}
