//! Commands that are expected to end by themselves, and what they leave behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hil_tests::fleet::{Binaries, wait_for};

/// What is refused at a start is refused at once: nobody waits this long for an error.
const SOON: Duration = Duration::from_secs(20);

/// The programs.
pub(crate) fn binaries() -> Binaries {
    Binaries::beside_this_program().unwrap()
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// Runs a command that ends soon.
pub(crate) fn ended(command: &mut Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let in_time = wait_for(&format!("{command:?} to end"), SOON, || child.try_wait().unwrap());
    if in_time.is_err() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    in_time.unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What a command that refuses to run says on standard error.
pub(crate) fn refused(command: &mut Command) -> String {
    let ended = ended(command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.error
}

/// What a command that succeeds prints.
pub(crate) fn done(command: &mut Command) -> String {
    let ended = ended(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out
}

/// Writes a file.
#[expect(clippy::disallowed_methods, reason = "a test's own file")]
pub(crate) fn put(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
}

/// The names of what is in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
