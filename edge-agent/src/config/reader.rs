//! Reads the tables of a configuration file key by key, and goes on after a mistake.
//!
//! `serde` stops at the first thing that is wrong, and forgets where the rest stands. Here a [`Section`] is a table
//! of which each key is asked for by name; what was never asked for is unknown, what is wrong is noted, and the
//! reader of the table gets none for it and goes on.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Gathering;

/// A key of a table, with the help that `config print` writes above it. Made by [`keys!`].
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Lines of the help, as written.
    pub(super) help: &'static [&'static str],
}

impl Key {
    /// The first sentence of the help, or its first line.
    fn gist(&self) -> &'static str {
        let first = self.help.first().copied().unwrap_or_default();
        first.split_once(". ").map_or(first, |(sentence, _)| sentence).trim_end_matches('.')
    }
}

/// Declares the keys of a table: the doc comment of each is its help.
macro_rules! keys {
    ($($(#[doc = $help:literal])+ $name:ident = $key:literal;)+) => {
        $(
            const $name: $crate::config::reader::Key =
                $crate::config::reader::Key { name: $key, help: &[$($help),+] };
        )+
    };
}
pub(super) use keys;

/// A value of the file, and where it stands.
pub(super) type Found<T> = Spanned<T>;

/// Turns a value into what it means, or says what is wrong and what to do.
pub(super) type Parsed<T> = Result<T, String>;

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    problems: &'a Gathering<'a>,
    path: String,
    at: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(problems: &'a Gathering<'a>, table: &'a DeTable<'a>) -> Self {
        Self { problems, path: String::new(), at: 0..0, table, asked: Vec::new() }
    }

    /// Where its header stands.
    pub(super) fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// The line, from 1, of what stands at `at`.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        self.problems.line(at)
    }

    /// Notes that the value of `key`, which stands at `at`, is wrong.
    pub(super) fn refuse(&self, at: &Range<usize>, key: &Key, message: impl Into<String>) {
        self.problems.add(at, self.key_path(key.name), message);
    }

    /// Notes that the table as a whole is wrong.
    pub(super) fn refuse_whole(&self, message: impl Into<String>) {
        self.problems.add(&self.at, self.path.as_str(), message);
    }

    /// The value of a key that has to be there.
    pub(super) fn required<T>(
        &mut self,
        key: &Key,
        parse: impl FnOnce(&DeValue<'a>) -> Parsed<T>,
    ) -> Option<Found<T>> {
        let Some(value) = self.ask(key) else {
            self.refuse(&self.at, key, format!("this key is missing; add it:{}", key.gist()));
            return None;
        };
        self.parsed(key, value, parse)
    }

    /// The value of a key, or its default, which stands where the table does. None: it is there and wrong.
    pub(super) fn or<T>(
        &mut self,
        key: &Key,
        default: T,
        parse: impl FnOnce(&DeValue<'a>) -> Parsed<T>,
    ) -> Option<Found<T>> {
        match self.ask(key) {
            None => Some(Spanned::new(self.at(), default)),
            Some(value) => self.parsed(key, value, parse),
        }
    }

    /// The value of a key that may be left out.
    pub(super) fn maybe<T>(
        &mut self,
        key: &Key,
        parse: impl FnOnce(&DeValue<'a>) -> Parsed<T>,
    ) -> Option<Found<T>> {
        self.ask(key).and_then(|value| self.parsed(key, value, parse))
    }

    /// A key that has no meaning beside the others of this table.
    pub(super) fn without(&mut self, key: &Key, why: &str) {
        if let Some(value) = self.ask(key) {
            self.refuse(&value.span(), key, format!("{why}; remove this key"));
        }
    }

    /// A key of which it cannot be said whether it belongs here, for another one is wrong.
    pub(super) fn tolerate(&mut self, key: &Key) {
        self.asked.push(key.name);
    }

    /// A table below this one; none: it is not there, or no table.
    pub(super) fn table(&mut self, key: &Key) -> Option<Section<'a>> {
        let value = self.ask(key)?;
        self.below(self.key_path(key.name), value)
    }

    /// A table below this one that has to be there, for it has keys that have to be there.
    pub(super) fn required_table(&mut self, key: &Key) -> Option<Section<'a>> {
        if self.value(key).is_none() {
            let message = format!("this table is missing; add [{}]:{}", key.name, key.gist());
            self.refuse(&self.at, key, message);
        }
        self.table(key)
    }

    /// The tables of a list, each called by its name if it has one.
    pub(super) fn tables(&mut self, key: &Key) -> Vec<Section<'a>> {
        let Some(value) = self.ask(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            let found = described(value.get_ref());
            self.refuse(
                &value.span(),
                key,
                format!("a list belongs here, not {found}; write [[{}]]", key.name),
            );
            return Vec::new();
        };
        let path = |place: usize, one: &DeValue<'a>| {
            let name =
                one.as_table().and_then(|table| table.get("name")).and_then(|name| name.get_ref().as_str());
            let plain = |name: &&str| !name.is_empty() && name.len() <= 32 && !name.contains(is_strange);
            let name = name.filter(plain).map_or_else(|| format!("#{}", place + 1), str::to_owned);
            format!("{}[{name}]", self.key_path(key.name))
        };
        let sections =
            list.iter().enumerate().map(|(place, one)| self.below(path(place, one.get_ref()), one));
        sections.flatten().collect()
    }

    /// Ends the reading: what was not asked for is unknown.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let remedy = closest(name, &self.asked).map_or_else(
                || format!("the keys here are {}", self.asked.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            self.problems.add(
                &key.span(),
                self.key_path(&shown(name)),
                format!("there is no such key; {remedy}"),
            );
        }
    }

    fn ask(&mut self, key: &Key) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key.name);
        self.value(key)
    }

    fn value(&self, key: &Key) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key.name)
    }

    fn parsed<T>(
        &self,
        key: &Key,
        value: &Spanned<DeValue<'a>>,
        parse: impl FnOnce(&DeValue<'a>) -> Parsed<T>,
    ) -> Option<Found<T>> {
        match parse(value.get_ref()) {
            Ok(meaning) => Some(Spanned::new(value.span(), meaning)),
            Err(message) => {
                self.refuse(&value.span(), key, message);
                None
            }
        }
    }

    fn below(&self, path: String, value: &'a Spanned<DeValue<'a>>) -> Option<Section<'a>> {
        let Some(table) = value.get_ref().as_table() else {
            let found = described(value.get_ref());
            self.problems.add(
                &value.span(),
                path,
                format!("a table belongs here, not {found}; write it as one"),
            );
            return None;
        };
        Some(Section { problems: self.problems, path, at: value.span(), table, asked: Vec::new() })
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// What kind of value it is, for people.
pub(super) fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The one of `known` that was probably meant by `text`: at most a third of its letters are wrong, swapped, missing
/// or too many.
pub(super) fn closest<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    let (distance, near) = known.iter().map(|one| (distance(text, one), *one)).min()?;
    (distance <= near.len().div_ceil(3)).then_some(near)
}

/// A text of the file as it may stand in a message: short, and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(48).flat_map(char::escape_debug).collect()
}

fn is_strange(c: char) -> bool {
    c.is_control() || c.is_whitespace() || matches!(c, '[' | ']')
}

/// Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours.
fn distance(one: &str, other: &str) -> usize {
    // Longer texts are no misspellings of our keys, and the table below grows with the length.
    let one: Vec<char> = one.chars().take(64).collect();
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i - 1] == *b && other[j - 1] == *a {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}
