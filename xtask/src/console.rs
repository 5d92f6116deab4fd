//! The console: what Node.js builds of it before the server, which carries it, is built; and the tests of it in a
//! browser, as far as Node.js has a part in them.

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};

use crate::shell::{self, command, output, root, run, say};

/// The console's own folder.
const CONSOLE: &str = "fleet-server/console";
/// The folder of its tests in a browser.
const BROWSER: &str = "hil-tests/browser";
/// What it is built of besides that folder: its client is generated from this.
const OPENAPI: &str = "fleet-server/openapi.json";
/// The last thing that a build writes.
const BUILT: &str = "dist/index.html";

/// The first Node.js that the console's tools run on, as their manifests say.
const NODE: (u32, u32) = (20, 19);

/// Installs what the console and its tests in a browser are made with.
pub(crate) fn install() -> anyhow::Result<()> {
    node()?;
    install_in(CONSOLE)?;
    install_in(BROWSER)
}

/// The console's own checks: types, accessibility, format, unit tests.
pub(crate) fn check() -> anyhow::Result<()> {
    run(npm(CONSOLE).args(["run", "check"]))?;
    run(npm(CONSOLE).arg("test"))
}

/// Builds it.
pub(crate) fn build() -> anyhow::Result<()> {
    node()?;
    install_in(CONSOLE)?;
    build_from(&sources()?)
}

/// Builds it unless what is there was built from the same sources: a build that nobody needs would have the server
/// compiled anew.
pub(crate) fn build_if_changed() -> anyhow::Result<()> {
    let sources = sources()?;
    if root().join(CONSOLE).join(BUILT).is_file() && fs::read_to_string(stamp()).is_ok_and(|of| of == sources)
    {
        return Ok(());
    }
    node()?;
    install_in(CONSOLE)?;
    build_from(&sources)
}

/// The same for commands that do their work without a console as well.
pub(crate) fn build_if_possible() -> anyhow::Result<()> {
    match node() {
        Ok(()) => build_if_changed(),
        Err(missing) => {
            say(&format!("the console is not built: {missing}"));
            Ok(())
        }
    }
}

/// How one works on it.
pub(crate) fn say_how_to_develop() {
    say("built: the next build of the server carries it");
    say("to work on it: start a server (cargo run -p fleet-server -- run --data DIR), then");
    say(&format!("  npm --prefix {CONSOLE} run dev"));
    say("and open first the link that the server prints, then the address that this prints");
}

/// Whether Node.js and npm are there and new enough; if not, what to install.
fn node() -> anyhow::Result<()> {
    let (major, minor) = NODE;
    let version = output(command("node").arg("--version"));
    let version = version.context("Node.js is missing; on Debian: sudo apt-get install -y nodejs npm")?;
    let version = version.trim().trim_start_matches('v');
    if parse(version).ok_or_else(|| anyhow!("Node.js says that it is {version:?}"))? < NODE {
        bail!("Node.js {version} is too old, {major}.{minor} is needed: Debian 13 has it, and nodejs.org");
    }
    output(command("npm").arg("--version"))
        .map(drop)
        .context("npm is missing; on Debian: sudo apt-get install -y npm")
}

/// Major and minor.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn npm(folder: &str) -> Command {
    let mut npm = command("npm");
    npm.args(["--prefix", folder]);
    npm
}

/// Exactly the packages of the lock file, unless they are there. A copy of the lock file beside them says which are.
fn install_in(folder: &str) -> anyhow::Result<()> {
    let (lock, modules) =
        (root().join(folder).join("package-lock.json"), root().join(folder).join("node_modules"));
    let lock = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let installed = modules.join(".lamplighter-installed");
    if fs::read(&installed).is_ok_and(|of| of == lock) {
        return Ok(());
    }
    // Removes the folder first, and the copy with it.
    run(npm(folder).arg("ci"))?;
    write_mark(&installed, &lock)
}

fn build_from(sources: &str) -> anyhow::Result<()> {
    // A build that fails leaves neither the old console nor a new one.
    fs::remove_file(stamp()).ok();
    run(npm(CONSOLE).args(["run", "build"]))?;
    write_mark(&stamp(), sources.as_bytes())
}

/// Says which sources the console was built from.
fn stamp() -> PathBuf {
    shell::target().join("console-built-from")
}

#[expect(clippy::disallowed_methods, reason = "a mark that is lost or torn costs a build, and nothing else")]
fn write_mark(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(root()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Tells apart any two states of what the console is built of.
fn sources() -> anyhow::Result<String> {
    sources_in(&root().join(CONSOLE), &root().join(OPENAPI))
}

fn sources_in(console: &Path, openapi: &Path) -> anyhow::Result<String> {
    let unreadable = |path: &Path| format!("cannot read {}", path.display());
    let ignore = console.join(".gitignore");
    let ignored = fs::read_to_string(&ignore).with_context(|| unreadable(&ignore))?;
    // What a build makes is named there, by its path.
    let made: Vec<PathBuf> =
        ignored.lines().filter_map(|line| line.strip_prefix('/')).map(|path| console.join(path)).collect();
    let mut files = vec![openapi.to_owned()];
    let mut folders = vec![console.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| unreadable(&folder))? {
            let path = entry?.path();
            if made.contains(&path) {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        let content = fs::read(&file).with_context(|| unreadable(&file))?;
        // Lengths first, so that nothing moves from one file to the next unseen.
        for part in [file.as_os_str().as_encoded_bytes(), content.as_slice()] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_node_is_compared_by_its_numbers() {
        assert!(parse("20.9.0").unwrap() < NODE && parse("18.20.4").unwrap() < NODE);
        assert!(parse("20.19.0").unwrap() >= NODE && parse("22.2.0").unwrap() >= NODE);
        assert_eq!(parse("next"), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "files of a test")]
    fn only_a_change_of_sources_is_one() {
        let folder = shell::target().join("tests/console-sources");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(folder.join("src/api")).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        let sources = || sources_in(&folder, &folder.join("openapi.json")).unwrap();
        put(".gitignore", "/node_modules\n/dist\n/src/api/schema.d.ts\n");
        put("openapi.json", "{}");
        put("src/main.ts", "one");
        let first = sources();
        put("src/api/schema.d.ts", "made");
        fs::create_dir(folder.join("dist")).unwrap();
        put("dist/index.html", "made");
        assert_eq!(sources(), first);
        put("src/main.ts", "two");
        let second = sources();
        assert_ne!(second, first);
        fs::rename(folder.join("src/main.ts"), folder.join("src/other.ts")).unwrap();
        assert_ne!(sources(), second);
    }
}
