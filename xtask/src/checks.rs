//! `cargo xtask test`: everything that has to hold before a change lands.

use anyhow::{Context as _, bail};

use crate::shell::{cargo, command, output, root, run, say};
use crate::{console, security, tools};

fn lints() -> anyhow::Result<()> {
    inherit_lints()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(cargo().args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs all of it, the cheapest first.
pub(crate) fn all() -> anyhow::Result<()> {
    tools::install()?;
    console::install()?;
    lints()?;
    security::check()?;
    console::check()?;
    deny()?;
    // The server carries it.
    console::build_if_changed()?;
    // The binaries that end-to-end tests start.
    run(cargo().args(["build", "--quiet", "--workspace", "--bins"]))?;
    run(cargo().args(["test", "--quiet", "--workspace", "--all-features"]))?;
    run(cargo().args(["run", "--quiet", "-p", "hil-tests", "--bin", "simulate", "--", "--seeds", "1000"]))?;
    say("all tests passed");
    Ok(())
}

fn deny() -> anyhow::Result<()> {
    let deny = tools::deny_path();
    run(command(&deny).args([
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]))?;
    // The advisory database is a git repository that is not within reach everywhere.
    if output(command(&deny).args(["fetch", "db"])).is_some() {
        return run(command(&deny).args(["--all-features", "check", "advisories"]));
    }
    say("the advisory database cannot be had here: advisories are not checked");
    Ok(())
}

/// Lints are declared once, at the root; every crate says that it inherits them.
fn inherit_lints() -> anyhow::Result<()> {
    let manifest = |path: &std::path::Path| -> anyhow::Result<toml::Table> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        text.parse().with_context(|| format!("{} is not TOML", path.display()))
    };
    let workspace = manifest(&root().join("Cargo.toml"))?;
    let members = workspace.get("workspace").and_then(|workspace| workspace.get("members"));
    let members = members.and_then(toml::Value::as_array).context("the workspace has no members")?;
    for member in members.iter().filter_map(toml::Value::as_str) {
        let path = root().join(member).join("Cargo.toml");
        let manifest = manifest(&path)?;
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits.and_then(toml::Value::as_bool) != Some(true) {
            bail!("{} does not inherit the workspace's lints: add [lints] workspace = true", path.display());
        }
    }
    Ok(())
}
