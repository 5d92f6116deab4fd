//! What the tests need besides Rust and the packages of npm: Debian packages, a Python environment, cargo-deny.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::shell::{self, command, output, run, say};

/// A program that the tests run, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 11] = [
    ("mosquitto_pub", "mosquitto-clients"),
    ("python3", "python3"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("fc-list", "fontconfig"),
    // Makes calls to the disk fail.
    ("strace", "strace"),
    // Judges the units that are shipped.
    ("systemd-analyze", "systemd"),
    // A PKCS#11 token in software.
    ("softhsm2-util", "softhsm2"),
];

/// What the Python side of the tests imports: Google's protobuf and its compiler, and Eclipse's MQTT client, within the
/// versions that are known to do.
const PYTHON: [&str; 3] = ["protobuf>=6,<8", "grpcio-tools>=1.80,<2", "paho-mqtt>=2,<3"];

const DENY_VERSION: &str = "0.20.2";

/// Installs what is missing, or says how.
pub(crate) fn install() -> anyhow::Result<()> {
    debian()?;
    python()?;
    deny()?;
    Ok(())
}

fn debian() -> anyhow::Result<()> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    if output(command("python3").args(["-c", "import ensurepip"])).is_none() {
        missing.push("python3-venv");
    }
    // Without a font that has them, Chinese characters are boxes.
    if output(command("fc-list").arg(":lang=zh-hk")).is_none_or(|fonts| fonts.trim().is_empty()) {
        missing.push("fonts-noto-cjk");
    }
    if missing.is_empty() {
        return Ok(());
    }
    apt_get(&missing)
}

/// What `bench gateway` measures beside the server. The tests do not need it, and the benchmark says so if it is not there.
pub(crate) fn install_broker() {
    if on_path("mosquitto") || Path::new("/usr/sbin/mosquitto").is_file() {
        return;
    }
    if let Err(error) = apt_get(&["mosquitto"]) {
        say(&format!("mosquitto is not measured beside the server: {error}"));
    }
}

fn apt_get(missing: &[&str]) -> anyhow::Result<()> {
    let packages = missing.join(" ");
    let is_root = output(command("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !(is_root && on_path("apt-get")) {
        bail!("some packages are missing; on Debian: sudo apt-get install -y {packages}");
    }
    run(command("apt-get").args(["-q", "update"]))?;
    let mut install = command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "install", "-y", "--no-install-recommends"]);
    run(install.args(missing))
}

/// The interpreter of the tests' environment.
pub(crate) fn python_path() -> PathBuf {
    shell::target().join("venv/bin/python")
}

fn python() -> anyhow::Result<()> {
    let python = python_path();
    let imports = "import google.protobuf, grpc_tools, paho.mqtt";
    if output(command(&python).args(["-c", imports])).is_some() {
        return Ok(());
    }
    let venv = shell::target().join("venv");
    run(command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run(command(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PYTHON))
}

/// cargo-deny, wherever it is.
pub(crate) fn deny_path() -> PathBuf {
    if on_path("cargo-deny") { PathBuf::from("cargo-deny") } else { tools_root().join("bin/cargo-deny") }
}

fn deny() -> anyhow::Result<()> {
    if output(command(deny_path()).arg("--version")).is_some() {
        return Ok(());
    }
    say("cargo-deny is built once; this takes some minutes");
    let root = tools_root();
    let mut install = shell::cargo();
    install.args(["install", "--quiet", "--locked", "cargo-deny", "--version", DENY_VERSION, "--root"]);
    run(install.arg(root)).context("cargo-deny cannot be installed")
}

fn tools_root() -> PathBuf {
    shell::target().join("tools")
}

#[expect(clippy::disallowed_methods, reason = "the search path is where the system says what is installed")]
fn on_path(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').any(|directory| Path::new(directory).join(program).is_file())
}
