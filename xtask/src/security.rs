//! What is said of security is true: every threat of `docs/threats.md` has its tests, and the systemd units are as tight as
//! that says.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::shell::{command, output, root};

const THREATS: &str = "docs/threats.md";

/// The units that are shipped.
const UNITS: [&str; 2] =
    ["edge-agent/systemd/lamplighter-agent.service", "fleet-server/systemd/lamplighter-server.service"];

/// The worst exposure that `systemd-analyze security` may find, in tenths: newer releases of it look at more than the one
/// that the document's figures are of.
const MOST_EXPOSURE: u32 = 20;

/// Looks at both.
pub(crate) fn check() -> anyhow::Result<()> {
    threats()?;
    UNITS.iter().try_for_each(|unit| exposure(unit))
}

fn threats() -> anyhow::Result<()> {
    let text = read(&root().join(THREATS))?;
    let tests = names_of_tests()?;
    let mut rows = 0;
    for (number, line) in text.lines().enumerate() {
        let Some(row) = Row::of(line) else { continue };
        rows += 1;
        let place = format!("{THREATS}:{}", number + 1);
        if row.tests.is_empty() {
            bail!("{place}: no test is named for \"{}\"", row.threat);
        }
        if let Some(gone) = row.tests.iter().find(|test| !tests.contains(**test)) {
            bail!("{place}: there is no test `{gone}`");
        }
    }
    if rows == 0 {
        bail!("{THREATS} has no table of threats");
    }
    Ok(())
}

/// A line of a table of threats.
struct Row<'a> {
    threat: &'a str,
    tests: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// None if the line is none, or is the table's head.
    fn of(line: &'a str) -> Option<Self> {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [threat, _, tests] = cells[..] else { return None };
        if threat == "threat" || threat.starts_with("---") {
            return None;
        }
        Some(Self { threat, tests: tests.split('`').skip(1).step_by(2).collect() })
    }
}

/// The functions of all Rust files that git knows, and that stand below an attribute of a test.
fn names_of_tests() -> anyhow::Result<BTreeSet<String>> {
    let files = output(command("git").current_dir(root()).args(["ls-files", "*.rs"]))
        .context("git does not list the files")?;
    let mut names = BTreeSet::new();
    for file in files.lines() {
        let text = read(&root().join(file))?;
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                continue;
            }
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let (true, Some(function)) = (is_test, function) {
                names.insert(function.split('(').next().unwrap_or_default().to_owned());
            }
            is_test = false;
        }
    }
    Ok(names)
}

fn exposure(unit: &str) -> anyhow::Result<()> {
    let mut analyze = command("systemd-analyze");
    analyze.current_dir(root()).args(["security", "--offline=yes", "--no-pager", unit]);
    let said = output(&mut analyze).with_context(|| format!("systemd-analyze does not read {unit}"))?;
    let found = tenths(&said).with_context(|| format!("systemd-analyze gives {unit} no exposure level"))?;
    if found > MOST_EXPOSURE {
        bail!(
            "{unit}: its exposure level is {}.{}; `systemd-analyze security --offline=yes {unit}` says what is open",
            found / 10,
            found % 10
        );
    }
    Ok(())
}

/// From a line such as `→ Overall exposure level for x.service: 1.5 OK`.
fn tenths(said: &str) -> Option<u32> {
    let line = said.lines().find(|line| line.contains("Overall exposure level"))?;
    let (whole, tenth) = line.rsplit_once(": ")?.1.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_threat_and_its_tests_and_heads_are_no_rows() {
        assert!(Row::of("| threat | answer | tests |").is_none());
        assert!(Row::of("| --- | --- | --- |").is_none());
        assert!(Row::of("plain text").is_none());
        let row = Row::of("| A flood | `bounded` rates | `one_test` `another` |").unwrap();
        assert_eq!((row.threat, row.tests), ("A flood", vec!["one_test", "another"]));
    }

    #[test]
    fn the_exposure_is_read_in_tenths() {
        assert_eq!(tenths("x\n→ Overall exposure level for a.service: 1.5 OK 🙂\n"), Some(15));
        assert_eq!(tenths("no level"), None);
    }
}
