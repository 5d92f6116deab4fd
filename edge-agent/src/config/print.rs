//! Writes a configuration back as a file, each value below its help.

use std::fmt::{Display, Write as _};
use std::path::Path;

use super::reader::Key;

const HEAD: &str = "\
# The configuration of the Lamplighter agent on one lamppost. Every key is shown with the value in force.
# edge-agent config check --config FILE names everything that is wrong in a file.

";

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Printer {
    text: String,
    /// The keys of this table, or list of tables, that have been explained: each is once.
    explained: Vec<&'static str>,
}

impl Printer {
    pub(super) fn new() -> Self {
        Self { text: HEAD.to_owned(), explained: Vec::new() }
    }

    /// Starts a table.
    pub(super) fn table(&mut self, key: &Key) {
        self.text.push('\n');
        self.explained.clear();
        self.help(key);
        self.explained.clear();
        self.line(format_args!("[{}]", key.name));
    }

    /// Starts the table at this place of a list.
    pub(super) fn table_of_list(&mut self, key: &Key, place: usize) {
        self.text.push('\n');
        if place == 0 {
            self.explained.clear();
            self.help(key);
            self.explained.clear();
        }
        self.line(format_args!("[[{}]]", key.name));
    }

    /// A key and its value, in TOML.
    pub(super) fn key(&mut self, key: &Key, value: impl Display) {
        self.help(key);
        self.line(format_args!("{} = {value}", key.name));
    }

    /// A key that has no value, with an example of one.
    pub(super) fn unset(&mut self, key: &Key, example: impl Display) {
        self.help(key);
        self.line(format_args!("# {} = {example}", key.name));
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn help(&mut self, key: &Key) {
        if self.explained.contains(&key.name) {
            return;
        }
        self.explained.push(key.name);
        for line in key.help {
            self.line(format_args!("#{line}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes everything");
    }
}

/// A text as a basic string of TOML (specification 1.0, section String).
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(c)).expect("a String takes everything");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A path as a basic string of TOML. What is not Unicode in it is replaced: such a path came from no TOML file, but
/// from the folder that the file is in.
pub(super) fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}
