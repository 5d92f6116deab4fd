//! Compiles the messages of checkpoints, with a compiler in pure Rust. And puts the console into the program, if its own
//! build has left it in `console/dist/`: a table of its files, each compressed. Without it the program is built all the
//! same, and says at `/` how to build the console.

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

/// What the console's build leaves, relative to this crate.
const DIST: &str = "console/dist";
/// The one folder in it whose files are named by their content.
const ASSETS: &str = "assets";

/// What checkpoints are made of, below [`PROTO`].
const CHECKPOINT: &str = "lamplighter/fleet/v1/checkpoint.proto";
const PROTO: &str = "proto";

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    messages().map_err(|error| format!("{PROTO}/{CHECKPOINT}: {error}"))?;
    console()
}

fn messages() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile([CHECKPOINT], [PROTO])?;
    Ok(prost_build::Config::new().compile_fds(descriptors)?)
}

fn console() -> Result<(), String> {
    // Cargo looks at all that is in a folder. One that is not there would count as changed in every build: until there
    // is a console, the folder that it comes to is watched.
    if let Some(watched) = [DIST, "console"].into_iter().find(|folder| Path::new(folder).is_dir()) {
        println!("cargo::rerun-if-changed={watched}");
    }
    let mut table = "static BUILT_IN: &[ConsoleFile] = &[\n".to_owned();
    if Path::new(DIST).join("index.html").is_file() {
        let assets = Path::new(DIST).join(ASSETS);
        let mut files = files_of(Path::new(DIST))?;
        files.extend(if assets.is_dir() { files_of(&assets)? } else { Vec::new() });
        for file in files {
            table.push_str(&entry(&file)?);
        }
    }
    table.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    #[expect(clippy::disallowed_methods, reason = "made anew by every build; nothing durable")]
    fs::write(Path::new(&out).join("console.rs"), table).map_err(|error| format!("OUT_DIR: {error}"))
}

/// The files of a folder that are to be served, in order; what is compressed beside them is left out.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let compressed = path.extension().is_some_and(|extension| extension == "br" || extension == "gz");
        if path.is_file() && !compressed {
            files.push(path);
        } else if path.is_dir() && path != Path::new(DIST).join(ASSETS) {
            return Err(format!("{}: only files of {DIST} and {DIST}/{ASSETS} are served", path.display()));
        }
    }
    files.sort();
    Ok(files)
}

/// The line of the table for a file.
fn entry(file: &Path) -> Result<String, String> {
    let shown = file.display();
    let name = file.strip_prefix(DIST).ok().and_then(Path::to_str).ok_or(format!("{shown}: not UTF-8"))?;
    let plain_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if !name.bytes().all(plain_name) {
        return Err(format!("{shown}: a name has only A-Z a-z 0-9 . _ -, so that it is its path"));
    }
    for coding in ["br", "gz"] {
        if !Path::new(&format!("{shown}.{coding}")).is_file() {
            return Err(format!("{shown}.{coding} is missing: run `npm run build` in fleet-server/console"));
        }
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(file).map_err(|error| format!("{shown}: {error}"))?);
    let include = |suffix: &str| {
        format!("include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{DIST}/{name}{suffix}\"))")
    };
    let index = name == "index.html";
    let mut line = String::new();
    let written = writeln!(
        line,
        "ConsoleFile {{ path: {:?}, content_type: {:?}, tag: \"{:016x}\", plain: {}, br: {}, gzip: {} }},",
        if index { "/".to_owned() } else { format!("/{name}") },
        content_type(file)?,
        hasher.finish(),
        if index { format!("Some({})", include("")) } else { "None".to_owned() },
        include(".br"),
        include(".gz"),
    );
    written.map(|()| line).map_err(|error| error.to_string())
}

fn content_type(file: &Path) -> Result<&'static str, String> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    Ok(match extension {
        "css" => "text/css; charset=utf-8",
        "geojson" => "application/geo+json",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "pbf" => "application/x-protobuf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        // Browsers show plain text, and would put Markdown into a file.
        "md" | "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => return Err(format!("{}: add the content type of this file to build.rs", file.display())),
    })
}
