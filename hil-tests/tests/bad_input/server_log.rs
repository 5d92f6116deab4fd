//! What a server has written to its log.

use std::path::Path;

/// The text of the log of the server that was started in this folder.
pub(crate) fn server_log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("server.log")).unwrap()
}

/// Asserts that one line of a log has all of these in it.
pub(crate) fn assert_says(log: &str, parts: &[&str]) {
    let says = log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(says, "no line has all of {parts:#?} in:\n{log}");
}
