//! What is said of security is true: every threat of `docs/threats.md` and every attack of `docs/attacks.md` has its tests, and
//! the systemd units are as tight as that says.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::shell::{command, output, root};

const THREATS: &str = "docs/threats.md";
/// What was tried, and how to try it again.
const ATTACKS: &str = "docs/attacks.md";

/// The units that are shipped.
const UNITS: [&str; 2] =
    ["edge-agent/systemd/lamplighter-agent.service", "fleet-server/systemd/lamplighter-server.service"];

/// The worst exposure that `systemd-analyze security` may find, in tenths: newer releases of it look at more than the one
/// that the document's figures are of.
const MOST_EXPOSURE: u32 = 20;

/// Looks at all of it.
pub(crate) fn check() -> anyhow::Result<()> {
    let tests = names_of_tests()?;
    named(THREATS, Row::of_threats, &tests)?;
    named(ATTACKS, Row::of_attacks, &tests)?;
    UNITS.iter().try_for_each(|unit| exposure(unit))
}

/// Whether every row of a document's table names tests, and all that it names exist.
fn named(
    document: &str,
    row_of: fn(&str) -> Option<Row<'_>>,
    tests: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let text = read(&root().join(document))?;
    let mut rows = 0;
    for (number, line) in text.lines().enumerate() {
        let Some(row) = row_of(line) else { continue };
        rows += 1;
        let place = format!("{document}:{}", number + 1);
        if row.tests.is_empty() {
            bail!("{place}: no test is named for \"{}\"", row.what);
        }
        if let Some(gone) = row.tests.iter().find(|test| !tests.contains(**test)) {
            bail!("{place}: there is no test `{gone}`");
        }
    }
    if rows == 0 {
        bail!("{document} has no such table");
    }
    Ok(())
}

/// A line of a table of threats or attacks.
struct Row<'a> {
    what: &'a str,
    tests: Vec<&'a str>,
}

impl Row<'_> {
    /// A threat, the answer, tests. None if the line is none, or is the table's head.
    fn of_threats(line: &str) -> Option<Row<'_>> {
        let [what, _, tests] = cells(line)?;
        (what != "threat").then(|| Row { what, tests: code(tests).collect() })
    }

    /// An attack, the command that tries it, whose last word is a test, and the answer; or a case of another suite, whether it
    /// concerns us, and tests.
    fn of_attacks(line: &str) -> Option<Row<'_>> {
        let [what, command, last] = cells(line)?;
        if matches!(what, "attack tried" | "their case") || last.is_empty() {
            return None;
        }
        let commands =
            code(command).filter_map(|command| command.strip_prefix("cargo test ")?.split(' ').next_back());
        let mut tests: Vec<_> = commands.collect();
        if tests.is_empty() {
            tests = code(last).collect();
        }
        Some(Row { what, tests })
    }
}

/// The cells of a line of a table of three columns.
fn cells(line: &str) -> Option<[&str; 3]> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let cells: [&str; 3] = cells.try_into().ok()?;
    (!cells[0].starts_with("---")).then_some(cells)
}

/// What stands between backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
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
        assert!(Row::of_threats("| threat | answer | tests |").is_none());
        assert!(Row::of_threats("| --- | --- | --- |").is_none());
        assert!(Row::of_threats("plain text").is_none());
        let row = Row::of_threats("| A flood | `bounded` rates | `one_test` `another` |").unwrap();
        assert_eq!((row.what, row.tests), ("A flood", vec!["one_test", "another"]));
    }

    #[test]
    fn a_row_has_an_attack_and_the_command_that_tries_it() {
        assert!(Row::of_attacks("| attack tried | command | answer |").is_none());
        assert!(Row::of_attacks("| a case | no: nothing is retained | |").is_none(), "it is none of ours");
        let row = Row::of_attacks("| `x` | `cargo test -p a --lib b` `cargo test c` | `y` |").unwrap();
        assert_eq!((row.what, row.tests), ("`x`", vec!["b", "c"]));
        let row = Row::of_attacks("| a case | yes | `b` `c` |").unwrap();
        assert_eq!(row.tests, ["b", "c"]);
        assert_eq!(
            Row::of_attacks("| a case | yes | in words |").unwrap().tests,
            [""; 0],
            "which is refused"
        );
    }

    #[test]
    fn the_exposure_is_read_in_tenths() {
        assert_eq!(tenths("x\n→ Overall exposure level for a.service: 1.5 OK 🙂\n"), Some(15));
        assert_eq!(tenths("no level"), None);
    }
}
