//! The other side: Node.js, which plays the scenes of `browser/` in Chromium.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// Node.js at work. It is killed when this is dropped, with all that it has started.
pub(crate) struct Browser {
    child: Child,
    output: PathBuf,
}

/// Says what is missing, and how it is installed.
pub(crate) fn is_installed() -> anyhow::Result<()> {
    for (program, packages) in [("node", "nodejs npm"), ("chromium", "chromium fonts-noto-cjk")] {
        let version = Command::new(program).arg("--version").stderr(Stdio::null()).output();
        let runs = version.is_ok_and(|output| output.status.success());
        ensure!(runs, "{program} is missing; on Debian: sudo apt-get install -y {packages}");
    }
    for module in ["playwright-core", "axe-core"] {
        let found = scenes().join("node_modules").join(module).join("package.json").is_file();
        ensure!(found, "{module} is missing: (cd hil-tests/browser && npm ci)");
    }
    Ok(())
}

impl Browser {
    /// Begins to play before the stage at this socket; what it says goes to a file in `directory`.
    pub(crate) fn start(stage: &Path, directory: &Path) -> anyhow::Result<Self> {
        let output = directory.join("browser.log");
        let log = File::create(&output)?;
        let mut node = Command::new("node");
        // One file after the other: they share one fleet.
        node.args(["--test", "--test-reporter=spec", "--test-concurrency=1"]).args(chosen()?);
        node.current_dir(scenes()).env("LAMPLIGHTER_STAGE", stage);
        // Profiles of a browser that was killed go with the directory.
        node.env("TMPDIR", directory);
        node.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own, so that the processes of all files can be killed with it. Chromium ends by itself when
        // the pipe to the process that has started it breaks.
        let child = node.process_group(0).spawn().context("cannot start Node.js")?;
        Ok(Self { child, output })
    }

    /// Whether all is played, and without a fault.
    #[expect(clippy::print_stdout, reason = "the harness shows it with `--nocapture`")]
    pub(crate) fn has_played(&mut self) -> anyhow::Result<bool> {
        let Some(status) = self.child.try_wait()? else { return Ok(false) };
        ensure!(status.success(), "Node.js ended with {status}:\n{}", self.output());
        print!("{}", self.output());
        Ok(true)
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read(&self.output)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        // The standard library kills no groups. An empty one is what is wanted.
        Command::new("sh").args(["-c", "kill -s KILL -- \"$0\" 2>/dev/null", &group]).status().ok();
        // Whatever became of its group: nobody waits for one that lives on.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn scenes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}

/// The files to play, in the order of their names.
#[expect(clippy::disallowed_methods, reason = "whoever writes a scene wants to play that one alone")]
fn chosen() -> anyhow::Result<Vec<String>> {
    let wanted = std::env::var("CONSOLE_TESTS").unwrap_or_default();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(scenes())? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    files.retain(|name| name.strip_suffix(".test.mjs").is_some_and(|name| name.contains(&wanted)));
    if files.is_empty() {
        bail!("no file is named *{wanted}*.test.mjs");
    }
    files.sort();
    Ok(files)
}
