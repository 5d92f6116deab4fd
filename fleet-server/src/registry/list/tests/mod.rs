//! Lists of lampposts, good and bad.

mod csv;
mod geojson;

use std::path::Path;

use lamplighter_protocol::LamppostNumber;

use super::*;
use crate::registry::Coordinates;

#[expect(clippy::disallowed_methods, reason = "a test's own file")]
fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

/// What is said about a file of this text, without its name.
fn complaint(text: impl AsRef<[u8]>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lampposts");
    put(&path, text);
    let error = read_list(&path).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "FILE")
}

fn accepted(text: &str) -> Vec<Lamppost> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lampposts");
    put(&path, text);
    read_list(&path).unwrap()
}
